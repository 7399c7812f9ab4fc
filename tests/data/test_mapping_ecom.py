"""The mapping of the clickstream, against a reading of the raw file by pandas."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from functools import cache
from typing import Any

import pandas as pd
import pytest

from bowtie.logs import Mapping, open_log
from bowtie.reader import Reader
from bowtie.stages import load_definition
from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "ecom"
TOUCHES = ["home", "promo_page", "search"]


@pytest.fixture(scope="module")
def raw(shared_data) -> pd.DataFrame:
    return pd.read_csv(shared_data / "ecom" / "ecom.csv.gz", dtype=str, keep_default_na=False)


@cache
def mapped(path) -> tuple[list[dict[str, Any]], Any]:
    mapping = Mapping.load(EXAMPLE / "ecom.toml")
    with open_log(path, options=mapping.options) as log:
        mapper = mapping.begin(log)
        made: list[Any] = [one for _, events in mapper.over(log) for one in events]
    return made, mapper


@pytest.fixture(scope="module")
def events(shared_data) -> list[dict[str, Any]]:
    return mapped(shared_data / "ecom" / "ecom.csv.gz")[0]


def of_type(events, name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == f"bowtie.{name}"]


def test_each_row_is_one_event_and_none_is_left_out(shared_data, raw, events):
    made, mapper = mapped(shared_data / "ecom" / "ecom.csv.gz")
    counts = Counter(event["type"] for event in events)

    assert len(raw) == mapper.rows == 31_106
    assert mapper.unused == 0
    assert counts["bowtie.touched"] == raw.event.isin(TOUCHES).sum()
    assert counts["bowtie.order_placed"] == (raw.event == "purchase").sum() == 470
    assert sum(counts.values()) - counts["bowtie.traits_observed"] == len(raw)
    assert len({event["id"] for event in made}) == len(made)


def test_all_19_kinds_of_event_are_covered(raw, events):
    named = Counter(event["data"]["name"] for event in of_type(events, "noted"))
    touched = Counter(event["data"]["touchpoint"] for event in of_type(events, "touched"))
    counts = raw.event.value_counts().to_dict()

    assert len(counts) == 19
    assert {**named, **touched, "purchase": len(of_type(events, "order_placed"))} == counts


def test_events_are_those_of_their_users_at_their_times(raw, events):
    times = (pd.to_datetime(raw.timestamp).dt.strftime("%Y-%m-%dT%H:%M:%SZ")).tolist()
    ours = [event for event in events if event["type"] != "bowtie.traits_observed"]

    assert [event["subject"] for event in ours] == raw.user_id.tolist()
    assert [event["time"] for event in ours] == times


def test_channels_are_the_first_touchs(raw, events):
    touched = pd.DataFrame(
        {"user": e["subject"], "time": e["time"], **e["data"]} for e in of_type(events, "touched")
    )
    first = touched.sort_values("time", kind="stable").groupby("user").channel.first()
    expected = raw[raw.event.isin(TOUCHES)].groupby("user_id").acquisition_channel.first()

    assert first.to_dict() == expected.to_dict()
    assert set(touched.direction) == {"inbound"}


def test_traits_are_said_when_they_change(raw, events):
    columns = ["platform", "user_cohort", "user_lifecycle"]
    before = raw.groupby("user_id")[columns].shift()
    changes = raw[(before != raw[columns]).any(axis=1)]
    traits = of_type(events, "traits_observed")

    assert [event["subject"] for event in traits] == changes.user_id.tolist()
    assert [list(event["data"]["traits"].values()) for event in traits] == (
        changes[columns].to_numpy().tolist()
    )


def test_every_event_passes_the_way_in(events):
    reader = Reader()
    for event in events:
        reader.line(json.dumps(event).encode())


def test_the_stages_are_those_of_the_datas_description():
    definition = load_definition(EXAMPLE / "ecom-stages.toml")

    assert (definition.label, definition.loss, definition.lead) == ("ecom/1", "none", "education")
    assert definition.burn_in == timedelta(0)
