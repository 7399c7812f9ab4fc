r"""Where in a TOML text each table, key and value begins, so that an error can name the line.

The standard library's reader gives values without their places. This finds the places in a text
that the reader has already accepted, so it never has to judge the syntax.

>>> lines = line_numbers('name = "b2b"\n[[stages.growth]]\nevent = "referred"\n')
>>> lines[("name",)], lines[("stages", "growth", 0)], lines[("stages", "growth", 0, "event")]
(1, 2, 3)
"""

from __future__ import annotations

import re
import tomllib

__all__ = ["Path", "line_numbers", "line_of"]

#: The way to a value from the top of the document: keys, and numbers in arrays.
Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def line_numbers(text: str) -> dict[Path, int]:
    """The line (from 1) of each table, key and array element of a valid TOML text."""
    return _Scanner(text).scan()


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of a path, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.lines: dict[Path, int] = {}
        self.counts: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        """The line of each path in the text."""
        table: Path = ()
        self._skip_blank()
        while self.place < len(self.text):
            if self.text[self.place] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()
        return self.lines

    def _skip_blank(self) -> None:
        found = _BLANK.match(self.text, self.place)
        self.place = found.end() if found else self.place

    def _note(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, self.place) + 1)

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``; a part that names an array means its newest element."""
        is_array = self.text.startswith("[[", self.place)
        start = self.place
        self.place += 2 if is_array else 1
        keys = self._keys()
        end, self.place = self.place, start
        path: Path = ()
        for depth, key in enumerate(keys, start=1):
            path = (*path, key)
            self._note(path)
            if is_array and depth == len(keys):
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
                self._note(path)
        self.place = end + (2 if is_array else 1)
        return path

    def _keys(self) -> list[str]:
        """A dotted key; ends at the sign after it."""
        keys = []
        while True:
            self._skip_blank()
            quoted = _STRINGS.match(self.text, self.place)
            found = quoted or _BARE_KEY.match(self.text, self.place)
            if found is None:  # pragma: no cover - the text has been read without an error
                raise ValueError(f"no key at {self.place}")
            keys.append(_plain(found[0]) if quoted else found[0])
            self.place = found.end()
            self._skip_blank()
            if not self.text.startswith(".", self.place):
                return keys
            self.place += 1

    def _pair(self, table: Path) -> None:
        start = self.place
        keys = self._keys()
        end, self.place = self.place, start
        for depth in range(1, len(keys) + 1):
            self._note((*table, *keys[:depth]))
        self.place = end + 1
        self._value((*table, *keys))

    def _value(self, path: Path) -> None:
        self._skip_blank()
        sign = self.text[self.place : self.place + 1]
        if sign == "{":
            self._members(path, "}")
        elif sign == "[":
            self._members(path, "]")
        else:
            found = _STRINGS.match(self.text, self.place) or _SCALAR.match(self.text, self.place)
            self.place = found.end() if found else len(self.text)

    def _members(self, path: Path, closing: str) -> None:
        """The pairs of an inline table, or the elements of an array."""
        self.place += 1
        number = 0
        self._skip_blank()
        while not self.text.startswith(closing, self.place):
            if closing == "}":
                self._pair(path)
            else:
                self._note((*path, number))
                self._value((*path, number))
            number += 1
            self._skip_blank()
            if self.text.startswith(",", self.place):
                self.place += 1
                self._skip_blank()
        self.place += 1


def _plain(key: str) -> str:
    """A quoted key without its quotes; escapes are read by the TOML reader itself."""
    return next(iter(tomllib.loads(f"{key} = 0")))
