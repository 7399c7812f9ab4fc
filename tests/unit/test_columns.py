"""From states to columns: what is read, and what one bad state does to the others."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bowtie.events import ContractSigned, Forgotten, Noted, Onboarded, Touched, TraitsObserved
from bowtie.stores.rows import StateBatch
from bowtie_projections.columns import Misaligned, columns_of
from tests.strategies import Logged, MemoryLog

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
PLAIN = AT.replace(tzinfo=None)
TOUCH = Touched(channel="webinar", direction="inbound", cost="120.00", currency="EUR")
GOOD = b'{"_key":"acme","_at":1767607200000000,"_source":"crm","_id":"17"}\n'


def touch(**envelope) -> Logged:
    plain: dict[str, Any] = {"data": TOUCH, "key": "acme", "at": AT, "source": "crm", "id": "1"}
    return Logged(**plain | envelope)


def made(*rows):
    (batch,) = MemoryLog(rows).batches(0, len(rows), 1000)
    return columns_of(batch)


def test_fields_and_envelope_of_a_touch():
    recorded = datetime(2026, 1, 6, tzinfo=UTC)
    columns = made(touch(known=AT, recorded=recorded, day=True))
    (row,) = columns.facts["touched"].to_pylist()
    assert row == {
        "position": 1,
        "customer": "acme",
        "occurred_at": PLAIN,
        "recorded_at": datetime(2026, 1, 6),  # noqa: DTZ001 - the tables hold UTC without a zone
        "known_from": PLAIN,
        "time_precision": "day",
        "retracted_position": None,
        "channel": "webinar",
        "direction": "inbound",
        "touchpoint": None,
        "campaign": None,
        "content": None,
        "medium": None,
        "opportunity": None,
        "cost": Decimal(120),
        "currency": "EUR",
    }


def test_the_row_of_an_event():
    columns = made(touch(correlation="c", causation="d", out_of_sequence=True))
    assert columns.events.to_pylist() == [
        {
            "position": 1,
            "type": "touched",
            "kind": "customer",
            "subject": "acme",
            "source": "crm",
            "id": "1",
            "occurred_at": PLAIN,
            "recorded_at": None,
            "known_from": None,
            "time_precision": "exact",
            "correlation_id": "c",
            "causation_id": "d",
            "out_of_sequence": True,
            "retracted_position": None,
        }
    ]


def test_days_flags_and_whole_numbers_are_typed():
    data = ContractSigned(
        contract="c", kind="paid", amount="1200.5", per="year", currency="EUR",
        starts_on="2026-01-01", auto_renews=True, notice_days=30,
    )  # fmt: skip
    (row,) = made(touch(data=data)).facts["contract_signed"].to_pylist()
    assert row["starts_on"] == date(2026, 1, 1)
    assert (row["ends_on"], row["auto_renews"], row["notice_days"]) == (None, True, 30)
    assert row["amount"] == Decimal("1200.5")


def test_traits_are_a_row_each_as_their_values_are_written():
    traits = {"size": 500, "vip": True, "old": False, "share": 0.5, "text": 'a "b"', "gone": None}
    rows = made(touch(data=TraitsObserved(traits=traits))).facts["traits_observed"].to_pylist()
    assert {row["name"]: row["value"] for row in rows} == {
        "size": "500",
        "vip": "true",
        "old": "false",
        "share": "0.5",
        "text": 'a "b"',
        "gone": None,
    }
    assert {row["position"] for row in rows} == {1}


def test_properties_stay_one_json_text():
    data = Noted(name="signed_up", properties={"plan": "pro", "n": 1})
    (row,) = made(touch(data=data)).facts["noted"].to_pylist()
    assert row["properties"] == '{"n":1,"plan":"pro"}'


def test_types_are_kept_apart_and_positions_follow():
    columns = made(touch(), touch(data=Onboarded()), touch(), touch(data=Forgotten()))
    assert columns.facts["touched"]["position"].to_pylist() == [1, 3]
    assert columns.facts["onboarded"]["position"].to_pylist() == [2]
    assert sorted(columns.events["position"].to_pylist()) == [1, 2, 3, 4]
    assert (columns.count, columns.last) == (4, 4)


def test_recorded_at_is_that_of_the_commit_that_reached_the_event():
    states = GOOD * 3
    batch = StateBatch(range(1, 4), b"onboarded\n" * 3, states, [(2, 1_000_000), (5, 2_000_000)])
    times: list[Any] = columns_of(batch).facts["onboarded"]["recorded_at"].to_pylist()
    assert [time.second for time in times] == [1, 1, 2]


BAD = {
    "no JSON": (b"{nonsense}\n", "JSON"),
    "cut": (GOOD[:-2] + b"\n", "one line"),
    "empty line": (b"\n", "one line"),
    "a list": (b"[]\n", "one line"),
    "two objects": (GOOD[:-1] + GOOD, "one JSON object"),
    "no key": (b'{"_at":1,"_source":"crm","_id":"17"}\n', "_key"),
    "no time": (b'{"_key":"a","_source":"crm","_id":"17"}\n', "_at"),
    "time as text": (GOOD.replace(b"1767607200000000", b'"now"'), "_at"),
    "newer data": (GOOD.replace(b"}", b',"_v":9}'), "version 9"),
    "no text": (GOOD.replace(b"acme", b"ac\xffme"), "UTF8"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_state_is_skipped_with_its_error_and_the_others_are_kept(name):
    state, problem = BAD[name]
    rows = [("onboarded", GOOD)] * 4 + [("onboarded", state)] + [("onboarded", GOOD)] * 6
    columns = made(*rows)
    (skipped,) = columns.skipped.to_pylist()
    assert (skipped["position"], skipped["type"]) == (5, "onboarded")
    assert problem in skipped["error"]
    expected = [p for p in range(1, 12) if p != 5]
    assert columns.facts["onboarded"]["position"].to_pylist() == expected
    assert columns.events["position"].to_pylist() == expected


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (b'"channel":"x"', "direction"),
        (b'"channel":"x","direction":"inbound","cost":"dear"', "dear"),
        (b'"channel":7,"direction":"inbound"', "channel"),
    ],
)
def test_fields_that_do_not_fit_are_skipped(own, problem):
    state = GOOD.replace(b"}", b"," + own + b"}")
    columns = made(("touched", state), touch())
    assert problem in columns.skipped.to_pylist()[0]["error"]
    assert columns.facts["touched"]["position"].to_pylist() == [2]


def test_a_trait_text_that_is_no_json_is_skipped():
    columns = made(("traits_observed", GOOD.replace(b"}", b',"traits":"{x"}')))
    assert columns.skipped.num_rows == 1
    assert columns.facts == {}
    assert columns.events.num_rows == 0


def test_an_unknown_type_is_skipped():
    columns = made(("sneezed", GOOD), touch())
    assert columns.skipped.to_pylist() == [
        {"position": 1, "type": "sneezed", "error": "the catalogue has no such event"}
    ]
    assert columns.events.num_rows == 1


def test_a_line_longer_than_a_block_is_read():
    long = "x" * 3_000_000
    columns = made(touch(), touch(data=Noted(name="n", properties={"p": long})), touch())
    assert columns.skipped.num_rows == 0
    assert len(columns.facts["noted"]["properties"][0].as_py()) > 3_000_000


def test_states_that_are_not_one_line_each_are_told():
    with pytest.raises(Misaligned):
        made(("onboarded", GOOD), ("onboarded", GOOD[:-1]))
    columns = made(("onboarded", GOOD[:-1]))
    assert "one line" in columns.skipped.to_pylist()[0]["error"]


def test_unknown_keys_are_left_alone():
    state = GOOD.replace(b"}", b',"_sealed":"{}","_ext":"{}","later":{"x":[1]}}')
    assert made(("onboarded", state)).skipped.num_rows == 0
