"""Rows of a CSV file: strict about quotes and cells, but a bad row costs only itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from bowtie.errors import FileError
from bowtie.logs.lines import line_blocks
from bowtie.logs.rows import BadRow, FormatOptions, Row

__all__ = ["CsvRows"]

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class _Feed:
    """Text lines for the csv module; remembers those of the row it is reading."""

    def __init__(self, blocks: Iterator[bytes], name: str) -> None:
        self._blocks = line_blocks(blocks, name)
        self._lines: Iterator[str] = iter(())
        self.taken: list[str] = []
        #: whether the lines at hand may hold bytes that are not UTF-8
        self.suspect = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.taken.append(line)
            return line
        _, lines = next(self._blocks)
        text = b"\n".join(lines)
        self.suspect = not _is_utf8(text)
        parts = text.decode("utf-8", "surrogateescape").split("\n")
        self._lines = iter([part + "\n" for part in parts])
        return next(self)

    def raw(self) -> bytes:
        """The text of the row being read."""
        return "".join(self.taken).rstrip("\r\n").encode("utf-8", "surrogateescape")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class CsvRows:
    """A CSV file's columns, and its rows as dicts of text.

    Raises:
        FileError: the header names a column twice, or is unreadable.
    """

    def __init__(self, blocks: Iterator[bytes], name: str, options: FormatOptions) -> None:
        self._name = name
        self._feed = _Feed(blocks, name)
        self._delimiter = options.delimiter or ("\t" if ".tsv" in name else ",")
        self._reader = csv.reader(
            self._feed, delimiter=self._delimiter, quotechar=options.quote, strict=True
        )
        self.columns = self._header()

    def _header(self) -> list[str]:
        try:
            header = next((cells for cells in self._reader if cells), [])
        except csv.Error as error:
            raise FileError(
                self._name, f"the header can't be read: {error}", self._reader.line_num
            ) from None
        line = self._reader.line_num
        if self._feed.suspect and _damaged(header):
            raise FileError(
                self._name, "the header is not UTF-8: name the encoding in the mapping", line
            )
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise FileError(
                self._name, f"the header has {', '.join(map(repr, twice))} twice: rename one", line
            )
        return header

    @property
    def hint(self) -> str:
        """What may be wrong when columns are missing: another delimiter."""
        if len(self.columns) == 1:
            for mark, word in _SEPARATORS.items():
                if mark in self.columns[0]:
                    return f" (its columns stand between {word}: say so, delimiter = {mark!r})"
        return ""

    def __iter__(self) -> Iterator[Row | BadRow]:
        reader, feed, columns, width = self._reader, self._feed, self.columns, len(self.columns)
        feed.taken.clear()
        start = reader.line_num
        while True:
            try:
                for cells in reader:
                    line, start = start + 1, reader.line_num
                    if len(cells) == width and not feed.suspect:
                        yield Row(line, dict(zip(columns, cells, strict=True)))
                    elif cells:
                        yield self._checked(line, cells)
                    feed.taken.clear()
                return
            except csv.Error as error:
                line, start = start + 1, reader.line_num
                yield BadRow(line, feed.raw(), f"not CSV: {error}{_span(line, start)}")
                feed.taken.clear()

    def _checked(self, line: int, cells: list[str]) -> Row | BadRow:
        if _damaged(cells):
            problem = "not UTF-8: write the file as UTF-8, or name its encoding in the mapping"
            return BadRow(line, self._feed.raw(), problem)
        if len(cells) != len(self.columns):
            problem = f"{len(cells)} cells, but the header has {len(self.columns)}"
            return BadRow(line, self._feed.raw(), problem)
        return Row(line, dict(zip(self.columns, cells, strict=True)))


def _span(first: int, last: int) -> str:
    return "" if last <= first else f" (lines {first} to {last})"


def _damaged(cells: list[str]) -> bool:
    """Whether a cell holds bytes that were not UTF-8 (they decode to lone surrogates)."""
    return any("\udc80" <= char <= "\udcff" for cell in cells for char in cell)
