"""Whom a profile assigned to an arm, by which event, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.profiles import Profile
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.value import money, value_facts
from bowtie_projections.views.profile.evaluation import DIFFERENCE
from bowtie_projections.views.profile.people import assigned, outlays, with_worth
from bowtie_projections.views.profile.question import Asked, profile_at, versions_at
from bowtie_projections.views.profile.trial import ARMS

__all__ = ["evaluation", "history"]

_OF_ARMS = ("assigned", "mature", "converted", "conversion", "value", "cost")
_OF_VERSIONS = ("assigned", "mature")


def evaluation(figure: Figure) -> Evidence:
    """Who is in an arm, by the event that assigned them, what they brought and what they cost.

    Args:
        figure: of the row of the arm; its column is ``assigned``, or of the mature ``mature``,
            ``converted``, ``conversion``, ``value`` or ``cost``.

    Raises:
        UsageError: no members stand behind the column.
    """
    arm, column = figure.cell["arm"], figure.column
    if arm == DIFFERENCE:
        raise UsageError(
            f"the {DIFFERENCE} is of both arms: explain {', '.join(_OF_ARMS)} of"
            f" {' and of '.join(ARMS)}"
        )
    if column not in _OF_ARMS:
        raise not_explained(column, _OF_ARMS)
    return _evidence(figure, profile_at(figure.reader, figure.cut, figure.asked["profile"]), [arm])


def history(figure: Figure) -> Evidence:
    """Whom a version of a profile assigned, to either arm, by the event that did.

    Args:
        figure: of the row of the version; its column is ``assigned`` or ``mature``.

    Raises:
        UsageError: no members stand behind the column.
    """
    if figure.column not in _OF_VERSIONS:
        why = "what a version did is told by profile_evaluation, arm by arm"
        raise not_explained(figure.column, _OF_VERSIONS, why)
    name = str(figure.asked["profile"]).partition("/")[0]
    versions = versions_at(figure.reader, figure.cut, name)
    own = next(one for one in versions if one.label == figure.cell["profile"])
    return _evidence(figure, own, ARMS)


def _evidence(figure: Figure, profile: Profile, arms: Sequence[str]) -> Evidence:
    column = figure.column
    asked = Asked.of(
        figure.reader, figure.cut, figure.definition, profile,
        data_through=figure.asked["data_through"], tz=figure.asked["tz"],
    )  # fmt: skip
    everybody = assigned(asked)
    m, one = everybody.c, sa.literal_column("1", sa.Integer())
    own: list[ColumnElement[bool]] = [m.arm.in_(list(arms))]
    if column != "assigned":
        own.append(m.mature == one)
    if column == "converted":
        own.append(m.converted == one)
    joined, worth, spent = with_worth(asked, everybody)
    became = sa.case((m.converted == one, m.committed_at)).label("converted_at")
    members = (
        sa.select(
            m.customer, m.t0, m.position, m.converted, became, worth.worth_by_365, spent.outlay
        )
        .select_from(joined)
        .where(*own)
        .cte("of_the_arm")
        .prefix_with("MATERIALIZED")
    )
    nothing = sa.literal_column("0", sa.Integer())
    sums = {"conversion": "converted", "value": "worth_by_365", "cost": "outlay"}
    finishes: dict[str, Callable[[Any], Any]] = {"conversion": float, "value": money}
    total = sums.get(column)
    return Evidence(
        asked.units, asked.cut, figure.definition, members, _traces(asked, members, column),
        None if total is None else sa.func.coalesce(sa.func.sum(members.c[total]), nothing),
        finish=finishes.get(column),
        mean=column == "conversion",
    )  # fmt: skip


def _traces(asked: Asked, members: sa.CTE, column: str) -> list[Trace]:
    """The assignment of each, and what the column is of."""
    traces = [Trace.fact("assigned", members.c.position)]
    if column in {"converted", "conversion"}:
        at = members.c.converted_at
        traces.append(Trace.entry("commitment", at, "converted: entered commitment"))
    found: dict[str, sa.Select[Any]] = {}
    if column == "value":
        facts = value_facts(members, asked.cut, asked.horizon)
        found = {f"value: {what}": rows for what, rows in facts.items()}
        if asked.value.value == "revenue":
            del found["value: cost"]
    elif column == "cost":
        found = {f"cost: {what}": rows for what, rows in outlays(asked, members).items()}
    return traces + [Trace.facts(role, rows.subquery()) for role, rows in found.items()]
