"""Files of targets, read with the line of each, so that what is wrong can be found."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from bowtie.errors import FileError, UsageError
from bowtie_projections.views.cohorts import period

__all__ = ["Target", "read_targets"]

_COLUMNS = ("month", "measure", "breakdown", "value")


@dataclass(frozen=True, slots=True)
class Target:
    """One figure that was planned.

    Args:
        file: where it stands.
        line: and in which line.
        month: the period it is of, as written.
        measure: the column it plans, as written.
        value: how much.
        written: the value as it was written.
        breakdown: the value of each breakdown it is of.
    """

    file: str
    line: int
    month: str
    measure: str
    value: Decimal
    written: str
    breakdown: Mapping[str, str] = field(default_factory=dict)

    def error(self, problem: str) -> FileError:
        """What is wrong with it, with its line."""
        return FileError(self.file, problem, self.line)


def read_targets(file: Path) -> list[Target]:
    """The targets of a CSV or TOML file, in its order.

    Args:
        file: ``.toml``, or CSV by any other name.

    Raises:
        FileError: it can't be read, or a line can't; the message names the line.
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is no text in UTF-8"
        raise FileError(str(file), f"can't be read: {problem}") from None
    lines = _toml_lines if file.suffix.lower() == ".toml" else _csv_lines
    return [_target(str(file), line, found) for line, found in lines(str(file), text)]


def _csv_lines(file: str, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    begin = 1
    try:
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
                _check_names(file, line, names)
                continue
            if len(cells) != len(names):
                problem = f"has {len(cells)} cells, and the header {len(names)}"
                raise FileError(file, problem, line)
            yield line, dict(zip(names, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise FileError(file, f"is no CSV: {error}", begin) from None
    if names is None:
        raise FileError(file, f"is empty: write the header {','.join(_COLUMNS)}")


def _toml_lines(file: str, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(file, f"is no TOML: {error}") from None
    found = document.pop("target", None)
    if document or not isinstance(found, list):
        raise FileError(file, "write a table [[target]] for each target, and nothing else")
    heads = re.compile(r"^\s*\[\[\s*target\s*\]\]", re.MULTILINE)
    lines = [text.count("\n", 0, head.end()) + 1 for head in heads.finditer(text)]
    # tables written in other ways, such as in one array, have no lines of their own
    lines = lines if len(lines) == len(found) else [1] * len(found)
    for line, table in zip(lines, found, strict=True):
        if not isinstance(table, dict):
            raise FileError(file, "target is a table with month, measure and value", line)
        _check_names(file, line, list(table))
        yield line, table


def _check_names(file: str, line: int, names: list[str]) -> None:
    unknown = [name for name in names if name not in _COLUMNS]
    missing = [name for name in _COLUMNS if name not in names and name != "breakdown"]
    if unknown or missing or len(set(names)) < len(names):
        what = (
            f"has no {missing[0]}" if missing else f"has {unknown[0]!r}" if unknown else "repeats"
        )
        raise FileError(file, f"{what}; the columns are {', '.join(_COLUMNS)}", line)


def _target(file: str, line: int, found: Mapping[str, Any]) -> Target:
    month = str(found["month"]).strip()
    try:
        period(month)
        breakdown = _breakdown(found.get("breakdown", ""))
        value = _value(found["value"])
    except UsageError as error:
        raise FileError(file, str(error), line) from None
    measure = str(found["measure"]).strip()
    return Target(file, line, month, measure, value, str(found["value"]), breakdown)


def _value(written: Any) -> Decimal:
    text = str(written).strip()
    try:
        number = Decimal(text.removesuffix("%"))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(written, bool) or not number.is_finite():
        raise UsageError(f"value {text!r} is no number: write 1200, 0.35 or 35%, without commas")
    return number / 100 if text.endswith("%") else number


def _breakdown(written: Any) -> dict[str, str]:
    """The pairs of ``NAME=VALUE;NAME=VALUE``, or of an object."""
    if isinstance(written, str) and written.startswith("{"):
        try:
            written = json.loads(written)
        except json.JSONDecodeError as error:
            raise UsageError(f"breakdown is no JSON: {error}") from None
    if isinstance(written, Mapping):
        return {str(name): _text(value) for name, value in written.items()}
    pairs = [pair.partition("=") for pair in str(written).split(";") if pair.strip()]
    if any(not equals or not name.strip() for name, equals, _ in pairs):
        raise UsageError(
            f"breakdown {written!r} is no NAME=VALUE; write channel=ads, or several with ; between"
        )
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if len(found) < len(pairs):
        raise UsageError(f"breakdown {written!r} names one breakdown twice")
    return found


def _text(value: Any) -> str:
    """A value as the tables write it."""
    return value if isinstance(value, str) else json.dumps(value)
