"""The conditions of a stage definition in SQL: which facts match.

The words are those of :mod:`bowtie.stages`; the same rules in Python are there, and a property test
holds the two equal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.fields import Stage
from bowtie.stages import NUMBER_PATTERN, STAGES, Comparison, Condition, DayTotal, Definition
from bowtie_projections import tables
from bowtie_projections.expressions import map_text, packed_field, packed_min
from bowtie_projections.views.cut import Cut, counts

__all__ = ["Facts", "compares", "condition_rows", "holds", "plain_rows", "single_rows"]

#: Months' worth of an amount in a year, by the period it is for.
_PER_YEAR = {"month": 12, "quarter": 4, "year": 1}


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts a definition is read over: those at a cut, of all customers or of some.

    Args:
        cut: the facts that count.
        customers: a relation with a column ``customer``, to look at those only.
        prefix: begins the names in SQL, where a statement reads definitions more than once.
    """

    cut: Cut
    customers: sa.FromClause | None = None
    prefix: str = ""

    def counted(self, table: sa.FromClause) -> ColumnElement[bool]:
        """The rows of a table of facts that take part."""
        at_cut = counts(table, self.cut)
        if self.customers is None:
            return at_cut
        return sa.and_(at_cut, table.c.customer.in_(sa.select(self.customers.c.customer)))


def plain_rows(
    definition: Definition, facts: Facts, stages: Sequence[Stage] = STAGES
) -> sa.Subquery:
    """The plain matches: ``customer``, ``at``, and a column a stage that holds ``at`` or null.

    One row for a fact, one scan of a table, however many conditions ask for it.
    """
    simple: dict[str, dict[str, list[ColumnElement[bool]]]] = {}
    branches = []
    for stage in stages:
        entered = simple.setdefault("stage_entered", {}).setdefault(stage, [])
        entered.append(tables.facts["stage_entered"].c.stage == stage)
        for condition in definition.conditions[stage]:
            if not condition.plain:
                continue
            if _is_simple(condition):
                table = tables.facts[condition.event]
                asked = simple.setdefault(condition.event, {}).setdefault(stage, [])
                asked.append(holds(condition.where, table))
            else:
                rows = condition_rows(condition, facts)
                branches.append(_branch(rows.c.customer, rows.c.at, {stage: None}, stages))
    scans = [_scan(event, asked, facts, stages) for event, asked in simple.items()]
    return sa.union_all(*scans, *branches).subquery("plain")


def condition_rows(condition: Condition, facts: Facts) -> sa.Subquery:
    """The facts that meet a condition before its place in a cycle is looked at.

    Columns ``customer``, ``position``, ``at``, and ``each`` where the condition counts by a field.
    Of facts that are added up by day, the first of each day.
    """
    source = single_rows(condition, facts)
    if condition.day_total is not None:
        source = _day_total(condition, condition.day_total, source)
    return source


def single_rows(condition: Condition, facts: Facts) -> sa.Subquery:
    """The same before any are added up: each fact, with ``amount`` and ``currency`` if it has."""
    if condition.event == "traits_observed":
        return _trait_events(condition, facts)
    return _matching(condition, facts)


def _is_simple(condition: Condition) -> bool:
    """Whether a look at the row alone decides."""
    return (
        condition.rises is None
        and condition.falls is None
        and condition.day_total is None
        and condition.event != "traits_observed"
    )


def _scan(
    event: str,
    asked: dict[str, list[ColumnElement[bool]]],
    facts: Facts,
    stages: Sequence[str],
) -> sa.Select[Any]:
    table = tables.facts[event]
    tests = {stage: sa.or_(*predicates) for stage, predicates in asked.items()}
    only_one = len(tests) == 1
    branch = _branch(
        table.c.customer,
        table.c.occurred_at,
        {stage: None if only_one else test for stage, test in tests.items()},
        stages,
    )
    return branch.where(facts.counted(table), sa.or_(*tests.values()))


def _branch(
    customer: ColumnElement[Any],
    at: ColumnElement[Any],
    tests: dict[str, ColumnElement[bool] | None],
    stages: Iterable[str],
) -> sa.Select[Any]:
    columns: list[ColumnElement[Any]] = []
    for stage in stages:
        test = tests.get(stage)
        if stage not in tests:
            columns.append(sa.cast(sa.null(), sa.DateTime()).label(stage))
        elif test is None:
            columns.append(at.label(stage))
        else:
            columns.append(sa.case((test, at)).label(stage))
    return sa.select(customer.label("customer"), at.label("at"), *columns)


def holds(where: Iterable[Comparison], table: sa.FromClause) -> ColumnElement[bool]:
    """Whether all the comparisons hold of a row of a table of facts."""
    return sa.and_(
        sa.true(), *(compares(comparison, _field(table, comparison.field)) for comparison in where)
    )


def _field(table: sa.FromClause, field: str) -> ColumnElement[Any]:
    name, dot, key = field.partition(".")
    return map_text(table.c[name], key) if dot else table.c[name]


def compares(comparison: Comparison, value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a value compares as said; a null never does."""
    if comparison.kind == "map":
        return _compares_text(comparison, value)
    if comparison.op == "in":
        return value.in_(comparison.values)
    return _ordered(comparison.op, value, comparison.values[0])


def _compares_text(comparison: Comparison, text: ColumnElement[Any]) -> ColumnElement[bool]:
    """A map's value is compared as the text it is, with a number only if it reads as one."""

    def one(op: str, wanted: Any) -> ColumnElement[bool]:
        if isinstance(wanted, bool):
            return _ordered(op, text, "true" if wanted else "false")
        if isinstance(wanted, str):
            return _ordered(op, text, wanted)
        is_number = text.regexp_match(f"^{NUMBER_PATTERN}$")
        number = sa.case((is_number, sa.cast(text, sa.Double())))
        return _ordered(op, number, sa.literal_column(repr(float(wanted)) + "::DOUBLE PRECISION"))

    if comparison.op == "in":
        return sa.or_(*(one("eq", wanted) for wanted in comparison.values))
    return one(comparison.op, comparison.values[0])


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


def _ordered(op: str, left: ColumnElement[Any], right: Any) -> ColumnElement[bool]:
    compared: ColumnElement[bool] = _OPERATORS[op](left, right)
    return compared


def _matching(condition: Condition, facts: Facts) -> sa.Subquery:
    table = tables.facts[condition.event]
    columns = [
        table.c.customer,
        table.c.position,
        table.c.occurred_at.label("at"),
        *_extra_columns(condition, table),
    ]
    query = sa.select(*columns).where(facts.counted(table), holds(condition.where, table))
    moved = condition.rises or condition.falls
    if moved is not None:
        amounts = _annual_amounts(moved, facts)
        gone_up = amounts.c.annual > amounts.c.previous
        gone_down = amounts.c.annual < amounts.c.previous
        # a fact may count for several accounts, each with a past of its own
        same = sa.and_(
            amounts.c.position == table.c.position, amounts.c.customer == table.c.customer
        )
        query = query.join(amounts, same)
        query = query.where(gone_up if condition.rises else gone_down)
    return query.subquery()


def _extra_columns(condition: Condition, table: sa.FromClause) -> list[ColumnElement[Any]]:
    extra: list[ColumnElement[Any]] = []
    if condition.each is not None:
        extra.append(_field(table, condition.each).label("each"))
    if condition.day_total is not None:
        extra.append(table.c[condition.day_total.field].label("amount"))
        if "currency" in table.c:
            extra.append(table.c.currency.label("currency"))
    return extra


def _annual_amounts(field: str, facts: Facts) -> sa.Subquery:
    """Each amount of a contract for a year, and the one before it."""
    said = []
    for event in ("contract_signed", "contract_changed", "contract_renewed"):
        table = tables.facts[event]
        times = sa.case(_PER_YEAR, value=table.c.per)
        query = sa.select(
            table.c.customer,
            table.c.contract,
            table.c.position,
            table.c.occurred_at,
            (table.c[field] * times).label("annual"),
        )
        said.append(query.where(facts.counted(table), table.c[field].is_not(None)))
    rows = sa.union_all(*said).subquery()
    before = sa.func.lag(rows.c.annual).over(
        partition_by=(rows.c.customer, rows.c.contract),
        order_by=(rows.c.occurred_at, rows.c.position),
    )
    return sa.select(
        rows.c.customer, rows.c.position, rows.c.annual, before.label("previous")
    ).subquery()


def _day_total(condition: Condition, wanted: DayTotal, source: sa.Subquery) -> sa.Subquery:
    """The first fact of each day whose facts add up to what is asked, by currency."""
    same = [source.c.customer, sa.cast(source.c.at, sa.Date())]
    if "currency" in source.c:
        same.append(source.c.currency)
    parts = [source.c.at, source.c.position]
    if condition.each is not None:
        parts.append(source.c.each)
    days = (
        sa.select(source.c.customer, packed_min(*parts).label("first"))
        .group_by(*same)
        .having(
            _ordered(wanted.op, sa.func.coalesce(sa.func.sum(source.c.amount), 0), wanted.value)
        )
        .subquery()
    )
    names = ("at", "position", "each")
    first = [
        packed_field(days.c.first, index, part.type).label(name)
        for index, (name, part) in enumerate(zip(names, parts, strict=False))
    ]
    return sa.select(days.c.customer, *first).subquery()


def _trait_events(condition: Condition, facts: Facts) -> sa.Subquery:
    """Observations as events: the table has a row for each of their traits."""
    table = tables.facts["traits_observed"]
    columns = [table.c.customer, table.c.position, table.c.occurred_at.label("at")]
    query = sa.select(*columns)
    if condition.each is not None:
        own = table.alias()
        trait = sa.and_(own.c.position == table.c.position, own.c.name == _key(condition.each))
        query = sa.select(*columns, own.c.value.label("each")).join(own, trait)
    for comparison in condition.where:
        own = table.alias()
        holds = compares(comparison, own.c.value)
        said = sa.select(own.c.position).where(own.c.name == comparison.key, holds)
        query = query.where(table.c.position.in_(said))
    return query.where(facts.counted(table)).distinct().subquery()


def _key(field: str) -> str:
    return field.partition(".")[2]
