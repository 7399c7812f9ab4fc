"""Value policies: what they may say, in the log, and in the views that follow them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.errors import DefinitionError, EventRejected, FileError, UnknownName, UsageError
from bowtie.events import CostIncurred, OrderPlaced, StageEntered
from bowtie.policies import load_policy, publish_policy
from bowtie_projections import Views

START = datetime(2024, 1, 1, tzinfo=UTC)
WORTH = """
name = "worth"
version = 1
horizon = "30d"
value = "contribution"
costs = ["serve"]
costs_complete = true
threshold = "50"
[[tiers]]
name = "gold"
least = "100"
[[tiers]]
name = "silver"
least = 0
[[tiers]]
name = "rest"
"""


@pytest.fixture
def engine():
    """Customers with 150, 60, 10 and -40 of contribution in 30 days, more later."""
    with Bowtie.open("memory://") as engine:
        for name, revenue in (("a", 200), ("b", 110), ("c", 60), ("d", 10)):
            engine.record(name, StageEntered(stage="commitment"), occurred_at=START)
            for day in (1, 40):
                order = OrderPlaced(
                    order=f"{name}{day}", kind="order", amount=revenue, currency="EUR"
                )
                engine.record(name, order, occurred_at=START + timedelta(days=day))
            for activity, amount in (("serve", 50), ("onboard", 7)):
                cost = CostIncurred(activity=activity, amount=amount, currency="EUR")
                engine.record(name, cost, occurred_at=START + timedelta(days=2))
        yield engine


def test_a_view_follows_the_policy_and_says_which(engine):
    document = publish_policy(engine, WORTH)
    assert publish_policy(engine, WORTH) == document
    answer = Views.open(engine).value(policy="worth")
    [row] = answer.rows()
    assert (row["mature"], row["high"], row["value"]) == (4, 2, Decimal(180))
    tiers = {one["tier"]: (one["customers"], one["value"]) for one in answer.part("tiers")}
    assert tiers == {"gold": (1, 150), "silver": (2, 70), "rest": (1, -40)}
    assert answer.meta["parameters"]["policy"] == "worth/1"
    assert answer.meta["policy"]["sha256"] == document.sha256
    assert any(note.startswith("Policy worth/1: contribution") for note in answer.notes)


def test_a_discount_brings_each_amount_to_time_zero(engine):
    """200 EUR a year later at 25% a year are 160; the cost of the same day is discounted too."""
    engine.record("e", StageEntered(stage="commitment"), occurred_at=START)
    later = START + timedelta(days=365)
    order = OrderPlaced(order="e1", kind="order", amount="200", currency="EUR")
    cost = CostIncurred(activity="serve", amount="100", currency="EUR")
    engine.record("e", order, occurred_at=later)
    engine.record("e", cost, occurred_at=later)
    text = WORTH.replace('"30d"', '"366d"').replace("threshold", 'discount = "0.25"\nthreshold')
    asked: dict[str, Any] = {"policy": text, "data_through": START + timedelta(days=400)}
    engine.record("z", StageEntered(stage="awareness"), occurred_at=START + timedelta(days=401))
    views = Views.open(engine)
    told = {row["tier"]: row["value"] for row in views.value(**asked).part("tiers")}
    # the others ordered on days 1 and 40, at a cost of 50 on day 2
    soon, late, early = (Decimal("1.25") ** (Decimal(-day) / 365) for day in (1, 40, 2))
    gold = 310 * (soon + late) - 2 * 50 * early
    assert told["gold"] == pytest.approx(gold, abs=Decimal("0.0001"))
    silver = Decimal(80) + 60 * (soon + late) - 50 * early
    assert told["silver"] == pytest.approx(silver, abs=Decimal("0.0001"))
    answer = views.value(**asked)
    assert "discounted by 25% a year" in answer.sentence
    assert answer.rows()[0]["realised"] == 2 * 380 + 200 - 4 * 50 - 100
    loop = views.loop(**asked)
    assert "discounted by 25% a year" in loop.sentence
    credit = views.attribution(**asked, models=["first"])
    assert sum(row["value"] for row in credit) == pytest.approx(
        answer.rows()[0]["value"], abs=Decimal("0.01")
    )
    assert any("discounted by 25% a year" in note for note in credit.notes)


def test_the_loop_and_attribution_follow_it_too(engine):
    publish_policy(engine, WORTH)
    views = Views.open(engine)
    loop = views.loop(policy="worth/1")
    assert (loop.meta["mature"], loop.meta["high"], loop.meta["threshold"]) == (4, 2, 50)
    credit = views.attribution(policy="worth", models=["first"])
    assert credit.meta["parameters"]["horizon"] == "30d"
    assert sum(row["value"] for row in credit) == 180


def test_what_the_policy_says_is_not_asked_beside_it(engine):
    publish_policy(engine, WORTH)
    views = Views.open(engine)
    with pytest.raises(UsageError, match="leave out horizon=, top="):
        views.value(policy="worth", horizon="60d", top=0.5)
    with pytest.raises(UsageError, match="funnel has no parameter"):
        views._answer(*funnel_with_policy())


def funnel_with_policy():
    from bowtie_projections.views.funnel import funnel

    return funnel, {"policy": WORTH}


def test_a_name_is_one_text_for_ever_and_a_new_text_a_new_version(engine):
    publish_policy(engine, WORTH)
    with pytest.raises(EventRejected):
        publish_policy(engine, WORTH.replace("30d", "40d"))
    second = publish_policy(engine, WORTH.replace("version = 1", "version = 2"))
    views = Views.open(engine)
    assert views.value(policy="worth").meta["parameters"]["policy"] == "worth/2"
    before = views.value(policy="worth", position=second.position - 1)
    assert before.meta["parameters"]["policy"] == "worth/1"
    with pytest.raises(DefinitionError, match="another policy of that name"):
        views.value(policy=WORTH.replace("30d", "40d"))
    with pytest.raises(UnknownName, match='did you mean "worth'):
        views.value(policy="wort")


def test_shares_of_value_part_tiers():
    text = 'name = "abc"\nversion = 1\nhorizon = "30d"\n'
    for name, share in (("A", "0.5"), ("B", "1")):
        text += f'[[tiers]]\nname = "{name}"\nshare = "{share}"\n'
    policy = load_policy(text + '[[tiers]]\nname = "none"\n')
    assert [tier.share for tier in policy.tiers] == [Decimal("0.5"), 1, None]
    assert str(policy) == "revenue over 30d, high is the top 0.2"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "worth"', 'name = "Worth"', "small letters"),
        ("version = 1", "version = 0", "whole number from 1"),
        ('horizon = "30d"', 'horizon = "1h"', "whole days"),
        ('horizon = "30d"', "", "whole days"),
        ('value = "contribution"', 'value = "revenue"', "costs are of contribution"),
        ('["serve"]', '["acquire"]', 'can\'t be "acquire"'),
        ('threshold = "50"', 'threshold = "50"\ntop = "0.1"', "write one of them"),
        ('threshold = "50"', 'threshold = "fifty"', "decimal number"),
        ('threshold = "50"', 'top = "20"', "between 0 and 1"),
        ('threshold = "50"', 'threshold = "50"\ncurrency = "eur"', "ISO 4217"),
        ("threshold =", 'currency = ["EUR"]\nthreshold =', "ISO 4217"),
        ("least = 0", 'share = "0.5"', "all alike"),
        ("least = 0", "least = 100", "best tier comes first"),
        ('name = "rest"', 'name = "rest"\nleast = -5', "of all others"),
        ('name = "rest"', 'name = "gold"', "two tiers"),
        ("horizon", "horizont", 'did you mean "horizon"'),
        ("threshold =", 'discount = "10"\nthreshold =', "rate by the year"),
        ("threshold =", 'discount = "-0.1"\nthreshold =', "rate by the year"),
        ("threshold =", 'basis = "predicted"\nthreshold =', "costs to come are not predicted"),
        ('"30d"', '"3651d"\ndiscount = "0.1"', "at most 3650d"),
        ("[[tiers]]", "[[tiers", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(old, new, problem):
    with pytest.raises(DefinitionError, match=problem):
        load_policy(WORTH.replace(old, new, 1))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="name a TOML file of a policy"):
        load_policy(tmp_path / "worth.toml")
