"""The two sides of a difference: one question, asked twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, wraps
from typing import Any

from bowtie.durations import parse_duration
from bowtie.errors import UnknownName, UsageError
from bowtie.stages import Definition
from bowtie.times import iso
from bowtie_projections.evidence import every_parameter
from bowtie_projections.explained import EVIDENCE, Explained
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.roster import Roster
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled
from bowtie_projections.views.units import Units

__all__ = ["DIFFERING", "Side", "asked_on", "check_asked", "diffed_view", "has_traits", "when"]

#: What the two sides may differ in.
DIFFERING = ("known_at", "position", "as_of", "definition")
#: Parameters by which a view answers something else than its figures.
_OTHER_ANSWERS = ("customers", "who")


@dataclass(frozen=True)
class Side:
    """A question that was asked.

    Args:
        explained: the view.
        reader: the tables that it read.
        cut: the position and the moment it was asked as of.
        definition: what entering a stage means.
        asked: all parameters of the view.
        answer: what it answered.
    """

    explained: Explained
    reader: Reader
    cut: Cut
    definition: Definition
    asked: Mapping[str, Any]
    answer: Result

    @cached_property
    def roster(self) -> Roster:
        """Everybody whom the answer counts."""
        find = self.explained.roster
        assert find is not None  # noqa: S101 - diffed_view sees to it
        return find(self.reader, self.cut, self.definition, **self.asked)

    @property
    def moment(self) -> datetime | None:
        """The moment that the answer is as of."""
        found: datetime | None = self.answer.meta["as_of"]
        return found

    @cached_property
    def settled(self) -> Cut:
        """The cut that the answer is from."""
        return settled(self.reader, replace(self.cut, as_of=self.moment, complete=False))

    @cached_property
    def units(self) -> Units:
        """What is counted, and the tables under the keys of those."""
        look_back = self.asked.get("look_back", LOOK_BACK)
        span = parse_duration(look_back) if isinstance(look_back, str) else look_back
        return Units.of(self.reader, self.settled, self.asked.get("unit", "customer"), span)

    def named(self, given: Mapping[str, Any]) -> str:
        """The side in words, by what was said of it."""
        said = []
        if given.get("known_at") is not None:
            said.append(f"what was known at {when(self.answer.meta['known_at'])}")
        if given.get("position") is not None:
            said.append(f"position {self.cut.position:,}")
        if given.get("as_of") is not None and self.moment is not None:
            said.append(f"as of {when(self.moment)}")
        if given.get("definition") is not None:
            said.append(self.definition.label)
        return ", ".join(said) or f"now (position {self.cut.position:,})"


def when(moment: datetime) -> str:
    """A moment in words; the last one of a day is that day's end.

    >>> from datetime import UTC
    >>> when(datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC))
    'the end of 2026-03-31'
    """
    following = moment.astimezone(UTC) + timedelta(microseconds=1)
    whole = following == following.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"the end of {moment.astimezone(UTC):%Y-%m-%d}" if whole else iso(moment)


def diffed_view(name: str) -> Explained:
    """A view whose figures can be compared.

    Raises:
        UnknownName: there is none of that name.
    """
    known = [one for one, explained in EVIDENCE.items() if explained.roster is not None]
    if name not in known:
        raise UnknownName(f"{name!r} has no diff; these have: {', '.join(known)}")
    return EVIDENCE[name]


def has_traits(view: Callable[..., Result]) -> bool:
    """Whether a view must be told which traits are sealed."""
    return "personal_names" in inspect.signature(view).parameters


def check_asked(
    before: Mapping[str, Any], after: Mapping[str, Any], asked: Mapping[str, Any], limit: object
) -> None:
    """Refuse two sides that are one, or that differ in what makes no difference to look at.

    Raises:
        UsageError: says what to write.
    """
    for name in (*before, *after):
        if name not in DIFFERING:
            raise UsageError(f"the two sides differ in {' or '.join(DIFFERING)}, not in {name!r}")
    if not before and not after:
        raise UsageError(
            'say what differs, such as before={"known_at": "2026-03-31"}: one of'
            f" {', '.join(DIFFERING)}; what is left out is now"
        )
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise UsageError(f"limit is {limit!r}; write a whole number, 0 for no limit")
    for name in _OTHER_ANSWERS:
        if asked.get(name):
            raise UsageError(f"{name} asks for a list; ask for the difference without it")


def asked_on(explained: Explained, sides: list[Side]) -> Callable[..., Result]:
    """The view, that notes down where it was asked and what it answered."""
    view = explained.view

    @wraps(view)
    def noting(reader: Reader, cut: Cut, definition: Definition, **given: Any) -> Result:
        answer = view(reader, cut, definition, **given)
        asked = every_parameter(view, given)
        sides.append(Side(explained, reader, cut, definition, asked, answer))
        return answer

    return noting
