"""What a segment is: a name, a version, and a test that a customer meets at a moment or doesn't.

A segment is data, as a stage definition is. :mod:`bowtie.segments.reading` reads one from TOML, and
the views translate it into SQL. What each test means is on the page "Segments" of the
documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from bowtie.durations import format_duration
from bowtie.fields import Stage
from bowtie.stages import Comparison, Condition

__all__ = [
    "All", "Came", "Did", "Either", "Has", "Neither", "Segment", "Stands", "Test", "Worth",
    "leaves",
]  # fmt: skip

_SIGNS = {"in": "is", "ne": "is not", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@dataclass(frozen=True, slots=True)
class Has:
    """Traits, as they are known at the moment; all comparisons hold."""

    where: tuple[Comparison, ...]

    def __str__(self) -> str:
        return " and ".join(map(_said, self.where))


@dataclass(frozen=True, slots=True)
class Came:
    """The first touch there was by the moment, in either direction; all comparisons hold."""

    where: tuple[Comparison, ...]

    def __str__(self) -> str:
        return f"first touch with {' and '.join(map(_said, self.where))}"


@dataclass(frozen=True, slots=True)
class Stands:
    """One of the stages was entered in any cycle, or is where the customer stands.

    Args:
        how: ``entered``, or ``stands_in``: the furthest stage of the open cycle.
        stages: which.
        last: entered within so long before the moment.
    """

    how: Literal["entered", "stands_in"]
    stages: tuple[Stage, ...]
    last: timedelta | None = None

    def __str__(self) -> str:
        verb = "entered" if self.how == "entered" else "stands in"
        return f"{verb} {' or '.join(self.stages)}{_in_the_last(self.last)}"


@dataclass(frozen=True, slots=True)
class Did:
    """Facts that meet a condition of the language of stages, as many as it says.

    Args:
        condition: which facts; ``nth`` is how many at least.
        last: within so long before the moment.
        span: that many within so long of each other.
    """

    condition: Condition
    last: timedelta | None = None
    span: timedelta | None = None

    def __str__(self) -> str:
        c, where = self.condition, ", ".join(map(_said, self.condition.where))
        parts = [f"{c.event}[{where}]" if where else c.event]
        if c.rises or c.falls:
            parts.append(f"whose {c.rises} rises" if c.rises else f"whose {c.falls} falls")
        if c.day_total is not None:
            total = c.day_total
            parts.append(f"with {total.field} of a day {_SIGNS[total.op]} {total.value:f}")
        if c.nth > 1:
            counted = "times" if c.counted_by == "event" else f"{c.counted_by}s"
            each = "" if c.each is None else f" for one {c.each}"
            parts.append(f"at least {c.nth} {counted}{each}")
        if c.after is not None:
            parts.append(f"after {c.after}")
        if c.within is not None:
            parts.append(f"within {format_duration(c.within.time)} of {c.within.of}")
        if self.span is not None:
            parts.append(f"within {format_duration(self.span)}")
        return " ".join(parts) + _in_the_last(self.last)


@dataclass(frozen=True, slots=True)
class Worth:
    """Revenue up to the moment, as the closed loop counts it; all comparisons hold.

    Args:
        where: comparisons with an amount.
        currency: refuse all others.
        last: only that of so long before the moment.
    """

    where: tuple[tuple[Literal["gt", "ge", "lt", "le"], Decimal], ...]
    currency: str | None = None
    last: timedelta | None = None

    def __str__(self) -> str:
        amounts = " and ".join(f"{_SIGNS[op]} {amount:f}" for op, amount in self.where)
        unit = f" {self.currency}" if self.currency else ""
        return f"revenue {amounts}{unit}{_in_the_last(self.last)}"


@dataclass(frozen=True, slots=True)
class All:
    """All parts hold."""

    parts: tuple[Test, ...]

    def __str__(self) -> str:
        return " and ".join(map(_enclosed, self.parts))


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    parts: tuple[Test, ...]

    def __str__(self) -> str:
        return " or ".join(map(_enclosed, self.parts))


@dataclass(frozen=True, slots=True)
class Neither:
    """No part holds."""

    parts: tuple[Test, ...]

    def __str__(self) -> str:
        return " and ".join(f"not ({part})" for part in self.parts)


Test = Has | Came | Stands | Did | Worth | All | Either | Neither


@dataclass(frozen=True)
class Segment:
    """A set of customers, told by what they are and did up to a moment.

    Two segments are equal when their name, version and test are.

    Args:
        name: what it is called.
        version: counted up with each change; None for one that is asked ad hoc.
        title: one line for people.
        test: who is in it.
        text: the TOML it was read from; empty for one asked ad hoc.
        sha256: the hash of the text, in hex; empty where there is none.
    """

    name: str
    version: int | None
    title: str = field(compare=False)
    test: Test
    text: str = field(default="", compare=False, repr=False)
    sha256: str = field(default="", compare=False, repr=False)

    @property
    def label(self) -> str:
        """Name and version, such as ``large/1``; without a version the name."""
        return self.name if self.version is None else f"{self.name}/{self.version}"


def leaves(test: Test) -> Iterator[Has | Came | Stands | Did | Worth]:
    """The tests that are not made of others."""
    if isinstance(test, All | Either | Neither):
        for part in test.parts:
            yield from leaves(part)
    else:
        yield test


def _said(comparison: Comparison) -> str:
    name = comparison.field.removeprefix("traits.").removeprefix("properties.")
    values = " or ".join(str(value) for value in dict.fromkeys(map(str, comparison.values)))
    return f"{name} {_SIGNS[comparison.op]} {values}"


def _in_the_last(last: timedelta | None) -> str:
    return "" if last is None else f" in the last {format_duration(last)}"


def _enclosed(part: Test) -> str:
    return f"({part})" if isinstance(part, All | Either) and len(part.parts) > 1 else str(part)
