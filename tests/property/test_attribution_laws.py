"""Credits against a plain reading of paths: touch by touch, in fractions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import Event, OrderPlaced, StageEntered, Touched
from bowtie.stages import load_definition
from bowtie_projections.results import Result
from bowtie_projections.views.attribution import attribution
from bowtie_projections.views.attribution.view import MODELS
from bowtie_projections.views.cut import Cut
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)
WINDOW, HALF_LIFE, LAST = 10, 3, 60
#: Weights of first, lead, opportunity and last, as percents of the reference.
MILESTONES: dict[str, dict[str, str]] = {
    "position": {"first": "0.4", "last": "0.4"},
    "position_lead": {"first": "0.4", "lead": "0.4"},
    "w": {"first": "0.3", "lead": "0.3", "opportunity": "0.3"},
    "full_path": {"first": "0.225", "lead": "0.225", "opportunity": "0.225", "last": "0.225"},
    "j": {"first": "0.2", "last": "0.6"},
    "inverse_j": {"first": "0.6", "last": "0.2"},
}


def _event(kind: str, channel: str) -> Event:
    if kind == "touch":
        return Touched(channel=channel, direction="outbound")
    if kind == "order":
        return OrderPlaced(order="o", kind="order", amount=Decimal("33.33"), currency="EUR")
    return StageEntered(stage=kind)


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """Few customers, days and channels, so that everything meets everything."""
    kinds = ("touch", "touch", "touch", "education", "selection", "commitment", "order")
    told = draw(st.lists(st.tuples(
        st.sampled_from("abcd"), st.integers(0, 25), st.sampled_from(kinds), st.sampled_from("xyz")
    ), max_size=25))  # fmt: skip
    return [
        Said(customer, _event(kind, channel), START + timedelta(days=day), number)
        for number, (customer, day, kind, channel) in enumerate(told, start=1)
    ]


def _days(facts: Sequence[Said], customer: str, stage: str) -> list[int]:
    return sorted(
        (fact.occurred_at - START).days
        for fact in facts
        if fact.customer == customer and fact.data == StageEntered(stage=stage)
    )


def _paths(facts: Sequence[Said]) -> dict[str, tuple[int | None, list[tuple[int, str]]]]:
    """For each customer the day of the commitment, and day and channel of the touches before."""
    found: dict[str, tuple[int | None, list[tuple[int, str]]]] = {}
    for customer in sorted({fact.customer for fact in facts}):
        touches = sorted(
            ((fact.occurred_at - START).days, fact.position, fact.data.channel)
            for fact in facts
            if fact.customer == customer and isinstance(fact.data, Touched)
        )
        won = _days(facts, customer, "commitment")
        end = won[0] if won else (touches[-1][0] if touches else 0)
        inside = [(day, channel) for day, _, channel in touches if end - WINDOW <= day <= end]
        found[customer] = (won[0] if won else None, inside)
    return found


def _shares(
    model: str, day: int, touches: list[tuple[int, str]], facts: Sequence[Said], customer: str
) -> list[Fraction | float]:
    """The share of each touch of one path."""
    n = len(touches)
    if model == "linear":
        return [Fraction(1, n)] * n
    if model in {"first", "last"}:
        place = 0 if model == "first" else n - 1
        return [Fraction(int(number == place)) for number in range(n)]
    if model == "time_decay":
        weights = [2 ** (-(day - at) / HALF_LIFE) for at, _ in touches]
        return [weight / sum(weights) for weight in weights]
    if model == "shapley":
        seen: set[str] = set()
        shares: list[Fraction | float] = []
        for _, channel in touches:
            shares.append(Fraction(int(channel not in seen), len({c for _, c in touches})))
            seen.add(channel)
        return shares
    places: dict[str, int] = {"first": 0, "last": n - 1}
    for name, stage in (("lead", "education"), ("opportunity", "selection")):
        entered = [at for at in _days(facts, customer, stage) if at <= day]
        before = [place for place, (at, _) in enumerate(touches) if entered and at <= entered[0]]
        if before:
            places[name] = before[-1]
    own = {name: Fraction(text) for name, text in MILESTONES[model].items()}
    rest = 1 - sum(own.values(), Fraction(0))
    parts: list[Fraction] = [Fraction(0)] * n
    for name, weight in own.items():
        if name in places:
            parts[places[name]] += weight
    others = [place for place in range(n) if place not in {places.get(name) for name in own}]
    for place in others:
        parts[place] += rest / len(others)
    return [weight / sum(parts) for weight in parts]


def _removal(paths: Any, order: int) -> dict[str, float]:
    """Removal effects by many steps of a dense chain."""
    steps: Counter[tuple[tuple[str, ...], str]] = Counter()
    for won, touches in paths.values():
        old = touches and touches[-1][0] + WINDOW < LAST
        if not touches or (won is None and not old):
            continue
        names = (
            ["^"] * order + [channel for _, channel in touches] + ["$" if won is not None else "0"]
        )
        for place in range(order, len(names)):
            steps[tuple(names[place - order : place]), names[place]] += 1
    states = sorted({before for before, _ in steps})

    def converts(removed: str | None) -> float:
        moves, ends = np.zeros((len(states), len(states))), np.zeros(len(states))
        for (before, after), times in steps.items():
            share = times / sum(n for (other, _), n in steps.items() if other == before)
            if before[-1] == removed or after == removed:
                continue
            if after == "$":
                ends[states.index(before)] += share
            elif after != "0":
                moves[states.index(before), states.index((*before[1:], after))] += share
        reached = ends.copy()
        for _ in range(3000):
            reached = ends + moves @ reached
        return float(reached[states.index(("^",) * order)])

    if not states:
        return {}
    base = converts(None)
    sources = {channel for _, touches in paths.values() for _, channel in touches}
    return {name: (base - converts(name)) / base if base else 0.0 for name in sources}


@given(facts=histories())
def test_credits_are_those_of_a_plain_reading(memory: FilledTables, facts: list[Said]) -> None:
    memory.load(facts)
    cut = Cut(memory.position, START + timedelta(days=LAST))
    answer = attribution(
        memory, cut, B2B, horizon="30d", threshold=30, models="all",
        window=f"{WINDOW}d", half_life=f"{HALF_LIFE}d",
    )  # fmt: skip
    _check_sums(answer)
    got: dict[str, dict[str, float]] = defaultdict(dict)
    for row in answer:
        if row["wins"]:
            got[row["model"]][row["channel"]] = row["wins"]

    paths = _paths(facts)
    without = sum(1 for won, touches in paths.values() if won is not None and not touches)
    for model in MODELS:
        expected: dict[str, Any] = defaultdict(Fraction)
        if model != "markov":
            for customer, (won, touches) in paths.items():
                if won is not None and touches:
                    shares = _shares(model, won, touches, facts, customer)
                    for share, (_, channel) in zip(shares, touches, strict=True):
                        expected[channel] += share
        else:
            effects = _removal(paths, 1)
            wins = sum(1 for won, touches in paths.values() if won is not None and touches)
            total = sum(effects.values())
            expected |= {name: wins * one / total for name, one in effects.items() if total}
        expected["(none)"] = without
        known = {name: float(value) for name, value in expected.items() if value > 1e-12}
        assert got[model] == pytest.approx(known, abs=1e-7), model


def _check_sums(answer: Result) -> None:
    """Every model gives out the same, value to the cent."""
    sums: dict[str, list[Any]] = defaultdict(lambda: [0.0, Decimal(0), 0.0, 0.0])
    for row in answer:
        for place, name in enumerate(("wins", "value", "mature", "high")):
            sums[row["model"]][place] += row[name]
    for wins, value, mature, high in sums.values():
        one = sums["linear"]
        assert (wins, mature, high) == pytest.approx((one[0], one[2], one[3]), abs=1e-7)
        assert value == one[1]


@given(facts=histories(), order=st.sampled_from([2, 3]))
def test_chains_that_remember_more_are_solved_as_by_hand(
    memory: FilledTables, facts: list[Said], order: int
) -> None:
    memory.load(facts)
    cut = Cut(memory.position, START + timedelta(days=LAST))
    answer = attribution(
        memory, cut, B2B, window=f"{WINDOW}d", models=["markov"], order=order, threshold=1
    )
    paths = _paths(facts)
    effects = _removal(paths, order)
    wins = sum(1 for won, touches in paths.values() if won is not None and touches)
    total = sum(effects.values())
    for row in answer:
        if row["channel"] != "(none)" and total:
            own = effects.get(row["channel"], 0.0)
            assert row["wins"] == pytest.approx(wins * own / total, abs=1e-7)
