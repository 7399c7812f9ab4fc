"""Log files: opened by path, ``-`` or stream, and read as chunks of lines or as rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from pathlib import PurePath
from typing import Any, BinaryIO, Self, get_args

import msgspec

from bowtie.errors import FileError, UsageError
from bowtie.logs.csv_rows import CsvRows
from bowtie.logs.lines import Chunk, line_chunks
from bowtie.logs.parquet_rows import ParquetRows
from bowtie.logs.rows import BadRow, Format, FormatOptions, Row
from bowtie.logs.streams import Source, open_source, text_blocks
from bowtie.logs.wire_rows import REQUIRED, check_columns, wire_chunks

__all__ = ["LogFile", "format_of_name", "open_log"]

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PARQUET = b"PAR1"


def open_log(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    format: Format | None = None,
    options: FormatOptions | None = None,
) -> LogFile:
    r"""Open an event log or a foreign file: JSON lines, CSV or Parquet, plain, gzip or zstandard.

    Args:
        source: a path, ``-`` for standard input, or a binary stream.
        format: where neither the name nor the first bytes tell it.
        options: how a foreign file is written; a mapping's ``format``.

    >>> import io
    >>> log = open_log(io.BytesIO(b'{"id": "1"}\n\n{"id": "2"}\n'))
    >>> [(chunk.lines, list(chunk.numbers)) for chunk in log.chunks()]
    [([b'{"id": "1"}', b'{"id": "2"}'], [1, 3])]

    Raises:
        FileError: it can't be opened; says what to do.
    """
    if format is not None and format not in get_args(Format):
        raise UsageError(f"format {format!r} is not known: jsonl, csv or parquet")
    opened = open_source(source)
    try:
        return LogFile(opened, format, options)
    except BaseException:
        opened.close()
        raise


def format_of_name(name: str) -> Format | None:
    """What a file's name says it is, compression aside.

    >>> format_of_name("events.csv.gz"), format_of_name("notes")
    ('csv', None)
    """
    path = PurePath(name.lower())
    if path.suffix in (".gz", ".zst"):
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix)


def _told(source: Source) -> Format | None:
    """The format by the first bytes, then by the name; None where neither tells it."""
    head = source.peek()
    if not head:
        return "jsonl"  # an empty file has no lines, whatever it is called
    return "parquet" if head.startswith(_PARQUET) else format_of_name(source.name)


def _sniffed(blocks: Iterator[bytes], *, foreign: bool) -> tuple[Format, Iterator[bytes]]:
    """The format of a text without a name that says it, and the text whole again.

    It is CSV when its header is a log's, or when a mapping is to read it and it opens with no
    object; else it is JSON lines.
    """
    try:
        first = next(blocks, b"")
    except FileError as error:
        return "jsonl", map(_fail, [error])  # when it is read, not before
    header = first.split(b"\n", 1)[0].strip()
    is_log = set(header.decode(errors="replace").split(",")) >= REQUIRED
    is_csv = is_log or (foreign and not first.lstrip().startswith(b"{"))
    return "csv" if is_csv else "jsonl", chain([first], blocks)


def _fail(error: FileError) -> bytes:
    raise error


class LogFile:
    """An opened file. It is read once, as :meth:`chunks` or as :meth:`rows`.

    Attributes:
        name: the file, as it was named.
        format: ``jsonl``, ``csv`` or ``parquet``.
        columns: the columns of a CSV or Parquet file; None for JSON lines.
    """

    def __init__(
        self, source: Source, format: Format | None, options: FormatOptions | None
    ) -> None:
        written = options or FormatOptions()
        self._source = source
        self.name = source.name
        self._table: CsvRows | ParquetRows | None = None
        self._blocks = text_blocks(source, written.encoding)
        told = format or written.type or _told(source)
        if told is None:
            told, self._blocks = _sniffed(self._blocks, foreign=options is not None)
        self.format: Format = told
        if told == "parquet":
            self._table = ParquetRows(source)
        elif told == "csv":
            self._table = CsvRows(self._blocks, self.name, written)
        self.columns = self._table.columns if self._table is not None else None

    @property
    def size(self) -> int | None:
        """Bytes of the file as it is stored; None where it can't be known."""
        return self._source.size

    @property
    def consumed(self) -> int:
        """Bytes of :attr:`size` read so far."""
        return self._source.consumed

    @property
    def hint(self) -> str:
        """What may be wrong when columns are missing, in brackets, or nothing."""
        return self._table.hint if isinstance(self._table, CsvRows) else ""

    def chunks(self) -> Iterator[Chunk]:
        """The file as an event log: JSON lines as they stand, columns turned into such lines.

        Raises:
            FileError: the columns are not a log's; or, after all that is good, damage.
        """
        if self._table is None:
            yield from line_chunks(self._blocks, self.name)
            return
        check_columns(self._table.columns, self.name, self.hint)
        yield from wire_chunks(self._table)

    def rows(self) -> Iterator[Row | BadRow]:
        """The file as rows of values, for a mapping; JSON lines may hold nested values.

        Raises:
            FileError: after all that is good, damage.
        """
        return iter(self._table) if self._table is not None else self._objects()

    def _objects(self) -> Iterator[Row | BadRow]:
        decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
        for chunk in line_chunks(self._blocks, self.name):
            for number, line in zip(chunk.numbers, chunk.lines, strict=True):
                try:
                    yield Row(number, decode(line))
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    yield BadRow(number, line, f"not a JSON object: {error}")

    def close(self) -> None:
        """Close the file; a stream of the caller's stays open."""
        if isinstance(self._table, ParquetRows):
            self._table.close()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
