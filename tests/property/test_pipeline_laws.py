"""The pipeline against a reading of the events in plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import ContractSigned, Disqualified, Noted, OpportunityValued, Touched
from bowtie.stages import evaluate, load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.pipeline import pipeline
from tests.histories import logs, moments
from tests.read_tables import FilledTables, Said, counted

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
B2B = load_definition("b2b")


@dataclass
class Opportunity:
    """What became of one."""

    customer: str
    name: str
    opened_at: datetime
    closed_at: datetime | None = None
    won: bool = False
    value: OpportunityValued | None = None


def _named(fact: Said) -> str | None:
    if isinstance(fact.data, Noted):
        name = fact.data.model_dump()["properties"].get("opportunity")
        return str(name) if name else None
    return getattr(fact.data, "opportunity", None)


def _opportunities(facts: list[Said]) -> list[Opportunity]:
    by_name: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for fact in facts:
        if (name := _named(fact)) is not None:
            by_name[fact.customer, name].append(fact)
    found = []
    for (customer, name), own in sorted(by_name.items()):
        one = Opportunity(customer, name, min(fact.occurred_at for fact in own))
        wins = [f.occurred_at for f in own if isinstance(f.data, ContractSigned)]
        losses = [f.occurred_at for f in own if isinstance(f.data, Disqualified)]
        losses += [
            f.occurred_at
            for f in facts
            if f.customer == customer
            and isinstance(f.data, Disqualified)
            and f.data.opportunity is None
            and f.occurred_at >= one.opened_at
        ]
        one.closed_at = min(wins + losses, default=None)
        one.won = one.closed_at is not None and one.closed_at in wins
        valued = [f for f in own if isinstance(f.data, OpportunityValued)]
        if valued:
            last = max(valued, key=lambda f: (f.occurred_at, f.position))
            assert isinstance(last.data, OpportunityValued)
            one.value = last.data
        found.append(one)
    return found


def _chance(every: list[Opportunity], now: datetime, age: timedelta) -> Fraction | None:
    """Aalen-Johansen among those open longer, from that age on; exact."""
    members = [((one.closed_at or now) - one.opened_at, one) for one in every]
    if sum(one.closed_at is not None for one in every) < 20:
        return None
    later = [(length, one) for length, one in members if length > age]
    if len(later) < 20:
        return None
    open_still, won = Fraction(1), Fraction(0)
    for length in sorted({length for length, one in later if one.closed_at is not None}):
        at_risk = sum(other >= length for other, _ in later)
        ended = [one for other, one in later if other == length and one.closed_at is not None]
        won += open_still * Fraction(sum(one.won for one in ended), at_risk)
        open_still *= 1 - Fraction(len(ended), at_risk)
    return won


def _stage(facts: list[Said], customer: str, now: datetime) -> str:
    cycles = evaluate(B2B, [f for f in facts if f.customer == customer], now)
    last = cycles[-1] if cycles else None
    return "no stage" if last is None else str(last.stage) if last.is_open else "lost"


def _check(memory: FilledTables, facts: list[Said], now: datetime | None) -> None:
    known = counted(facts, len(facts))
    cut = Cut(memory.position, now)
    now = now or max(fact.occurred_at for fact in known)
    known = [fact for fact in known if fact.occurred_at <= now]
    every = _opportunities(known)
    found = pipeline(memory, cut, B2B, opportunities="all").rows()
    expected = {(one.customer, one.name): one for one in every if one.closed_at is None}
    assert {(row["customer"], row["opportunity"]) for row in found} == set(expected)
    for row in found:
        one = expected[row["customer"], row["opportunity"]]
        value, age = one.value, now - one.opened_at
        assert row["opened_at"] == one.opened_at
        assert math.isclose(row["days"], age / DAY, abs_tol=1e-9)
        assert row["amount"] == (value.amount if value else None)
        assert row["currency"] == (value.currency if value else None)
        due = value.close_on if value else None
        assert row["overdue"] == (None if due is None else due < now.date())
        assert row["stage"] == _stage(known, one.customer, now)
        chance = _chance(every, now, age)
        assert (row["win_rate"] is None) == (chance is None)
        if chance is not None:
            assert math.isclose(row["win_rate"], chance, rel_tol=1e-9, abs_tol=1e-9)
            if value is not None:
                wanted = float(value.amount * Decimal(float(chance)))
                assert math.isclose(float(row["expected"]), wanted, abs_tol=1e-5)
    _check_sums(memory, cut, found)


def _check_sums(memory: FilledTables, cut: Cut, listed: list[dict[str, Any]]) -> None:
    """What is summed is what is listed, whatever the breakdown."""
    for by in ([], ["channel"]):
        rows = pipeline(memory, cut, B2B, by=by, top=1).rows()
        for stage in {row["stage"] for row in listed} | {row["stage"] for row in rows}:
            own = [row for row in listed if row["stage"] == stage]
            cells = [row for row in rows if row["stage"] == stage]
            assert sum(row["opportunities"] for row in cells) == len(own)
            assert sum(row["overdue"] for row in cells) == sum(bool(row["overdue"]) for row in own)
            for currency in {row["currency"] for row in own}:
                same = [row for row in own if row["currency"] == currency]
                of_cells = [row for row in cells if row["currency"] == currency]
                for name in ("amount", "expected"):
                    assert sum(row[name] or 0 for row in of_cells) == sum(
                        row[name] or 0 for row in same
                    )


@given(facts=logs(), as_of=st.none() | moments)
def test_the_open_ones_are_those_of_a_plain_reading(
    memory: FilledTables, facts: list[Said], as_of: datetime | None
) -> None:
    """Whatever opens and closes them, in any order, retracted or not."""
    memory.load(facts, B2B)
    if counted(facts, len(facts)):
        _check(memory, facts, as_of)


lives = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.none() | st.sampled_from([0, 1, 5, 5.5, 30, 60, 90]),
        st.sampled_from(["won", "won", "lost", "all lost"]),
        st.none() | st.tuples(st.integers(0, 5000), st.sampled_from(["EUR", "USD"])),
        st.none() | st.integers(0, 400),
    ),
    min_size=15,
    max_size=50,
)


@given(lives=lives)
def test_the_chance_is_that_of_who_was_open_longer(
    memory: FilledTables, lives: list[tuple[Any, ...]]
) -> None:
    """With ties and open ones of every age; null where too few tell."""
    facts: list[Said] = []

    def said(customer: str, event: Any, day: float) -> None:
        facts.append(Said(customer, event, START + day * DAY, len(facts) + 1))

    for number, (day, length, end, value, due) in enumerate(lives):
        customer, name = f"c{number:02}", f"o{number:02}"
        said(customer, Touched(channel=f"ch{number % 3}", direction="inbound"), day)
        said(customer, Noted(name="demo_requested", properties={"opportunity": name}), day)
        if value is not None:
            close_on = None if due is None else date(2024, 1, 1) + timedelta(days=due)
            amount, currency = Decimal(value[0]), value[1]
            valued = OpportunityValued(
                opportunity=name, amount=amount, currency=currency, close_on=close_on
            )
            said(customer, valued, day)
        if length is None:
            continue
        if end == "won":
            said(customer, _signing(name), day + length)
        else:
            lost = Disqualified(opportunity=name if end == "lost" else None)
            said(customer, lost, day + length)
    memory.load(facts, B2B)
    _check(memory, facts, START + 205 * DAY)


def _signing(opportunity: str) -> ContractSigned:
    return ContractSigned(
        contract=f"k-{opportunity}",
        kind="paid",
        amount=Decimal(100),
        per="month",
        currency="EUR",
        starts_on=date(2024, 1, 1),
        opportunity=opportunity,
    )
