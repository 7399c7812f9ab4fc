"""Rows of a Parquet file, a batch at a time, as Python values. Loads pyarrow when first used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import msgspec

from bowtie.errors import FileError
from bowtie.logs.rows import BadRow, Row
from bowtie.logs.streams import Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetRows"]

_BATCH = 20_000
_IN_MEMORY = 64 << 20
#: Stands for a value that Python can't hold: text that is no UTF-8, a day beyond its years.
_UNREADABLE = object()


class ParquetRows:
    """A Parquet file's columns, and its rows as dicts of Python values; NaN is None.

    Raises:
        FileError: it is damaged, or cut off (its directory stands at the end).
    """

    def __init__(self, source: Source) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._source = source
        self._spool: IO[bytes] | None = None
        try:
            self._file = pq.ParquetFile(self._seekable())
        except (pa.ArrowException, OSError, ValueError) as error:
            self.close()
            raise self._damaged(error) from None
        self.columns: list[str] = self._file.schema_arrow.names
        self.rows: int = self._file.metadata.num_rows

    def _seekable(self) -> Any:
        source = self._source
        if source.owned and source.compression is None:
            source.raw.seek(0)
            return source.raw
        # a pipe, or packed again: Parquet is read from its end
        self._spool = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed with the log
        for block in source.blocks():
            self._spool.write(block)
        self._spool.seek(0)
        return self._spool

    def close(self) -> None:
        """Let go of the copy that a pipe or a packed file needs."""
        if self._spool is not None:
            self._spool.close()

    def _damaged(self, error: Exception) -> FileError:
        if isinstance(error, FileError):
            return error
        text = str(error).splitlines()[0].rstrip(".")
        return FileError(
            self._source.name, f"is no whole Parquet file ({text}): write or fetch it again"
        )

    def __iter__(self) -> Iterator[Row | BadRow]:
        import pyarrow as pa

        number, names = 1, self.columns
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH):
                columns, whole = _read(batch)
                for number, row in enumerate(columns, number):  # noqa: B020  # goes on from there
                    values = dict(zip(names, row, strict=True))
                    yield Row(number, values) if whole else _checked(number, values)
                number += 1
                self._source.consumed = (number - 1) * (self._source.size or 0) // (self.rows or 1)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None


def _read(batch: pa.RecordBatch) -> tuple[Iterator[tuple[Any, ...]], bool]:
    """The rows of a batch, and whether all their values could be read."""
    import pyarrow as pa

    columns, whole = [], True
    for column in batch.columns:
        try:
            columns.append(_python(column))
        except (pa.ArrowException, ValueError, OverflowError):
            columns.append([_one(column, index) for index in range(len(column))])
            whole = False
    return zip(*columns, strict=True), whole


def _one(column: pa.Array[Any], index: int) -> Any:
    import pyarrow as pa

    try:
        return _python(column.slice(index, 1))[0]
    except (pa.ArrowException, ValueError, OverflowError):
        return _UNREADABLE


def _checked(number: int, values: dict[str, Any]) -> Row | BadRow:
    """A row that costs only itself where a value of it can't be read."""
    bad = [name for name, value in values.items() if value is _UNREADABLE]
    if not bad:
        return Row(number, values)
    readable = {name: str(value) for name, value in values.items() if value is not _UNREADABLE}
    return BadRow(
        number,
        msgspec.json.encode(readable),
        f"column {bad[0]!r} holds text that is not UTF-8, or a time beyond the years there are",
    )


def _python(column: pa.Array[Any]) -> list[Any]:
    """A column as Python values that lose nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _python(column.dictionary_decode())  # type: ignore[attr-defined]
    if pa.types.is_timestamp(kind):  # nanoseconds would need pandas; a zone is kept as UTC
        micros = pa.timestamp("us", "UTC" if kind.tz else None)
        column = column.cast(micros, safe=kind.unit != "ns")  # what is too large must not wrap
    if pa.types.is_floating(kind):
        if kind.bit_width < 64:  # 2.55 as a 32-bit float means 2.55, not 2.549999952316284
            column = column.cast(pa.string()).cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), None, column)
    values: list[Any] = column.to_pylist()
    return values
