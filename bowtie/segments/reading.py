"""From a document to a segment: everything in it is checked, and an error names the line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, cast

from bowtie.currencies import ISO_4217
from bowtie.durations import parse_duration
from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.fields import Stage
from bowtie.segments.segment import (
    All,
    Came,
    Did,
    Either,
    Has,
    Neither,
    Segment,
    Stands,
    Test,
    Worth,
)
from bowtie.stages import STAGES
from bowtie.stages.conditions import read_condition
from bowtie.stages.document import Document
from bowtie.stages.fields import decimal_of, near
from bowtie.stages.lines import Path

__all__ = ["FIRST_TOUCH", "read_segment", "segment_of"]

#: The fields of a first touch that can be asked for.
FIRST_TOUCH = ("channel", "campaign", "medium", "touchpoint", "content")

_HEAD = ("name", "version", "title")
_GROUPS = ("all", "any", "not")
_CONDITION = (
    "event", "where", "rises", "falls", "day_total", "nth", "counted_by", "each", "after", "within",
)  # fmt: skip
#: The keys beside the one that says what a test is of.
_BESIDE: dict[str, tuple[str, ...]] = {
    "traits": (),
    "first_touch": (),
    "entered": ("last",),
    "stands_in": (),
    "not_yet": (),
    "event": (*_CONDITION[1:], "last", "span"),
    "value": ("currency", "last"),
    "all": (),
    "any": (),
    "not": (),
}
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_SHAPE = '[[all]] and under it traits = { plan = "pro" }'
_ADVICE = 'write text in quotes, tables as [[all]], key = "value" on one line'


def read_segment(name: str, text: str, personal_names: Collection[str] = PERSONAL_NAMES) -> Segment:
    """The segment that a TOML text describes.

    Args:
        name: the file or document, for messages.
        text: the TOML.
        personal_names: traits and properties that are sealed, and so can't be asked for.

    Raises:
        DefinitionError: something in it is wrong; the message names the line and says what to
            write instead.

    >>> print(read_segment("large.toml", '''
    ... name = "large"
    ... version = 1
    ... [[all]]
    ... traits = { size = { ge = 50 } }
    ... [[not]]
    ... entered = "commitment"
    ... ''').test)
    size >= 50 and not (entered commitment)
    """
    document = Document(name, text, advice=_ADVICE)
    own, version, title = _head(document)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    test = _Reader(document, personal_names).whole()
    return Segment(own, version, title, test, text, sha256)


def segment_of(
    content: Mapping[str, Any], personal_names: Collection[str] = PERSONAL_NAMES
) -> Segment:
    """The segment that a dictionary describes: the same keys, without a name if it needs none.

    >>> print(segment_of({"all": [{"entered": "selection"}]}).test)
    entered selection

    Raises:
        DefinitionError: something in it is wrong.
    """
    document = Document.of(str(content.get("name", "segment")), content)
    test = _Reader(document, personal_names).whole()
    if "name" not in content:
        return Segment(str(test), None, "", test)
    own, version, title = _head(document)
    return Segment(own, version, title, test)


def _head(document: Document) -> tuple[str, int, str]:
    content = document.content
    name, version, title = (content.get(key) for key in _HEAD)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        where: Path = ("name",) if "name" in content else ()
        document.fail(
            where, 'a segment has a name of small letters, digits, - and _: write name = "large"'
        )
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        where = ("version",) if "version" in content else ()
        document.fail(where, "a segment has a version, a whole number from 1: write version = 1")
    if title is not None and not isinstance(title, str):
        document.fail(("title",), '"title" is a text: write title = "What it is for"')
    return name, version, title or ""


class _Reader:
    def __init__(self, document: Document, personal_names: Collection[str]) -> None:
        self.document, self.personal_names = document, personal_names

    def whole(self) -> Test:
        """The test of the document: all of ``all``, one of ``any``, none of ``not``."""
        content = self.document.content
        self.document.known_keys((), content, (*_HEAD, *_GROUPS))
        parts: list[Test] = []
        for key in _GROUPS:
            if key not in content:
                continue
            group = self._group((key,), content[key])
            if key == "all" and isinstance(group, All):
                parts += group.parts
            elif isinstance(group, Neither):
                parts += (Neither((part,)) for part in group.parts)
            else:
                parts.append(group)
        if not parts:
            self.document.fail((), f"the segment tests nothing: write {_SHAPE}")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _group(self, path: Path, given: object) -> Test:
        key = str(path[-1])
        if not isinstance(given, list) or not given:
            self.document.fail(path, f'"{key}" is a list of tests: write [[{key}]] and its keys')
        parts = tuple(self._test((*path, number), one) for number, one in enumerate(given))
        if key == "not":
            return Neither(parts)
        if len(parts) == 1:
            return parts[0]
        return All(parts) if key == "all" else Either(parts)

    def _test(self, path: Path, given: object) -> Test:
        table = self._table(path, given)
        kinds = [key for key in _BESIDE if key in table]
        if not kinds:
            first = next(iter(table), "")
            place = (*path, first) if first else path
            self.document.fail(place, f"a test is of none of its kinds: {near(first, _BESIDE)}")
        if len(kinds) > 1:
            self.document.fail(
                (*path, kinds[1]),
                f"a test is of one thing, and this names both {kinds[0]} and {kinds[1]}: write two",
            )
        (kind,) = kinds
        self.document.known_keys(path, table, (kind, *_BESIDE[kind]))
        place = (*path, kind)
        if kind in _GROUPS:
            return self._group(place, table[kind])
        if kind == "event":
            return self._did(path, table)
        if kind == "value":
            return self._worth(path, table)
        if kind == "traits":
            return Has(self._compared(place, "traits_observed", "traits", table[kind]))
        if kind == "first_touch":
            return self._came(place, table[kind])
        return self._stands(kind, path, table)

    def _table(self, path: Path, given: object) -> dict[str, Any]:
        if not isinstance(given, dict):
            self.document.fail(path, f"a test is a table: write {_SHAPE}")
        return given

    def _compared(self, path: Path, event: str, map_name: str, given: object) -> Any:
        """Comparisons in the language of stages, which names the values of a map by the map."""
        table = self.document.table(path, given, 'traits = { plan = "pro", size = { ge = 50 } }')
        if not table:
            self.document.fail(path, f'"{path[-1]}" compares nothing: write {_SHAPE}')
        where = {map_name: table} if map_name else table
        # the condition's own path is that of the table, so that errors name its lines
        condition = {"event": event, "where": where}
        self._lend(path, (*path, "where", map_name) if map_name else (*path, "where"))
        return read_condition(self.document, path, condition, self.personal_names).where

    def _lend(self, path: Path, to: Path) -> None:
        """The lines of what stands at a path, for what is read as if it stood at another."""
        lines = self.document.lines
        lines |= {(*to, *at[len(path) :]): n for at, n in lines.items() if at[: len(path)] == path}

    def _came(self, path: Path, given: object) -> Came:
        table = self.document.table(path, given, 'first_touch = { channel = "webinar" }')
        self.document.known_keys(path, table, FIRST_TOUCH)
        return Came(self._compared(path, "touched", "", table))

    def _stands(self, kind: str, path: Path, table: dict[str, Any]) -> Test:
        place = (*path, kind)
        given = table[kind] if isinstance(table[kind], list) else [table[kind]]
        if not given:
            self.document.fail(place, f'"{kind}" names no stage: write {kind} = "selection"')
        stages = []
        for stage in given:
            if isinstance(stage, str) and stage not in STAGES:
                self.document.fail(place, f'"{stage}" is no stage: {near(stage, STAGES)}')
            stages.append(cast(Stage, self.document.choice(place, stage, STAGES)))
        if kind == "stands_in":
            return Stands("stands_in", tuple(stages))
        entered = Stands("entered", tuple(stages), self._time(path, "last", table))
        return Neither((entered,)) if kind == "not_yet" else entered

    def _did(self, path: Path, table: dict[str, Any]) -> Did:
        own = {key: value for key, value in table.items() if key in _CONDITION}
        condition = read_condition(self.document, path, own, self.personal_names)
        span = self._time(path, "span", table)
        if span is not None and (condition.nth == 1 or condition.counted_by != "event"):
            self.document.fail(
                (*path, "span"),
                '"span" is the time within which nth events fall: write nth = 2 or more, counted by'
                " event",
            )
        return Did(condition, self._time(path, "last", table), span)

    def _worth(self, path: Path, table: dict[str, Any]) -> Worth:
        place, shape = (*path, "value"), 'value = { ge = "1000" }'
        given = self.document.table(place, table["value"], shape)
        self.document.known_keys(place, given, ("gt", "ge", "lt", "le"))
        if not given:
            self.document.fail(place, f'"value" compares nothing: write {shape}')
        amounts = []
        for op, amount in given.items():
            try:
                amounts.append((cast(Any, op), decimal_of(amount, "value")))
            except ValueError as error:
                self.document.fail((*place, op), str(error))
        currency = table.get("currency")
        if currency is not None and not (isinstance(currency, str) and currency in ISO_4217):
            self.document.fail((*path, "currency"), '"currency" is a code such as "EUR"')
        return Worth(tuple(amounts), currency, self._time(path, "last", table))

    def _time(self, path: Path, key: str, table: dict[str, Any]) -> timedelta | None:
        if key not in table:
            return None
        try:
            found = parse_duration(str(table[key]))
        except UsageError as error:
            self.document.fail((*path, key), f'"{key}": {error}')
        if not found:
            self.document.fail((*path, key), f'"{key}" is no time at all: write {key} = "30d"')
        return found
