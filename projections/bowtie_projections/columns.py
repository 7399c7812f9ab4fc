r"""From the states of a store to typed Arrow columns, a table for each type of event.

No event is looked at one by one. The states of a batch are lines of JSON in one buffer: the
positions of the newlines are found, the lines of one type are gathered into a buffer of their own,
and pyarrow reads that with the type's own short schema (a schema of all fields of all types is
three times slower). Only where that fails are the lines halved until the bad ones stand alone.

>>> from bowtie.stores.rows import StateBatch
>>> state = b'{"_key":"acme","_at":1767607200000000,"_source":"crm","_id":"17"}'
>>> made = columns_of(StateBatch(range(1, 3), b"onboarded\nmoved\n", state + b"\n{}\n", []))
>>> made.facts["onboarded"].column("customer").to_pylist()
['acme']
>>> made.skipped.to_pylist()
[{'position': 2, 'type': 'moved', 'error': 'the catalogue has no such event'}]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bowtie.lifting import Unliftable
from bowtie.stores.rows import StateBatch
from bowtie_projections.lifting import NOT_ONE, Unreadable
from bowtie_projections.lines import Lines
from bowtie_projections.shapes import NO_ROWS, Shape, shape_of
from bowtie_projections.tables import events, skipped

__all__ = ["Columns", "Misaligned", "columns_of"]

_MICROS = pa.timestamp("us")
_NO_EVENTS, _NO_SKIPPED = NO_ROWS[events.name], NO_ROWS[skipped.name]
_UNREADABLE = (pa.ArrowException, msgspec.MsgspecError, UnicodeDecodeError, Unliftable, Unreadable)


class Misaligned(Exception):
    """The batch has not one line for each event; read one by one, the bad ones can be told."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The rows of a batch, ready to be inserted.

    Attributes:
        count: how many events the batch had, those skipped included.
        last: its last position.
        events: rows of the table ``events``.
        facts: rows of the table of each type that occurs.
        skipped: rows of the table ``skipped``.
    """

    count: int
    last: int
    events: pa.Table
    facts: dict[str, pa.Table]
    skipped: pa.Table

    @property
    def nbytes(self) -> int:
        """How much memory the rows take."""
        return self.events.nbytes + sum(rows.nbytes for rows in self.facts.values())


def columns_of(batch: StateBatch) -> Columns:
    """The rows that a batch of states makes.

    Raises:
        Misaligned: the states can't be split into one line for each event.
    """
    positions = np.asarray(batch.positions, dtype=np.int64)
    lines, topics = Lines.split(batch.states), Lines.split(batch.topics)
    if not len(lines) == len(topics) == len(positions):
        if len(positions) > 1:
            raise Misaligned
        return _not_one_line(batch)
    recorded = _recorded(batch, positions)
    trusted = _is_utf8(batch.states)
    made = [
        _Part.read(name, lines.take(rows), positions[rows], recorded.take(rows), trusted=trusted)
        for name, rows in _grouped(topics)
    ]
    return Columns(
        count=len(positions),
        last=int(positions[-1]),
        events=pa.concat_tables([_NO_EVENTS, *(part.events for part in made if part.fact)]),
        facts={part.type: part.fact for part in made if part.fact},
        skipped=_skipped_rows(row for part in made for row in part.skipped),
    )


class _Part(NamedTuple):
    """What one type of event adds to a batch's columns."""

    type: str
    fact: pa.Table | None
    events: pa.Table
    skipped: list[tuple[int, str, str]]

    @classmethod
    def read(
        cls,
        name: str,
        lines: Lines,
        positions: npt.NDArray[np.int64],
        recorded: Any,
        *,
        trusted: bool,
    ) -> _Part:
        """The columns of the lines of one type; what can't be read is skipped with its reason."""
        shape = shape_of(name)
        if shape is None:
            no_such = [(int(p), name, "the catalogue has no such event") for p in positions]
            return cls(name, None, _NO_EVENTS, no_such)
        bad: dict[int, str] = {}
        read = _read(shape, lines, 0, bad, trusted=trusted)
        if bad:
            good = np.setdiff1d(np.arange(len(lines)), list(bad))
            recorded = recorded.take(pa.array(good))
            errors = [(int(positions[row]), name, bad[row]) for row in sorted(bad)]
            positions = positions[good]
        else:
            errors = []
        if not len(positions):
            return cls(name, None, _NO_EVENTS, errors)
        head = _head(read, positions, recorded)
        return cls(name, shape.rows(read, head), _event_rows(name, read, head), errors)


def _read(
    shape: Shape, lines: Lines, first: int, bad: dict[int, str], *, trusted: bool
) -> pa.Table:
    """The lines as columns; of those that can't be read the row and the reason go to ``bad``."""
    try:
        if not lines.whole():
            raise Unreadable("the state is no JSON object on one line")
        read = shape.read(lines)
        if read.num_rows != len(lines):
            raise Unreadable(NOT_ONE)
        if not trusted:
            read.validate(full=True)
        return read
    except _UNREADABLE as error:
        if len(lines) == 1:
            bad[first] = str(error).partition("\n")[0][:300]
            return shape.empty
    half = len(lines) // 2
    return pa.concat_tables(
        [
            _read(shape, lines.part(0, half), first, bad, trusted=trusted),
            _read(shape, lines.part(half, len(lines)), first + half, bad, trusted=trusted),
        ]
    )


def _grouped(topics: Lines) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """For each type that occurs the rows of its events, in order."""
    encoded = topics.array().dictionary_encode()
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    return [
        (name.decode(errors="replace").rstrip("\n"), order[start:end])
        for name, start, end in zip(
            encoded.dictionary.to_pylist(), bounds[:-1], bounds[1:], strict=True
        )
    ]


def _recorded(batch: StateBatch, positions: npt.NDArray[np.int64]) -> Any:
    """When each event was recorded: the time of the first commit that reaches it."""
    if not batch.recorded:
        return pa.nulls(len(positions), _MICROS)
    lasts = np.array([last for last, _ in batch.recorded], dtype=np.int64)
    times: Any = pa.array([micros for _, micros in batch.recorded], pa.int64())
    return times.take(pa.array(np.searchsorted(lasts, positions))).cast(_MICROS)


def _is_utf8(states: bytes) -> bool:
    """Whether all is text; if not, each type is checked apart to find what is not."""
    try:
        return states.isascii() or bool(states.decode())
    except UnicodeDecodeError:
        return False


def _head(read: pa.Table, positions: npt.NDArray[np.int64], recorded: Any) -> dict[str, Any]:
    """The columns that all tables share."""
    return {
        "position": pa.array(positions),
        "key": read["_key"],
        "occurred_at": read["_at"].cast(_MICROS),
        "recorded_at": recorded,
        "known_from": read["_known"].cast(_MICROS),
        "time_precision": pc.if_else(_or_else(read["_day"], value=False), "day", "exact"),
        "retracted_position": pa.nulls(len(positions), pa.int64()),
    }


def _or_else(column: Any, *, value: str | bool) -> Any:
    return pc.fill_null(column, value)


def _event_rows(name: str, read: pa.Table, head: dict[str, Any]) -> pa.Table:
    own: dict[str, Any] = head | {
        "type": pa.repeat(name, read.num_rows),
        "kind": _or_else(read["_kind"], value="customer"),
        "subject": read["_key"],
        "source": read["_source"],
        "id": read["_id"],
        "correlation_id": read["_correlation"],
        "causation_id": read["_causation"],
        "out_of_sequence": _or_else(read["_oos"], value=False),
    }
    return pa.table([own[name] for name in _NO_EVENTS.column_names], schema=_NO_EVENTS.schema)


def _skipped_rows(rows: Any) -> pa.Table:
    ordered = sorted(rows)
    values = zip(*ordered, strict=True) if ordered else ((), (), ())
    columns: list[Any] = [list(column) for column in values]
    return pa.table(columns, schema=_NO_SKIPPED.schema)


def _not_one_line(batch: StateBatch) -> Columns:
    """The columns of a single event whose state is not one line."""
    position = int(batch.positions[0])
    name = batch.topics.decode(errors="replace").partition("\n")[0]
    rows = _skipped_rows([(position, name, "the state is no JSON object on one line")])
    return Columns(1, position, _NO_EVENTS, {}, rows)
