"""What the views over cohorts share: a share with its interval, and where an answer stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections.evidence import has_values
from bowtie_projections.statistics import design_effect, wilson
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.labels import OTHER
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FEWEST",
    "cell_order",
    "covered_until",
    "of_cell",
    "shares",
    "spread",
    "standing",
    "typed_table",
]

#: Under so many durations their quantiles are chance.
FEWEST = 20


def spread(
    units: Units,
    rows: sa.FromClause,
    keys: Sequence[str],
    judged: ColumnElement[bool],
    hit: ColumnElement[bool],
) -> sa.Select[Any]:
    """How the judged of each cell, and the hits among them, are spread over accounts.

    Args:
        units: of which account each is.
        rows: the units, with a column ``customer`` and the keys of their cell.
        keys: the columns of a cell.
        judged: who is counted.
        hit: of them, who is counted as a hit.

    Returns:
        By cell: ``judged`` and ``hits`` of all, how many ``accounts`` there are, and the sums over
        them that :func:`~bowtie_projections.statistics.design_effect` takes.
    """
    joined, account = units.account_of(rows)
    each = (
        sa.select(
            *(rows.c[name] for name in keys),
            account.label("account"),
            sa.func.count().label("judged"),
            sa.func.sum(sa.case((hit, 1), else_=0)).label("hits"),
        )
        .select_from(joined)
        .where(judged)
        .group_by(*(rows.c[name] for name in keys), account)
        .subquery("accounts_of_cells")
    )
    c = each.c
    sums = {
        "hit_squares": c.hits * c.hits,
        "products": c.judged * c.hits,
        "squares": c.judged * c.judged,
    }
    return sa.select(
        *(c[name] for name in keys),
        sa.func.count().label("accounts"),
        *(sa.cast(sa.func.sum(one), sa.Double()).label(name) for name, one in sums.items()),
    ).group_by(*(c[name] for name in keys))


def shares(
    hits: Sequence[int], judged: Sequence[int], sums: Sequence[Mapping[str, Any] | None]
) -> list[tuple[float | None, float | None, float | None]]:
    """The share of each cell, and the bounds of its 95% interval; nothing where nobody is judged.

    Args:
        hits: how many there are of the judged.
        judged: how many are judged.
        sums: of :func:`spread`, where units repeat within an account.

    >>> [tuple(round(one, 3) for one in found) for found in shares([8], [10], [None])]
    [(0.8, 0.49, 0.943)]
    >>> shares([0], [0], [None])
    [(None, None, None)]
    """
    effects = [_effect(*cell) for cell in zip(hits, judged, sums, strict=True)]
    low, high = wilson(
        [k / effect for k, effect in zip(hits, effects, strict=True)],
        [n / effect for n, effect in zip(judged, effects, strict=True)],
    )
    bounds = zip(hits, judged, low.tolist(), high.tolist(), strict=True)
    return [(k / n, bottom, top) if n else (None, None, None) for k, n, bottom, top in bounds]


def _effect(hits: int, judged: int, sums: Mapping[str, Any] | None) -> float:
    if sums is None or not judged:
        return 1.0
    parts = (sums["hit_squares"], sums["products"], sums["squares"])
    return design_effect(hits, judged, sums["accounts"], parts)


def cell_order(cell: Sequence[str | None]) -> tuple[tuple[int, str], ...]:
    """The place of a cell: by value; then all others together, then those without one."""
    return tuple(
        (2, "") if value is None else (1, "") if value == OTHER else (0, value) for value in cell
    )


def of_cell(
    members: Members,
    rows: sa.FromClause,
    row: Mapping[str, Any],
    taken: Collection[str],
    cohort: str = "cohort",
) -> ColumnElement[bool]:
    """The rows in SQL that a row of an answer counts.

    Args:
        members: of the question.
        rows: with the columns of a cell.
        row: of the answer.
        taken: the other columns of the answer.
        cohort: what the answer calls the period of the row; all are meant where it has none.
    """
    own = has_values(rows, members.dimensions, members.kept, row, taken)
    if members.question.cohort is None or cohort not in row:
        return own
    start = period(row[cohort])[0].date()
    return sa.and_(own, rows.c[COHORT] == sa.literal(start, sa.Date()))


def covered_until(cut: Cut, moment: datetime, data_through: datetime | None) -> datetime:
    """The first moment of which the data says nothing.

    Just after the moment asked of; or after the data's own end, where nothing happened in between.
    """
    covered = moment
    if cut.complete and data_through is not None:
        covered = max(moment, data_through)
    return covered + timedelta(microseconds=1)


def standing(
    definition: Definition, parameters: Mapping[str, Any], cut: Cut, units: Units
) -> dict[str, Any]:
    """What an answer says of where it stands."""
    moment = cut.moment
    return {
        "definition": definition.label,
        "parameters": dict(parameters),
        "clustered": units.clustered,
        "position": cut.position,
        "as_of": None if moment is None else moment.replace(tzinfo=UTC),
        "known_at": None,
    }


def typed_table(
    rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, Any], titles: Mapping[str, str]
) -> pa.Table:
    """The rows as Arrow, typed though they be none.

    Args:
        rows: by the names of SQL.
        kinds: the columns in order, each with its type.
        titles: what columns are called in the answer, where that is another name.
    """
    import pyarrow as pa

    schema = pa.schema([pa.field(name, kind) for name, kind in kinds.items()])
    table = pa.Table.from_pylist([{name: row[name] for name in kinds} for row in rows], schema)
    return table.rename_columns([titles.get(name, name) for name in kinds])
