"""The documents of the log as the read tables hold them: which were published, at any cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from bowtie.errors import DefinitionError
from bowtie_projections import tables
from bowtie_projections.views.cut import Cut, Reader, counts

__all__ = ["document_at", "published"]


class _Document(Protocol):
    @property
    def label(self) -> str:
        """Its name and version, such as ``b2b/1``."""

    @property
    def text(self) -> str:
        """What it says, as it was published."""


_D = TypeVar("_D", bound=_Document)


def document_at(
    reader: Reader,
    cut: Cut,
    kind: str,
    source: Any,
    load: Callable[[Mapping[str, str]], _D],
) -> _D:
    """The document that something names, as the cut knows of it.

    A name with its version is one text for ever, whenever it was published; a bare name is the
    newest version that the cut knows of.

    Args:
        reader: the read tables.
        cut: the position it is asked at.
        kind: of the stream, such as ``policy``.
        source: what names it.
        load: gives it, by the texts of those that were published.

    Raises:
        DefinitionError: the log has another text of its name and version.
    """
    known = everything = published(reader, kind, cut, later=True)
    if isinstance(source, str) and "/" not in source:
        known = published(reader, kind, cut)
    found = load(known)
    if found.text and everything.get(found.label, found.text) != found.text:
        raise DefinitionError(
            found.label,
            f"the log has another {kind} of that name and version: give this one a higher version",
        )
    return found


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
