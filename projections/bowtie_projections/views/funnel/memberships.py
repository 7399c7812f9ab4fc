"""Every member of the funnel at once, and which columns count each: what two funnels differ by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES, Definition
from bowtie_projections.views.breakdown import dimensions
from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import COHORT, WORDS, Members, State
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.table import ADDS, COLUMNS
from bowtie_projections.views.funnel.view import members_of
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.labels import apart_in_sql
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Memberships", "memberships"]

#: What a code is made of: whether the entry is imputed, whether it is mature, and the state.
_IMPUTED, _MATURE, _STATE = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Memberships:
    """The members of all stages, and how their rows are read.

    Args:
        table: a row for each member of each stage: the columns of its cell, ``customer``, ``cycle``
            and the ``code`` of what counts it.
        cohort: the length of a cohort, if the cells have one.
    """

    table: pa.Table
    cohort: str | None

    def cell(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The values that name a row's cell in the funnel."""
        names = [name for name in row if name not in {"customer", "cycle", "code"}]
        found = {name: row[name] for name in names}
        if self.cohort is not None:
            found["cohort"] = cohort_label(row["cohort"], self.cohort)
        return found

    @staticmethod
    def counted_by(row: Mapping[str, Any]) -> tuple[str, ...]:
        """The columns of counts that a row adds to.

        >>> Memberships.counted_by({"code": 3 * _STATE + _MATURE})
        ('entered', 'lost', 'mature')
        """
        code: int = row["code"]
        state = () if code < 0 else ADDS[State(code // _STATE)]
        # the last stage has no next one: there an entry is all
        flags = code % _STATE if code >= 0 else -1 - code
        mature = ("mature",) if flags & _MATURE else ()
        return ("entered", *state, *mature, *(("imputed",) if flags & _IMPUTED else ()))


def memberships(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Memberships:
    """All members of all stages of a funnel, by one statement.

    Args:
        reader: the read tables.
        cut: where the funnel was asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.funnel.funnel`, all of them.
    """
    personal_names = asked.pop("personal_names")
    question = ask(asked)
    found = dimensions(
        reader, cut, question.by,
        cohort_stage=question.cohort_stage, personal_names=personal_names,
    )  # fmt: skip
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    members = members_of(units, cut, definition, question, found)
    every = sa.union_all(*(_rows(members, stage) for stage in STAGES)).subquery("every")
    table = units.reader.fetch(sa.select(every))
    titles = dict(zip(members.key_names, members.titles(COLUMNS), strict=True))
    columns = [titles.get(name, name) for name in table.column_names]
    return Memberships(table.rename_columns(columns), question.cohort)


def _rows(members: Members, stage: str) -> sa.Select[Any]:
    last = stage == STAGES[-1]
    found = members.entered(stage) if last else members.judged(stage)
    c = found.c
    imputed = sa.case((c.imputed, _IMPUTED), else_=0)
    code: ColumnElement[Any] = -1 - imputed
    if not last:
        code = c.state * _STATE + sa.case((c.mature, _MATURE), else_=0) + imputed
    return sa.select(
        *_cell(members, found),
        sa.literal_column(f"'{stage}'", sa.String()).label("stage"),
        c.customer,
        sa.cast(c.cycle, sa.BigInteger()).label("cycle"),
        sa.cast(code, sa.Integer()).label("code"),
    )


def _cell(members: Members, rows: sa.FromClause) -> list[ColumnElement[Any]]:
    """The values of the cell, as the answer names them."""
    kept = {one.column for one in members.dimensions if one.name in members.kept}
    return [
        rows.c[name]
        if name in kept or name == COHORT
        else apart_in_sql(rows.c[name], WORDS).label(name)
        for name in members.key_names
    ]
