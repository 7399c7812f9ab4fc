"""A funnel over events: bowtie, SQL by hand, ClickHouse, pm4py and retentioneering, on one log.

    python benchmarks/step_funnels.py --customers 15000 --peers /tmp/peers/bin/python

Asked is: of those who were touched, who got an opportunity and then signed, within 90 days of the
touch. bowtie, SQL by hand and ClickHouse (through chdb) must count the same at each step; pm4py and
retentioneering know no window and are asked for the order alone. Peers run in a Python of their own
(``pip install chdb pandas pyarrow pm4py retentioneering`` there); one that is not installed is
skipped, and said so. The best of the runs is shown, in time and in time of the processor, which a
busy machine falsifies less; bowtie and SQL by hand open the tables each time, peers before.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

STEPS = ("touched", "noted[name=opportunity_created]", "contract_signed[kind=paid]")
_DAY = 86_400_000_000
_WINDOW = 90 * _DAY
#: Before anything was measured.
_NOTHING = {"seconds": float("inf"), "cpu": float("inf")}
#: The rows of each step, as every tool but bowtie is handed them.
_ROWS = {
    "touched": "true",
    "noted": "name = 'opportunity_created'",
    "contract_signed": "kind = 'paid'",
}

#: What a person would write, who knows that the steps exclude each other.
_BY_HAND = f"""
WITH a AS (SELECT customer, epoch_us(occurred_at) t FROM touched),
b AS (SELECT customer, epoch_us(occurred_at) t FROM noted WHERE name = 'opportunity_created'),
c AS (SELECT customer, epoch_us(occurred_at) t FROM contract_signed WHERE kind = 'paid'),
ab AS (SELECT *, max(s) OVER w v FROM
    (SELECT customer, t, t s FROM a UNION ALL SELECT customer, t, NULL FROM b)
  WINDOW w AS (PARTITION BY customer ORDER BY t, s NULLS LAST
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
two AS MATERIALIZED (SELECT customer, t, v FROM ab WHERE s IS NULL AND t - v <= {_WINDOW}),
bc AS (SELECT *, max(s) OVER w v FROM
    (SELECT customer, t, v s FROM two UNION ALL SELECT customer, t, NULL FROM c
     WHERE customer IN (SELECT customer FROM two))
  WINDOW w AS (PARTITION BY customer ORDER BY t, s NULLS LAST
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
three AS (SELECT customer FROM bc WHERE s IS NULL AND t - v <= {_WINDOW})
SELECT (SELECT count(DISTINCT customer) FROM a), (SELECT count(DISTINCT customer) FROM two),
  (SELECT count(DISTINCT customer) FROM three)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=15_000, help="about 21 events each")
    parser.add_argument("--runs", type=int, default=5, help="how often each is asked")
    parser.add_argument("--peers", default=sys.executable, help="the Python that has the peers")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peer:
        print(json.dumps(_PEERS[options.peer](options.folder, options.runs)))
        return
    with tempfile.TemporaryDirectory(prefix="bowtie-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, options.customers, options.runs, options.peers)


def measure(folder: Path, customers: int, runs: int, peers: str) -> None:
    """Print a line for each tool, with how many times as long as bowtie it takes."""
    from bowtie import Bowtie
    from bowtie_projections import Views

    with Bowtie.open(f"sqlite:///{folder / 'b.db'}", create=True) as engine:
        if not engine.store.head():
            from bowtie.demo import Demo

            Demo(customers=customers).write(folder / "log.jsonl")
            engine.ingest(folder / "log.jsonl")
        views, events = Views.open(engine), engine.store.head()
        export(folder)
        print(f"{events:,} events of {customers:,} customers, best of {runs}\n")
        own, by_hand, broken_down, every, firsts = _own(views, folder, runs)
    print(f"{'':28}{'s':>8}{'CPU s':>8}  of bowtie's, CPU")
    _line("bowtie", own, own)
    others = {
        "bowtie, by ten channels": broken_down,
        "bowtie, every conversion": every,
        "the same, reentry=first": firsts,
        "SQL by hand": by_hand,
    }
    for name, found in others.items():
        _line(name, found, own)
    for name in _PEERS:
        _line(name, _asked(name, folder, runs, peers), own)


def export(folder: Path) -> None:
    """The rows of the steps as Parquet, and in one table for tools that want it so."""
    import duckdb

    with duckdb.connect(str(folder / "b.duckdb"), read_only=True) as tables:
        for table in _ROWS:
            tables.execute(f"COPY {table} TO '{folder / table}.parquet' (FORMAT parquet)")
        parts = " UNION ALL ".join(
            f"SELECT customer, occurred_at, '{table}' AS event FROM {table} WHERE {kept}"
            for table, kept in _ROWS.items()
        )
        order = "ORDER BY customer, occurred_at"
        tables.execute(f"COPY ({parts} {order}) TO '{folder / 'all.parquet'}' (FORMAT parquet)")


def _own(views: Any, folder: Path, runs: int) -> tuple[dict[str, Any], ...]:
    """bowtie, SQL by hand, bowtie by ten values and of every conversion, in turns."""
    import duckdb

    def asked(**more: Any) -> list[int]:
        rows = views.steps(STEPS, within="90d", **more).rows()
        return [sum(r["entered"] for r in rows if r["step"] == step) for step in (1, 2, 3)]

    def by_hand() -> list[int]:
        with duckdb.connect(str(folder / "b.duckdb"), read_only=True) as tables:
            return list(tables.execute(_BY_HAND).fetchall()[0])

    asks: list[Callable[[], list[int]]] = [
        asked,
        by_hand,
        lambda: asked(by=["channel"]),
        lambda: asked(count="conversions"),
        lambda: asked(count="conversions", reentry="first"),
    ]
    best: list[dict[str, Any]] = [dict(_NOTHING) for _ in asks]
    for _ in range(runs):
        for found, ask in zip(best, asks, strict=True):
            found.update(_timed(ask, found))
    return tuple(best)


def _timed(ask: Callable[[], list[int]], best: dict[str, Any]) -> dict[str, Any]:
    started, worked = time.perf_counter(), time.process_time()
    counts = ask()
    return {
        "seconds": min(best["seconds"], time.perf_counter() - started),
        "cpu": min(best["cpu"], time.process_time() - worked),
        "counts": counts,
    }


def _best(ask: Callable[[], list[int]], runs: int) -> dict[str, Any]:
    found: dict[str, Any] = dict(_NOTHING)
    for _ in range(runs):
        found = _timed(ask, found)
    return found


def _asked(name: str, folder: Path, runs: int, python: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, __file__, "--peer", name, "--folder", str(folder), "--runs", str(runs)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1]}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _line(name: str, found: dict[str, Any], own: dict[str, Any]) -> None:
    if "missing" in found:
        print(f"{name:28} skipped: {found['missing']}")
        return
    of_own = (found[name] / own[name] for name in ("seconds", "cpu"))
    ratios = ", ".join(f"{one:.2f}" for one in of_own)
    same = "" if found["counts"] == own["counts"] else "  (other rules)"
    print(
        f"{name:28}{found['seconds']:8.3f}{found['cpu']:8.3f}  {ratios:16}{found['counts']}{same}"
    )


def _clickhouse(folder: Path, runs: int, source: str, prepare: str = "") -> dict[str, Any]:
    from chdb import session

    connection = session.Session()
    if prepare:
        for statement in prepare.format(folder=folder).split(";"):
            connection.query(statement)
    parts = " UNION ALL ".join(
        f"SELECT customer, toUnixTimestamp64Micro(occurred_at) AS t, {place} AS step"
        f" FROM {source.format(folder=folder, table=table)} WHERE {kept}"
        for place, (table, kept) in enumerate(_ROWS.items(), 1)
    )
    levels = (
        f"SELECT windowFunnel({_WINDOW})(toUInt64(t), step = 1, step = 2, step = 3) AS level"
        f" FROM ({parts}) GROUP BY customer"
    )
    counted = ", ".join(f"countIf(level >= {step})" for step in (1, 2, 3))

    def ask() -> list[int]:
        said = str(connection.query(f"SELECT {counted} FROM ({levels})", "CSV"))
        return [int(one) for one in said.strip().split(",")]

    return _best(ask, runs)


def clickhouse_parquet(folder: Path, runs: int) -> dict[str, Any]:
    """``windowFunnel`` over the Parquet files."""
    return _clickhouse(folder, runs, "file('{folder}/{table}.parquet')")


def clickhouse_tables(folder: Path, runs: int) -> dict[str, Any]:
    """``windowFunnel`` over tables of its own, made beforehand."""
    made = "CREATE DATABASE IF NOT EXISTS b ENGINE = Atomic;" + ";".join(
        f"CREATE TABLE b.{table} ENGINE = MergeTree ORDER BY (customer, occurred_at)"
        f" AS SELECT * FROM file('{{folder}}/{table}.parquet')"
        " SETTINGS schema_inference_make_columns_nullable = 0"
        for table in _ROWS
    )
    return _clickhouse(folder, runs, "b.{table}", made)


def pm4py(folder: Path, runs: int) -> dict[str, Any]:
    """Cases in which one activity eventually follows another, twice."""
    with contextlib.redirect_stdout(io.StringIO()):
        import pm4py as peer
    log = _frame(folder, "case:concept:name", "concept:name", "time:timestamp")

    def ask() -> list[int]:
        first = log[log["concept:name"] == "touched"]
        second = peer.filter_eventually_follows_relation(log, [("touched", "noted")])
        third = peer.filter_eventually_follows_relation(second, [("noted", "contract_signed")])
        return [int(one["case:concept:name"].nunique()) for one in (first, second, third)]

    return _best(ask, runs)


def retentioneering(folder: Path, runs: int) -> dict[str, Any]:
    """Its closed funnel."""
    from retentioneering.eventstream import Eventstream

    stream = Eventstream(_frame(folder, "user_id", "event", "timestamp"))

    def ask() -> list[int]:
        found = stream.funnel_data(steps=list(_ROWS))
        return [int(one["unique_paths"]) for one in found["steps"]]

    return _best(ask, runs)


def _frame(folder: Path, customer: str, event: str, at: str) -> Any:
    import pandas as pd

    rows = pd.read_parquet(folder / "all.parquet")
    rows["occurred_at"] = pd.to_datetime(rows["occurred_at"], utc=True)
    return rows.rename(columns={"customer": customer, "event": event, "occurred_at": at})


_PEERS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "ClickHouse, the Parquet": clickhouse_parquet,
    "ClickHouse, tables": clickhouse_tables,
    "pm4py": pm4py,
    "retentioneering": retentioneering,
}

if __name__ == "__main__":
    main()
