"""Two stage definitions over the same history: who stands elsewhere, and which figures change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.durations import format_duration
from bowtie.stages import STAGES, Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.journey_source import Needs, journeys_at, settled
from bowtie_projections.views.stock import LOST, NO_STAGE
from bowtie_projections.views.units import Units, check_look_back, check_unit, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["comparison"]

#: The figures of the funnel that are set side by side, with their kinds in Arrow.
_FIGURES = {"entered": "int64", "mature": "int64", "conversion": "double"}
_ORDER = {place: index for index, place in enumerate((*STAGES, LOST, NO_STAGE))}


def comparison(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    before: Definition,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    who: bool = False,
) -> Result:
    """How many customers stand in which stage by one definition, and in which by the other.

    Counted are those that entered a stage by either. The part ``figures`` sets the funnels by the
    two side by side: who ``entered`` each stage, the ``mature`` and their ``conversion``.

    Args:
        reader: the read tables.
        cut: the facts that count.
        definition: the one to stand by.
        before: the one to compare it with.
        unit: what is counted: ``customer``, ``account``, ``opportunity``, or ``cycle``: then the
            first cycle by one is compared with the first by the other, and so on.
        look_back: touches of a member count for the account from so long before the membership.
        who: instead of counts, those that stand elsewhere.
    """
    unit, span = check_unit(unit), check_look_back(look_back)
    cut = settled(reader, cut)
    figures = _figures(
        *(
            funnel(reader, cut, one, unit=unit, look_back=span).rows()
            for one in (before, definition)
        )
    )
    units = Units.of(reader, cut, unit, span)
    reader = units.reader
    keys = ["customer", "cycle"] if unit == "cycle" else ["customer"]
    tables = [
        reader.fetch(_standing(reader, cut, definition, keys)).rename_columns([*keys, name])
        for definition, name in ((before, "before"), (definition, "after"))
    ]
    joined = _filled(tables[0].join(tables[1], keys=keys, join_type="full outer"))
    rows, counted = _counts(joined), plural(unit)
    moved = sum(row["number"] for row in rows if row["before"] != row["after"])
    return Result(
        "definition_diff",
        units.by_name(_movers(joined, keys)) if who else _table(rows, counted),
        sentence=f"{moved:,} of {units.count(joined.num_rows)} stand elsewhere by"
        f" {definition.label} (after) than by {before.label} (before).",
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "parameters": {
                "before": before.label,
                "after": definition.label,
                "unit": unit,
                "look_back": format_duration(span),
                "who": who,
            },
            "position": cut.position,
            "as_of": None if cut.moment is None else cut.moment.replace(tzinfo=UTC),
            "known_at": None,
            counted: joined.num_rows,
            "moved": moved,
        },
        parts={"figures": figures},
    )


def _figures(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> pa.Table:
    """The funnels of the two definitions, stage by stage."""
    import pyarrow as pa

    sides = {"before": before, "after": after}
    columns: dict[str, Any] = {"stage": pa.array(STAGES, pa.string())}
    for name, kind in _FIGURES.items():
        for side, rows in sides.items():
            columns[f"{name}_{side}"] = pa.array([row[name] for row in rows], kind)
    return pa.table(columns)


def _standing(
    reader: Reader, cut: Cut, definition: Definition, keys: Sequence[str]
) -> sa.Select[Any]:
    """Each of those counted, and the furthest stage of its last cycle."""
    journeys = journeys_at(reader, cut, definition, Needs())
    c = journeys.c
    furthest = sa.case(
        (c.lost_at.is_not(None), sa.literal(LOST)),
        *((c[f"{stage}_at"].is_not(None), sa.literal(stage)) for stage in reversed(STAGES)),
    )
    # journeys read from facts and those of the table number cycles in integers of two sizes
    own = [
        sa.cast(c[name], sa.BigInteger()).label(name) if name == "cycle" else c[name]
        for name in keys
    ]
    newest = sa.func.row_number().over(partition_by=own, order_by=c.cycle.desc())
    ranked = sa.select(*own, furthest.label("stage"), newest.label("rank")).subquery("ranked")
    names = [ranked.c[name] for name in (*keys, "stage")]
    return sa.select(*names).where(ranked.c.rank == 1)


def _filled(joined: pa.Table) -> pa.Table:
    """The same with a word where a definition says nothing of a customer."""
    import pyarrow as pa

    for name in ("before", "after"):
        stages = joined.column(name).fill_null(pa.scalar(NO_STAGE))
        joined = joined.set_column(joined.column_names.index(name), name, stages)
    return joined


def _counts(joined: pa.Table) -> list[dict[str, Any]]:
    """How many stand where by the two, in the order of the stages."""
    found = joined.group_by(["before", "after"]).aggregate([("customer", "count")])
    rows = found.rename_columns(["before", "after", "number"]).to_pylist()
    return sorted(rows, key=lambda row: (_ORDER[row["before"]], _ORDER[row["after"]]))


def _table(rows: list[dict[str, Any]], counted: str) -> pa.Table:
    import pyarrow as pa

    columns = [("before", pa.string()), ("after", pa.string()), ("number", pa.int64())]
    schema = pa.schema([pa.field(name, kind) for name, kind in columns])
    table = pa.Table.from_pylist(rows, schema=schema)
    return table.rename_columns(["before", "after", counted])


def _movers(joined: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Those that stand elsewhere, by their keys."""
    rows = [row for row in joined.to_pylist() if row["before"] != row["after"]]
    rows.sort(key=lambda row: [row[name] for name in keys])
    return type(joined).from_pylist(rows, schema=joined.schema)
