"""A TOML document being checked: its tables, and errors that name the line of what is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NoReturn, Self

from bowtie.errors import DefinitionError
from bowtie.stages.fields import near
from bowtie.stages.lines import Path, line_numbers, line_of

__all__ = ["Document"]

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END = re.compile(r" \(at end of document\)$")
_ADVICE = "write text in quotes, tables as [[stages.awareness]], key = value on one line"


class Document:
    """A definition's text, read; every complaint about it goes through :meth:`fail`.

    Raises:
        DefinitionError: the text is not TOML.
    """

    def __init__(self, name: str, text: str, *, advice: str = _ADVICE) -> None:
        self.name, self.text, self._advice = name, text, advice
        try:
            self.content: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            self._fail_unreadable(str(error))
        self.lines = line_numbers(text)

    @classmethod
    def of(cls, name: str, content: Mapping[str, Any]) -> Self:
        """A document that was never written as TOML; it has no lines."""
        document = cls(name, "")
        document.content = {key: _exact(value) for key, value in content.items()}
        return document

    def _fail_unreadable(self, message: str) -> NoReturn:
        at_line = _AT_LINE.search(message)
        line = int(at_line[1]) if at_line else None
        if _AT_END.search(message):
            line = self.text.rstrip("\n").count("\n") + 1
        problem = _AT_END.sub("", _AT_LINE.sub("", message))
        told = f"not valid TOML: {problem[:1].lower()}{problem[1:]} ({self._advice})"
        raise DefinitionError(self.name, told, line) from None

    def fail(self, path: Path, problem: str) -> NoReturn:
        """Say what is wrong at a path, with its line."""
        raise DefinitionError(self.name, problem, line_of(self.lines, path)) from None

    def table(self, path: Path, value: object, shape: str) -> dict[str, Any]:
        """The value, if it is a table."""
        if not isinstance(value, dict):
            self.fail(path, f'"{path[-1]}" is a table: write {shape}')
        return value

    def known_keys(self, path: Path, table: dict[str, Any], known: Iterable[str]) -> None:
        """Refuse keys that mean nothing."""
        known = list(known)
        for key in table:
            if key not in known:
                self.fail((*path, key), f'unknown key "{key}": {near(key, known)}')

    def choice(self, path: Path, value: object, choices: Iterable[str]) -> str:
        """The value, if it is one of the choices."""
        choices = list(choices)
        if not isinstance(value, str):
            self.fail(path, f'"{path[-1]}" is a text: write one of {", ".join(choices)}')
        if value not in choices:
            self.fail(path, f'"{path[-1]}" can\'t be "{value}": {near(value, choices)}')
        return value


def _exact(value: Any) -> Any:
    """The value as TOML would give it: numbers with a point as decimals, sequences as lists."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, Mapping):
        return {str(key): _exact(inner) for key, inner in value.items()}
    return [_exact(inner) for inner in value] if isinstance(value, (list, tuple)) else value
