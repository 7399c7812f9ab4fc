"""Every view over many more customers than a log was written for: does it fail, what does it take?

    python benchmarks/at_scale.py --folder FOLDER --times 10

FOLDER holds ``journeys.db`` and ``journeys.duckdb`` as ``run.py --folder`` leaves them. Their rows
are taken so many times, each time under other customers, and each view is asked in a process of
its own. Give them no more memory than they shall have: DuckDB goes by the limit of its control
group, and writes to the disk what doesn't fit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

VIEWS: dict[str, dict[str, Any]] = {
    "funnel": {"by": ["channel"]},
    "funnel of another definition": {"by": ["channel"], "definition": "PLAIN"},
    "funnel with estimate": {"estimate": True},
    "steps": {"steps": ["touched", "noted[name=opportunity_created]", "contract_signed"]},
    "stock": {},
    "flow": {},
    "velocity": {},
    "retention": {},
    "paths": {},
    "touchpoints": {},
    "pipeline": {},
    "bottleneck": {},
    "metrics": {},
    "value": {},
    "attribution": {},
    "loop": {},
    "status": {},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Multiply the tables, once, and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--view", help="only this one, in this process")
    options = parser.parse_args(arguments)
    tables = options.folder / f"times{options.times}.duckdb"
    if options.view:
        print(json.dumps(_asked(options.folder / "journeys.db", tables, options.view)))
        return
    if not tables.exists():
        _multiply(options.folder / "journeys.duckdb", tables, options.times)
    for name in VIEWS:
        done = subprocess.run(
            [sys.executable, __file__, *(arguments or sys.argv[1:]), "--view", name],
            check=False,
            capture_output=True,
            text=True,
        )
        print(f"{name:30} {_told(done)}", flush=True)


def _told(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        return f"FAILED: {(done.stderr.strip().splitlines() or [done.returncode])[-1]}"
    found = json.loads(done.stdout)
    return (
        f"{found['seconds']:8.1f} s {found['processor']:8.1f} s of the processor"
        f" {found['peak_mib']:8,.0f} MiB {found['rows']:6} rows"
    )


def _asked(store: Path, tables: Path, name: str) -> dict[str, Any]:
    from by_hand import PLAIN

    from bowtie import Bowtie
    from bowtie.stages import load_definition
    from bowtie_projections import Views

    asked = dict(VIEWS[name])
    if asked.get("definition") == "PLAIN":
        asked["definition"] = load_definition(PLAIN)
    view = name.split(" ", maxsplit=1)[0]
    clock, processor = time.perf_counter(), time.process_time()
    with (
        Bowtie.open(f"sqlite:///{store}", create=False) as engine,
        Views.open(engine, tables, refresh=False) as views,
    ):
        rows = len(getattr(views, view)(**asked).rows())
    return {
        "seconds": time.perf_counter() - clock,
        "processor": time.process_time() - processor,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": rows,
    }


def _multiply(source: Path, target: Path, times: int) -> None:
    """Positions stay as they are: the tables say themselves up to which they go."""
    made = target.with_suffix(".making")
    made.unlink(missing_ok=True)
    with duckdb.connect(str(made)) as connection:
        connection.execute(f"ATTACH '{source}' AS source (READ_ONLY)")
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'source'"
        ).fetchall()
        for (name,) in names:
            connection.execute(f"CREATE TABLE {name} AS {_rows(connection, name, times)}")
    made.rename(target)


def _rows(connection: duckdb.DuckDBPyConnection, name: str, times: int) -> str:
    columns = {row[0] for row in connection.execute(f'DESCRIBE source."{name}"').fetchall()}
    another = "|| CASE n WHEN 0 THEN '' ELSE '~' || n END"
    if "customer" in columns:
        changed = f"customer {another} AS customer"
    elif name == "events":
        changed = f"CASE kind WHEN 'customer' THEN subject {another} ELSE subject END AS subject"
    else:
        return f'FROM source."{name}"'
    return f'SELECT * EXCLUDE (n) REPLACE ({changed}) FROM source."{name}", range({times}) AS t(n)'


if __name__ == "__main__":
    main()
