"""The stock: who stands in which stage now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import activity, first_touch
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import Dimension, dimensions, distinct_values
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import OTHER, WORDS, folded
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.journey_source import Needs, journeys_at, settled_through
from bowtie_projections.views.labels import apart
from bowtie_projections.views.units import Units, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOST", "NO_STAGE", "stock"]

LOST, NO_STAGE = "lost", "no stage"
_PLACES = (*STAGES, LOST, NO_STAGE)


def stock(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    lost_after: str | timedelta | None = None,
    top: int = 10,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How many customers stand in each stage: the furthest of their open cycle.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        unit: what is counted: ``customer``, ``account``, ``opportunity``, or ``cycle``: then each
            pass stands where it is, or was lost.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known at that moment.
        lost_after: silence so long is a loss.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        data_from: where the data begins; stands in the answer.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of the days given.
        personal_names: traits that are sealed.

    Returns:
        A row for each stage, and for ``lost`` (the last cycle ended) and ``no stage`` (in the log,
        but nothing that happened entered one), in each cell.
    """
    given = {"unit": unit, "look_back": look_back, "lost_after": lost_after, "top": top, "tz": tz}
    question = ask(given | {"by": by, "data_from": data_from, "data_through": data_through})
    # nobody's conversion is judged here, so a contract's values may stand beside none
    found = dimensions(
        reader, cut, question.by, cohort_stage=STAGES[-1], personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    reader = units.reader
    needs = Needs(activity=question.lost_after is not None)
    journeys = journeys_at(reader, cut, definition, needs, question.lost_after)
    customers = _Customers(journeys, cut, question, found)
    many = [one for one in found if distinct_values(reader, cut, one) > question.top]
    kept = {one.name: _values(reader.fetch(customers.ranked(one))) for one in many}
    customers = replace(customers, kept=kept)
    rows = _rows(reader.fetch(customers.counted()).to_pylist(), customers)
    moment = cut.moment
    return Result(
        "stock",
        _table(rows, found, plural(units.name)),
        sentence=_sentence(rows, cut, units),
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "parameters": dict(question.written),
            "position": cut.position,
            "as_of": None if moment is None else moment.replace(tzinfo=UTC),
            "known_at": None,
        },
    )


@dataclass(frozen=True, slots=True)
class _Customers:
    """Every customer in the log, and where they stand."""

    journeys: sa.FromClause
    cut: Cut
    question: Question
    dimensions: Sequence[Dimension]
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def counted(self) -> sa.Select[Any]:
        """Customers by cell and place."""
        rows = self._placed().subquery("placed")
        keys = [rows.c[one.column] for one in self.dimensions]
        number = sa.func.count().label("customers")
        return sa.select(*keys, rows.c.place, number).group_by(*keys, rows.c.place)

    def ranked(self, dimension: Dimension) -> sa.Select[Any]:
        """The values of a breakdown, those of the most customers first."""
        rows = self._placed().subquery("placed")
        value = rows.c[dimension.column]
        return (
            sa.select(value.label("value"))
            .where(value.is_not(None))
            .group_by(value)
            .order_by(sa.func.count().desc(), value)
            .limit(self.question.top)
        )

    def _placed(self) -> sa.Select[Any]:
        stands = self._standing().subquery("standing")
        everybody = stands
        joined: sa.FromClause = stands
        if self.question.unit != "cycle":
            everybody = activity(Facts(self.cut)).subquery("everybody")
            joined = everybody.outerjoin(stands, stands.c.customer == everybody.c.customer)
        keys = []
        moment = sa.literal(self.cut.moment, sa.DateTime())
        touch = first_touch(Facts(self.cut)).subquery("touch")
        if any(one.kind == "touch" for one in self.dimensions):
            joined = joined.outerjoin(touch, touch.c.customer == everybody.c.customer)
        for one in self.dimensions:
            source = one.source(self.cut)
            if source is None:
                value: ColumnElement[Any] = one.touch(touch, moment)
            else:
                journeys = stands if one.kind == "contract" else everybody
                joined = joined.outerjoin(source, one.place(journeys, source, moment))
                value = source.c.value
            keys.append(self._folded(one, value).label(one.column))
        place = sa.func.coalesce(stands.c.place, len(STAGES) + 1)
        return sa.select(*keys, place.label("place")).select_from(joined)

    def _standing(self) -> sa.Select[Any]:
        """The furthest stage of each one's open cycle, as its number; else that of lost."""
        c = self.journeys.c
        furthest = sa.case(
            *((c[f"{stage}_at"].is_not(None), place) for place, stage in _FROM_THE_END)
        )
        is_open = c.lost_at.is_(None)
        if self.question.unit == "cycle":
            stands = sa.case((is_open, furthest), else_=len(STAGES)).label("place")
            return sa.select(c.customer, stands, c.commitment_at)
        place = sa.func.coalesce(sa.func.max(furthest).filter(is_open), len(STAGES))
        signed = sa.func.max(c.commitment_at)
        return sa.select(c.customer, place.label("place"), signed.label("commitment_at")).group_by(
            c.customer
        )

    def _folded(self, dimension: Dimension, value: ColumnElement[Any]) -> ColumnElement[Any]:
        kept = self.kept.get(dimension.name)
        return value if kept is None else folded(value, kept)

    def cell(self, group: Mapping[str, Any]) -> tuple[str | None, ...]:
        """The values of a row of counts, as an answer names them."""
        return tuple(self._named(one, group[one.column]) for one in self.dimensions)

    def _named(self, dimension: Dimension, value: str | None) -> str | None:
        # where others are put together, SQL has named the values already
        return value if value is None or dimension.name in self.kept else apart(value, WORDS)


_FROM_THE_END = tuple(reversed(list(enumerate(STAGES))))


def _rows(found: list[dict[str, Any]], customers: _Customers) -> list[dict[str, Any]]:
    """A row for each place of each cell, in order."""
    keys = [one.column for one in customers.dimensions]
    cells: dict[tuple[Any, ...], dict[int, int]] = {} if keys else {(): {}}
    for group in found:
        cells.setdefault(customers.cell(group), {})[group["place"]] = group["customers"]
    ordered = sorted(cells, key=lambda cell: tuple((v is None, v == OTHER, v or "") for v in cell))
    return [
        dict(zip(keys, cell, strict=True)) | {"stage": name, "customers": cells[cell].get(place, 0)}
        for cell in ordered
        for place, name in enumerate(_PLACES)
    ]


def _table(rows: list[dict[str, Any]], by: Sequence[Dimension], counted: str) -> pa.Table:
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in (*(one.column for one in by), "stage")])
    table = pa.Table.from_pylist(rows, schema.append(pa.field("customers", pa.int64())))
    columns = ("stage", counted)
    return table.rename_columns([*(one.title(columns) for one in by), *columns])


def _sentence(rows: list[dict[str, Any]], cut: Cut, units: Units) -> str:
    def total(*places: str) -> int:
        return sum(row["customers"] for row in rows if row["stage"] in places)

    if cut.moment is None:
        return f"There is no {units.name} in the log."
    return (
        f"{total(*STAGES):,} of {total(*_PLACES):,} {plural(units.name)} stand in a stage on"
        f" {cut.moment:%Y-%m-%d}; {total(LOST):,} are lost and {total(NO_STAGE):,} never entered"
        " a stage."
    )


def _values(found: pa.Table) -> list[str]:
    return [str(value) for value in found.column(0).to_pylist()]
