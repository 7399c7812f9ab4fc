"""The closed loop's counts as one SQL statement.

What customers were worth is the costly part, so it is found once: the threshold, the totals and the
counts by trait all stand on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.expressions import packed_field, packed_min
from bowtie_projections.known import Observed
from bowtie_projections.localtime import local_month
from bowtie_projections.value import MONEY, money_by_365
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.labels import OTHER, apart_in_sql
from bowtie_projections.views.loop.bins import Bins, leveled
from bowtie_projections.views.loop.counts import MISSING
from bowtie_projections.views.loop.population import Population, channel_of
from bowtie_projections.views.loop.question import Question

__all__ = [
    "CELL",
    "MOST_LEVELS",
    "OTHER",
    "TRAIT_SUMS",
    "fitted",
    "judged",
    "spread",
    "tally",
]

_NOUGHT = sa.literal_column("0", sa.Integer())
#: A trait's levels beyond so many, by how many customers have them, are one level ``other``.
MOST_LEVELS = 50
#: What customers are counted by, besides their level: month (or the first one of the quarter) of
#: time zero, motion, part, and whether they are of high value.
CELL = ("month", "motion", "later", "high")
#: What is added up over the customers of whom a trait was observed.
TRAIT_SUMS = ("known", "ever", "assumed", "undated", "levels")


def tally(population: Population, observed: Observed, bins: Mapping[str, Bins]) -> sa.Select[Any]:
    """All counts of the mature in one statement, so that their worth is found once.

    Rows without ``name`` count all of them, by channel (in ``level``), month, motion, part and
    high, with their worth; they also carry what was fitted. Rows with a ``name`` count those
    who have a level of that trait.
    """
    worth = population.worth()
    fitted = _fitted(population.question, worth)
    mature = _judged(population, worth, fitted)
    everybody = _totals(mature).subquery("everybody")
    levels = _levels(mature, observed, bins).subquery("by_level")
    e, f, t = everybody.c, fitted.c, levels.c
    fits = [column for column in f if column.name != "threshold_by_365"]
    nothing = [sa.cast(sa.null(), sa.BigInteger()).label(name) for name in TRAIT_SUMS]
    both = sa.union_all(
        sa.select(sa.cast(sa.null(), sa.String()).label("name"), *e, *nothing, *fits).select_from(
            everybody.join(fitted, sa.true())
        ),
        sa.select(
            t.name,
            t.level,
            *(t[name] for name in (*CELL, "customers", "costed")),
            sa.cast(sa.null(), MONEY),
            *(t[name] for name in TRAIT_SUMS),
            *(sa.cast(sa.null(), column.type) for column in fits),
        ),
    )
    return sa.select(both.subquery("tally"))


def spread(population: Population) -> sa.Select[Any]:
    """How the mature and the high are spread over accounts: one row.

    ``accounts``, how many there are, ``customers`` and ``high``; of the accounts' numbers of both
    the sums of ``squares``, of ``products`` and of ``high_squares``.
    """
    rows = judged(population)
    joined, account = population.units.account_of(rows)
    n: ColumnElement[Any] = sa.func.count().label("n")
    high: ColumnElement[Any] = sa.func.sum(rows.c.high).label("high")
    c = sa.select(n, high).select_from(joined).group_by(account).subquery("accounts").c
    sums: dict[str, ColumnElement[Any]] = {
        "customers": c.n,
        "high": c.high,
        "squares": c.n * c.n,
        "products": c.n * c.high,
        "high_squares": c.high * c.high,
    }
    columns: list[ColumnElement[Any]] = [sa.func.count().label("accounts")]
    columns += [sa.cast(sa.func.sum(one), sa.Double()).label(name) for name, one in sums.items()]
    return sa.select(*columns)


def judged(population: Population) -> sa.CTE:
    """The mature with their ``worth`` (times 365) and whether it is ``high`` (0, 1)."""
    worth = population.worth()
    return _judged(population, worth, _fitted(population.question, worth))


def fitted(population: Population) -> sa.Select[Any]:
    """One row: the median time zero, the threshold, and what else is of all mature."""
    rows = _fitted(population.question, population.worth())
    return sa.select(*rows.c)


def _fitted(question: Question, worth: sa.CTE) -> sa.CTE:
    """One row: the median time zero, the value the top share of the older half reaches."""
    middle = sa.select(sa.func.percentile_disc(0.5).within_group(worth.c.t0).label("median"))
    half = middle.cte("halves").prefix_with("MATERIALIZED")  # one row, else found for each
    c, median = worth.c, half.c.median
    training = sa.case((sa.and_(c.t0 <= median, c.paying == 1), 1), else_=0)
    # of low value the top is the lowest
    best_first = c.worth.asc() if question.target == "low" else c.worth.desc()
    order: dict[str, Any] = {"partition_by": training, "order_by": best_first}
    ranked = (
        sa.select(
            median,
            c.worth,
            training.label("training"),
            sa.func.row_number().over(**order).label("place"),
            sa.func.count().over(**order, range_=(None, 0)).label("reaching"),
            sa.func.count().over(partition_by=training).label("paying"),
            *(column for column in c if "currency" in column.name),
            sa.case((sa.and_(c.from_orders > 0, c.from_invoices > 0), 1), else_=0).label("twice"),
        )
        .select_from(worth.join(half, sa.true()))
        .subquery("ranked")
    )
    return _fit(ranked, question).cte("fitted")


def _judged(population: Population, worth: sa.CTE, fitted: sa.CTE) -> sa.CTE:
    """The mature with ``month``, ``motion``, ``later`` (0, 1) and ``high`` (0, 1)."""
    c, question = worth.c, population.question
    threshold = question.threshold
    reached = fitted.c.threshold_by_365 if threshold is None else money_by_365(threshold)
    high: ColumnElement[bool] = sa.and_(c.worth >= reached, c.worth > _NOUGHT)
    if question.target == "low":
        high = c.worth <= reached
    elif question.target == "unprofitable":
        high = c.worth < _NOUGHT
    columns: list[ColumnElement[Any]] = [
        *(column for column in c if "currency" not in column.name),
        local_month(c.t0, question.tz).label("month"),
        sa.case((c.t0 > fitted.c.median, 1), else_=0).label("later"),
        sa.case((high, 1), else_=0).label("high"),
    ]
    joined = worth.join(fitted, sa.true())
    if question.time_zero != "commitment":
        # how it will be sold is not known of a lead
        columns.append(sa.literal_column("''", sa.String()).label("motion"))
        return sa.select(*columns).select_from(joined).cte("judged")
    motion = _motions(population.cut).cte("motions")
    columns.append(sa.func.coalesce(motion.c.motion, "").label("motion"))
    joined = joined.outerjoin(motion, motion.c.customer == c.customer)
    return sa.select(*columns).select_from(joined).cte("judged")


def _motions(cut: Cut) -> sa.Select[Any]:
    """How each customer's first paid contract was sold."""
    table = tables.facts["contract_signed"]
    first = packed_min(table.c.occurred_at, table.c.position, table.c.motion)
    rows = (
        sa.select(table.c.customer, first.label("first"))
        .where(counts(table, cut), table.c.kind == "paid")
        .group_by(table.c.customer)
        .subquery("first_paid")
    )
    return sa.select(rows.c.customer, packed_field(rows.c.first, 2, sa.String()).label("motion"))


def _levels(judged: sa.CTE, observed: Observed, bins: Mapping[str, Bins]) -> sa.Select[Any]:
    """The mature by trait, level, quarter, motion, part and high."""
    t = observed.known(judged, (*CELL, "costed")).subquery("traits_at_t0").c
    quarter = t.month - sa.func.mod(t.month, sa.literal_column("3"))
    value = leveled(t.name, t.value, bins).label("value")
    keys = [t.name, value, quarter.label("month"), *(t[name] for name in CELL[1:])]
    flags = [name for name in TRAIT_SUMS if name != "levels"]
    cells = (
        sa.select(
            *keys,
            sa.func.count().label("customers"),
            *(sa.func.sum(t[name]).label(name) for name in ("costed", *flags)),
        )
        .group_by(*keys)
        .cte("cells")
    )
    ranked = _ranked_levels(cells).cte("levels")
    c = cells.c
    level = _level_named(c.value, ranked.c.place)
    keys = [c.name, level.label("level"), *(c[name] for name in CELL)]
    sums = [_whole(sa.func.sum(c[name])).label(name) for name in ("customers", "costed", *flags)]
    same = sa.and_(ranked.c.name == c.name, ranked.c.value == c.value)
    return (
        sa.select(*keys, *sums, sa.func.max(ranked.c.levels).label("levels"))
        .select_from(cells.outerjoin(ranked, same))
        .group_by(*keys)
    )


def _level_named(value: ColumnElement[Any], place: ColumnElement[Any]) -> ColumnElement[Any]:
    """The name of a level, by its value and its place among those of the trait."""
    return sa.case(
        (value.is_(None), sa.null()),
        (place <= MOST_LEVELS, apart_in_sql(value, (OTHER, MISSING))),
        else_=OTHER,
    )


def _totals(judged: sa.CTE) -> sa.Select[Any]:
    c = judged.c
    keys = [channel_of(judged).label("level"), *(c[name] for name in CELL)]
    return sa.select(
        *keys,
        sa.func.count().label("customers"),
        _whole(sa.func.sum(c.costed)).label("costed"),
        sa.cast(sa.func.sum(c.worth), MONEY).label("worth"),
    ).group_by(*keys)


def _fit(ranked: sa.Subquery, question: Question) -> sa.Select[Any]:
    """One row from the ranks: the threshold, how many reach it, and what else is of all."""
    r = ranked.c
    # the place is the share times the number, rounded up, in whole numbers
    million = sa.literal_column("1000000", sa.BigInteger())
    share = sa.literal_column(str(round(question.top * 1_000_000)), sa.BigInteger())
    chosen = sa.and_(
        r.training == 1,
        (r.place - 1) * million < share * r.paying,
        r.place * million >= share * r.paying,
    )
    reached = sa.func.max(sa.case((chosen, r.worth)))
    # rounded to whole millionths of the amount itself, so that who is there reaches it: the
    # threshold as it will be printed
    step = sa.cast(sa.literal_column("'0.000365'"), MONEY)
    over = sa.func.mod(reached, step)
    threshold = reached - over
    if question.target == "low":
        threshold = sa.case((over > _NOUGHT, threshold + step), else_=threshold)
    return sa.select(
        sa.func.max(r.median).label("median"),
        sa.cast(threshold, MONEY).label("threshold_by_365"),
        sa.cast(reached, MONEY).label("fitted_worth"),
        sa.func.max(sa.case((chosen, r.reaching))).label("reaching"),
        sa.func.max(sa.case((r.training == 1, r.paying))).label("paying"),
        _count(r.twice == 1).label("twice"),
        sa.func.min(r.currency_low).label("currency_low"),
        sa.func.max(r.currency_high).label("currency_high"),
        sa.func.min(r.cost_currency_low).label("cost_currency_low"),
        sa.func.max(r.cost_currency_high).label("cost_currency_high"),
    )


def _ranked_levels(cells: sa.CTE) -> sa.Select[Any]:
    """The levels of each trait, the most frequent first, and how many there are."""
    c = cells.c
    counted = (
        sa.select(c.name, c.value, sa.func.sum(c.customers).label("n"))
        .where(c.value.is_not(None))
        .group_by(c.name, c.value)
        .subquery("counted")
    )
    n = counted.c
    place = sa.func.row_number().over(partition_by=n.name, order_by=(n.n.desc(), n.value))
    levels = sa.func.count().over(partition_by=n.name)
    return sa.select(n.name, n.value, place.label("place"), levels.label("levels"))


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    total = sa.func.sum(sa.case((condition, 1), else_=0))
    return _whole(sa.func.coalesce(total, _NOUGHT))


def _whole(count: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.cast(count, sa.BigInteger())
