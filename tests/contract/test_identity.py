"""Linked keys: one journey, one owner, whoever asks and whoever is first."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from bowtie import Bowtie
from bowtie.errors import AliasClaimed
from bowtie.events import ContractSigned, IdentityLinked, IdentityUnlinked, Noted, Touched
from bowtie_projections import Views
from bowtie_projections.verifying import verify_tables

START = datetime(2024, 1, 1, tzinfo=UTC)
TOUCH = Touched(channel="ads", direction="inbound")


def say(engine: Bowtie, key: str, event: object, day: int) -> None:
    engine.record(key, event, occurred_at=START + timedelta(days=day))  # type: ignore[arg-type]


def test_a_journey_is_of_all_keys_that_are_linked(engine: Bowtie) -> None:
    """In both directions, and no longer than the link stands."""
    say(engine, "web-1", TOUCH, 0)
    say(engine, "crm-7", Noted(name="lead_created"), 1)
    assert engine.journey("crm-7").keys == ()
    engine.record("acme", IdentityLinked(alias="crm-7"))
    linked = engine.record("crm-7", IdentityLinked(alias="web-1"))[0]

    for key in ("acme", "crm-7", "web-1"):
        joined = engine.journey(key)
        assert joined.keys == ("acme", "crm-7", "web-1")
        assert list(joined.stages) == ["awareness", "education"]

    engine.record("crm-7", IdentityUnlinked(alias="web-1"))
    assert engine.journey("acme").keys == ("acme", "crm-7")
    assert engine.journey("web-1").stage == "awareness"
    then = engine.journey("web-1", known_at=linked.recorded_at)
    assert then.keys == ("acme", "crm-7", "web-1")


def test_forgetting_leaves_a_journey_together(engine: Bowtie) -> None:
    """What was sealed is gone, yet the events are the same, here and in another process."""
    say(engine, "crm-7", Noted(name="lead_created"), 1)
    say(engine, "web-1", TOUCH, 0)
    engine.record("acme", IdentityLinked(alias="crm-7"), IdentityLinked(alias="ada@example.org"))
    engine.record("crm-7", IdentityLinked(alias="web-1"))
    before = engine.journey("acme")
    assert before.keys == ("acme", "ada@example.org", "crm-7", "web-1")
    engine.forget("web-1")

    for _ in range(2):
        for key in ("acme", "crm-7", "web-1"):
            after = engine.journey(key)
            assert after.keys == ("acme", "crm-7", "web-1")
            assert after.stages == before.stages
        assert engine.journey("ada@example.org").keys[0] == "acme"
        del engine._links  # as another process finds it


def test_an_alias_is_compared_as_nfc(engine: Bowtie) -> None:
    """As keys are."""
    say(engine, "M\u00fcller", TOUCH, 0)
    engine.record("acme", IdentityLinked(alias="Mu\u0308ller"))

    assert engine.journey("acme").keys == ("acme", "M\u00fcller")
    assert Views.open(engine).status().meta["customers"] == 1


def test_a_merge_makes_no_churn_and_no_new_revenue(engine: Bowtie) -> None:
    """One contract told under two keys is one contract."""
    signed = ContractSigned(
        contract="k", kind="paid", amount="100", per="month", currency="EUR",
        starts_on="2024-02-01", ends_on="2024-12-31",
    )  # fmt: skip
    say(engine, "acme", signed, 10)
    say(engine, "acme-gmbh", signed, 11)
    say(engine, "acme-gmbh", Noted(name="later"), 500)
    views = Views.open(engine)
    asked = {"horizon": "365d", "threshold": "1"}
    apart = views.loop(**asked).part("sources").rows()[0]["value"]  # type: ignore[arg-type]
    engine.record("acme", IdentityLinked(alias="acme-gmbh"), occurred_at=START)
    views.refresh()
    joined = views.loop(**asked).part("sources").rows()[0]["value"]  # type: ignore[arg-type]

    assert joined * 2 == apart
    assert [row["cycle"] for row in views.sql("SELECT * FROM journeys").rows()] == [1]


def test_tables_that_follow_equal_a_rebuild(engine: Bowtie) -> None:
    """Whenever a link, its end, or the stream of an alias comes."""
    views = Views.open(engine)
    steps = [
        ("acme", TOUCH), ("acme", IdentityLinked(alias="later")), ("later", TOUCH),
        ("big", IdentityLinked(alias="acme")), ("other", TOUCH),
        ("big", IdentityUnlinked(alias="acme")), ("other", IdentityLinked(alias="acme")),
    ]  # fmt: skip
    for day, (key, event) in enumerate(steps):
        say(engine, key, event, day)
        views.refresh()
        found = verify_tables(engine.store, views.tables, engine.definition)
        assert [problem for problem in found if not problem.note] == []
    assert views.funnel().rows()[0]["entered"] == 1
    assert views.status().meta["customers"] == 2


@pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True)
def test_of_two_claims_at_once_one_wins(store_url: str) -> None:
    """The other is told who has it; each comes over a connection of its own."""
    with Bowtie.open(store_url) as made:
        made.init()
    ready, told = threading.Barrier(8), []

    def claim(number: int) -> None:
        with Bowtie.open(store_url) as engine:
            ready.wait()
            try:
                engine.record(f"c{number}", IdentityLinked(alias="web-1"))
                told.append("won")
            except AliasClaimed:
                told.append("lost")

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(told) == ["lost"] * 7 + ["won"]
    with Bowtie.open(store_url) as engine:
        linked = [event for event in engine.events() if event.type == "identity_linked"]
        assert engine.journey("web-1").keys == (linked[0].subject, "web-1")
        assert len(linked) == 1


@pytest.mark.parametrize("unit", ["account", "opportunity"])
def test_a_unit_that_nothing_tells_of_is_refused(engine: Bowtie, unit: str) -> None:
    """With what to record."""
    from bowtie.errors import Refused

    say(engine, "acme", TOUCH, 0)
    views = Views.open(engine)
    with pytest.raises(Refused, match="record"):
        views.funnel(unit=unit)  # type: ignore[arg-type]
