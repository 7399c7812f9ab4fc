"""Retention and repeat orders against a reading of the facts day by day in Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie.durations import parse_duration
from bowtie.events import OrderPlaced
from bowtie.stages import Definition, evaluate, load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.repeat import repeat
from bowtie_projections.views.retention import retention
from tests.property.test_loop_value import START, annual_on, logs, moments
from tests.read_tables import FilledTables, Said, counted

DAY = timedelta(days=1)
DEFINITIONS = [load_definition(name) for name in ("b2b", "shop")]
cuts = st.tuples(moments, st.integers(0, 18))
shared = {
    "from_": st.sampled_from([None, None, "2023-Q2"]),
    "to": st.sampled_from([None, None, "2023"]),
    "include_truncated": st.booleans(),
}


def start_of(since: date, age: int, unit: str) -> date:
    """The first day of an age."""
    if unit != "month":
        return since + age * {"day": 1, "week": 7}[unit] * DAY
    years, month = divmod(since.month - 1 + age, 12)
    try:
        return since.replace(year=since.year + years, month=month + 1)
    except ValueError:  # no such day: the first of the month after
        years, month = divmod(since.month + age, 12)
        return date(since.year + years, month + 1, 1)


def purchases(facts: list[Said]) -> list[datetime]:
    """The first moment of each day on which a customer's orders came to more than 0."""
    sums: dict[tuple[date, str], list[tuple[datetime, Decimal]]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact.data, OrderPlaced) and fact.data.kind != "return":
            key = fact.occurred_at.date(), fact.data.currency
            sums[key].append((fact.occurred_at, fact.data.amount))
    days: dict[date, datetime] = {}
    for (day, _), lines in sums.items():
        if sum(amount for _, amount in lines) > 0:
            first = min(at for at, _ in lines)
            days[day] = min(days.get(day, first), first)
    return sorted(days.values())


def happened(facts: list[Said], active: str) -> list[date]:
    """The days on which a customer was active."""
    if active == "order":
        return [at.date() for at in purchases(facts)]
    return [f.occurred_at.date() for f in facts if active in {"any", f.data.type_name}]


def costs(facts: list[Said], day: date, now: date) -> dict[str, Decimal]:
    """What the paid contracts in force on a day cost a year, by currency."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for contract in ("c1", "c2"):
        line = annual_on(facts, contract, day, now)
        if line and line[0] > 0:
            found[line[1]] += line[0]
    return found


def _kept(
    facts: list[Said], definition: Definition, now: datetime, asked: dict[str, Any]
) -> dict[str, tuple[list[Said], datetime]]:
    """Who committed in the period, with their facts; not those older than the data."""
    began = min((fact.occurred_at for fact in facts), default=now)
    found = {}
    for customer in {fact.customer for fact in facts}:
        own = [fact for fact in facts if fact.customer == customer]
        cycles = evaluate(definition, own, now)
        at = cycles[0].entries.get("commitment") if cycles else None
        new = min(fact.occurred_at for fact in own) >= began + definition.burn_in
        if at is not None and (new or asked["include_truncated"]) and _of_period(at, asked):
            found[customer] = own, at
    return found


def _of_period(at: datetime, asked: dict[str, Any]) -> bool:
    return (not asked["from_"] or at.date() >= date(2023, 4, 1)) and (
        not asked["to"] or at.year <= 2023
    )


def _loaded(
    memory: FilledTables, log: list[Said], definition: Definition, cut: tuple[datetime, int]
) -> tuple[Cut, list[Said]]:
    as_of, position = cut
    memory.load(log, definition)
    return Cut(position, as_of), [f for f in counted(log, position) if f.occurred_at <= as_of]


def _life(
    own: list[Said], at: datetime, now: datetime, asked: dict[str, Any]
) -> dict[int, tuple[bool, dict[str, Decimal]]] | None:
    """For each age that was seen: whether active, and the money; None if nothing has begun."""
    unit, most = asked["age"], asked["ages"]
    found: dict[int, tuple[bool, dict[str, Decimal]]] = {}
    if asked["active"] != "contract":
        days, since = happened(own, asked["active"]), at.date()
        for age in range(most + 1):
            first, after = start_of(since, age, unit), start_of(since, age + 1, unit)
            if after > (now + timedelta(microseconds=1)).date():
                break
            found[age] = any(first <= day < after for day in days), {}
        return found
    today = now.date()
    calendar = [START + n * DAY for n in range((today - START).days + 1)]
    begun = next((day for day in calendar if costs(own, day, today)), None)
    if begun is None:
        return None
    for age in range(most + 1):
        day = start_of(begun, age, unit)
        if day > today:
            break
        money = costs(own, day, today)
        found[age] = bool(money), money
    return found


@given(
    log=logs(),
    definition=st.sampled_from(DEFINITIONS),
    cut=cuts,
    asked=st.fixed_dictionaries(
        shared
        | {
            "active": st.sampled_from(["contract", "contract", "order", "any", "invoiced"]),
            "age": st.sampled_from(["day", "week", "month"]),
            "ages": st.integers(0, 12),
            "cohort": st.sampled_from(["month", "quarter", "year"]),
        }
    ),
)
def test_retention_is_what_a_reading_day_by_day_counts(
    memory: FilledTables,
    log: list[Said],
    definition: Definition,
    cut: tuple[datetime, int],
    asked: dict[str, Any],
) -> None:
    """Who is active at each age, of those seen at it; nothing is said of who is not so old."""
    where, facts = _loaded(memory, log, definition, cut)
    answer = retention(memory, where, definition, **asked)

    lives: dict[str, list[dict[int, Any]]] = defaultdict(list)
    left_out = 0
    for own, at in _kept(facts, definition, cut[0], asked).values():
        life = _life(own, at, cut[0], asked)
        if life is None:
            left_out += 1
            continue
        label = {"month": f"{at:%Y-%m}", "quarter": f"{at:%Y}-Q{(at.month + 2) // 3}"}
        lives[label.get(asked["cohort"], f"{at:%Y}")].append(life)

    rows = {(row["cohort"], row["age"]): row for row in answer.rows()}
    assert {cohort for cohort, _ in rows} == set(lives)
    for (cohort, age), row in rows.items():
        seen = [life[age] for life in lives[cohort] if age in life]
        active = sum(was for was, _ in seen)
        assert (row["customers"], row["observed"]) == (len(lives[cohort]), len(seen))
        assert row["active"] == (active if seen else None)
        whole = len(seen) == len(lives[cohort])
        assert row["retention"] == (active / len(seen) if whole else None)
    assert {(c, age) for c, found in lives.items() for life in found for age in life} <= set(rows)
    everybody = [life for found in lives.values() for life in found]
    _check_curve(answer.part("curve").rows(), everybody, asked["active"])
    assert (f"{left_out:,} of them" in answer.sentence) == bool(left_out)


def _check_curve(rows: list[dict[str, Any]], lives: list[dict[int, Any]], active: str) -> None:
    """All that were seen at an age count there; money is that of each, and of one currency."""
    assert [row["age"] for row in rows] == sorted({age for life in lives for age in life})
    for row in rows:
        seen = [life for life in lives if row["age"] in life]
        assert (row["at_risk"], row["active"]) == (
            len(seen),
            sum(life[row["age"]][0] for life in seen),
        )
        if active != "contract" or row["nrr"] is None:
            continue
        base = [sum(life[0][1].values()) for life in seen]
        then = [sum(life[row["age"]][1].values()) for life in seen]
        kept = sum(min(pair) for pair in zip(base, then, strict=True))
        assert row["nrr"] == pytest.approx(float(sum(then) / sum(base)))
        assert row["grr"] == pytest.approx(float(kept / sum(base)))
        assert row["grr"] <= min(1, row["nrr"]) + 1e-12


@given(
    log=logs(),
    cut=cuts,
    asked=st.fixed_dictionaries(
        shared
        | {
            "cohort": st.sampled_from(["month", "all"]),
            "within": st.lists(
                st.sampled_from(["1d", "30d", "36h", "200d"]), min_size=1, unique=True
            ),
        }
    ),
)
def test_repeat_is_what_a_reading_of_each_day_counts(
    memory: FilledTables, log: list[Said], cut: tuple[datetime, int], asked: dict[str, Any]
) -> None:
    """A second day with orders over 0, within the time, of those for whom it is over."""
    shop, now = DEFINITIONS[1], cut[0]
    where, facts = _loaded(memory, log, shop, cut)
    assume(facts)
    rows = repeat(memory, where, shop, **asked).rows()

    began = min(fact.occurred_at for fact in facts)
    cohorts: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
    for customer in {fact.customer for fact in facts}:
        own = [fact for fact in facts if fact.customer == customer]
        bought = purchases(own)
        new = min(fact.occurred_at for fact in own) >= began + shop.burn_in
        kept = bought and (new or asked["include_truncated"])
        if not kept or not _of_period(bought[0], asked):
            continue
        label = "all" if asked["cohort"] == "all" else f"{bought[0]:%Y-%m}"
        cohorts[label].append((bought[0], bought[1] if bought[1:] else None))

    assert {row["cohort"] for row in rows} == set(cohorts)
    assert len(rows) == len(cohorts) * len(asked["within"])
    for row in rows:
        time, buyers = parse_duration(row["within"]), cohorts[row["cohort"]]
        mature = [(first, second) for first, second in buyers if first + time <= now]
        again = sum(second is not None and second <= first + time for first, second in mature)
        assert (row["customers"], row["mature"]) == (len(buyers), len(mature))
        assert row["repeated"] == (again if mature else None)
        assert row["repeat_rate"] == (again / len(mature) if mature else None)
