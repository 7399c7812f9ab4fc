"""Which facts entered a stage at a moment: the conditions of a definition, fact by fact.

:mod:`bowtie_projections.cycles` asks when a stage was entered and needs no more than that; who asks
why needs the facts themselves. Both are read by the same conditions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from bowtie.fields import Stage
from bowtie.stages import Condition, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts, condition_rows, single_rows
from bowtie_projections.matching import contextual, groups_of, placed_rows

__all__ = ["entering_facts"]


def entering_facts(definition: Definition, facts: Facts, stages: Collection[str]) -> sa.Select[Any]:
    """The facts that meet a condition of a stage: ``customer``, ``stage``, ``at``, ``position``.

    ``at`` is the moment at which they enter it, in whichever cycle that falls; of an order's lines
    that count by their sum of a day, each line is named, at the moment of the first.
    """
    asked = [stage for stage in definition.order if stage in stages]
    said = tables.facts["stage_entered"]
    names = (said.c.customer, said.c.stage, said.c.occurred_at.label("at"), said.c.position)
    parts = [sa.select(*names).where(facts.counted(said), said.c.stage.in_(asked))]
    parts += [
        _part(stage, _whole_days(condition, condition_rows(condition, facts), facts))
        for stage in asked
        for condition in definition.conditions[stage]
        if condition.plain
    ]
    if any(not one.plain for stage in asked for one in definition.conditions[stage]):
        groups = groups_of(definition, facts)
        found = contextual(definition, facts, groups, _matching)
        parts += [_part(stage, rows) for stage, rows in found if stage in stages]
    return sa.select(sa.union_all(*parts).subquery()).distinct()


def _part(stage: Stage | str, rows: sa.FromClause) -> sa.Select[Any]:
    name = sa.literal_column(f"'{stage}'", sa.String()).label("stage")
    return sa.select(rows.c.customer, name, rows.c.at, rows.c.position)


def _matching(
    condition: Condition, facts: Facts, groups: sa.CTE | None, entered: dict[str, sa.CTE]
) -> sa.Select[Any]:
    """The facts that meet a condition, those before the n-th left out."""
    rows = placed_rows(condition, facts, groups, entered)
    if condition.nth > 1:
        rows = _from_nth(condition, rows)
    rows = _whole_days(condition, rows, facts)
    return sa.select(rows.c.customer, rows.c.grp, rows.c.at, rows.c.position)


def _from_nth(condition: Condition, rows: sa.FromClause) -> sa.FromClause:
    keys = [rows.c.customer, rows.c.grp]
    if condition.each is not None:
        rows = sa.select(rows).where(rows.c.each.is_not(None)).subquery()
        keys = [rows.c.customer, rows.c.grp, rows.c.each]
    if condition.counted_by == "event":
        number = sa.func.row_number().over(partition_by=keys, order_by=(rows.c.at, rows.c.position))
    else:
        period = sa.func.date_trunc(condition.counted_by, rows.c.at)
        number = sa.func.dense_rank().over(partition_by=keys, order_by=period)
    numbered = sa.select(*rows.c, number.label("nth")).subquery()
    return sa.select(numbered).where(numbered.c.nth >= condition.nth).subquery()


def _whole_days(condition: Condition, rows: sa.FromClause, facts: Facts) -> sa.FromClause:
    """Where facts are added up by day: all of the day's, instead of its first."""
    if condition.day_total is None:
        return rows
    lines = single_rows(condition, facts)
    first, line = lines.alias(), lines.alias()
    itself = sa.and_(first.c.position == rows.c.position, first.c.customer == rows.c.customer)
    same = [
        line.c.customer == first.c.customer,
        sa.cast(line.c.at, sa.Date()) == sa.cast(first.c.at, sa.Date()),
    ]
    if "currency" in lines.c:
        same.append(line.c.currency == first.c.currency)
    kept = [column for column in rows.c if column.name != "position"]
    joined = rows.join(first, itself).join(line, sa.and_(*same))
    return sa.select(*kept, line.c.position).select_from(joined).subquery()
