"""Two stage definitions over the same history: who stands in another stage by the other one."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.stages import STAGES, Definition
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import Needs, journeys_at, settled
from bowtie_projections.views.stock import LOST, NO_STAGE
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["comparison"]

_ORDER = {place: index for index, place in enumerate((*STAGES, LOST, NO_STAGE))}


def comparison(
    reader: Reader, cut: Cut, definition: Definition, *, before: Definition, who: bool = False
) -> Result:
    """How many customers stand in which stage by one definition, and in which by the other.

    Counted are the customers that entered a stage by either.

    Args:
        reader: the read tables.
        cut: the facts that count.
        definition: the one to stand by.
        before: the one to compare it with.
        who: instead of counts, the customers that stand elsewhere.
    """
    import pyarrow as pa

    cut = settled(reader, cut)
    reader = Units.of(reader, cut, "customer").reader
    tables = [
        reader.fetch(_standing(reader, cut, definition)).rename_columns(["customer", name])
        for definition, name in ((before, "before"), (definition, "after"))
    ]
    joined = _filled(tables[0].join(tables[1], keys="customer", join_type="full outer"))
    counts = joined.group_by(["before", "after"]).aggregate([("customer", "count")])
    rows = sorted(
        (
            {"before": row["before"], "after": row["after"], "customers": row["customer_count"]}
            for row in counts.to_pylist()
        ),
        key=lambda row: (_ORDER[row["before"]], _ORDER[row["after"]]),
    )
    moved = sum(row["customers"] for row in rows if row["before"] != row["after"])
    columns = [("before", pa.string()), ("after", pa.string()), ("customers", pa.int64())]
    schema = pa.schema([pa.field(name, kind) for name, kind in columns])
    return Result(
        "comparison",
        _movers(joined) if who else pa.Table.from_pylist(rows, schema=schema),
        sentence=f"{moved:,} of {joined.num_rows:,} customers stand elsewhere by {definition.label}"
        f" (after) than by {before.label} (before).",
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "parameters": {"before": before.label, "after": definition.label, "who": who},
            "position": cut.position,
            "as_of": None if cut.moment is None else cut.moment.replace(tzinfo=UTC),
            "known_at": None,
            "customers": joined.num_rows,
            "moved": moved,
        },
    )


def _standing(reader: Reader, cut: Cut, definition: Definition) -> sa.Select[Any]:
    """Each customer, and the furthest stage of the last cycle."""
    journeys = journeys_at(reader, cut, definition, Needs())
    c = journeys.c
    furthest = sa.case(
        (c.lost_at.is_not(None), sa.literal(LOST)),
        *((c[f"{stage}_at"].is_not(None), sa.literal(stage)) for stage in reversed(STAGES)),
    )
    newest = sa.func.row_number().over(partition_by=c.customer, order_by=c.cycle.desc())
    ranked = sa.select(c.customer, furthest.label("stage"), newest.label("rank")).subquery("ranked")
    return sa.select(ranked.c.customer, ranked.c.stage).where(ranked.c.rank == 1)


def _filled(joined: pa.Table) -> pa.Table:
    """The same with a word where a definition says nothing of a customer."""
    import pyarrow as pa

    columns: dict[str, Any] = {"customer": joined.column("customer")}
    for name in ("before", "after"):
        columns[name] = joined.column(name).fill_null(pa.scalar(NO_STAGE))
    return pa.Table.from_pydict(columns)


def _movers(joined: pa.Table) -> pa.Table:
    """The customers that stand elsewhere, by their keys."""
    rows = [row for row in joined.to_pylist() if row["before"] != row["after"]]
    rows.sort(key=lambda row: str(row["customer"]))
    return type(joined).from_pylist(rows, schema=joined.schema)
