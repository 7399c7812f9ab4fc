"""One customer's facts in the order they happened, and which of them meet a condition."""

from __future__ import annotations

import json
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from bowtie.errors import UsageError
from bowtie.events import Event
from bowtie.stages.definition import NUMBER_PATTERN, Comparison, Condition, DayTotal

__all__ = ["Fact", "History", "Moment", "value_at"]

_NUMBER = re.compile(NUMBER_PATTERN)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "ne": operator.ne,
}
_PER_YEAR = {"month": 12, "quarter": 4, "year": 1}
_PRICED = ("contract_signed", "contract_changed", "contract_renewed")


class Fact(Protocol):
    """What a fact must carry to be judged; a recorded event does."""

    @property
    def data(self) -> Event:
        """The event."""

    @property
    def occurred_at(self) -> datetime:
        """When it happened in the world, with a zone."""

    @property
    def position(self) -> int:
        """Its place in the store; decides between facts of one moment."""


class Moment(NamedTuple):
    """A fact with its time in UTC; moments sort by time, then position."""

    at: datetime
    position: int
    data: Any


class History:
    """The facts of one customer up to a moment, in order, by type.

    Args:
        facts: what counts (nothing retracted), in any order.
        as_of: what happened later is left out.
    """

    def __init__(self, facts: Iterable[Fact], as_of: datetime | None = None) -> None:
        if as_of is not None and as_of.tzinfo is None:
            raise UsageError(f"{as_of} has no zone: write the moment with one, such as UTC")
        moments = [Moment(f.occurred_at.astimezone(UTC), f.position, f.data) for f in facts]
        self.moments = [m for m in moments if as_of is None or m.at <= as_of]
        self.moments.sort(key=operator.itemgetter(0, 1))
        self.by_type: dict[str, list[Moment]] = defaultdict(list)
        for moment in self.moments:
            self.by_type[moment.data.type_name].append(moment)
        self._moves: dict[str, dict[int, Decimal]] = {}

    def of_type(self, type_name: str) -> list[Moment]:
        """The facts of one type, in order."""
        return self.by_type.get(type_name, [])

    def matching(self, condition: Condition) -> list[Moment]:
        """The facts that meet all of a condition that needs no cycle, in order."""
        found = [
            moment
            for moment in self.of_type(condition.event)
            if all(_holds(comparison, moment.data) for comparison in condition.where)
        ]
        if condition.rises:
            moves = self._moves_of(condition.rises)
            found = [m for m in found if moves.get(m.position, 0) > 0]
        if condition.falls:
            moves = self._moves_of(condition.falls)
            found = [m for m in found if moves.get(m.position, 0) < 0]
        if condition.day_total:
            found = _first_of_days(found, condition.day_total)
        return found

    def _moves_of(self, field: str) -> dict[int, Decimal]:
        """By position: how far a contract's yearly value lies from its last one."""
        if field not in self._moves:
            moves: dict[int, Decimal] = {}
            last: dict[str, Decimal] = {}
            for moment in self.moments:
                data = moment.data
                if data.type_name in _PRICED and (value := getattr(data, field)) is not None:
                    yearly = value * _PER_YEAR[data.per]
                    if data.contract in last:
                        moves[moment.position] = yearly - last[data.contract]
                    last[data.contract] = yearly
            self._moves[field] = moves
        return self._moves[field]


def value_at(data: Event, field: str) -> Any:
    """A field's value; inside a map (``properties.plan``) its text, or None.

    >>> from bowtie.events import Noted
    >>> value_at(Noted(name="viewed", properties={"price": 12.5}), "properties.price")
    '12.5'
    """
    name, _, key = field.partition(".")
    if not key:
        return getattr(data, name)
    value = getattr(data, name).get(key)
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _holds(comparison: Comparison, data: Event) -> bool:
    value = value_at(data, comparison.field)
    if value is None:
        return False
    if comparison.kind == "map":
        return _map_holds(comparison, value)
    if comparison.op == "in":
        return value in comparison.values
    return _OPERATORS[comparison.op](value, comparison.values[0])


def _map_holds(comparison: Comparison, text: str) -> bool:
    compare = _OPERATORS.get(comparison.op, operator.eq)
    return any(_text_holds(compare, text, wanted) for wanted in comparison.values)


def _text_holds(compare: Callable[[Any, Any], bool], text: str, wanted: object) -> bool:
    """The text of a map's value against a text, true or false, or a number."""
    if isinstance(wanted, bool):
        return compare(text, json.dumps(wanted))
    if isinstance(wanted, Decimal):
        return _NUMBER.fullmatch(text) is not None and compare(float(text), float(wanted))
    return compare(text, wanted)


def _first_of_days(moments: list[Moment], total: DayTotal) -> list[Moment]:
    """The first fact of each day and currency whose sum meets the total asked for."""
    days: dict[object, list[Moment]] = defaultdict(list)
    for moment in moments:
        days[moment.at.date(), getattr(moment.data, "currency", None)].append(moment)
    compare = _OPERATORS[total.op]
    return [
        members[0]
        for members in days.values()
        if compare(sum(getattr(m.data, total.field) or 0 for m in members), total.value)
    ]
