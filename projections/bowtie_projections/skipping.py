"""Events that are in the log and could not be processed: in no table but ``skipped``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.errors import EventSkipped
from bowtie_projections.tables import skipped

if TYPE_CHECKING:
    import pyarrow as pa

    from bowtie_projections.databases.contract import Tables
    from bowtie_projections.views.cut import Reader

__all__ = ["notes_on_skipped", "refuse_skipped", "refuse_tables_with_skipped", "skipped_count"]


def skipped_count(reader: Reader) -> int:
    """How many events the tables lack because they could not be processed."""
    number = reader.fetch(sa.select(sa.func.count()).select_from(skipped)).column(0)[0].as_py()
    return int(number)


def notes_on_skipped(reader: Reader) -> list[str]:
    """What each result says of them."""
    number = skipped_count(reader)
    events = "event" if number == 1 else "events"
    note = (
        f"{number:,} {events} of the log could not be processed and are in no figure: see skipped."
    )
    return [note] if number else []


def refuse_skipped(rows: pa.Table) -> None:
    """Stop at the first of some events that could not be processed.

    Raises:
        EventSkipped: there is one.
    """
    if rows.num_rows:
        first: dict[str, Any] = rows.sort_by("position").slice(0, 1).to_pylist()[0]
        raise EventSkipped(first["position"], first["type"], first["error"])


def refuse_tables_with_skipped(tables: Tables) -> None:
    """Stop at tables that lack an event.

    Raises:
        EventSkipped: they do.
    """
    with tables.read() as reader:
        refuse_skipped(reader.fetch(sa.select(skipped).order_by(skipped.c.position).limit(1)))
