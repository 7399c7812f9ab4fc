"""Rows of a Parquet file, a batch at a time, as Python values. Loads pyarrow when first used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from bowtie.errors import FileError
from bowtie.logs.rows import Row
from bowtie.logs.streams import Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetRows"]

_BATCH = 20_000
_IN_MEMORY = 64 << 20


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

    def __iter__(self) -> Iterator[Row]:
        import pyarrow as pa

        number, names = 1, self.columns
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH):
                values = zip(*(_python(column) for column in batch.columns), strict=True)
                for number, row in enumerate(values, number):  # noqa: B020  # goes on from there
                    yield Row(number, dict(zip(names, row, strict=True)))
                number += 1
                self._source.consumed = (number - 1) * (self._source.size or 0) // (self.rows or 1)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None


def _python(column: pa.Array[Any]) -> list[Any]:
    """A column as Python values that lose nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _python(column.dictionary_decode())  # type: ignore[attr-defined]
    if pa.types.is_timestamp(kind):  # nanoseconds would need pandas; a zone is kept as UTC
        micros = pa.timestamp("us", "UTC" if kind.tz else None)
        column = column.cast(micros, safe=False)
    if pa.types.is_floating(kind):
        if kind.bit_width < 64:  # 2.55 as a 32-bit float means 2.55, not 2.549999952316284
            column = column.cast(pa.string()).cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), None, column)
    values: list[Any] = column.to_pylist()
    return values
