"""A Markov chain over a million paths, against the package ChannelAttribution on the same paths.

    python benchmarks/attribution.py [PATHS] [--peer PYTHON]

``--peer`` names a Python that has the package (pip install ChannelAttribution pandas matplotlib);
without one only bowtie is timed. The same is timed of both: from the touches in DuckDB to the
credits, where the peer's paths are first put together as text, in SQL; and from such text, read
before, to the credits. Seconds are of the processor, the best of three. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from bowtie import Bowtie
from bowtie.stages import load_definition
from bowtie_projections import Views
from bowtie_projections.databases import tables_at
from bowtie_projections.views.attribution import attribution
from bowtie_projections.views.attribution.markov import (
    CONVERSION,
    NULL,
    START,
    State,
    removal_effects,
)
from bowtie_projections.views.cut import Cut

CHANNELS = ("search", "webinar", "content", "partner", "fair", "mail", "directory", "referral")
_CUT = Cut(20_000_000_000, datetime(2025, 6, 1, tzinfo=UTC))
#: One to five touches of a customer, on the days before day 40; a third of them commit then.
_TOUCHES = """
INSERT INTO touched BY NAME
SELECT row_number() OVER () AS position, 'c' || customer AS customer,
    TIMESTAMP '2024-01-01' + INTERVAL 1 HOUR * (hash(customer, n) % 900)::INT AS occurred_at,
    TIMESTAMP '2024-01-01' AS recorded_at, 'exact' AS time_precision,
    {channels}[1 + (hash(customer, n, 7) % {count})::INT] AS channel, 'inbound' AS direction
FROM range({paths}) AS a(customer), range(5) AS b(n)
WHERE n <= hash(customer, 3) % 5
"""
_COMMITMENTS = """
INSERT INTO stage_entered BY NAME
SELECT 10000000000 + customer AS position, 'c' || customer AS customer,
    TIMESTAMP '2024-02-10' AS occurred_at, TIMESTAMP '2024-02-10' AS recorded_at,
    'exact' AS time_precision, 'commitment' AS stage
FROM range({paths}) AS a(customer) WHERE hash(customer, 9) % 3 = 0
"""
#: What a replay would have made of it.
_REPLAYED = """
INSERT INTO journeys BY NAME
SELECT coalesce(t.customer, s.customer) AS customer, 1 AS cycle, awareness_at AS opened_at,
    awareness_at, s.occurred_at AS commitment_at, awareness_at AS first_seen_at,
    awareness_at AS first_touch_at
FROM (SELECT customer, min(occurred_at) AS awareness_at FROM touched GROUP BY customer) AS t
FULL JOIN stage_entered AS s USING (customer);
UPDATE bowtie_tables SET position = 20000000000;
"""
_AS_TEXT = """
COPY (
    SELECT string_agg(t.channel, '>' ORDER BY t.occurred_at, t.position) AS path,
        (s.customer IS NOT NULL)::INT AS won, (s.customer IS NULL)::INT AS lost
    FROM touched AS t LEFT JOIN stage_entered AS s USING (customer)
    GROUP BY t.customer, s.customer
) TO '{file}' (FORMAT parquet)
"""
_PEER = """
import json, sys, time
import pandas as pd
from ChannelAttribution import markov_model
paths = pd.read_parquet(sys.argv[1])
best = []
for _ in range(3):
    began = time.process_time()
    found = markov_model(
        paths, "path", "won", var_null="lost", ncore=2, verbose=False, flg_pro=False
    )
    best.append(time.process_time() - began)
total = found.total_conversions.sum()
shares = dict(zip(found.channel_name, found.total_conversions / total))
print(json.dumps({"seconds": min(best), "shares": shares}))
"""


def measure(paths: int, peer: str | None) -> dict[str, Any]:
    """The seconds of both, and how the chains compare."""
    with tempfile.TemporaryDirectory(prefix="bowtie-bench-") as folder:
        file = Path(folder) / "tables.duckdb"
        with Bowtie.open("memory://") as engine:
            Views.open(engine, file).close()
        with duckdb.connect(str(file)) as connection:
            made = {"channels": list(CHANNELS), "count": len(CHANNELS), "paths": paths}
            connection.execute(_TOUCHES.format(**made))
            connection.execute(_COMMITMENTS.format(**made))
            connection.execute(_REPLAYED)
            text = Path(folder) / "paths.parquet"
            prepared = _best(lambda: connection.execute(_AS_TEXT.format(file=text)))
            connection.execute(f"CREATE TEMP TABLE paths AS FROM '{text}'")
            from_text = _best(lambda: _shares(connection))
            shares = _shares(connection)
        told: dict[str, Any] = {"paths": paths, "markov": _ours(file, ["markov"])}
        told |= {"all_models": _ours(file, "all"), "from_text": from_text}
        if peer is not None:
            command = [peer, "-c", _PEER, str(text)]
            ran = subprocess.run(command, capture_output=True, text=True, check=True)
            theirs = json.loads(ran.stdout.splitlines()[-1])
            told["peer_from_text"] = theirs["seconds"]
            told["peer"] = prepared + theirs["seconds"]
            told["most_apart"] = max(abs(shares[n] - part) for n, part in theirs["shares"].items())
    return told


def _best(ask: Callable[[], Any]) -> float:
    """The seconds of the processor that it takes at best."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        ask()
        seconds.append(time.process_time() - began)
    return min(seconds)


def _shares(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """The share of each source, from paths as text."""
    steps: Counter[tuple[State, str]] = Counter()
    paths = connection.execute(
        "SELECT string_split(path, '>'), won, count(*) FROM paths GROUP BY path, won"
    ).fetchall()
    for path, won, times in paths:
        walk = [START, *path, CONVERSION if won else NULL]
        for before, after in pairwise(walk):
            steps[(before,), after] += times
    _, effects = removal_effects(steps)
    return {source: effect / sum(effects.values()) for source, effect in effects.items()}


def _ours(file: Path, models: Any) -> float:
    definition = load_definition("b2b")

    def ask() -> None:
        with tables_at(file).read() as reader:
            answer = attribution(reader, _CUT, definition, models=models, threshold=1)
            if len(answer) < len(CHANNELS):
                raise RuntimeError(f"only {len(answer)} rows are in the answer")

    return _best(ask)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--peer", help="a Python with ChannelAttribution")
    asked = parser.parse_args()
    print(json.dumps(measure(asked.paths, asked.peer)))
