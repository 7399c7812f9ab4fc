"""One event by hand."""

from __future__ import annotations

import pytest


def test_an_event_is_recorded_and_said(run):
    done = run("record", "acme", "touched", "channel=webinar", "direction=inbound")
    assert "Recorded at position 1." in done.out
    assert run("journey", "acme", "--json").json["stage"] == "awareness"


@pytest.mark.parametrize("name", ["touched", "bowtie.touched", "Touched"])
def test_a_type_by_any_of_its_names(run, name):
    wire = run("record", "acme", name, "channel=web", "direction=inbound", "--json").json
    assert wire["type"] == "bowtie.touched"


def test_values_take_the_type_of_their_field(run):
    wire = run(
        *("record", "acme", "contract_signed", "contract=7", "kind=paid", "amount=120.00"),
        *("per=month", "currency=EUR", "starts_on=2026-02-01", "auto_renews=true"),
        *("notice_days=30", "quantity=5", "--at", "2026-01-05T11:00:00+01:00", "--json"),
    ).json
    assert wire["data"]["amount"] == "120.00"
    assert wire["data"]["auto_renews"] is True
    assert wire["data"]["notice_days"] == 30
    assert wire["data"]["contract"] == "7"
    assert wire["time"] == "2026-01-05T10:00:00Z"


def test_maps_are_written_with_a_dot(run):
    fields = ("employees=120", "plan=team", "trial=true", "churned=null", 'zip="01234"')
    wire = run(
        "record", "a", "traits_observed", *(f"traits.{one}" for one in fields), "--json"
    ).json
    assert wire["data"]["traits"] == {
        "employees": 120,
        "plan": "team",
        "trial": True,
        "churned": None,
        "zip": "01234",
    }


def test_a_day_is_precise_to_the_day(run):
    wire = run("record", "acme", "onboarded", "--at", "2026-01-05", "--json").json
    assert wire["timeprecision"] == "day"


def test_the_same_id_is_recorded_once(run):
    once = ("record", "acme", "onboarded", "--id", "7", "--source", "crm", "--at", "2026-01-05")
    assert run(*once, "--json").json["sequence"] == "1"
    assert run(*once, "--json").json["sequence"] == "1"
    assert "7" in run(*once[:-1], "2026-01-06", code=4).error


def test_what_is_expected_of_the_customer(run):
    touch = ("record", "acme", "touched", "channel=web", "direction=inbound")
    run(*touch, "--expected", "no-stream")
    assert run("journey", "acme", "--json").json["version"] == 1
    run(*touch, "--expected", "1")
    assert (
        "is at version 2, and version 1 was expected"
        in run(*touch, "--expected", "1", code=4).error
    )
    assert "no event was expected" in run(*touch, "--expected", "no-stream", code=4).error
    run(*touch, "--expected", "stream-exists")
    run(*touch, "--expected", "any")
    assert "write a version" in run(*touch, "--expected", "-1", code=2).error


def test_another_kind_of_stream(run):
    fields = ("activity=acquire", "amount=10", "currency=EUR", "from_on=2026-01-01")
    wire = run(
        *("record", "search", "spend_recorded", "channel=search", *fields, "to_on=2026-01-31"),
        *("includes_touch_cost=false", "--json"),
    ).json
    assert wire["streamkind"] == "spend"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("touchd", "channel=web"), 2, "did you mean touched"),
        (("touched", "channel=web"), 1, "direction: missing"),
        (("touched", "channel=web", "direction=inbound", "chanel=x"), 1, "did you mean channel?"),
        (("touched", "channel=web", "direction=up"), 1, "direction"),
        (("touched", "channel"), 2, "KEY=VALUE"),
        (("contract_changed", "contract=c", "kind=price", "amount=1", "per=month"), 1, "c"),
        (("onboarded", "--at", "2026-01-05T10:00:00"), 2, "zone"),
        (("onboarded", "--at", "yesterday"), 2, "no time"),
        (("onboarded", "--at", "2199-01-01"), 1, "future"),
    ],
)
def test_what_is_wrong_is_said(run, args, code, says):
    done = run("record", "acme", *args, code=code)
    assert says in done.err
