"""Tests as one types them: ``plan=pro``, ``size>=50``, ``channel=web``, ``stage=selection``."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from bowtie.errors import DefinitionError, UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.segments.reading import FIRST_TOUCH, segment_of
from bowtie.segments.segment import Segment
from bowtie.stages.definition import NUMBER_PATTERN

__all__ = ["segment_where"]

_WRITTEN = re.compile(
    r"\s*(?P<name>[^=<>!]+?)\s*(?P<op>>=|<=|!=|=|>|<)\s*(?P<value>.*?)\s*", re.DOTALL
)
_OPS = {">=": "ge", "<=": "le", ">": "gt", "<": "lt"}
_NUMBER = re.compile(NUMBER_PATTERN)
_EXAMPLES = (
    "plan=pro, size>=50, channel=web|search, stage=selection, entered!=commitment, value>=1000"
)
#: Fields of the contract that was paid for.
_CONTRACT = ("motion", "offering", "partner")


def segment_where(
    where: str | Sequence[str], personal_names: Collection[str] = PERSONAL_NAMES
) -> Segment:
    """The segment of those for whom all tests hold, each a text.

    Args:
        where: ``NAME`` ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=`` ``VALUE``; several values
            after ``=`` are parted by ``|``. A name is a field of the first touch (``channel``, ...)
            or of a paid contract (``motion``, ``offering``, ``partner``), ``stage`` (stands in it),
            ``entered`` (a stage), ``value`` (revenue), else a trait; ``trait.NAME`` is always one.
        personal_names: traits that are sealed.

    Raises:
        UsageError: a text that is no test; the message says what to write.

    >>> print(segment_where(["plan=pro", "stage!=selection"]).test)
    plan is pro and not (stands in selection)
    """
    tests = [where] if isinstance(where, str) else list(where)
    if not tests:
        raise UsageError(f"where names no test: write one such as {_EXAMPLES}")
    content = {"all": [_test(one) for one in tests]}
    try:
        found = segment_of(content, personal_names)
    except DefinitionError as error:
        raise UsageError(f"where {' and '.join(tests)!r}: {error.problem}") from None
    return Segment(" and ".join(map(str.strip, tests)), None, "", found.test)


def _test(written: str) -> dict[str, Any]:
    found = _WRITTEN.fullmatch(str(written))
    if found is None or not found["value"]:
        raise UsageError(f"where is {written!r}: write a test such as {_EXAMPLES}")
    name, op, value = found["name"], found["op"], found["value"]
    if name in {"stage", "entered"}:
        return _stage(name, op, value, written)
    if name == "value":
        if op not in _OPS:
            raise UsageError(f"where {written!r}: value is compared by >=, <=, > or <")
        return {"value": {_OPS[op]: value}}
    if name in FIRST_TOUCH:
        return {"first_touch": {name: _text(op, value, written)}}
    if name in _CONTRACT:
        fields = {"kind": "paid", name: _text(op, value, written)}
        return {"event": "contract_signed", "where": fields}
    return {"traits": {name.removeprefix("trait."): _of_map(op, value, written)}}


def _stage(name: str, op: str, value: str, written: str) -> dict[str, Any]:
    if op not in {"=", "!="}:
        raise UsageError(f"where {written!r}: a stage is compared by = or !=")
    test = {"stands_in" if name == "stage" else "entered": _values(value)}
    return test if op == "=" else {"not": [test]}


def _text(op: str, value: str, written: str) -> Any:
    if op in _OPS:
        raise UsageError(f"where {written!r}: a text is compared by = or !=")
    return _values(value) if op == "=" else {"ne": value}


def _of_map(op: str, value: str, written: str) -> Any:
    """A value of a map is a text or a number; who types one can't say which."""
    if op == "!=":
        return {"ne": value}
    if op in _OPS:
        if not _NUMBER.fullmatch(value):
            raise UsageError(f"where {written!r}: {op} compares numbers, and {value!r} is none")
        return {_OPS[op]: Decimal(value)}
    numbers = [Decimal(one) for one in _values(value) if _NUMBER.fullmatch(one)]
    return [*_values(value), *numbers]


def _values(value: str) -> list[str]:
    return [one.strip() for one in value.split("|")]
