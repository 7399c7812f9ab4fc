"""The read tables as Parquet files, for other tools."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.errors import FileError
from bowtie.replacing import replacing
from bowtie_projections.databases.asking import Reader
from bowtie_projections.databases.contract import Tables
from bowtie_projections.results import Result
from bowtie_projections.tables import metadata

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["export_tables"]

#: How many positions of a table are held in memory at once.
_SPAN = 500_000


def export_tables(tables: Tables, folder: str | os.PathLike[str]) -> dict[str, int]:
    """Write each read table to ``FOLDER/NAME.parquet``; the rows of each.

    All files are of one state of the tables. Times are in UTC. A file is put in place when it is
    complete.

    Raises:
        FileError: the folder or a file can't be written.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tables.read() as reader:
            return {table.name: _export(reader, table, target) for table in metadata.sorted_tables}
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(str(target), f"can't be written: {error.strerror or error}") from None


def _export(reader: Reader, table: sa.Table, folder: Path) -> int:
    import pyarrow.parquet as pq

    pieces = _pieces(reader, table)
    first = next(pieces)
    with (
        replacing(folder / f"{table.name}.parquet") as file,
        pq.ParquetWriter(file, first.schema, compression="zstd") as writer,
    ):
        rows = first.num_rows
        writer.write_table(first)
        for piece in pieces:
            writer.write_table(piece)
            rows += piece.num_rows
    return rows


def _pieces(reader: Reader, table: sa.Table) -> Iterator[pa.Table]:
    """The rows in order, some at a time; at least one piece, which may be empty."""
    if table.name not in _BY_POSITION:
        key = [table.c[name] for name in _KEYS.get(table.name, ())]
        yield _fetched(reader, sa.select(table).order_by(*key))
        return
    for after in range(0, max(reader.position, 1), _SPAN):
        within = sa.and_(table.c.position > after, table.c.position <= after + _SPAN)
        yield _fetched(reader, sa.select(table).where(within).order_by(*table.c))


def _fetched(reader: Reader, rows: sa.Select[Any]) -> pa.Table:
    return Result("export", reader.fetch(rows)).to_arrow()


_KEYS = {"journeys": ("customer", "cycle")}
_BY_POSITION = frozenset(
    table.name
    for table in metadata.sorted_tables
    if "position" in table.columns and table.name != "bowtie_tables"
)
