"""What an answer says of the segment that it was narrowed to, and of values that nobody has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa

from bowtie.segments import Segment
from bowtie.segments.segment import Came, Has, Neither, Test
from bowtie.stages import Comparison
from bowtie.times import iso
from bowtie_projections import tables
from bowtie_projections.scope import Outside
from bowtie_projections.segments import Judging
from bowtie_projections.views.cut import counts
from bowtie_projections.views.units import plural

__all__ = ["meta_of", "sentence_of", "why_nobody", "written"]

#: So many values are named of those that there are.
_SHOWN = 8


def sentence_of(segment: Segment, outside: Outside) -> str:
    """How many of all are in a segment, as of when."""
    left = outside.everybody - outside.inside
    units = "customers" if outside.unit == "cycle" else plural(outside.unit)
    when = "" if outside.moment is None else f", as of {outside.moment:%Y-%m-%d}"
    if outside.entry is not None:
        when = f", as of each one's {outside.entry.said}"
    return (
        f"Only those in the segment {segment.label}{when}: {outside.inside:,} of"
        f" {outside.everybody:,} {units}; {left:,} {'is' if left == 1 else 'are'} outside."
    )


def meta_of(segment: Segment, outside: Outside) -> dict[str, Any]:
    """The same, as it stands in the answer."""
    at = outside.moment
    return {
        "name": segment.label,
        "test": str(segment.test),
        "sha256": segment.sha256 or None,
        "as_of": None if at is None else iso(at.replace(tzinfo=UTC)),
        "entry": None if outside.entry is None else outside.entry.name,
        "inside": outside.inside,
        "outside": outside.everybody - outside.inside,
    }


def written(value: Any) -> Any:
    """A parameter as it stands in the answer."""
    if isinstance(value, Segment):
        return value.label
    if isinstance(value, str | Mapping):
        return value
    return [*value] if isinstance(value, Sequence) else str(value)


def why_nobody(test: Test, judging: Judging) -> list[str]:
    """Which tests nobody meets, with the values that come near those asked for."""
    alone = [one for one in _wanted(test) if not _number(one, judging)]
    if not alone:
        return ["Nobody is in the segment: each of its tests is met by someone, all by no one."]
    return [f"Nobody is in the segment: nobody has {one}.{_near(one, judging)}" for one in alone]


def _wanted(test: Test) -> list[Any]:
    """The tests that must hold, or may."""
    if isinstance(test, Neither):
        return []
    parts = getattr(test, "parts", None)
    return [test] if parts is None else [leaf for part in parts for leaf in _wanted(part)]


def _number(test: Test, judging: Judging) -> int:
    found = judging.members(test).subquery("met")
    number = sa.select(sa.func.count()).select_from(found)
    return int(judging.reader.fetch(number).column(0)[0].as_py())


def _near(test: Any, judging: Judging) -> str:
    """What else there is of a value that nobody has."""
    if not isinstance(test, Has | Came):
        return ""
    for one in test.where:
        known = _values(one, judging)
        missing = [str(value) for value in one.values if str(value) not in known]
        if one.op != "in" or not missing:
            continue
        name = one.key or one.field
        if not known:
            return f" {name} has no value by then."
        near = get_close_matches(missing[0], known, n=3, cutoff=0.5)
        if near:
            return f" Did you mean {name} {' or '.join(near)}?"
        more = ", ..." if len(known) > _SHOWN else ""
        return f" There are for {name}: {', '.join(known[:_SHOWN])}{more}."
    return ""


def _values(comparison: Comparison, judging: Judging) -> list[str]:
    """The values of a trait or of a field of touches, the most frequent first."""
    table = tables.facts["traits_observed" if comparison.kind == "map" else "touched"]
    of_trait = comparison.kind == "map"
    value = table.c.value if of_trait else table.c[comparison.field]
    own = table.c.name == comparison.key if of_trait else sa.true()
    found = judging.reader.fetch(
        sa.select(value.label("value"))
        .where(counts(table, judging.cut), own, value.is_not(None))
        .group_by(value)
        .order_by(sa.func.count().desc(), value)
        .limit(1000)
    )
    return [str(one) for one in found.column(0).to_pylist()]
