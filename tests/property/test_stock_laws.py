"""The stock's days and who is stuck, against a reading of the events in plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import Disqualified, Noted, Touched
from bowtie.stages import STAGES, Definition, evaluate, load_definition
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.stock import stock
from tests.histories import DEFINITIONS, logs, moments
from tests.read_tables import FilledTables, Said, counted

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
B2B = load_definition("b2b")


@dataclass
class Pass:
    """One cycle of a customer: when it stood where."""

    customer: str
    number: int
    entries: dict[str, datetime]
    lost_at: datetime | None

    @property
    def furthest(self) -> str:
        return max(self.entries, key=STAGES.index)

    def moved_at(self, stage: str) -> datetime | None:
        later = STAGES[STAGES.index(stage) + 1 :]
        return min((self.entries[one] for one in later if one in self.entries), default=None)


def _passes(facts: list[Said], definition: Definition, now: datetime) -> list[Pass]:
    return [
        Pass(customer, cycle.number, {str(s): at for s, at in cycle.entries.items()}, cycle.lost_at)
        for customer in sorted({fact.customer for fact in facts})
        for cycle in evaluate(
            definition,
            [f for f in facts if f.customer == customer and f.occurred_at <= now],
            now,
        )
    ]


class Judge:
    """Who is stuck in a stage, from all its passes, by the words of the page."""

    def __init__(self, passes: list[Pass], stage: str, now: datetime, window: timedelta) -> None:
        self.now = now
        self.chances: dict[int, Fraction | None] = {}
        self.mature = []
        for one in passes:
            at, moved = one.entries.get(stage), one.moved_at(stage)
            if at is None or (moved is not None and moved < at):
                continue
            if at + max(window, 30 * DAY) <= now:
                self.mature.append((at, moved, one.lost_at))
        waits = [moved - at for at, moved, _ in self.mature if moved and moved - at <= window]
        micros = [wait // timedelta(microseconds=1) for wait in waits]
        self.after = round(float(np.quantile(micros, 0.9))) if len(micros) >= 20 else None
        if self.after is not None and self.chance(self.after // (86400 * 10**6)) is None:
            self.after = None

    def chance(self, age: int) -> Fraction | None:
        if age not in self.chances:
            self.chances[age] = self._chance(age)
        return self.chances[age]

    def _chance(self, age: int) -> Fraction | None:
        """Of those still there at an age and watched for 30 days more, who moved in these."""
        still = moved_on = 0
        for at, moved, lost in self.mature:
            then = at + age * DAY
            if then + 30 * DAY > self.now:
                continue
            if (moved and moved <= then) or (lost and lost <= then and not moved):
                continue
            still += 1
            moved_on += moved is not None and moved <= then + 30 * DAY
        return Fraction(moved_on, still) if still >= 20 else None

    def is_stuck(self, entered: datetime) -> bool | None:
        if self.after is None:
            return None
        waited = self.now - entered
        soon = sum(1 for at, moved, _ in self.mature if moved and moved - at <= 30 * DAY)
        fresh = Fraction(soon, len(self.mature))
        age = waited // DAY
        while (chance := self.chance(age)) is None:
            age -= 1  # beyond what was watched, the last chance known holds
        return waited // timedelta(microseconds=1) > self.after and chance < fresh / 2


def _quantile(values: list[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def _expected(
    facts: list[Said], definition: Definition, now: datetime, within: timedelta | None
) -> dict[str, dict[str, Any]]:
    passes = _passes(facts, definition, now)
    last = {one.customer: one for one in passes}
    rows: dict[str, dict[str, Any]] = {}
    for stage in STAGES:
        there = [one for one in last.values() if one.lost_at is None and one.furthest == stage]
        days = [(now - one.entries[stage]) / DAY for one in there]
        left = STAGES.index(stage) < STAGES.index("commitment")
        judge = Judge(passes, stage, now, within or timedelta(days=90 if left else 180))
        told = [judge.is_stuck(one.entries[stage]) for one in there]
        known = judge.after is not None and stage != STAGES[-1]
        rows[stage] = {
            "customers": len(there),
            "days_p50": _quantile(days, 0.5),
            "days_p90": _quantile(days, 0.9),
            "stuck": sum(map(bool, told)) if known else None,
            "stuck_after_days": judge.after / 86400e6 if known and judge.after else None,
        }
    return rows


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def _check(memory: FilledTables, facts: list[Said], definition: Definition, **asked: Any) -> None:
    known = counted(facts, len(facts))
    as_of = asked.pop("as_of", None)
    now = as_of or max((fact.occurred_at for fact in known), default=None)
    result = stock(memory, Cut(memory.position, as_of), definition, **asked)
    if now is None:
        assert {row["customers"] for row in result.rows()} == {0}
        return
    within = timedelta(days=7) if asked.get("within") else None
    expected = _expected(known, definition, now, within)
    for row in result.rows()[: len(STAGES)]:
        for name, value in expected[row["stage"]].items():
            assert _same(row[name], value), (row["stage"], name, row[name], value)


@given(facts=logs(), definition=st.sampled_from(DEFINITIONS[:1] + DEFINITIONS[2:]), as_of=moments)
def test_the_days_are_those_since_the_furthest_stage(
    memory: FilledTables, facts: list[Said], definition: Definition, as_of: datetime
) -> None:
    """At any moment; nobody is stuck where too few can tell."""
    memory.load(facts, definition)
    _check(memory, facts, definition, as_of=as_of)


#: What becomes of many: after how many days each moved on, or was lost; neither for ever.
ends = st.lists(
    st.tuples(
        st.integers(0, 220),
        st.none() | st.sampled_from([0, 1, 2.5, 10, 29, 30, 30.5, 31, 60, 89.9, 90, 91, 120]),
        st.booleans(),
    ),
    min_size=30,
    max_size=70,
)


@given(ends=ends, within=st.sampled_from([None, "7d"]))
def test_the_stuck_are_those_of_the_definition(
    memory: FilledTables, ends: list[tuple[int, float | None, bool]], within: str | None
) -> None:
    """Threshold and chances from who is mature, by their age; ties and edges of days included."""
    facts: list[Said] = []

    def said(customer: str, event: Any, day: float) -> None:
        facts.append(Said(customer, event, START + day * DAY, len(facts) + 1))

    for number, (day, wait, is_lost) in enumerate(ends):
        customer = f"c{number:03}"
        said(customer, Touched(channel="web", direction="inbound"), day)
        if wait is not None:
            event = Disqualified() if is_lost else Noted(name="lead_created")
            said(customer, event, day + wait)
    memory.load(facts, B2B)
    _check(memory, facts, B2B, as_of=START + 230 * DAY, **({"within": within} if within else {}))


@given(ends=ends)
def test_who_is_listed_is_as_many_as_counted(
    memory: FilledTables, ends: list[tuple[int, float | None, bool]]
) -> None:
    """Whether all that stand in a stage are asked for, or the stuck."""
    groups: dict[str, list[Said]] = defaultdict(list)
    for number, (day, wait, _) in enumerate(ends):
        customer = f"c{number:03}"
        touch = Touched(channel="web" if number % 2 else "ads", direction="inbound")
        groups[customer].append(Said(customer, touch, START + day * DAY, 2 * number + 1))
        if wait is not None and wait < 60:
            note = Noted(name="lead_created")
            groups[customer].append(
                Said(customer, note, START + (day + wait) * DAY, 2 * number + 2)
            )
    memory.load([fact for facts in groups.values() for fact in facts], B2B)
    cut = Cut(memory.position, START + 300 * DAY)
    rows = [row for row in stock(memory, cut, B2B, by=["channel"]) if row["stage"] == "awareness"]
    listed = stock(memory, cut, B2B, by=["channel"], customers="awareness").rows()
    stuck = stock(memory, cut, B2B, by=["channel"], customers="awareness:stuck").rows()
    for row in rows:
        assert row["customers"] == sum(one["channel"] == row["channel"] for one in listed)
        assert (row["stuck"] or 0) == sum(one["channel"] == row["channel"] for one in stuck)
    if rows and rows[0]["stuck"] is not None:
        assert [one["customer"] for one in listed if one["stuck"]] == [
            one["customer"] for one in stuck
        ]
    assert all(
        one["days"] == pytest.approx((cut.as_of - one["entered_at"]) / DAY) for one in listed
    )


#: Each asks for a few stocks.
PERIODS: list[dict[str, Any]] = [
    {"every": "day", "from_": "2024-01-30", "to": "2024-02-01"},
    {"every": "week", "from_": "2024-01-20", "to": "2024-W05"},
    {"every": "month"},
    {"every": "quarter", "from_": "2023-Q4"},
]


@given(
    facts=logs(),
    definition=st.sampled_from(DEFINITIONS[:1] + DEFINITIONS[2:]),
    as_of=st.none() | moments,
    asked=st.fixed_dictionaries(
        {"tz": st.sampled_from(["UTC", "Asia/Tokyo"]), "periods": st.sampled_from(PERIODS)},
        optional={
            "by": st.just(["channel"]),
            "unit": st.just("cycle"),
            "lost_after": st.just("9d"),
            "data_through": st.just("2024-02-20"),
        },
    ),
)
def test_a_series_is_the_stocks_asked_of_each_moment(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    as_of: datetime | None,
    asked: dict[str, Any],
) -> None:
    """Row by row, and what each is judged by; the periods have no hole and end as they end."""
    memory.load(facts, definition)
    periods = asked.pop("periods")
    series = stock(memory, Cut(memory.position, as_of), definition, **periods, **asked)
    last = None
    for label, rows in _by_period(series.rows()).items():
        moment = rows[0]["as_of"]
        end = period(label, asked["tz"])[1].replace(tzinfo=UTC)
        assert moment == end - MICROSECOND or not rows[0]["complete"] or moment < end
        assert last is None or end > last
        last = end
        alone = stock(memory, Cut(memory.position, moment), definition, **asked)
        assert [_without(row) for row in rows] == alone.rows()
        waiting = [row for row in series.part("waiting") if row["period"] == label]
        assert [_without(row) for row in waiting] == alone.part("waiting").rows()
    if last is not None and "to" not in periods:
        now = series.meta["as_of"]
        assert period(label, asked["tz"])[0].replace(tzinfo=UTC) <= now < last + MICROSECOND


def _by_period(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["period"]].append(row)
    return dict(sorted(found.items(), key=lambda item: item[1][0]["as_of"]))


def _without(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in {"period", "as_of", "complete"}}
