"""A mapping file as a tree of tables that knows its lines: what is wrong is said with its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from bowtie.errors import MappingError
from bowtie.stages.fields import near
from bowtie.stages.lines import Path, line_numbers, line_of

__all__ = ["Table", "read_document"]


def read_document(text: str, name: str) -> Table:
    """The tables of a mapping file.

    Raises:
        MappingError: it is no TOML; names the line.
    """
    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        problem = re.sub(r" \(at .*\)$", "", str(error))
        if place is None:
            raise MappingError(name, f"not TOML: {problem}", text.count("\n") + 1) from None
        raise MappingError(name, f"not TOML: {problem}", int(place[1])) from None
    return Table(values, (), name, line_numbers(text))


class Table:
    """One table of the document: typed access to its keys, errors that name the line."""

    def __init__(
        self, values: dict[str, Any], path: Path, name: str, lines: dict[Path, int]
    ) -> None:
        self.values, self._path, self._name, self._lines = values, path, name, lines

    def line(self, key: str | int | None = None) -> int:
        """The line of a key, or of the nearest table around it."""
        path = self._path if key is None else (*self._path, key)
        return line_of(self._lines, path) or 1

    def error(self, problem: str, key: str | int | None = None) -> MappingError:
        """An error at a key of this table."""
        return MappingError(self._name, problem, self.line(key))

    def title(self) -> str:
        """The table by its keys, as a person would write it."""
        return ".".join(str(part) for part in self._path if isinstance(part, str))

    def only(self, known: Collection[str]) -> None:
        """Refuse keys that mean nothing here."""
        for key in self.values:
            if key not in known:
                where = self.title() or "a mapping"
                raise self.error(f"{where} has no key `{key}`: {near(key, known)}", key)

    def text(self, key: str, default: str | None = None) -> str:
        """A text that must be there, unless there is a default."""
        value = self.maybe_text(key)
        if value is not None:
            return value
        if default is None:
            raise self.error(f'`{key}` is missing: write {key} = "..."')
        return default

    def maybe_text(self, key: str) -> str | None:
        """A text, or None where the key is not there."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.error(f"`{key}` must be a text in quotes", key)
        return value

    def flag(self, key: str) -> bool:
        """True or false; false where the key is not there."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(f"`{key}` must be true or false", key)
        return value

    def texts(self, key: str) -> list[str]:
        """A text or a list of texts, as a list; empty where the key is not there."""
        value = self.values.get(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"`{key}` must be a text, or a list of texts", key)
        return value

    def choice(self, key: str, options: Collection[str], default: str) -> str:
        """One of some words."""
        value = self.text(key, default)
        if value not in options:
            raise self.error(f"`{key}` can't be {value!r}: {near(value, options)}", key)
        return value

    def table(self, key: str) -> Table:
        """A table within this one; empty where the key is not there."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(f"`{key}` must be a table", key)
        return Table(value, (*self._path, key), self._name, self._lines)

    def of(self, key: str, values: dict[str, Any]) -> Table:
        """The table that a short form such as ``key = "column"`` stands for."""
        return Table(values, (*self._path, key), self._name, self._lines)

    def tables(self, key: str) -> list[Table]:
        """The tables of an array, such as ``[[events]]``; one table counts as an array of one."""
        value = self.values.get(key, [])
        value = [value] if isinstance(value, dict) else value
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(f"`{key}` must be written as [[{key}]]", key)
        path = (*self._path, key)
        return [
            Table(item, (*path, index), self._name, self._lines) for index, item in enumerate(value)
        ]
