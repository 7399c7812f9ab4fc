"""How a step is written: an event with comparisons on its fields, or the entry of a stage.

::

    touched
    noted[name=cart_added]
    order_placed[amount>100, currency=EUR|USD]
    stage:selection
    touched[channel=email] | noted[name=email_opened]      either of them
    noted[name=coupon_used]?                               optional
    order_placed after 1h within 7d as bought              since the step before; its name

A comparison is one of the closed language of stage definitions: ``= != > >= < <=``, a value in
quotes where it has other signs than letters, digits and ``_ . : / + -``, a key of a map as
``properties.plan``.

>>> parse_step("order_placed[amount>100] within 7d", 2).label
'order_placed[amount>100]'
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NoReturn

from bowtie.durations import parse_duration
from bowtie.errors import DefinitionError, UsageError
from bowtie.events import CATALOGUE, PERSONAL_NAMES
from bowtie.stages import NUMBER_PATTERN, STAGES, Comparison
from bowtie.stages.conditions import read_condition
from bowtie.stages.document import Document
from bowtie.stages.fields import field_kind, near

__all__ = ["Exclusion", "Step", "Test", "Wanted", "parse_exclusion", "parse_step"]

_OPERATORS = {"=": "", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le"}
_NAME = re.compile(r"(?P<stage>stage:)?(?P<name>[A-Za-z_][\w.-]*)\s*")
_COMPARISON = re.compile(r"\s*(?P<field>[^\s=!<>\[\],|\"]+)\s*(?P<op>!=|>=|<=|=|>|<)\s*")
_VALUE = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[\w.:/+-]+))\s*')
_TAIL = re.compile(r"\s+(?P<word>after|within|as)\s+(?P<value>\"[^\"]*\"|\S+)")
_NUMBER = re.compile(NUMBER_PATTERN)
_SPAN = re.compile(r"^(?P<what>.*)@\s*(?P<after>\d+)\s*-\s*(?P<before>\d+)\s*$", re.DOTALL)
_KEYS = ("event", "where", "stage", "any", "label", "optional", "after", "within")


@dataclass(frozen=True, slots=True)
class Test:
    """One thing that a step may be: an event whose fields compare so, or a stage's entry."""

    event: str | None
    where: tuple[Comparison, ...] = ()
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A step as it is looked for.

    Args:
        tests: it is any of these.
        label: what it is called in the answer.
        optional: others go on without it.
        after, within: at least and at most so long after the step before.
    """

    tests: tuple[Test, ...]
    label: str
    optional: bool = False
    after: timedelta | None = None
    within: timedelta | None = None

    @property
    def sources(self) -> frozenset[str]:
        """The tables, and stages, that its events are of."""
        return frozenset(test.event or f"stage:{test.stage}" for test in self.tests)

    @property
    def same(self) -> frozenset[Test]:
        """What it asks for, whatever it is called."""
        return frozenset(self.tests)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What must not happen between two steps, which are counted from 1."""

    tests: tuple[Test, ...]
    label: str
    after: int
    before: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step for Python: the same as its text.

    Args:
        event: an event type of the catalogue, or ``stage:NAME``.
        where: comparisons as in a stage definition: ``{"amount": {"gt": 100}}``.
        label: what it is called in the answer; the event if nothing is said.
        optional: others go on without it.
        after: at least so long after the step before, such as ``1h``.
        within: at most so long after it.

    >>> Step("order_placed", {"amount": {"gt": 100}}, within="7d").table["within"]
    '7d'
    """

    event: str
    where: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = None
    optional: bool = False
    after: str | timedelta | None = None
    within: str | timedelta | None = None

    @property
    def table(self) -> dict[str, Any]:
        """The step as a dictionary."""
        stage = self.event.removeprefix("stage:")
        what = {"stage": stage} if stage != self.event else {"event": self.event}
        rest = {"label": self.label, "after": self.after, "within": self.within}
        return (
            what
            | ({"where": dict(self.where)} if self.where else {})
            | ({"optional": True} if self.optional else {})
            | {name: value for name, value in rest.items() if value is not None}
        )


def parse_step(
    given: str | Mapping[str, Any] | Step,
    number: int,
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Wanted:
    """The step that a text, a dictionary or a :class:`Step` asks for.

    Args:
        given: as it was written.
        number: which it is, from 1; named in what is said of mistakes.
        personal_names: traits and properties that are sealed.

    Raises:
        UsageError: it can't be read, or asks for what is not there; the message says what to write.
    """
    place = f"step {number}"
    if isinstance(given, Step):
        given = given.table
    if isinstance(given, Mapping):
        return _from_table(given, place, personal_names)
    if not isinstance(given, str):
        raise UsageError(f"{place} is {given!r}: write a text such as noted[name=cart_added]")
    text, tail = _tail(given.strip(), place)
    optional = text.endswith("?")
    tests, label = _Text(text.removesuffix("?").rstrip(), place, personal_names).tests()
    wanted = Wanted(tests, tail.get("as", label), optional)
    return _timed(wanted, place, tail.get("after"), tail.get("within"))


def parse_exclusion(
    given: str, steps: Sequence[Wanted], personal_names: Collection[str] = PERSONAL_NAMES
) -> Exclusion:
    """The exclusion ``EVENT[...]@2-3``; without the numbers it is between the first and the last.

    Raises:
        UsageError: it can't be read, or names no steps that can be.
    """
    place = f"exclude {given!r}"
    found = _SPAN.match(str(given))
    text = found["what"] if found else str(given)
    after, before = (int(found["after"]), int(found["before"])) if found else (1, len(steps))
    tests, label = _Text(text.strip(), place, personal_names).tests()
    if not 1 <= after < before <= len(steps):
        raise UsageError(
            f"{place}: there are steps 1 to {len(steps)}; write @A-B with A before B, such as @1-2"
        )
    for number in (after, before):
        if steps[number - 1].optional:
            raise UsageError(
                f"{place}: step {number} is optional, so it may not be there to count from;"
                " name steps that are not"
            )
    return Exclusion(tests, label, after, before)


def _tail(text: str, place: str) -> tuple[str, dict[str, str]]:
    """The text without its last words, and these."""
    start = text.rfind("]") + 1
    found = list(_TAIL.finditer(text, start))
    if not found:
        return text, {}
    if "".join(one[0] for one in found) != text[found[0].start() :]:
        raise UsageError(
            f"{place}: {text[found[0].start() :].strip()!r} is not understood; write after 1h,"
            ' within 7d, or as NAME (in quotes where it has spaces: as "first order")'
        )
    words = [one["word"] for one in found]
    if twice := [word for word in words if words.count(word) > 1]:
        raise UsageError(f"{place} says {twice[0]} twice")
    return text[: found[0].start()].rstrip(), {
        one["word"]: one["value"].strip('"') for one in found
    }


def _timed(wanted: Wanted, place: str, after: Any, within: Any) -> Wanted:
    spans = {
        name: None if value is None else _span(value, f"{place}, {name}")
        for name, value in (("after", after), ("within", within))
    }
    least, most = spans["after"], spans["within"]
    if least is not None and most is not None and least > most:
        raise UsageError(f"{place}: nothing is after {after} and within {within} at once")
    return replace(wanted, after=least, within=most)


def _span(value: Any, what: str) -> timedelta:
    try:
        span = value if isinstance(value, timedelta) else parse_duration(str(value))
    except UsageError as error:
        raise UsageError(f"{what}: {error}") from None
    if span <= timedelta(0):
        raise UsageError(f"{what}: write a time longer than none")
    return span


def _from_table(table: Mapping[str, Any], place: str, personal_names: Collection[str]) -> Wanted:
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"{place} has an unknown key {key!r}: {near(str(key), _KEYS)}")
    options = [table] if "any" not in table else list(table["any"])
    if not options:
        raise UsageError(f"{place} is any of nothing: name at least one event")
    found = [_one_of_table(option, place, personal_names) for option in options]
    label = table.get("label") or " | ".join(name for _, name in found)
    wanted = Wanted(tuple(test for test, _ in found), str(label), bool(table.get("optional")))
    return _timed(wanted, place, table.get("after"), table.get("within"))


def _one_of_table(
    table: Mapping[str, Any], place: str, personal_names: Collection[str]
) -> tuple[Test, str]:
    if "stage" in table:
        return _stage(str(table["stage"]), place), f"stage:{table['stage']}"
    if "event" not in table:
        raise UsageError(f'{place} names no event: write {{"event": "touched"}}')
    event, where = str(table["event"]), dict(table.get("where") or {})
    return _test(event, where, place, personal_names), event


def _stage(name: str, place: str) -> Test:
    if name not in STAGES:
        raise UsageError(f"{place}: there is no stage {name!r}: {near(name, STAGES)}")
    return Test(None, stage=name)


def _test(event: str, where: dict[str, Any], place: str, personal_names: Collection[str]) -> Test:
    """The event with its comparisons, checked as a stage's condition is."""
    events = [name for name, model in CATALOGUE.items() if model.stream_kind == "customer"]
    if event not in events:
        if event in STAGES:
            raise UsageError(f"{place}: {event} is a stage: write stage:{event}")
        close = get_close_matches(event, events, n=1)
        hint = f"did you mean {close[0]}?" if close else f"write noted[name={event}] if it is noted"
        raise UsageError(f"{place}: there is no event {event!r}; {hint}")
    document, table = Document(place, ""), {"event": event, "where": where}
    try:
        condition = read_condition(document, ("step",), table, personal_names)
    except DefinitionError as error:
        raise UsageError(str(error)) from None
    return Test(event, condition.where)


class _Text:
    """The text of one step, read from left to right."""

    def __init__(self, text: str, place: str, personal_names: Collection[str]) -> None:
        self.text, self.place, self.at = text, place, 0
        self.personal_names = personal_names

    def tests(self) -> tuple[tuple[Test, ...], str]:
        """What the step may be, and its text in one spelling."""
        found = [self._test()]
        while self._take("|"):
            found.append(self._test())
        if self.at != len(self.text):
            self._fail(f"{self.text[self.at :]!r} is not understood")
        return tuple(test for test, _ in found), " | ".join(label for _, label in found)

    def _test(self) -> tuple[Test, str]:
        self._space()
        found = _NAME.match(self.text, self.at)
        if found is None:
            self._fail("an event's name is missing")
        self.at = found.end()
        if found["stage"]:
            return _stage(found["name"], self.place), f"stage:{found['name']}"
        where: dict[str, Any] = {}
        start = self.at
        if self._take("["):
            self._comparison(found["name"], where)
            while self._take(","):
                self._comparison(found["name"], where)
            if not self._take("]"):
                self._fail("a ] is missing")
        label = found["name"] + self.text[start : self.at].rstrip()
        self._space()
        return _test(found["name"], where, self.place, self.personal_names), label

    def _comparison(self, event: str, where: dict[str, Any]) -> None:
        found = _COMPARISON.match(self.text, self.at)
        if found is None:
            self._fail("a comparison is missing: write FIELD=VALUE")
        self.at = found.end()
        name, op = found["field"], _OPERATORS[found["op"]]
        values = [self._value(event, name)]
        while self._take("|"):
            values.append(self._value(event, name))
        if not op and name not in where:
            where[name] = values
            return
        told = where.setdefault(name, {})
        if not op or not isinstance(told, dict) or op in told:
            self._fail(f"{name} is compared twice in one way; write {name}=A|B for either value")
        if len(values) > 1:
            self._fail(f"{name}{found['op']} takes one value")
        told[op] = values[0]

    def _value(self, event: str, name: str) -> Any:
        found = _VALUE.match(self.text, self.at)
        if found is None:
            self._fail(f'the value of {name} is missing; write it in quotes: {name}="any text"')
        self.at = found.end()
        if found["quoted"] is not None:
            return re.sub(r"\\(.)", r"\1", found["quoted"])
        return _typed(found["bare"], _kind(event, name))

    def _take(self, sign: str) -> bool:
        self._space()
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def _space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _fail(self, problem: str) -> NoReturn:
        raise UsageError(
            f"{self.place}: {problem} in {self.text!r}; write a step such as"
            " noted[name=cart_added] or order_placed[amount>100]"
        ) from None


def _kind(event: str, name: str) -> str:
    """The kind of a field, where there is such an event and field."""
    model, own = CATALOGUE.get(event), name.partition(".")[0]
    if model is None or own not in model.model_fields:
        return "text"
    return field_kind(model, own)[0]


def _typed(bare: str, kind: str) -> Any:
    """A value without quotes, as what its field holds."""
    if kind in ("flag", "map") and bare in ("true", "false"):
        return bare == "true"
    if kind == "whole" and re.fullmatch(r"-?\d{1,18}", bare):
        return int(bare)
    if kind == "map" and _NUMBER.fullmatch(bare):
        return Decimal(bare)
    return bare
