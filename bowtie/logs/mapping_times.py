"""Times of foreign files, read with their format and zone, written as the wire does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bowtie.errors import EventRejected
from bowtie.logs.mapping_columns import Columns
from bowtie.logs.mapping_document import Table
from bowtie.times import EPOCH, iso

__all__ = ["Moment", "TakeTime", "compile_time", "day_reader"]

#: A time on the wire, and whether only its day is known.
Moment = tuple[str, bool]
TakeTime = Callable[[dict[str, Any]], Moment | None]

_KEYS = ("column", "format", "zone", "precision")
_UNITS = {"unix": 1, "unix_ms": 1_000, "unix_us": 1_000_000}
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_DAY_ONLY = re.compile(r"\d{4}-?\d{2}-?\d{2}|\d{4}-?W\d{2}(-?\d)?")
_HOURS = ("%H", "%I", "%X", "%c", "%s")


def compile_time(
    parent: Table, key: str, columns: Columns, *, end_of_day: bool = False
) -> TakeTime:
    """The function that takes a time from a row; None where the cell is empty.

    ``key = "column"`` or ``key = { column, format, zone, precision }``. With ``end_of_day``, what
    is only a day is its last microsecond.
    """
    value = parent.values.get(key)
    spec = parent.of(key, {"column": value}) if isinstance(value, str) else parent.table(key)
    spec.only(_KEYS)
    column = spec.text("column")
    get = columns.get(column, spec, "column")
    day = spec.choice("precision", ("exact", "day"), "exact") == "day"
    read = _reader(spec)
    zone = _zone(spec)

    @lru_cache(maxsize=8192)  # neighbouring rows often have the same time
    def moment(value: Any) -> Moment:
        when, only_day = read(value)
        only_day = only_day or day
        if end_of_day and only_day:
            when = datetime.combine(when, time.max, when.tzinfo)
        return _in_utc(when, zone), only_day

    def take(row: dict[str, Any]) -> Moment | None:
        value = get(row)
        if value is None:
            return None
        try:
            return moment(value)
        except EventRejected as error:
            raise EventRejected(error.reason, f"{key}: column {column}: {error.problem}") from None
        except TypeError:  # a list or a dict
            raise EventRejected("invalid", f"{key}: column {column} holds no time") from None

    return take


def _zone(spec: Table) -> tzinfo | None:
    name = spec.maybe_text("zone")
    if name is None:
        return None
    if offset := _OFFSET.fullmatch(name):
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-shift if offset[1] == "-" else shift)
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise spec.error(
            f"zone {name!r} is not known: write such as Europe/London, UTC or +01:00", "zone"
        ) from None


def _in_utc(when: datetime, zone: tzinfo | None) -> str:
    """A time without an offset is of the zone; an hour that comes twice is the first one."""
    if when.tzinfo is None:
        if zone is None:
            raise EventRejected(
                "naive_time",
                f"{when.isoformat()} has no zone: say in the mapping which it is,"
                ' such as zone = "Europe/London"',
            )
        when = when.replace(tzinfo=zone)
    try:
        if when.tzinfo is UTC:  # quicker, for most files
            return f"{when.replace(tzinfo=None).isoformat()}Z"
        return iso(when)
    except OverflowError:
        raise EventRejected("invalid", f"{when.isoformat()} is out of range") from None


def _reader(spec: Table) -> Callable[[Any], tuple[datetime, bool]]:
    """The function that reads one cell: the time, and whether it holds no time of day."""
    form = spec.text("format", "iso")
    if form in _UNITS:
        return _unix_reader(_UNITS[form])
    if form == "iso":
        return _read_iso
    if "%" not in form:
        raise spec.error(
            f"format {form!r} is not known: write iso, unix, unix_ms, unix_us,"
            " or a pattern such as %d/%m/%Y %H:%M",
            "format",
        )
    day_only = not any(code in form for code in _HOURS)

    def read(value: Any) -> tuple[datetime, bool]:
        if isinstance(value, date):
            return _read_iso(value)
        text = str(value).strip()
        try:
            return datetime.strptime(text, form), day_only  # noqa: DTZ007  # its zone is added
        except ValueError:
            raise EventRejected("invalid", f"{text[:40]!r} is not written as {form}") from None

    return read


def _read_iso(value: Any) -> tuple[datetime, bool]:
    if isinstance(value, datetime):
        return value, False
    if isinstance(value, date):
        return datetime.combine(value, time.min), True
    if isinstance(value, str):
        text = value.strip()
        try:
            return datetime.fromisoformat(text), _DAY_ONLY.fullmatch(text) is not None
        except ValueError:
            pass
    raise EventRejected(
        "invalid",
        f"{str(value)[:40]!r} is no ISO time: name its format in the mapping, such as %d/%m/%Y",
    )


def _unix_reader(units: int) -> Callable[[Any], tuple[datetime, bool]]:
    def read(value: Any) -> tuple[datetime, bool]:
        try:
            number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
            micros = int((number * 1_000_000 / units).to_integral_value())
            return EPOCH + timedelta(microseconds=micros), False
        except (ArithmeticError, ValueError):
            raise EventRejected("invalid", f"{str(value)[:40]!r} is no unix time") from None

    return read


def day_reader(spec: Table) -> Callable[[Any], str]:
    """The function that reads a calendar day, as ``YYYY-MM-DD``."""
    read = _reader(spec)

    @lru_cache(maxsize=8192)
    def day(value: Any) -> str:
        return read(value)[0].date().isoformat()

    return day
