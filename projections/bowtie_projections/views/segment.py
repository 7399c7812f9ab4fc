"""Who is in a segment: how many meet each of its tests, and some of them by their keys."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie.segments.segment import All, Test
from bowtie.stages import Definition
from bowtie_projections.localtime import check_zone
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.scope import Outside, scope_of
from bowtie_projections.segments import Judging, everybody
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled
from bowtie_projections.views.units import UNITS, Units, check_look_back, check_unit, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["segment"]

_EXAMPLES = 5


def segment(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    who: bool = False,
    tz: str = "UTC",
) -> Result:
    """How many customers meet each test of the segment that the question is narrowed to.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        unit: what is judged: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        who: instead of counts, those that are in it, by their keys.
        tz: the zone of the days given.

    Returns:
        A row for each test of the segment: how many meet it alone; and one for all of it. The part
        ``examples``: the first keys of those that are in it, and of those that are not.
    """
    unit, span = check_unit(unit, UNITS[:-1]), check_look_back(look_back)
    tz, cut = check_zone(tz), settled(reader, cut)
    scope = scope_of(reader)
    units = Units.of(reader, cut, unit, span)
    if scope is None or scope.segment is None or scope.outside is None:
        raise UsageError("segment names no segment: give a name, a file, or what it would hold")
    asked, outside = scope.segment, scope.outside
    judging = outside.judging
    inside = judging.reader.fetch(_keys(judging, asked.test)) if who else None
    tested = _counts(judging, asked.test)
    return Result(
        "segment",
        _table(tested, outside) if inside is None else units.by_name(inside),
        sentence=_sentence(asked.label, outside),
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "parameters": {
                "unit": unit, "look_back": format_duration(span), "who": who, "tz": tz,
            },
            "position": cut.position,
            "as_of": None if cut.moment is None else cut.moment.replace(tzinfo=UTC),
            "known_at": None,
        },
        parts={} if who else {"examples": units.by_name(_examples(judging, asked.test))},
    )  # fmt: skip


def _keys(judging: Judging, test: Test, limit: int | None = None) -> sa.Select[Any]:
    found = judging.members(test).subquery("members")
    return sa.select(found.c.customer).order_by(found.c.customer).limit(limit)


def _counts(judging: Judging, test: Test) -> list[tuple[Test, int]]:
    """How many meet each test on its own."""
    found = []
    for part in test.parts if isinstance(test, All) else [test]:
        met = judging.members(part).subquery("met")
        number = judging.reader.fetch(sa.select(sa.func.count()).select_from(met))
        found.append((part, int(number.column(0)[0].as_py())))
    return found


def _table(tested: list[tuple[Test, int]], outside: Outside) -> pa.Table:
    import pyarrow as pa

    rows = [*((str(part), number) for part, number in tested), ("all of it", outside.inside)]
    return pa.table(
        {
            "test": pa.array([name for name, _ in rows], pa.string()),
            plural(outside.unit): pa.array([number for _, number in rows], pa.int64()),
            "of": pa.array([outside.everybody] * len(rows), pa.int64()),
        }
    )


def _examples(judging: Judging, test: Test) -> pa.Table:
    """The first keys on either side, with the side."""
    import pyarrow as pa

    inside = judging.relation(test, "segment")
    known = everybody(judging.cut).subquery("known")
    others = (
        sa.select(known.c.customer)
        .where(known.c.customer.not_in(sa.select(inside.c.customer)))
        .order_by(known.c.customer)
        .limit(_EXAMPLES)
    )
    sides = [
        judging.reader.fetch(statement).column(0).to_pylist()
        for statement in (_keys(judging, test, _EXAMPLES), others)
    ]
    keys = [str(key) for side in sides for key in side]
    words = [word for word, side in zip(("in", "not in"), sides, strict=True) for _ in side]
    return pa.table(
        {"customer": pa.array(keys, pa.string()), "segment": pa.array(words, pa.string())}
    )


def _sentence(label: str, outside: Outside) -> str:
    left, units = outside.everybody - outside.inside, plural(outside.unit)
    if outside.moment is None:
        return f"There is no {outside.unit} in the log."
    return (
        f"{outside.inside:,} of {outside.everybody:,} {units} are in the segment {label} as of"
        f" {outside.moment:%Y-%m-%d}; {left:,} are not."
    )
