"""Rows of a file of columns: what the CSV and Parquet readers hand out, and how they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

__all__ = ["BadRow", "Format", "FormatOptions", "Row"]

Format = Literal["jsonl", "csv", "parquet"]


class Row(NamedTuple):
    """A row of a foreign file. ``line`` counts from 1: lines in text, rows in Parquet."""

    line: int
    values: dict[str, Any]


class BadRow(NamedTuple):
    """A row that can't be read; ``raw`` is its text as it stands in the file."""

    line: int
    raw: bytes
    problem: str


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """How a foreign file is written, where its name and first bytes don't say it.

    Args:
        type: ``jsonl``, ``csv`` or ``parquet``.
        delimiter: what stands between CSV columns; a comma unless said (a tab in ``.tsv``).
        quote: what stands around CSV cells that hold a delimiter or a line end.
        encoding: of a text file; UTF-8 unless said.
    """

    type: Format | None = None
    delimiter: str | None = None
    quote: str = '"'
    encoding: str | None = None
