"""Read tables in memory, filled straight from facts: what the tests of the views ask."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from bowtie.events import PERSONAL_NAMES, Event
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.cycles import journey_rows
from bowtie_projections.views.cut import Cut, utc


@dataclass(frozen=True)
class Said:
    """A recorded fact, as much of it as the tables keep."""

    customer: str
    data: Event
    occurred_at: datetime
    position: int
    recorded_at: datetime | None = None
    known_from: datetime | None = None
    retracted_position: int | None = None


def counted(facts: Iterable[Said], position: int) -> list[Said]:
    """The facts that count at a position, read in Python."""
    return [
        fact
        for fact in facts
        if fact.position <= position
        and (fact.retracted_position is None or fact.retracted_position > position)
    ]


class MemoryTables:
    """A reader over tables that a test filled."""

    def __init__(self) -> None:
        self.engine = sa.create_engine("duckdb:///:memory:")
        self.connection = self.engine.connect()
        tables.metadata.create_all(self.connection)
        self.connection.commit()
        driver: Any = self.connection.connection.driver_connection
        self.duckdb: duckdb.DuckDBPyConnection = driver
        self.statements: list[str] = []
        self.position = 0
        self.definition = self.definition_hash = ""

    def fetch(self, statement: Any) -> pa.Table:
        """Run a statement; its SQL is kept."""
        text = statement if isinstance(statement, str) else self.sql(statement)
        self.statements.append(text)
        return self.duckdb.execute(text).to_arrow_table()

    def sql(self, statement: Any) -> str:
        """The statement as DuckDB reads it."""
        compiled = statement.compile(
            dialect=self.engine.dialect, compile_kwargs={"literal_binds": True}
        )
        return str(compiled)

    def load(self, facts: Iterable[Said], definition: Definition | None = None) -> None:
        """Replace all rows; with a definition the journeys too."""
        self.duckdb.execute("begin")
        try:
            self._fill(facts, definition)
        except BaseException:
            self.duckdb.execute("rollback")
            raise
        self.duckdb.execute("commit")

    def _fill(self, facts: Iterable[Said], definition: Definition | None) -> None:
        facts = list(facts)
        for table in tables.metadata.sorted_tables:
            self.duckdb.execute(f"delete from {table.name}")
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for fact in facts:
            rows["events"].append(_event_row(fact))
            rows[fact.data.type_name] += _fact_rows(fact)
        for name, found in rows.items():
            columns = list(found[0])
            names = ", ".join(f'"{column}"' for column in columns)
            marks = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(found))
            self.duckdb.execute(
                f"insert into {name} ({names}) values {marks}",
                [row[column] for row in found for column in columns],
            )
        self.position = max((fact.position for fact in facts), default=0)
        if definition is not None:
            self.definition, self.definition_hash = definition.label, definition.sha256
            stand = Cut(self.position)
            self.duckdb.execute(f"insert into journeys {self.sql(journey_rows(definition, stand))}")


def _times(fact: Said) -> dict[str, Any]:
    return {
        "position": fact.position,
        "occurred_at": utc(fact.occurred_at),
        "recorded_at": fact.recorded_at and utc(fact.recorded_at),
        "known_from": fact.known_from and utc(fact.known_from),
        "time_precision": "exact",
        "retracted_position": fact.retracted_position,
    }


def _event_row(fact: Said) -> dict[str, Any]:
    return _times(fact) | {
        "type": fact.data.type_name,
        "kind": fact.data.stream_kind,
        "subject": fact.customer,
        "source": "test",
        "id": str(fact.position),
        "out_of_sequence": False,
    }


def _fact_rows(fact: Said) -> list[dict[str, Any]]:
    model = type(fact.data)
    key = {"customer" if model.stream_kind == "customer" else "subject": fact.customer}
    own = fact.data.model_dump()
    base = _times(fact) | key
    if "traits" in own:
        traits = {name: v for name, v in own["traits"].items() if name not in PERSONAL_NAMES}
        return [base | {"name": name, "value": _text(value)} for name, value in traits.items()]
    if "properties" in own:
        own["properties"] = json.dumps(own["properties"], sort_keys=True)
    columns = tables.facts[model.type_name].c
    return [base | {name: value for name, value in own.items() if name in columns}]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
