"""What was known of a lead when it was looked at, against a reading of the events in plain Python."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused
from bowtie.events import ImpactSought, Noted, Touched, TraitsObserved
from bowtie.stages import STAGES, Definition, evaluate
from bowtie_projections.known import Observed
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.prospects import evidence
from bowtie_projections.views.prospects.looks import LookedAt, looks
from bowtie_projections.views.prospects.question import ask
from bowtie_projections.views.prospects.scores import scores
from bowtie_projections.views.prospects.standing import known
from bowtie_projections.views.units import Units
from tests.behind import behind
from tests.histories import DEFINITIONS, logs, moments
from tests.read_tables import FilledTables, Said, counted

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GAP = 7 * DAY
WITHIN = 14 * DAY
LOOKS = 3
#: What the view asks besides, as it is by default.
ASKED: dict[str, Any] = {
    "most": 50, "within": WITHIN, "looks": LOOKS, "seed": 5, "model": False, "unit": "customer",
    "horizon": "30d", "top": 0.2, "threshold": None, "value": "revenue", "currency": None,
    "costs_complete": False, "backfill_gap": GAP, "strict_known": False, "data_from": None,
    "data_through": None, "include_truncated": True, "tz": "UTC", "policy": None,
}  # fmt: skip


def _timeless(definition: Definition) -> set[str]:
    """The traits that are known before they are told; none that enters a stage."""
    return set() if definition.name == "contextual" else {"plan"}


@st.composite
def told_late(draw: st.DrawFn) -> list[Said]:
    """A log whose facts were recorded, or known to their senders, some time after they happened."""
    late = st.sampled_from([None, timedelta(0), 2 * DAY, GAP, GAP + MICROSECOND, 20 * DAY])

    def then(fact: Said, lag: timedelta | None) -> datetime | None:
        return None if lag is None else fact.occurred_at + lag

    return [
        replace(fact, recorded_at=then(fact, draw(late)), known_from=then(fact, draw(late)))
        for fact in draw(logs())
    ]


def _known_since(fact: Said) -> datetime:
    if fact.known_from is not None:
        return max(fact.occurred_at, fact.known_from)
    if fact.recorded_at is None or fact.recorded_at - fact.occurred_at > GAP:
        return fact.occurred_at
    return max(fact.occurred_at, fact.recorded_at)


def _moment(customer: str, number: int, t0: datetime, end: datetime) -> datetime:
    """When a lead is looked at, by hashes: twice early in its life, then anywhere in it."""
    digits = hashlib.md5(f"5:{number}:{customer}".encode(), usedforsecurity=False).hexdigest()[:8]
    drawn, days = int(digits, 16) / 2**32, (end - WITHIN - t0) / DAY
    ages = {
        1: (1 + days) ** (drawn / 2) - 1,
        2: (1 + days) ** ((drawn + 1) / 2) - 1,
        3: days * drawn,
    }
    return t0 + timedelta(seconds=int(ages[number] * 86_400))


def _looks(
    definition: Definition, facts: list[Said], end: datetime
) -> dict[tuple[str, int], tuple[datetime, bool, list[Said]]]:
    """Of each look its moment, whether the lead was won in time, and all its facts."""
    found = {}
    for customer in sorted({fact.customer for fact in facts}):
        own = [fact for fact in facts if fact.customer == customer and fact.occurred_at <= end]
        cycles = evaluate(definition, own, end)
        leads = [c.entries[definition.lead] for c in cycles if definition.lead in c.entries]
        wins = [c.entries["commitment"] for c in cycles if "commitment" in c.entries]
        t0, won_at = min(leads, default=None), min(wins, default=None)
        if t0 is None or (won_at is not None and won_at <= t0):
            continue
        if won_at is None and any(c.lost_at is None for c in cycles):
            found[customer, 0] = (end, False, own)
        for number in range(1, LOOKS + 1) if t0 + WITHIN <= end else ():
            at = _moment(customer, number, t0, end)
            won = won_at is not None and won_at <= at + WITHIN
            found[customer, number] = (at, won, own)
    return found


def _stood(
    definition: Definition, at: datetime, told: list[Said], end: datetime
) -> tuple[str, datetime, datetime] | None:
    """The stage of a prospect, since when, and since when it is a lead; None if it is none."""
    cycles = evaluate(definition, told, end)
    leads = [c.entries[definition.lead] for c in cycles if definition.lead in c.entries]
    if not leads or any("commitment" in c.entries for c in cycles):
        return None
    standing = [c for c in cycles if c.lost_at is None or c.lost_at > at]
    if not standing:
        return None
    stage = max((s for c in standing for s in c.entries), key=STAGES.index)
    since = max(c.entries[max(c.entries, key=STAGES.index)] for c in standing)
    return str(stage), since, min(leads)


def _newest(facts: list[Said], at: datetime, name: str, *, timeless: bool) -> str | None:
    """A trait by its newest observation; a timeless one may have been told later."""
    order = []
    for fact in facts:
        if isinstance(fact.data, TraitsObserved) and name in fact.data.traits:
            by_then = _known_since(fact) <= at
            if by_then or timeless:
                value = fact.data.traits[name]
                text = value if value is None or isinstance(value, str) else _json(value)
                order.append((by_then, fact.occurred_at, fact.position, text))
    return max(order, key=lambda one: one[:3])[3] if order else None


def _json(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _expected(definition: Definition, facts: list[Said], end: datetime) -> dict[Any, Any]:
    expected = {}
    for (customer, number), (at, won, own) in _looks(definition, facts, end).items():
        by_then = at if number else datetime.max.replace(tzinfo=UTC)
        told = [fact for fact in own if number == 0 or _known_since(fact) <= at]
        stood = _stood(definition, at, told, end)
        if stood is None:
            continue
        touches = [(fact, fact.data) for fact in told if isinstance(fact.data, Touched)]
        inbound = [fact for fact, touch in touches if touch.direction == "inbound"]
        noted = [fact for fact in told if isinstance(fact.data, Noted)]
        sought = [fact for fact in told if isinstance(fact.data, ImpactSought)]
        heard = max((f.occurred_at for f in (*inbound, *noted, *sought)), default=None)
        first = min(touches, key=lambda f: (f[0].occurred_at, f[0].position), default=None)
        expected[customer, number] = {
            "won": won,
            "stage": stood[0],
            "in_stage": at - stood[1],
            "lead_for": at - stood[2],
            "quiet_for": None if heard is None else at - heard,
            "inbound": len(inbound),
            "outbound": len(touches) - len(inbound),
            "noted": len(noted),
            "impacts": len(sought),
            "channel": first and first[1].channel,
            **{
                name: _newest(own, by_then, name, timeless=name in _timeless(definition))
                for name in ("plan", "size")
            },
        }
    return expected


def _found(tables: FilledTables, definition: Definition, cut: Cut) -> dict[Any, Any]:
    rules = {name: {"timeless": True} for name in _timeless(definition)}
    question = ask(definition, {**ASKED, "traits": rules, "look_back": DAY})
    units = Units.of(tables, cut, "customer")
    population = Population.of(units, cut, definition, question.value)
    taken = units.relation(looks(population, question), "looks")
    traits = Observed.of(units.reader, cut, GAP, question.rules)
    stood = known(units.through(LookedAt(taken, traits)), cut, definition, traits, taken)

    def trait(name: str, row: int) -> str | None:
        levels, codes = stood.traits.get(name, ([], None))
        return None if codes is None or codes[row] < 0 else levels[codes[row]]

    def days(name: str, row: int) -> timedelta | None:
        value = stood.days[name][row]
        return None if value != value else timedelta(microseconds=round(value * 86_400e6))  # noqa: PLR0124 - NaN

    return {
        (customer, number): {
            "won": bool(stood.won[row]),
            "stage": STAGES[stood.place[row]],
            **{name: days(name, row) for name in ("in_stage", "lead_for", "quiet_for")},
            **{name: int(values[row]) for name, values in stood.counts.items()},
            **{name: trait(name, row) for name in ("channel", "plan", "size")},
        }
        for row, (customer, number) in enumerate(
            zip(stood.customer.to_pylist(), stood.number.tolist(), strict=True)
        )
    }


@given(told_late(), st.sampled_from(DEFINITIONS), moments, st.integers(0, 40))
def test_a_look_sees_what_was_known_by_then_and_no_more(memory, facts, definition, end, back):
    position = max(len(facts) - back, 1)
    memory.load(facts, definition)
    expected = _expected(definition, counted(facts, position), end)
    assert _found(memory, definition, Cut(position, end)) == expected


def _features(own: list[Said]) -> dict[str, set[int]]:
    """The events that each feature of a prospect is read from, as far as the whole log tells it."""

    def of(kind: Any, **values: str) -> set[int]:
        return {
            fact.position for fact in own
            if isinstance(fact.data, kind)
            and all(getattr(fact.data, name) == value for name, value in values.items())
        }  # fmt: skip

    touches = [fact for fact in own if isinstance(fact.data, Touched)]
    first = min(touches, key=lambda fact: (fact.occurred_at, fact.position), default=None)
    found = {
        "inbound touches": of(Touched, direction="inbound"),
        "outbound touches": of(Touched, direction="outbound"),
        "things noted": of(Noted),
        "impacts sought": of(ImpactSought),
        "channel": set() if first is None else {first.position},
    }
    for name in ("plan", "size"):
        told: list[Any] = [fact for fact in own if name in getattr(fact.data, "traits", {})]
        newest: Any = max(told, key=lambda fact: (fact.occurred_at, fact.position), default=None)
        known = newest is not None and newest.data.traits[name] is not None
        found[name] = {newest.position} if known else set()
    return found


@pytest.mark.slow
@given(told_late(), st.sampled_from(DEFINITIONS), moments, st.integers(0, 99))
def test_what_a_score_was_read_from_is_named(memory, facts, definition, end, place):
    """Of one prospect: where they stand, and each feature's own events, by a plain reading."""
    memory.load(facts, definition)
    cut, asked = Cut(len(facts), end), {**ASKED, "traits": None, "look_back": DAY}
    known_now = {
        customer: own
        for (customer, number), (_, _, own) in _looks(definition, facts, end).items()
        if number == 0
    }
    try:
        found = scores(memory, cut, definition, asked)
    except Refused:  # amounts in two currencies
        return
    if not found.rows.size:
        return
    chosen = place % found.rows.size
    customer, own = found.customers[chosen], known_now[found.customers[chosen]]
    stood = _stood(definition, end, own, end)
    assert stood is not None
    row = {"customer": customer, "rank": chosen + 1, "stage": stood[0], "p_win": 0.25}
    # so few teach nothing, so that the chance is made up; what it is read from is not
    found.p_win = np.full(found.rows.size, 0.25)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evidence, "scores", lambda *_: found)
        named = dict(behind(memory, cut, definition, "prospects", row, "p_win", **asked)[customer])
    for name, positions in _features(own).items():
        assert named.pop(name, set()) == positions, name
    at = {fact.position: fact.occurred_at for fact in own}
    for role, moment in (
        (f"lead: entered {definition.lead}", stood[2]), (f"stage: entered {stood[0]}", stood[1]),
    ):  # fmt: skip
        assert moment in {at[position] for position in named.pop(role)}
    assert named.keys() <= {"campaign", "open amount"}
