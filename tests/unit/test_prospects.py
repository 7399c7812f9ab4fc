"""The score of prospects, of a population whose chances are known."""

from __future__ import annotations

import inspect
import math
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bowtie.errors import Refused, UsageError
from bowtie.events import (
    Disqualified,
    OpportunityValued,
    OrderPlaced,
    StageEntered,
    Targeted,
    Touched,
    TraitsObserved,
)
from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.prospects import prospects, scores
from bowtie_projections.views.prospects.quality import auc
from tests.behind import behind
from tests.read_tables import MemoryTables, Said

B2B = load_definition("b2b")
START = datetime(2022, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
END = START + 1000 * DAY
WITHIN = 60
#: By industry the wins a day, and losses; both at all ages alike.
WINS = {"rail": 0.02, "retail": 0.005}
LOSSES = 0.006
#: By size the share of high value among the won.
HIGH = {"big": 0.6, "small": 0.1}
ASKED: dict[str, Any] = {"within": f"{WITHIN}d", "horizon": "30d", "threshold": 500}


def chance(industry):
    """That a prospect is won in time: without a memory, whatever its age."""
    ends = WINS[industry] + LOSSES
    return WINS[industry] / ends * (1 - math.exp(-ends * WITHIN))


class Log:
    """A log under construction."""

    def __init__(self):
        self.facts = []

    def say(self, customer, data, at, recorded=None):
        self.facts.append(Said(customer, data, at, len(self.facts) + 1, recorded or at))

    def lead(self, name, at, **traits):
        self.say(name, StageEntered(stage="education"), at)
        if traits:
            self.say(name, TraitsObserved(traits=traits), at)

    def won(self, name, at, amount):
        self.say(name, StageEntered(stage="commitment"), at)
        self.say(name, OrderPlaced(order="o", kind="order", amount=amount, currency="EUR"), at)


@cache
def population(size=1600, seed=7):
    """Leads over the years, each won or lost at a rate that depends on its industry."""
    rng, log = np.random.default_rng(seed), Log()
    for n in range(size):
        name, t0 = f"c{n:05}", START + rng.random() * 990 * DAY
        industry, size_ = rng.choice(["rail", "retail"]), rng.choice(["big", "small"])
        log.lead(name, t0, industry=str(industry), size=str(size_), noise=str(rng.integers(6)))
        won_at = t0 + rng.exponential(1 / WINS[industry]) * DAY
        lost_at = t0 + rng.exponential(1 / LOSSES) * DAY
        if won_at < lost_at and won_at <= END:
            log.won(name, won_at, "1000" if rng.random() < HIGH[size_] else "100")
            # what is told with the sale, of an earlier day: nobody knew it before
            log.say(name, TraitsObserved(traits={"tier": "gold"}), won_at - DAY, won_at)
        elif lost_at <= END:
            log.say(name, Disqualified(reason_code="none"), lost_at)
    return log.facts


@pytest.fixture(scope="module")
def tables():
    """Those of the population."""
    made = MemoryTables()
    made.load(population(), B2B)
    return made


@pytest.fixture(scope="module")
def answer(tables):
    """All its prospects."""
    return ask(tables, most=0, model=True)


@pytest.fixture
def memory():
    return MemoryTables()


def ask(tables, end=END, **asked):
    return prospects(tables, Cut(tables.position, end), B2B, **(ASKED | asked))


def traits_of(name):
    return {
        fact.customer: fact.data.traits[name]
        for fact in population()
        if isinstance(fact.data, TraitsObserved) and name in fact.data.traits
    }


def test_chances_are_those_of_the_population(answer):
    industry, size = traits_of("industry"), traits_of("size")
    rows = answer.rows()
    for one in WINS:
        own = [row["p_win"] for row in rows if industry[row["customer"]] == one]
        assert np.mean(own) == pytest.approx(chance(one), abs=0.05)
        # and of each alike: the age they have has nothing to do with it
        assert np.std(own) < 0.06
    for one, share in HIGH.items():
        own = [row["p_high"] for row in rows if size[row["customer"]] == one]
        assert np.mean(own) == pytest.approx(share, abs=0.08)
    assert all(row["p_high_value"] == pytest.approx(row["p_win"] * row["p_high"]) for row in rows)


def test_the_best_come_first_and_say_why(answer):
    rows = answer.rows()
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(one["p_high_value"] >= two["p_high_value"] for one, two in pairwise(rows))
    assert (rows[0]["decile"], rows[-1]["decile"]) == (1, 10)
    assert "industry: rail (odds x" in rows[0]["why_win"]
    assert "size: big (odds x" in rows[0]["why_high"]
    assert rows[0]["stage"] == "education"
    assert rows[0]["expected"] == pytest.approx(
        Decimal(rows[0]["p_win"] * (rows[0]["p_high"] * 1000 + (1 - rows[0]["p_high"]) * 100))
    )


def test_it_is_judged_on_newer_leads_as_good_as_the_truth_lets_it_be(answer, tables):
    win, high, both = answer.part("quality").rows()
    for row in (win, high, both):
        assert row["auc_low"] < row["auc"] < row["auc_high"]
        assert 0.7 < row["expected_to_observed"] < 1.4
        assert row["brier"] < row["brier_base"]
        assert row["leads_older"] == pytest.approx(
            row["leads_newer"], abs=1 + row["leads_older"] * 0.3
        )
    tested = answer.part("deciles").rows()
    assert sum(row["looks"] for row in tested if row["score"] == "win") == win["looks_newer"]
    # the area under the curve that the true chances themselves have, on the same looks
    found = scores(tables, Cut(tables.position, END), B2B, _defaults())
    card, stood = found.learnt.win, found.known
    assert stood is not None
    assert card.middle is not None
    newer = card.rows[stood.t0[card.rows] > card.middle]
    industry = traits_of("industry")
    truth = np.array([chance(industry[stood.customer[row].as_py()]) for row in newer.tolist()])
    best = auc(truth, stood.won[newer], newer)[0]
    assert win["auc"] == pytest.approx(best, abs=0.03)
    assert win["auc_low"] < best < win["auc_high"]


def _defaults():
    own = inspect.signature(prospects).parameters.values()
    asked = {one.name: one.default for one in own if one.kind is one.KEYWORD_ONLY}
    return asked | ASKED | {"strict_known": False}


def test_who_is_older_than_any_lead_learnt_from_is_like_the_oldest(memory):
    """Who is not won within two months never is, and nobody says so: prospects are mostly old."""
    rng, log, end = np.random.default_rng(3), Log(), START + 450 * DAY
    for n in range(400):
        t0 = START + rng.random() * 440 * DAY
        log.lead(f"c{n:05}", t0)
        won_at = t0 + rng.random() * 60 * DAY
        if rng.random() < 0.5 and won_at <= end:
            log.won(f"c{n:05}", won_at, "100")
    memory.load(log.facts, B2B)
    answer = ask(memory, end, most=0)
    old = [row["p_win"] for row in answer if row["lead_days"] > 365]
    assert len(old) > 20
    assert max(old) < 0.1


def test_a_lead_too_young_is_left_out_and_counted(answer):
    meta = answer.meta
    assert 0 < meta["mature"] < meta["leads"]
    assert f"{meta['leads'] - meta['mature']:,} are too young and left out" in answer.sentence
    assert f"{meta['prospects']:,} customers are open prospects" in answer.sentence
    assert meta["prospects"] == len(answer)


def test_what_is_told_with_the_sale_never_enters(answer):
    features = {row["feature"] for row in answer.part("weights").rows()}
    assert {"industry", "size", "noise", "stage"} - features == {"stage"}  # there is but one stage
    assert "tier" not in features


def test_weights_say_what_was_learnt(answer):
    rows = [row for row in answer.part("weights").rows() if row["score"] == "win"]
    weight = {(row["feature"], row["level"]): row["weight"] for row in rows}
    assert weight["industry", "rail"] > 0.3 > -0.3 > weight["industry", "retail"]
    assert abs(weight["noise", "1"]) < 0.3
    assert all(row["odds_factor"] == pytest.approx(math.exp(row["weight"])) for row in rows)


def test_the_same_seed_gives_the_same_answer(tables, answer):
    assert ask(tables, most=0, model=True).to_dict() == answer.to_dict()


def test_what_came_after_the_moment_asked_of_changes_nothing(tables, memory):
    """The same world, once with all that came later in the log, once without it."""
    end = START + 700 * DAY
    then = [fact for fact in population() if fact.occurred_at <= end]
    assert len(then) < len(population())
    memory.load(then)
    one, other = ask(tables, end, seed=3), ask(memory, end, seed=3)
    assert one.rows() == other.rows()
    assert one.rows() != ask(tables, end).rows()


def test_traits_can_be_off(tables):
    rules = {"industry": {"kind": "protected"}, "noise": {"kind": "identifier"}}
    found = ask(tables, traits=rules, model=True)
    features = {row["feature"] for row in found.part("weights").rows()}
    assert "size" in features
    assert not {"industry", "noise"} & features
    assert "industry: off, declared protected: customers must not be chosen by it." in found.notes


def test_too_few_is_said_with_the_numbers(memory):
    memory.load(population(size=80), B2B)
    found = ask(memory)
    assert found.rows() == []
    assert "Insufficient to tell a chance: of " in found.sentence
    assert "30 of each are needed in both halves" in found.sentence
    quality = found.part("quality").rows()
    assert all(row["auc"] is None and row["why_not"] for row in quality)
    assert quality[0]["with_older"] > 0


def test_too_few_of_high_value_leave_the_chance_to_win(memory):
    memory.load(population(size=900), B2B)
    found = ask(memory, threshold=5000)
    assert found.rows()[0]["p_high"] is None
    assert found.rows()[0]["why_high"] is None
    assert found.rows()[0]["p_win"] > found.rows()[-1]["p_win"]
    assert any("prospects are ordered by p_win" in note for note in found.notes)


def test_nobody_is_scored_where_there_is_nothing(memory):
    memory.load([])
    found = prospects(memory, Cut(0, None), B2B)
    assert (found.rows(), found.sentence) == (
        [], "No facts at this position, so nobody is scored."
    )  # fmt: skip


def test_who_was_once_won_is_no_prospect(memory):
    log = Log()
    log.lead("new", START)
    log.lead("back", START)
    log.won("back", START + DAY, "10")
    log.lead("lost", START)
    log.say("lost", Disqualified(reason_code="none"), START + DAY)
    log.say("direct", StageEntered(stage="commitment"), START)
    log.lead("direct", START + DAY)
    memory.load(log.facts, B2B)
    found = ask(memory, START + 200 * DAY)
    assert (found.meta["leads"], found.meta["prospects"]) == (3, 1)


def test_amounts_and_what_a_profile_did_stand_beside_the_score(memory):
    log = Log()
    log.facts = [*population(size=900)]
    log.lead("aa", END - 5 * DAY, industry="rail", size="big")
    value = OpportunityValued(opportunity="o", amount="250.50", currency="EUR")
    log.say("aa", value, END - 4 * DAY)
    log.say("aa", Touched(channel="fair", direction="inbound"), END - 4 * DAY)
    log.say("aa", Targeted(profile="fit", version="2", arm="holdout"), END - 3 * DAY)
    memory.load(log.facts, B2B)
    found = ask(memory, most=0)
    [row] = [row for row in found if row["customer"] == "aa"]
    assert (row["open_amount"], row["open_currency"]) == (Decimal("250.500000"), "EUR")
    assert (row["source"], row["targeted"]) == ("fair", "fit/2 holdout")
    assert row["lead_days"] == 5.0
    cut = Cut(memory.position, END)
    told = behind(memory, cut, B2B, "prospects", row, "open_amount", most=0, **ASKED)
    [valued] = [fact.position for fact in log.facts if fact.data is value]
    assert told == {"aa": {"open amount": {valued}}}
    assert any(note.startswith("1 of the prospects, and 0 of the looks") for note in found.notes)


def test_behind_a_score_are_the_events_its_features_were_read_from(answer, tables):
    """Its chance as the view tells it, by what was told of that one lead; learnt from all."""
    cut, row = Cut(tables.position, END), answer.rows()[3]
    asked = {"view": "prospects", "cell": {"customer": row["customer"]}, **ASKED}
    found = explanation(tables, cut, B2B, column="p_high_value", **asked)
    assert found.meta["value"] == row["p_high_value"]
    said = [fact for fact in population() if fact.customer == row["customer"]]
    assert {(one["role"], one["position"]) for one in found} == {
        ("lead: entered education", said[0].position),
        ("stage: entered education", said[0].position),
        *((name, said[1].position) for name in ("industry", "size", "noise")),
    }
    assert "learnt from" in found.notes[-1]
    with pytest.raises(UsageError, match="a place among all prospects"):
        behind(tables, cut, B2B, "prospects", row, "decile", **ASKED)


def test_costs_and_currencies_are_those_of_the_loop(tables):
    with pytest.raises(Refused, match="needs a cost of onboarding or serving"):
        ask(tables, value="contribution")
    with pytest.raises(Refused, match="amounts are in EUR"):
        ask(tables, currency="USD")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"looks": 0}, "looks is 0; write a whole number from 1 to 10"),
        ({"most": -1}, "most is -1; write a whole number from 0"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"within": "0d"}, "within is 0d"),
        ({"horizon": "1h"}, "whole days"),
        ({"unit": "cycle"}, "a cycle has no value of its own"),
    ],
)
def test_what_cannot_be_asked_is_said(tables, asked, said):
    with pytest.raises(UsageError, match=said):
        ask(tables, **asked)


def test_without_the_extra_it_says_how_to_have_it(tables, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UsageError, match=r"scikit-learn is not installed; run: pip install"):
        ask(tables)
