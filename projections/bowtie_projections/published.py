"""The documents of the log as the read tables hold them: which were published, at any cut."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from bowtie_projections import tables
from bowtie_projections.views.cut import Cut, Reader, counts

__all__ = ["published"]


def published(reader: Reader, kind: str, cut: Cut, *, later: bool = False) -> dict[str, str]:
    """The texts of the documents of a kind, by name and version, in the order of publication.

    Documents are knowledge: by when they occurred doesn't matter, only what the cut's position
    knows of.

    Args:
        reader: the read tables.
        kind: of the stream, such as ``definition``.
        cut: what was published after it doesn't count, nor what was retracted by then.
        later: also those that were published later, and count where the tables stand.
    """
    name = "profile_published" if kind == "profile" else "document_published"
    table, events = tables.facts[name], tables.events
    c = table.c
    known: Any = counts(table, Cut(cut.position))
    if later:
        known = sa.or_(known, counts(table, Cut(reader.position)))
    own = sa.and_(events.c.position == c.position, events.c.kind == kind, c.subject == c.name)
    rows = reader.fetch(
        sa.select(c.name, c.version, c.body)
        .select_from(table.join(events, own))
        .where(known)
        .order_by(c.position)
    ).to_pylist()
    return {f"{row['name']}/{row['version']}": row["body"] for row in rows}
