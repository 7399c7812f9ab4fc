"""The JSON Schema of the wire: valid, and says of a line what an ingest says."""

from __future__ import annotations

import json

import jsonschema  # type: ignore[import-untyped]  # its types would be a dependency
import pytest

from bowtie.demo import Demo
from bowtie.events import CATALOGUE
from bowtie.schema import wire_schema
from tests.cli.conftest import BAD, GOOD, TOUCH, line

Validator = jsonschema.Draft202012Validator


def test_the_schema_is_a_schema(run):
    schema = run("schema").json
    Validator.check_schema(schema)
    assert set(schema["$defs"]) == set(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_schema_of_each_type(name):
    schema = wire_schema(name)
    Validator.check_schema(schema)
    assert schema["properties"]["type"] == {"const": f"bowtie.{name}"}


def test_one_type(run):
    assert run("schema", "bowtie.touched").json["title"] == "Touched"
    assert "touched" in run("schema", "touchd", code=2).error


def test_it_takes_what_an_ingest_takes():
    valid = Validator(wire_schema())
    assert all(valid.is_valid(json.loads(good)) for good in GOOD)
    lines = list(Demo(customers=10).lines())
    refused = 0
    for raw in lines:
        try:
            refused += not valid.is_valid(json.loads(raw))
        except ValueError:
            refused += 1
    assert 0 < refused < len(lines) / 100


@pytest.mark.parametrize(
    "bad",
    [
        BAD[0],
        BAD[2],
        line("1", "touched", channel="web"),
        line("1", "touched", **TOUCH, colour="red"),
        line("1", "touched", **TOUCH, cost=5.5, currency="EUR"),
        line("1", "touched", **TOUCH, cost="5", currency="EURO"),
    ],
)
def test_it_refuses_what_an_ingest_parks(bad):
    assert not Validator(wire_schema()).is_valid(json.loads(bad))
