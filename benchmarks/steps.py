"""One step of the benchmarks, in a process of its own; prints one JSON object."""

from __future__ import annotations

import json
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import postgres_steps
import postgres_tables

if TYPE_CHECKING:
    from asking import Asked

#: The demo makes about this many events a customer.
_EVENTS_PER_CUSTOMER = 21.5
_BATCH = 50_000


class Step:
    """What a step is asked, and the files that the steps share."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.folder = Path(given["folder"])
        self.events, self.runs = int(given["events"]), int(given["runs"])
        self.given = given
        self.log = self.folder / "log.jsonl"
        self.store = self.folder / "journeys.db"
        self.tables = self.folder / "journeys.duckdb"


@contextmanager
def timed(result: dict[str, Any]) -> Iterator[None]:
    """Write the seconds that the block takes into the result."""
    started = time.perf_counter()
    yield
    result["seconds"] = time.perf_counter() - started


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".key"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def demo(step: Step) -> dict[str, Any]:
    """Write the log."""
    from bowtie.demo import Demo

    result: dict[str, Any] = {}
    with timed(result):
        truth = Demo(customers=max(1, round(step.events / _EVENTS_PER_CUSTOMER))).write(step.log)
    return result | {"events": truth.lines}


def ingest(step: Step) -> dict[str, Any]:
    """Take the log in, with every guarantee that is on by default."""
    from bowtie import Bowtie

    _remove(step.store)
    result: dict[str, Any] = {}
    with timed(result), Bowtie.open(f"sqlite:///{step.store}") as engine:
        report = engine.ingest(step.log)
    return result | {"events": report.appended}


def _stored(step: Step, after: int) -> tuple[list[Any], list[Any]]:
    """The rows that the ingest wrote, some thousands at a time."""
    source = sqlite3.connect(step.store)
    within = "BETWEEN ? AND ? ORDER BY"
    bounds = (after + 1, after + _BATCH)
    events = source.execute(
        "SELECT originator_id, originator_version, topic, state FROM stored_events"
        f" WHERE rowid {within} rowid",
        bounds,
    ).fetchall()
    ids = source.execute("SELECT * FROM ids_by_position WHERE position " + within + " 2", bounds)
    rows = events, ids.fetchall()
    source.close()
    return rows


def _index_ids(step: Step) -> None:
    """A copy of the ids in the order of positions, to read them batch by batch."""
    source = sqlite3.connect(step.store)
    source.execute("DROP TABLE IF EXISTS ids_by_position")
    source.execute("CREATE TABLE ids_by_position AS SELECT * FROM bowtie_ids ORDER BY position")
    source.execute("CREATE INDEX ids_position ON ids_by_position (position)")
    source.commit()
    source.close()


def raw_insert(step: Step) -> dict[str, Any]:
    """The same rows into the same two tables, with executemany and nothing else."""
    _index_ids(step)
    path = step.folder / "raw.db"
    _remove(path)
    source = sqlite3.connect(step.store)
    statements = [
        row[0]
        for row in source.execute(
            "SELECT sql FROM sqlite_master WHERE name IN ('stored_events', 'bowtie_ids')"
        )
    ]
    source.close()
    target = sqlite3.connect(path, isolation_level=None)
    target.execute("PRAGMA journal_mode=WAL")
    target.execute("PRAGMA cache_size=-262144")
    for statement in statements:
        target.execute(statement)
    seconds, after = 0.0, 0
    while True:
        events, ids = _stored(step, after)
        if not events:
            break
        started = time.perf_counter()
        target.execute("BEGIN IMMEDIATE")
        target.executemany("INSERT INTO stored_events VALUES (?,?,?,?)", events)
        target.executemany("INSERT INTO bowtie_ids VALUES (?,?,?)", ids)
        target.execute("COMMIT")
        seconds += time.perf_counter() - started
        after += len(events)
    target.close()
    _remove(path)
    copy = sqlite3.connect(step.store)
    copy.execute("DROP TABLE ids_by_position")
    copy.commit()
    return {"events": after, "seconds": seconds}


def library_insert(step: Step) -> dict[str, Any]:
    """The eventsourcing library's own recorder, in batches, without ids."""
    from eventsourcing.persistence import StoredEvent
    from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

    path = step.folder / "library.db"
    _remove(path)
    datastore = SQLiteDatastore(str(path), originator_id_type="text")
    recorder = SQLiteApplicationRecorder(datastore)
    recorder.create_table()
    source = sqlite3.connect(step.store)
    cursor = source.execute("SELECT * FROM stored_events ORDER BY rowid LIMIT 300000")
    seconds, count = 0.0, 0
    while rows := cursor.fetchmany(_BATCH):
        events = [StoredEvent(*row) for row in rows]
        started = time.perf_counter()
        recorder.insert_events(events)
        seconds += time.perf_counter() - started
        count += len(rows)
    datastore.close()
    _remove(path)
    return {"events": count, "seconds": seconds}


def replay(step: Step) -> dict[str, Any]:
    """All read tables and the journey rows, from zero."""
    from bowtie import Bowtie
    from bowtie_projections.databases.duckdb import TablesFile
    from bowtie_projections.replay import replay as replay_tables

    step.tables.unlink(missing_ok=True)
    result: dict[str, Any] = {}
    with Bowtie.open(f"sqlite:///{step.store}", create=False) as engine, timed(result):
        report = replay_tables(engine.store, TablesFile.of(step.tables), engine.definition)
    return result | {"events": report.events}


def raw_read(step: Step) -> dict[str, Any]:
    """The states in the fastest way we know: concatenated in SQL, in order, and thrown away."""
    result: dict[str, Any] = {}
    source = sqlite3.connect(step.store)
    (head,) = source.execute("SELECT max(rowid) FROM stored_events").fetchone()
    with timed(result):
        for after in range(0, head, 100_000):
            source.execute(
                "SELECT CAST(group_concat(state, '') AS BLOB) FROM (SELECT state FROM stored_events"
                " WHERE rowid > ? AND rowid <= ? ORDER BY rowid)",
                (after, after + 100_000),
            ).fetchone()
    return result | {"events": head}


def runner(step: Step) -> dict[str, Any]:
    """The library's ProjectionRunner with a view in memory that only counts."""
    from peers import run_projection

    return run_projection(step.store, int(step.given["most"]))


def views(step: Step) -> dict[str, Any]:
    """One view, asked of tables that are caught up, in a process with its imports done."""
    import by_hand

    from bowtie import Bowtie
    from bowtie_projections import Views

    name = step.given["view"]
    with Bowtie.open(f"sqlite:///{step.store}", create=False) as engine:
        asked = Views.open(engine)
        question = by_hand.QUESTIONS[name](engine, asked)
        ours = _median(question.ask, step.runs)
        hand = _median(lambda: question.by_hand(step.tables), step.runs)
        question.compare(step.tables)
    return {"seconds": ours, "by_hand": hand}


def cohorts(step: Step) -> dict[str, Any]:
    """Flow, velocity and retention of the demo's log, against SQL by hand."""
    import by_hand_cohorts

    return _asked(step, by_hand_cohorts.questions)


def places(step: Step) -> dict[str, Any]:
    """Stock, touchpoints, pipeline and paths of the demo's log, against SQL by hand."""
    import by_hand_places

    return _asked(step, by_hand_places.questions)


def _asked(step: Step, questions: Callable[[int], list[Asked]]) -> dict[str, Any]:
    from bowtie import Bowtie
    from bowtie_projections import Views

    with Bowtie.open(f"sqlite:///{step.store}", create=False) as engine:
        asked = questions(Views.open(engine).position)
        return {one.name: one.times(engine, step.tables, step.runs) for one in asked}


def pandas(step: Step) -> dict[str, Any]:
    """The funnel from facts and from journeys, against pandas with the facts in memory."""
    import by_hand
    import by_pandas

    from bowtie import Bowtie
    from bowtie_projections import Views

    with Bowtie.open(f"sqlite:///{step.store}", create=False) as engine:
        views = Views.open(engine)
        plain, default = (
            by_hand.QUESTIONS[name](engine, views) for name in ("funnel_definition", "funnel")
        )
        facts, as_of = by_pandas.load(step.tables, views.position)
        by_hand.agree(plain.ask(), by_pandas.funnel(facts, as_of))
        return {
            "from_facts": _median(plain.ask, step.runs),
            "from_journeys": _median(default.ask, step.runs),
            "pandas": _median(lambda: by_pandas.funnel(facts, as_of), step.runs),
        }


def repeat(step: Step) -> dict[str, Any]:
    """Repeat orders of a log of its own, for the demo's business has none."""
    import by_hand_cohorts

    from bowtie import Bowtie
    from bowtie_projections import Views

    store, log = step.folder / "orders.db", step.folder / "orders.jsonl"
    _remove(store)
    lines = by_hand_cohorts.orders(min(step.events, int(step.given["most"])))
    log.write_text("\n".join(lines) + "\n", "utf-8")
    with Bowtie.open(f"sqlite:///{store}") as engine:
        engine.init("shop/1")
        engine.ingest(log)
        asked = by_hand_cohorts.repeat_question(Views.open(engine).position)
        return asked.times(engine, store.with_suffix(".duckdb"), step.runs)


def _median(ask: Callable[[], Any], runs: int) -> float:
    ask()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


STEPS: dict[str, Callable[[Step], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        demo,
        ingest,
        raw_insert,
        library_insert,
        replay,
        raw_read,
        runner,
        views,
        cohorts,
        places,
        pandas,
        repeat,
        postgres_tables.postgres_replay,
    )
} | postgres_steps.POSTGRES_STEPS


if __name__ == "__main__":
    found = STEPS[sys.argv[1]](Step(json.loads(sys.argv[2])))
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))
