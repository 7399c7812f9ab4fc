"""Whose worth makes a figure of value, and the facts that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections.conditions import Facts
from bowtie_projections.evidence import Evidence, Figure, Trace, named_values, not_explained
from bowtie_projections.roster import Roster, listed
from bowtie_projections.value import Horizon, money, value_facts
from bowtie_projections.views.cohorts import ALL, cohort_label
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import COHORT
from bowtie_projections.views.shares import of_cell
from bowtie_projections.views.telling import breakdowns, with_breakdowns
from bowtie_projections.views.value import predicted_evidence
from bowtie_projections.views.value.view import COLUMNS, TIERS, worths_of
from bowtie_projections.views.value.worth import Bounds, Worths

__all__ = ["evidence", "of_worth", "roster", "tiers"]

#: Of the mature: whom each column counts, or whose worth it adds up.
_OF_MATURE = ("mature", "paying", "high", "value")
_KNOWN = ("customers", *_OF_MATURE, "realised")


def evidence(figure: Figure) -> Evidence:
    """Who has a time zero, what entered it, and what their value is made of.

    Args:
        figure: of the row of it; its column is a number of customers, their ``value``, or
            what they have ``realised``.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    if _is_predicted(figure):
        return predicted_evidence.evidence(figure)
    if column not in _KNOWN:
        raise not_explained(column, _KNOWN)
    worths = worths_of(figure.reader, figure.cut, figure.definition, figure.asked)
    if column == "realised":
        rows, worth = worths.to_date(), "realised"
    elif column == "customers":
        rows, worth = worths.people, ""
    else:
        rows, worth = _mature(worths, worths.bounds()), "worth" if column == "value" else ""
    own = of_cell(worths.members, rows, figure.cell, COLUMNS)
    told = sa.select(rows).where(own, _counts(rows.c).get(column, sa.true()))
    return of_worth(worths, figure.definition, told, worth, facts=column in {"paying", "high"})


def tiers(figure: Figure) -> Evidence:
    """Who is in a tier, what entered their time zero, and what their value is made of.

    Args:
        figure: of the row of the part ``tiers``; its column is ``customers`` or their
            ``value``.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    if _is_predicted(figure):
        return predicted_evidence.tiers(figure)
    if column not in {"customers", "value"}:
        raise not_explained(column, ("customers", "value"))
    worths = worths_of(figure.reader, figure.cut, figure.definition, figure.asked)
    bounds = worths.bounds()
    rows = _mature(worths, bounds)
    place = [one.name for one in bounds.tiers].index(figure.cell["tier"])
    told = sa.select(rows).where(
        of_cell(worths.members, rows, figure.cell, TIERS), rows.c.tier == place
    )
    return of_worth(
        worths, figure.definition, told, "worth" if column == "value" else "", facts=True
    )


def _is_predicted(figure: Figure) -> bool:
    policy = figure.asked["policy"]
    return policy is not None and policy.basis == "predicted"


def _mature(worths: Worths, bounds: Bounds) -> sa.CTE:
    return worths.mature(bounds.threshold, bounds.tiers)


def _counts(c: Any) -> dict[str, ColumnElement[bool]]:
    """Whom each count of the mature counts."""
    if "paying" not in c:
        return {}
    return {"mature": sa.true(), "paying": c.paying == 1, "high": c.high == 1}


def of_worth(
    worths: Worths,
    definition: Definition,
    told: sa.Select[Any],
    worth: str,
    *,
    facts: bool = False,
    also: Sequence[Trace] = (),
) -> Evidence:
    """Customers of a question of value, what entered their time zero, and what they were worth.

    Args:
        worths: of the question.
        definition: what entering a stage means.
        told: the members, with ``customer`` and ``t0``.
        worth: the column of it whose sum the figure is, times 365; how many they are, if none.
        facts: name what their value is made of, though the figure is a number of them.
        also: what else is to be told of them.
    """
    stage, population = worths.population.question.stage, worths.population
    known = with_breakdowns(worths.members, told.subquery("own"), stage)
    members = known.cte("told").prefix_with("MATERIALIZED")
    traces = [Trace.entry(stage, members.c.t0, f"time zero: entered {stage}"), *also]
    traces += breakdowns(members, worths.members)
    if worth or facts:
        over = worths.life() if worth == "realised" else population.worth_over()
        traces += [
            Trace.facts(f"value: {what}", rows.subquery())
            for what, rows in _facts(worths, members, over).items()
        ]
    units, cut = worths.members.units, worths.members.cut
    if not worth:
        return Evidence(units, cut, definition, members, traces)
    total = sa.func.coalesce(sa.func.sum(members.c[worth]), sa.literal_column("0", sa.Integer()))
    return Evidence(units, cut, definition, members, traces, total, finish=money)


def _facts(worths: Worths, members: sa.FromClause, over: Horizon) -> dict[str, sa.Select[Any]]:
    """What the value of each is made of."""
    found = value_facts(members, worths.population.cut, over)
    if worths.population.question.value == "revenue":
        del found["cost"]
    return found


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Everybody with a time zero; of the mature, who was paying and of high value.

    Args:
        reader: the read tables.
        cut: where the value was asked.
        definition: what the entry of a stage is.
        asked: the parameters of :func:`bowtie_projections.views.value.value`, all of them.
    """
    worths = worths_of(reader, cut, definition, asked)
    names = ("customers", *_OF_MATURE[:-1])
    members, length = worths.members, worths.members.question.cohort
    mature = _mature(worths, worths.bounds())
    rows = []
    for found in (worths.people, mature):
        cohort = found.c[COHORT] if length else sa.literal_column(f"'{ALL}'", sa.String())
        own = {"customers": sa.true()} if found is not mature else _counts(found.c)
        counts = {name: own.get(name, sa.false()) for name in names}
        cell = [*named_values(found, members.dimensions, members.kept), cohort]
        rows.append(listed(found, cell, counts))

    def of_value(facts: Facts) -> sa.Select[Any]:
        people = worths.people
        some = sa.select(people)
        if facts.customers is not None:
            some = some.where(people.c.customer.in_(sa.select(facts.customers.c.customer)))
        of_some = _facts(worths, some.cte("value_of"), worths.population.worth_over())
        return sa.select(sa.union_all(*of_some.values()).subquery("of_value"))

    naming = None if length is None else partial(cohort_label, cohort=length)
    return Roster(
        members.units,
        [*[None] * len(members.dimensions), naming],
        names,
        rows,
        stages=(worths.population.question.stage,),
        reads={"value": of_value},
    )
