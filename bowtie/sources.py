"""From a log file to lines that can be checked, whatever it is written in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, Self

import msgspec

from bowtie.checking import Line
from bowtie.errors import EventRejected, FileError
from bowtie.logs import LogFile, Mapper, Mapping, Unmapped, open_log
from bowtie.logs.lines import CHUNK_LINES
from bowtie.logs.rows import Format

__all__ = ["LogLines", "export_header", "open_lines"]

_HEADER = b'{"bowtie_export"'


class LogLines:
    """The events of a log, as lines in chunks.

    Attributes:
        name: the log, as it was named.
        header: the header line of an export, once reading has begun.
    """

    def __init__(self, log: LogFile, mapper: Mapper | None) -> None:
        self._log, self._mapper = log, mapper
        self.name = log.name
        self.header: dict[str, Any] | None = None

    @property
    def unused(self) -> int:
        """Rows of which the mapping made no event, so far."""
        return 0 if self._mapper is None else self._mapper.unused

    @property
    def unchanged(self) -> int:
        """Events that the mapping left out because they say nothing, or nothing new, so far."""
        return 0 if self._mapper is None else self._mapper.unchanged

    def chunks(self) -> Iterator[list[Line]]:
        """The lines, some thousands at a time; damage raises after what is good."""
        return self._plain() if self._mapper is None else self._mapped(self._mapper)

    @property
    def size(self) -> int | None:
        """Bytes of the file, where it can be known."""
        return self._log.size

    @property
    def consumed(self) -> int:
        """Bytes of it read so far."""
        return self._log.consumed

    def _plain(self) -> Iterator[list[Line]]:
        for chunk in self._log.chunks():
            lines = [
                Line(number, raw) for number, raw in zip(chunk.numbers, chunk.lines, strict=True)
            ]
            for index, problem in (chunk.problems or {}).items():
                lines[index].rejected = EventRejected("unreadable", problem)
            if self.header is None and lines[0].raw.startswith(_HEADER):
                self.header = export_header(lines[0].raw)
                if self.header is not None:  # a damaged one is parked, as any line
                    del lines[0]
            yield lines

    def _mapped(self, mapper: Mapper) -> Iterator[list[Line]]:
        chunk: list[Line] = []
        try:
            for row, made in mapper.over(self._log):
                chunk += [_line(row.line, one) for one in made]
                if len(chunk) >= CHUNK_LINES:
                    yield chunk
                    chunk = []
        except FileError:
            yield chunk  # what is good comes before the damage
            raise
        yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()


def _line(number: int, made: dict[str, Any] | Unmapped) -> Line:
    if isinstance(made, Unmapped):
        refused = EventRejected(made.reason, made.problem)
        return Line(number, made.raw, refused, made.subject)
    return Line(number, _ENCODE(made))


_ENCODE = msgspec.json.Encoder().encode


def export_header(line: bytes) -> dict[str, Any] | None:
    """The header of an export; None where the line is none."""
    try:
        header = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return header if "bowtie_export" in header else None


def open_lines(
    log: str | os.PathLike[str] | BinaryIO, mapping: Mapping | None, format: Format | None
) -> LogLines:
    """Open a log, of events or of foreign rows that a mapping turns into events.

    Raises:
        FileError: it can't be opened, or lacks a column that the mapping reads.
    """
    opened = open_log(log, format=format, options=mapping.options if mapping else None)
    try:
        return LogLines(opened, None if mapping is None else mapping.begin(opened))
    except BaseException:
        opened.close()
        raise
