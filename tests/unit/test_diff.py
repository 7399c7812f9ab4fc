"""Differences by hand: one late fact, one retraction, one correction, one link, one rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bowtie import (
    Bowtie,
    ContractChanged,
    ContractSigned,
    IdentityLinked,
    Noted,
    Retracted,
    Touched,
    TraitsObserved,
)
from bowtie.errors import UnknownName, UsageError
from bowtie_projections import Views
from tests.stages import at, on

TOUCH = Touched(channel="web", direction="inbound")
LEAD = Noted(name="lead_created", properties={})


def signed(amount: str = "1200") -> ContractSigned:
    return ContractSigned(
        contract="c", kind="paid", amount=amount, per="year", currency="EUR", starts_on=on(40)
    )


@pytest.fixture(params=["duckdb", "postgresql"])
def views(request: pytest.FixtureRequest) -> Iterator[Views]:
    """Three customers; what comes later is recorded by the tests."""
    with Bowtie.open("memory://") as engine:
        engine.record("acme", TOUCH, occurred_at=at(1), id="acme-touch")
        engine.record("zeta", TOUCH, occurred_at=at(2))
        engine.record("zeta", LEAD, occurred_at=at(30), id="zeta-lead")
        engine.record("late", TOUCH, occurred_at=at(300))
        if request.param == "duckdb":
            yield Views.open(engine, "memory://")
            return
        server = request.getfixturevalue("postgres_server")
        with server.schema() as url:
            yield Views.open(engine, url)


def differ(views: Views, view: str = "funnel", **asked: Any) -> Any:
    views.refresh()
    asked = {"before": {"position": 4}, "as_of": at(200), **asked}
    return views.diff(view, **asked)


def figures(answer: Any) -> dict[tuple[str, str], tuple[Any, Any]]:
    return {(r["stage"], r["column"]): (r["before"], r["after"]) for r in answer.rows()}


def events(answer: Any) -> list[tuple[str, int, str, str]]:
    rows = answer.part("events").rows()
    return [(r["customer"], r["position"], r["counts_for"], r["why"]) for r in rows]


def test_nothing_was_learned(views):
    answer = differ(views)
    assert answer.rows() == answer.part("customers").rows() == answer.part("events").rows() == []
    assert answer.sentence.startswith("No figure of the funnel differs between position 4 and now")


def test_a_fact_that_came_late(views):
    views.engine.record("acme", LEAD, occurred_at=at(10))

    answer = differ(views)

    counted = {name: pair for name, pair in figures(answer).items() if "_" not in name[1][10:]}
    assert counted == {
        ("awareness", "reached_next"): (1, 2),
        ("awareness", "expired"): (1, 0),
        ("awareness", "conversion"): (0.5, 1.0),
        ("education", "entered"): (1, 2),
        ("education", "expired"): (1, 2),
        ("education", "mature"): (1, 2),
    }
    assert answer.part("customers").rows() == [
        {
            "customer": "acme",
            "stage": "awareness",
            "before": "entered, expired, mature",
            "after": "entered, reached_next, mature",
        },
        {
            "customer": "acme",
            "stage": "education",
            "before": None,
            "after": "entered, expired, mature",
        },
    ]
    assert events(answer) == [("acme", 5, "education", "recorded late")]
    (row, *_) = answer.rows()
    assert (row["change"], row["joined"], row["left"]) == (1, 1, 0)
    assert answer.meta["moved"] == 1


def test_a_fact_that_was_retracted(views):
    source = next(e for e in views.engine.events("zeta") if e.id == "zeta-lead").source
    views.engine.record("zeta", Retracted(of_source=source, of_id="zeta-lead"))

    answer = differ(views)

    assert figures(answer)["education", "entered"] == (1, 0)
    assert events(answer) == [("zeta", 3, "education", "retracted")]
    back = views.diff("funnel", before={}, after={"position": 4}, as_of=at(200))
    assert events(back) == [("zeta", 3, "education", "not yet retracted")]


def test_a_link_moves_a_customer_to_another(views):
    views.engine.record("acme", IdentityLinked(alias="zeta"))

    answer = differ(views)

    assert figures(answer)["awareness", "entered"] == (2, 1)
    # acme has education from zeta now, and zeta is nobody of its own
    assert {row["customer"] for row in answer.part("customers").rows()} == {"acme", "zeta"}
    assert ("acme", 5, "identity", "linked") in events(answer)
    assert ("zeta", 5, "identity", "linked") in events(answer)
    assert ("acme", 3, "education", "counts for another customer") in events(answer)


def test_what_a_rule_alone_changes(views):
    rule = """
    name = "own"
    version = 1
    [[stages.awareness]]
    event = "touched"
    """
    answer = differ(views, before={"definition": "b2b"}, after={"definition": rule})

    assert figures(answer)["education", "entered"] == (1, 0)
    assert events(answer) == [("zeta", 3, "education", "read by b2b/1 alone")]


def test_what_passes_between_two_days(views):
    """Time alone moves acme from pending to expired: no event did."""
    answer = differ(views, before={"as_of": at(20)}, after={"as_of": at(200)}, as_of=None)

    assert figures(answer)["awareness", "pending"] == (2, 0)
    assert events(answer) == [("zeta", 3, "education", "happened since")]
    assert any("1 customer moved without an event" in note for note in answer.notes)
    assert any("came of age" in note for note in answer.notes)


def test_the_stock_differs_too(views):
    views.engine.record("acme", signed(), occurred_at=at(40))

    answer = differ(views, "stock")

    assert figures(answer)["commitment", "customers"] == (0, 1)
    assert answer.part("customers").rows()[-1]["customer"] == "acme"
    assert events(answer) == [("acme", 5, "commitment", "recorded late")]


@pytest.mark.parametrize("view", ["stock", "flow", "velocity"])
def test_who_joined_less_who_left_is_the_change(views, view):
    views.engine.record("acme", LEAD, occurred_at=at(10))
    views.engine.record("acme", signed(), occurred_at=at(40))
    views.engine.record("beta", TOUCH, LEAD, occurred_at=at(11))

    answer = differ(views, view, limit=0)

    told = [row for row in answer.rows() if row["joined"] is not None and row["change"] is not None]
    assert told
    assert all(row["joined"] - row["left"] == row["change"] for row in told)
    assert {row["customer"] for row in answer.part("events").rows()} == {"acme", "beta"}


def test_amounts_say_what_each_adds(views):
    views.engine.record("zeta", signed("1200"), occurred_at=at(40))
    before = {"position": views.engine.store.head()}
    views.engine.record("acme", signed("2400"), occurred_at=at(45))
    more = ContractChanged(
        contract="c", kind="price", amount="1800", per="year", effective_on=on(75)
    )
    views.engine.record("zeta", more, occurred_at=at(75), id="more")

    asked = {"before": before, "as_of": at(80), "per": "year", "limit": 0}
    answer = differ(views, "revenue", **asked)

    found = {(r["period"], r["column"]): (r["change"], r["joined"]) for r in answer.rows()}
    assert found["2024-02", "end"] == (2400, None)
    assert found["2024-02", "customers_new"] == found["2024-02", "customers_end"] == (1, 1)
    assert found["2024-03", "expansion"] == (600, None)
    told = {(r["customer"], r["period"]): r for r in answer.part("customers").rows()}
    assert told["acme", "2024-02"]["before"] is None
    assert told["acme", "2024-02"]["after"] == "customers_end, customers_new, new 2400, end 2400"
    assert told["zeta", "2024-03"]["before"].endswith("start 1200, end 1200")
    assert told["zeta", "2024-03"]["after"].endswith("start 1200, expansion 600, end 1800")
    assert {(r["customer"], r["event"], r["why"]) for r in answer.part("events").rows()} == {
        ("acme", "contract_signed", "recorded late"),
        ("zeta", "contract_changed", "recorded late"),
    }


@pytest.mark.slow
def test_credits_and_levels_say_whom_they_count(views):
    plan = TraitsObserved(traits={"plan": "pro"})
    views.engine.record("zeta", signed("1200"), plan, occurred_at=at(40), known_from=at(39))
    before = {"position": views.engine.store.head()}
    views.engine.record("acme", plan, occurred_at=at(44), known_from=at(44))
    views.engine.record("acme", signed("2400"), occurred_at=at(45))
    ads = Touched(channel="ads", direction="inbound")
    views.engine.record("zeta", ads, occurred_at=at(35), id="ads")

    asked = {"before": before, "horizon": "30d", "threshold": 50, "limit": 0}
    given = differ(views, "attribution", models=["linear"], **asked)
    told = {(r["customer"], r["channel"]): r for r in given.part("customers").rows()}
    assert told["zeta", "web"]["before"] == "wins 1, mature 1, value 98.63, high 1"
    assert told["zeta", "web"]["after"] == "wins 0.5, mature 0.5, value 49.32, high 0.5"
    assert told["acme", "web"]["before"] is None
    whys = {(r["customer"], r["counts_for"], r["why"]) for r in given.part("events").rows()}
    assert ("zeta", "touch", "recorded late") in whys

    levels = differ(views, "loop", **asked)
    found = {(r["trait"], r["level"], r["column"]): r for r in levels.rows()}
    pro = found["plan", "pro", "customers"]
    assert (pro["before"], pro["after"], pro["joined"], pro["left"]) == (1, 2, 1, 0)
    rows = [r for r in levels.part("customers").rows() if r["trait"] == "plan"]
    assert [(r["customer"], r["before"], r["after"]) for r in rows] == [
        ("acme", None, "customers, high")
    ]
    used = {(r["customer"], r["counts_for"]) for r in levels.part("events").rows()}
    assert ("acme", "trait plan") in used


def test_so_many_of_each_change_are_named(views):
    views.engine.record("acme", LEAD, occurred_at=at(10))
    views.engine.record("beta", TOUCH, LEAD, occurred_at=at(11))

    answer = differ(views, limit=1)

    assert {row["customer"] for row in answer.part("customers").rows()} == {"acme", "beta"}
    few = [r for r in answer.part("customers").rows() if r["stage"] == "education"]
    assert [row["customer"] for row in few] == ["acme"]
    assert any("limit=0 names all" in note for note in answer.notes)
    every = differ(views, limit=0).part("customers").rows()
    assert len(every) == 4
    assert figures(answer)["education", "entered"] == (1, 3)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"before": {}}, "say what differs"),
        ({"before": {"by": "channel"}}, "not in 'by'"),
        ({"limit": -1}, "whole number"),
        ({"customers": "awareness:lost"}, "asks for a list"),
    ],
)
def test_what_can_t_be_asked(views, asked, says):
    with pytest.raises(UsageError, match=says):
        differ(views, **asked)


def test_a_view_without_a_difference(views):
    with pytest.raises(UnknownName, match="funnel, stock"):
        differ(views, "touchpoints")
