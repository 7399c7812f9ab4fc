"""Recurring revenue against a reading of the facts day by day in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.revenue import revenue
from tests.property.test_loop_value import START, annual_on, logs, moments
from tests.read_tables import FilledTables, Said, counted

DAY = timedelta(days=1)
B2B = load_definition("b2b")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
ZERO = Decimal(0)
#: customer and currency, and what they pay a year on each day
Levels = dict[tuple[str, str], dict[date, Decimal]]


def paid(facts: list[Said], day: date, today: date) -> dict[str, Decimal]:
    """What a customer's contracts cost a year on a day, by currency."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for contract in ("c1", "c2"):
        line = annual_on(facts, contract, day, today)
        if line and line[0] > 0:
            found[line[1]] += line[0]
    return found


def levels(facts: list[Said], today: date, known: date) -> Levels:
    """What each customer pays on each day up to one, as is known on another."""
    found: Levels = defaultdict(lambda: defaultdict(Decimal))
    for customer in {fact.customer for fact in facts}:
        own = [fact for fact in facts if fact.customer == customer]
        for n in range((today - START).days + 1):
            for currency, amount in paid(own, START + n * DAY, known).items():
                found[customer, currency][START + n * DAY] = amount
    return found


def periods(today: date, every: str) -> Iterator[tuple[date, date]]:
    """The first day of each period, and the first after it."""
    first = START
    while first <= today:
        month = first.month - 1 + MONTHS[every]
        after = date(first.year + month // 12, month % 12 + 1, 1)
        yield first, after
        first = after


def kind(before: Decimal, after: Decimal, *, ever: bool) -> str:
    """What a movement is called."""
    if not before:
        return "reactivated" if ever else "new"
    if not after:
        return "churned"
    return "expansion" if after > before else "contraction"


def moved(
    by_day: dict[date, Decimal], first: date, last: date, *, daily: bool
) -> Iterator[tuple[str, Decimal]]:
    """The movements of one customer within a period."""
    borders = [first - DAY, last]
    if daily:
        borders = [first - DAY + n * DAY for n in range((last - first).days + 2)]
    for before, after in pairwise(borders):
        change = by_day.get(after, ZERO) - by_day.get(before, ZERO)
        if change:
            ever = any(by_day.get(day) for day in by_day if day <= before)
            if not daily:
                ever = any(by_day.get(day) for day in by_day if day < first)
            yield kind(by_day.get(before, ZERO), by_day.get(after, ZERO), ever=ever), change


def a_year_before(day: date) -> date:
    """The day before the first of a period, a year earlier."""
    return (day + DAY).replace(year=day.year + (day.month == 12) - 1) - DAY


@given(
    log=logs(),
    cut=st.tuples(moments, st.integers(0, 18)),
    every=st.sampled_from(["month", "quarter", "year"]),
    movements=st.sampled_from(["net", "daily"]),
)
def test_revenue_is_what_a_reading_day_by_day_adds_up(
    memory: FilledTables, log: list[Said], cut: tuple[datetime, int], every: str, movements: str
) -> None:
    """Each amount, count and rate of each period and currency; and the sums hold exactly."""
    as_of, position = cut
    memory.load(log)
    facts = [f for f in counted(log, position) if f.occurred_at <= as_of]
    answer = revenue(
        memory, Cut(position, as_of), B2B, every=every, per="year", movements=movements,
        changes=True,
    )  # fmt: skip
    today, daily = as_of.date(), movements == "daily"
    known, surely = levels(facts, today, today), levels(facts, today, today + 40 * DAY)

    rows = {(row["period"], row["currency"]): row for row in answer.rows()}
    told = set()
    for currency in {currency for _, currency in known}:
        payers = [by_day for (_, paid_in), by_day in known.items() if paid_in == currency]
        sure = [by_day for (_, paid_in), by_day in surely.items() if paid_in == currency]
        begun = min(min(by_day) for by_day in payers)
        for first, after in periods(today, every):
            if after <= begun:
                continue
            label = {"month": f"{first:%Y-%m}", "quarter": f"{first:%Y}-Q{first.month // 3 + 1}"}
            key = label.get(every, f"{first:%Y}"), currency
            if daily or key in rows or any(by_day.get(after - DAY) for by_day in payers):
                told.add(key)
                _check(rows[key], payers, sure, (first, min(after - DAY, today)), daily=daily)
                _check_rates(rows[key], payers, (first, after - DAY), over=after - DAY < today)
    assert set(rows) == told
    changed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in answer.part("changes").rows():
        assert row["times"]
        assert row["more"] >= 0 >= row["less"]
        changed[row["period"], row["currency"]] += row["more"] + row["less"]
    for key, row in rows.items():
        assert changed.get(key, ZERO) == row["end"] - row["start"]


def _check(
    row: dict[str, Any],
    payers: list[dict[date, Decimal]],
    sure: list[dict[date, Decimal]],
    period: tuple[date, date],
    *,
    daily: bool,
) -> None:
    first, last = period
    start = sum((by_day.get(first - DAY, ZERO) for by_day in payers), ZERO)
    end = sum((by_day.get(last, ZERO) for by_day in payers), ZERO)
    assert (row["start"], row["end"]) == (start, end)
    assert row["in_grace"] == end - sum((by_day.get(last, ZERO) for by_day in sure), ZERO)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    numbers: dict[str, int] = defaultdict(int)
    for by_day in payers:
        for what, change in moved(by_day, first, last, daily=daily):
            sums[what] += change
            numbers[what] += 1
    for what in ("new", "expansion", "contraction", "churned", "reactivated"):
        assert row[what] == sums[what], what
    assert row["start"] + sum(sums.values()) == row["end"]
    names = {"new": "new", "churned": "lost", "reactivated": "back"}
    assert {row[f"customers_{name}"] - numbers[what] for what, name in names.items()} == {0}
    assert row["customers_start"] == sum(bool(by_day.get(first - DAY)) for by_day in payers)
    assert row["customers_end"] == sum(bool(by_day.get(last)) for by_day in payers)


def _check_rates(
    row: dict[str, Any], payers: list[dict[date, Decimal]], period: tuple[date, date], *, over: bool
) -> None:
    first, last = period
    for base, suffix in ((first - DAY, ""), (a_year_before(last), "_12m")):
        pairs = [(by_day.get(base, ZERO), by_day.get(last, ZERO)) for by_day in payers]
        start = sum((then for then, _ in pairs), ZERO)
        if not over or not start:
            assert row[f"grr{suffix}"] is None
            assert row[f"nrr{suffix}"] is None
            continue
        kept = sum((min(pair) for pair in pairs), ZERO)
        still = sum((now for then, now in pairs if then), ZERO)
        assert row[f"grr{suffix}"] == pytest.approx(float(kept / start))
        assert row[f"nrr{suffix}"] == pytest.approx(float(still / start))
        if suffix:
            assert row["start_12m"] == start
        else:
            lost = sum(bool(then) and not now for then, now in pairs)
            assert row["lost_share"] == lost / sum(bool(then) for then, _ in pairs)


@given(
    log=logs(),
    cut=st.tuples(moments, st.integers(0, 18)),
    asked=st.fixed_dictionaries(
        {
            "every": st.sampled_from(["month", "quarter", "year"]),
            "movements": st.sampled_from(["net", "daily"]),
            "per": st.sampled_from(["month", "year"]),
        }
    ),
    picked=st.integers(0, 10_000),
)
def test_whoever_is_named_behind_a_figure_makes_it(
    memory: FilledTables,
    log: list[Said],
    cut: tuple[datetime, int],
    asked: dict[str, Any],
    picked: int,
) -> None:
    """Those named pay or moved as the facts say; explaining refuses what does not make the sum."""
    memory.load(log)
    facts = [f for f in counted(log, cut[1]) if f.occurred_at <= cut[0]]
    where = Cut(cut[1], cut[0])
    rows = revenue(memory, where, B2B, **asked).rows()
    figures = [
        (row, name)
        for row in rows
        for name, value in row.items()
        if value is not None and not isinstance(value, str | bool)
    ]
    if not figures:
        return
    row, column = figures[picked % len(figures)]
    cell = {"period": row["period"], "currency": row["currency"]}
    found = explanation(memory, where, B2B, view="revenue", cell=cell, column=column, **asked)
    assert found.meta["value"] == row[column]
    named = {one["customer"] for one in found.rows()}
    today = cut[0].date()
    ((first, after),) = [
        pair
        for pair in periods(today, asked["every"])
        if cohort_label(pair[0], asked["every"]) == row["period"]
    ]
    borders = {"start": first - DAY, "end": min(after - DAY, today)}
    border = borders.get(column.removeprefix("customers_"))
    if border is not None:
        known = levels(facts, today, today)
        assert named == {
            who
            for (who, currency), by_day in known.items()
            if currency == row["currency"] and by_day.get(border)
        }
    own = {f.position for f in facts if f.data.type_name.startswith("contract_")}
    assert {one["position"] for one in found.rows()} <= own
