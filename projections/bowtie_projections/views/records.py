"""Small files that people write, CSV or TOML, each record with its line for who mends it."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from bowtie.errors import FileError, UsageError

__all__ = ["number", "records"]

Record = tuple[int, Mapping[str, Any]]
#: What is wrong with the names of a record's fields, if anything is.
Check = Callable[[Sequence[str]], str | None]


def records(file: Path, name: str, check: Check) -> list[Record]:
    """The records of a CSV or TOML file, each with the line it begins in.

    Args:
        file: ``.toml``, or CSV with a header by any other name.
        name: what one is called: TOML has a table ``[[name]]`` for each.
        check: says what is wrong with the names of the fields.

    Raises:
        FileError: the file can't be read, or what it holds is no such record.
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is no text in UTF-8"
        raise FileError(str(file), f"can't be read: {problem}") from None
    if file.suffix.lower() == ".toml":
        return list(_of_toml(str(file), text, name, check))
    return list(_of_csv(str(file), text, check))


def number(written: Any) -> Decimal:
    """A number as people write one: 1200, 0.35 or 35%.

    >>> number("35%"), number("1200"), number(0.5)
    (Decimal('0.35'), Decimal('1200'), Decimal('0.5'))

    Raises:
        UsageError: it is none.
    """
    text = str(written).strip()
    try:
        value = Decimal(text.removesuffix("%"))
    except InvalidOperation:
        value = Decimal("NaN")
    if isinstance(written, bool) or not value.is_finite():
        raise UsageError(f"{text!r} is no number: write 1200, 0.35 or 35%, without commas")
    return value / 100 if text.endswith("%") else value


def _of_csv(file: str, text: str, check: Check) -> Iterator[Record]:
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
                _check(file, line, names, check)
                continue
            if len(cells) != len(names):
                problem = f"has {len(cells)} cells, and the header {len(names)}"
                raise FileError(file, problem, line)
            yield line, dict(zip(names, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise FileError(file, f"is no CSV: {error}", begin) from None
    if names is None:
        raise FileError(file, "is empty: write a header, and a line for each")


def _of_toml(file: str, text: str, name: str, check: Check) -> Iterator[Record]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(file, f"is no TOML: {error}") from None
    found = document.pop(name, None)
    if document or not isinstance(found, list):
        raise FileError(file, f"write a table [[{name}]] for each, and nothing else")
    heads = re.compile(rf"^\s*\[\[\s*{name}\s*\]\]", re.MULTILINE)
    lines = [text.count("\n", 0, head.end()) + 1 for head in heads.finditer(text)]
    # tables written in other ways, such as in one array, have no lines of their own
    lines = lines if len(lines) == len(found) else [1] * len(found)
    for line, table in zip(lines, found, strict=True):
        if not isinstance(table, dict):
            raise FileError(file, f"write a table [[{name}]] for each, and nothing else", line)
        _check(file, line, list(table), check)
        yield line, table


def _check(file: str, line: int, names: Sequence[str], check: Check) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    problem = f"has {twice[0]!r} twice" if twice else check(names)
    if problem is not None:
        raise FileError(file, problem, line)
