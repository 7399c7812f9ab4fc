"""Read tables filled straight from facts: what the tests of the views ask."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import sqlalchemy as sa

from bowtie.events import PERSONAL_NAMES, Event
from bowtie.stages import Definition, load_definition
from bowtie_projections import tables
from bowtie_projections.databases.asking import Reader
from bowtie_projections.databases.contract import Writing
from bowtie_projections.databases.duckdb_sql import DuckReader, DuckWriting
from bowtie_projections.databases.places import PostgresPlace
from bowtie_projections.databases.postgres_sql import PostgresReader, PostgresWriting
from bowtie_projections.filling import recompute_journeys
from bowtie_projections.identities import apply_links
from bowtie_projections.shapes import arrow_schema
from bowtie_projections.standing import Standing
from bowtie_projections.views.cut import utc


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


def _known_by(facts: Iterable[Said], position: int) -> list[Said]:
    """The facts as tables at a position hold them: nothing of what was recorded later."""
    return [
        replace(fact, retracted_position=None)
        if (fact.retracted_position or 0) > position
        else fact
        for fact in facts
        if fact.position <= position
    ]


class FilledTables:
    """A reader over tables that a test fills, in any database.

    Args:
        writing: the tables, empty.
        reader: the same, to be asked.
    """

    def __init__(self, writing: Writing, reader: Reader) -> None:
        self.writing, self.reader = writing, reader
        self.statements = reader.statements
        self.position = 0
        self.definition = self.definition_hash = ""
        self.has_links = True
        self._filled: set[str] = set()

    def fetch(self, statement: Any) -> pa.Table:
        """Run a statement; its SQL is kept."""
        return self.reader.fetch(statement)

    def keep(self, statement: Any, name: str) -> Any:
        """The rows of a statement, kept where the database can."""
        return self.reader.keep(statement, name)

    def execute(self, sql: str) -> None:
        """Change rows by SQL that all databases read."""
        self.writing.run(sa.text(sql))

    def load(self, facts: Iterable[Said], definition: Definition | None = None) -> None:
        """Replace all rows; with a definition the journeys too, which else follow none."""
        facts = list(facts)
        self.definition = self.definition_hash = ""
        with self.writing.transaction():
            self.position = max((fact.position for fact in facts), default=0)
            self.replace(_rows(_known_by(facts, self.position)))
            apply_links(self.writing, _hashed, 0)
            if definition is not None:
                self.definition, self.definition_hash = definition.label, definition.sha256
                recompute_journeys(self.writing, definition, self.position)

    def follow(self, facts: Iterable[Said], position: int) -> None:
        """The facts up to a position, and what follows of identities from where they stood."""
        with self.writing.transaction():
            self._put(_rows(_known_by(facts, position)))
            apply_links(self.writing, _hashed, self.position)
            self.position = position

    def replace(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Replace the rows of all tables by those given."""
        for table in (tables.journeys, tables.alias_hashes, tables.identities):
            self.writing.run(sa.delete(table))
        self._put(rows)

    def _put(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        for name in sorted(self._filled):
            self.writing.run(sa.delete(tables.metadata.tables[name]))
        self._filled = {name for name, found in rows.items() if found}
        for name in sorted(self._filled):
            table = tables.metadata.tables[name]
            found = pa.Table.from_pylist(list(rows[name]), schema=arrow_schema(table))
            self.writing.insert(table, found)


class MemoryTables(FilledTables):
    """Tables in DuckDB, in memory."""

    def __init__(self) -> None:
        connection = duckdb.connect(":memory:", config={"threads": 1})
        writing = DuckWriting(connection, "memory://")
        writing.create()
        super().__init__(writing, DuckReader(connection, _NOWHERE))


class SchemaTables(FilledTables):
    """Tables in a schema of a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        place = PostgresPlace.of(url)
        self.connection = psycopg.connect(place.server, autocommit=True)
        for statement in (f"CREATE SCHEMA {place.schema}", f"SET search_path = {place.schema}"):
            self.connection.execute(statement.encode())
        writing = PostgresWriting(self.connection, place.shown)
        writing.create()
        super().__init__(writing, PostgresReader(self.connection, _NOWHERE, place.shown))


_NOWHERE = Standing.new("a store", load_definition("b2b"))


def _rows(facts: Iterable[Said]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for fact in facts:
        rows["events"].append(_event_row(fact))
        rows[fact.data.type_name] += _fact_rows(fact)
    return rows


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
    if model.type_name in tables.ALIAS_EVENTS:
        own["alias_hash"] = _hashed(own["alias"])
    if "properties" in own:
        own["properties"] = json.dumps(own["properties"], sort_keys=True)
    columns = tables.facts[model.type_name].c
    return [base | {name: value for name, value in own.items() if name in columns}]


def _hashed(alias: str) -> str:
    """What stands for an alias here."""
    return f"#{alias}"


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
