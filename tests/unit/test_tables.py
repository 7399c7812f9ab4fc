"""The read tables follow the catalogue."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from bowtie.events import CATALOGUE, personal_fields
from bowtie_projections import tables
from bowtie_projections.shapes import arrow_schema
from bowtie_projections.tables import plain_type

DOCS = Path(__file__).resolve().parents[2] / "docs"
TYPES = {Decimal: sa.Numeric, date: sa.Date, bool: sa.Boolean, int: sa.BigInteger, str: sa.String}


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_event_has_a_table_of_its_fields(name):
    model, table = CATALOGUE[name], tables.facts[name]
    assert table.name == name
    key = "customer" if model.stream_kind == "customer" else "subject"
    envelope = ["position", key, "occurred_at", "recorded_at", "known_from", "time_precision"]
    assert table.c.keys()[:7] == [*envelope, "retracted_position"]
    own = table.c.keys()[7:]
    if name == "traits_observed":
        assert own == ["name", "value"]
        return
    shown = [field for field in model.model_fields if field not in personal_fields(model)]
    assert own == (["alias_hash"] if name.startswith("identity") else shown)
    for field in shown:
        kind = plain_type(model.model_fields[field].annotation)
        assert isinstance(table.c[field].type, TYPES.get(kind, sa.String))


def test_nothing_personal_has_a_column():
    columns = {column.name for table in tables.facts.values() for column in table.columns}
    assert not columns & {"alias", "comment", "note"}
    assert "reason" not in columns


def test_journeys_have_each_stage_twice():
    names = [column.name for column in tables.journeys.columns]
    latest = [name for name in names if name.endswith("_latest")]
    assert latest == [f"{stage}_latest" for stage in tables.STAGES]


def test_no_table_has_an_index_or_a_key_that_slows_loading():
    for table in tables.metadata.sorted_tables:
        assert not table.indexes
        assert not table.primary_key.columns
        assert table.columns.keys() == arrow_schema(table).names


def test_every_table_and_column_is_in_the_docs():
    text = (DOCS / "read-tables.md").read_text("utf-8")
    for table in tables.metadata.sorted_tables:
        assert f"`{table.name}`" in text
        for column in table.columns:
            assert f"`{column.name}`" in text, f"{table.name}.{column.name}: run `make cog`"
