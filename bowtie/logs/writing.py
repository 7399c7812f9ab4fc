"""Event logs written: JSON lines, CSV or Parquet, plain, gzip or zstandard; whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from bowtie.logs.reading import format_of_name
from bowtie.logs.rows import Format
from bowtie.logs.wire_rows import COLUMNS, row_of_wire
from bowtie.replacing import replacing

__all__ = ["write_log"]

_BATCH = 10_000
#: One event: a CloudEvents object, or its JSON line.
Line = Mapping[str, Any] | bytes


def write_log(
    lines: Iterable[Line],
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format: Format | None = None,
) -> int:
    r"""Write events as a log that :func:`~bowtie.logs.open_log` reads back; returns their number.

    A path gets its format and compression from its suffixes (``.jsonl``, ``.csv``, ``.parquet``,
    then ``.gz`` or ``.zst``) and is put in place when complete: a reader never sees half a file.

    >>> out = io.BytesIO()
    >>> write_log([{"specversion": "1.0", "id": "1", "data": {}}], out)
    1
    >>> out.getvalue()
    b'{"specversion":"1.0","id":"1","data":{}}\n'

    Raises:
        FileError: the file can't be written; what stood there before still does.
    """
    if not isinstance(target, str | os.PathLike):
        return _WRITERS[format or "jsonl"](lines, target)
    path = Path(target)
    write = _WRITERS[format or format_of_name(path.name) or "jsonl"]
    with replacing(path) as file, _compressed(file, path.suffix) as out:
        return write(lines, out)


@contextmanager
def _compressed(file: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    if suffix.lower() == ".gz":  # no name and no time inside: the same events give the same bytes
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6) as out:
            yield cast(BinaryIO, out)
    elif suffix.lower() == ".zst":
        import zstandard

        with zstandard.ZstdCompressor(write_checksum=True).stream_writer(
            file, closefd=False
        ) as out:
            yield cast(BinaryIO, out)
    else:
        yield file


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    remaining = iter(lines)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _write_jsonl(lines: Iterable[Line], out: BinaryIO) -> int:
    encode, count = msgspec.json.encode, 0
    for batch in _batches(lines):
        texts = [line.rstrip(b"\n") if isinstance(line, bytes) else encode(line) for line in batch]
        out.write(b"\n".join(texts) + b"\n")
        count += len(batch)
    return count


def _rows(batch: list[Line]) -> list[dict[str, str | None]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    return [row_of_wire(decode(line) if isinstance(line, bytes) else line) for line in batch]


def _write_csv(lines: Iterable[Line], out: BinaryIO) -> int:
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # its line end is CR LF, so a cell that holds either is quoted
    writer.writerow(COLUMNS)
    count = 0
    for batch in _batches(lines):
        writer.writerows(row.values() for row in _rows(batch))
        out.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
        count += len(batch)
    out.write(text.getvalue().encode())
    return count


def _write_parquet(lines: Iterable[Line], out: BinaryIO) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column, pa.string()) for column in COLUMNS])
    count = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in _batches(lines):
            writer.write_table(pa.Table.from_pylist(_rows(batch), schema=schema))
            count += len(batch)
    return count


_WRITERS: dict[Format, Callable[[Iterable[Line], BinaryIO], int]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
