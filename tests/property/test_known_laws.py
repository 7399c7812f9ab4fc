"""What was known of a trait at a moment: found in both ways, against the facts read in Python."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import TraitsObserved
from bowtie_projections import known
from bowtie_projections.known import Observed, called
from bowtie_projections.traits import TraitRule, rule_of
from bowtie_projections.views.cut import Cut, utc
from tests.read_tables import Said, counted

START = datetime(2023, 1, 1, tzinfo=UTC)
GAP = timedelta(days=7)
NAMES = ("size", "fit", "channel", "trait.channel", "plan")
RULES = {"size": TraitRule(timeless=True), "trait.channel": TraitRule(timeless=True)}
OUTCOMES = ("value", "known", "ever", "assumed", "undated", "position")


def a_log(rng: random.Random, moments: dict[str, datetime]) -> list[Said]:
    """Traits told several times, together and alone, early and late, to be without a value too."""
    facts = []
    for position in range(1, rng.randrange(2, 30)):
        customer = rng.choice([*moments, "another"])
        at = moments.get(customer, START) + timedelta(days=rng.randrange(-9, 4))
        recorded = at + timedelta(days=rng.choice((0, 0, 3, 7, 8))) if rng.random() < 0.9 else None
        sender = at + timedelta(days=rng.randrange(-2, 5)) if rng.random() < 0.2 else None
        gone = position + rng.randrange(1, 9) if rng.random() < 0.1 else None
        told = rng.sample(NAMES, rng.randrange(1, len(NAMES) + 1))
        traits = {name: rng.choice(("a", "b", None, None)) for name in told}
        observed = TraitsObserved(traits=traits)
        facts.append(Said(customer, observed, at, position, recorded, sender, gone))
    return facts


def by_hand(facts: list[Said], moments: dict[str, datetime]) -> dict[tuple[str, str], Any]:
    """What speaks of each customer and trait."""
    series: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for fact in facts:
        if fact.customer in moments and isinstance(fact.data, TraitsObserved):
            dated = _dated(fact, moments[fact.customer])
            for name, value in fact.data.traits.items():
                series.setdefault((fact.customer, called(name)), []).append((*dated, value))
    found = {}
    for (customer, name), told in series.items():
        told.sort(reverse=True, key=lambda one: one[:3])
        later = [one for one in told if not one[0]]
        is_known, _, position, assumed, undated, value = told[0]
        if value is None and later:
            is_known, _, position, assumed, undated, value = later[0]
        said = value is not None
        holds = said and (is_known or rule_of(name, RULES).timeless)
        found[customer, name] = {
            "value": value if holds else None,
            "known": int(is_known and said),
            "ever": int(said),
            "assumed": int(assumed and said),
            "undated": int(undated and said),
            "position": position if holds else None,
        }
    return found


def _dated(fact: Said, t0: datetime) -> tuple[Any, ...]:
    """Whether known by t0, when it happened, its position; if by assumption, if undated."""
    at, recorded, sender = fact.occurred_at, fact.recorded_at, fact.known_from
    late = recorded is not None and recorded - at > GAP
    since = sender or (recorded if recorded and not late else at)
    is_known = max(at, since) <= t0
    assumed = is_known and sender is None and late and recorded is not None and recorded > t0
    return is_known, at, fact.position, assumed, recorded is None and sender is None


def population(moments: dict[str, datetime]) -> sa.FromClause:
    columns = [sa.column(name, sa.String()) for name in ("customer", "t0", "kept")]
    rows = [(customer, str(utc(t0)), f"of {customer}") for customer, t0 in moments.items()]
    told = sa.values(*columns, name="told", literal_binds=True).data(rows).c
    return sa.select(
        told.customer, sa.cast(told.t0, sa.DateTime()).label("t0"), told.kept
    ).subquery("population")


@pytest.mark.parametrize("together", [False, True], ids=["by trait", "by event"])
@given(rng=st.randoms(use_true_random=False))
def test_what_speaks_is_the_newest_known_by_then(memory, together, rng):
    moments = {f"c{n}": START + timedelta(days=rng.randrange(9)) for n in range(3)}
    facts = a_log(rng, moments)
    memory.load(facts)
    position, as_of = rng.randrange(len(facts) + 1), START + timedelta(days=rng.randrange(9))
    counting = [fact for fact in counted(facts, position) if fact.occurred_at <= as_of]
    told = [fact.data for fact in facts if isinstance(fact.data, TraitsObserved)]
    names = tuple(sorted({name for data in told for name in data.traits}))
    observed = Observed(names, (), Cut(position, as_of), GAP, RULES, together)

    # the bits of a number are soon used up, so that a trait falls into each of three
    with patch.object(known, "_BITS", 2):
        table = memory.fetch(observed.known(population(moments), ["kept"]))

    rows = {(row["kept"].removeprefix("of "), row["name"]): row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    assert {key: {name: row[name] for name in OUTCOMES} for key, row in rows.items()} == by_hand(
        counting, moments
    )


def test_a_log_whose_events_tell_many_traits_is_read_by_its_events(memory):
    def observed(told: int) -> Observed:
        traits = TraitsObserved(traits={f"trait{n}": "a" for n in range(told)})
        memory.load([Said("c", traits, START, n, START) for n in range(1, 300)])
        return Observed.of(memory, Cut(memory.position), GAP, {})

    assert not observed(2).together
    assert observed(3).together


def test_without_facts_nothing_is_told_together(memory):
    memory.load([])

    assert not Observed.of(memory, Cut(0), GAP, {}).together
