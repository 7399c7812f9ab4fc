"""Of whom something is expected by a policy of predicted value, and what the model was told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.expressions import rows_given
from bowtie_projections.views.clv.evidence import expected_note, of_cents, told_to_the_model
from bowtie_projections.views.funnel.members import COHORT
from bowtie_projections.views.telling import breakdowns, with_breakdowns
from bowtie_projections.views.value.predicted import COLUMNS, TIERS, Expected, People
from bowtie_projections.views.value.view import worths_of

__all__ = ["evidence", "tiers"]

_KNOWN = ("customers", "predicted", "expected_alive", "high", "predicted_value")
_OF_TIERS = ("customers", "predicted_value")


def evidence(figure: Figure) -> Evidence:
    """The customers of a cell, what entered their time zero, and what the model was told of them.

    Args:
        figure: of the row of it; its column is a number of customers, or what is expected of
            them together.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    if column not in _KNOWN:
        raise not_explained(column, _KNOWN)
    return _told(figure, COLUMNS)


def tiers(figure: Figure) -> Evidence:
    """The customers of a tier, what entered their time zero, and what the model was told of them.

    Args:
        figure: of the row of the part ``tiers``; its column is ``customers``, or
            ``predicted_value``.

    Raises:
        UsageError: no members stand behind the column.
    """
    if figure.column not in _OF_TIERS:
        raise not_explained(figure.column, _OF_TIERS)
    return _told(figure, TIERS)


def _told(figure: Figure, columns: Sequence[str]) -> Evidence:
    column, asked = figure.column, figure.asked
    policy = asked["policy"]
    own = {**asked, "policy": replace(policy, basis="realised")}
    worths = worths_of(figure.reader, figure.cut, figure.definition, own)
    expected = Expected(worths, policy, asked)
    predicting, found, people = expected.people()
    chosen = _of_cell(expected, people, figure.cell, columns)
    if columns == TIERS:
        known, among = expected.placed(people)
        chosen &= among == [one.name for one in known].index(figure.cell["tier"])
    elif column == "high":
        chosen &= expected.high(people)
    elif column != "customers":
        chosen &= people.there
    members = _members(expected, people, chosen, column)
    stage = worths.population.question.stage
    time_zero = Trace.entry(stage, members.c.t0, f"time zero: entered {stage}")
    counted = column in {"customers", "predicted", "high"}
    nothing = sa.literal_column("0", sa.Integer())
    return Evidence(
        worths.members.units, worths.members.cut, figure.definition, members,
        [
            time_zero,
            *breakdowns(members, worths.members),
            *told_to_the_model(found.of, predicting, members),
        ],
        None if counted else sa.func.coalesce(sa.func.sum(members.c.figure), nothing),
        finish=of_cents if column == "predicted_value" else None,
        notes=[expected_note(predicting, found)],
    )  # fmt: skip


def _of_cell(
    expected: Expected, people: People, row: Mapping[str, Any], columns: Collection[str]
) -> NDArray[np.bool_]:
    """The customers of the cell that a row of the answer is of."""
    worths = expected.worths
    titles = {one.column: one.title(columns) for one in worths.members.dimensions}
    titles[COHORT] = "cohort"
    for place, key in enumerate(people.keys):
        named = worths.named(key)
        if all(row[titles.get(name, name)] == value for name, value in named.items()):
            return np.asarray(people.cell == place)
    return np.zeros(len(people.cell), bool)


def _members(expected: Expected, people: People, chosen: NDArray[np.bool_], column: str) -> sa.CTE:
    """Some of the customers, with ``t0`` and what is expected of each: in cents, but of alive."""
    alive = column == "expected_alive"
    kinds = {"customer": sa.String(), "figure": sa.Double() if alive else sa.BigInteger()}
    figures: Any = people.alive if alive else people.value
    rows = zip(np.array(people.customers, object)[chosen], figures[chosen].tolist(), strict=True)
    given, everybody = rows_given("expected_of", kinds, rows).once(), expected.worths.people
    joined = given.join(everybody, everybody.c.customer == given.c.customer)
    own = sa.select(*given.c, everybody.c.t0).select_from(joined).subquery("own")
    stage = expected.worths.population.question.stage
    return with_breakdowns(expected.members, own, stage).cte("expected_members")
