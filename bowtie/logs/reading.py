"""Log files: opened by path, ``-`` or stream, and read as chunks of lines or as rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import PurePath
from typing import Any, BinaryIO, Self, get_args

import msgspec

from bowtie.errors import UsageError
from bowtie.logs.csv_rows import CsvRows
from bowtie.logs.lines import Chunk, line_chunks
from bowtie.logs.parquet_rows import ParquetRows
from bowtie.logs.rows import BadRow, Format, FormatOptions, Row
from bowtie.logs.streams import Source, open_source, text_blocks
from bowtie.logs.wire_rows import check_columns, wire_chunks

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
    options = options or FormatOptions()
    if format is not None and format not in get_args(Format):
        raise UsageError(f"format {format!r} is not known: jsonl, csv or parquet")
    opened = open_source(source)
    try:
        return LogFile(opened, format or options.type or _told(opened, options), options)
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


def _told(source: Source, options: FormatOptions) -> Format:
    """The format by the first bytes, then by the name; a stream without either is JSON lines.

    With options that speak of CSV a nameless stream is CSV, unless it opens with an object.
    """
    head = source.peek()
    if not head:
        return "jsonl"  # an empty file has no lines, whatever it is called
    if head.startswith(_PARQUET):
        return "parquet"
    named = format_of_name(source.name)
    if named is not None:
        return named
    starts = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return "csv" if options.delimiter and starts != b"{" else "jsonl"


class LogFile:
    """An opened file. It is read once, as :meth:`chunks` or as :meth:`rows`.

    Attributes:
        name: the file, as it was named.
        format: ``jsonl``, ``csv`` or ``parquet``.
        columns: the columns of a CSV or Parquet file; None for JSON lines.
    """

    def __init__(self, source: Source, format: Format, options: FormatOptions) -> None:
        self._source = source
        self.name, self.format = source.name, format
        self._table: CsvRows | ParquetRows | None = None
        if format == "parquet":
            self._table = ParquetRows(source)
        elif format == "csv":
            self._table = CsvRows(text_blocks(source, options.encoding), self.name, options)
        else:
            self._blocks = text_blocks(source, options.encoding)
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
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
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
