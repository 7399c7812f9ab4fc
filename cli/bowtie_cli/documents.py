"""What the commands of published documents share: definitions, segments and policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bowtie_cli.output import Answer, Output
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie.documents import Document

__all__ = ["row_of", "show_list", "show_published"]


def row_of(document: Document, kind: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """A document as a row: its label, what is its kind's own, and where it stands in the log."""
    return {
        kind: document.label,
        **own,
        "published_at": document.recorded_at,
        "position": document.position,
        "sha256": document.sha256,
    }


def show_published(output: Output, document: Document, head: int, row: dict[str, Any]) -> None:
    """Say that a document is published, or was already: then it lies before the old head."""
    done = "is published" if document.position > head else "was published already"
    sentence = f"{document.label} {done}, at position {document.position:,}."
    output.show(Answer(list(row), [row], plain(row), sentence))


def show_list(
    output: Output, kind: str, kinds: str, own: Sequence[str], rows: Sequence[dict[str, Any]]
) -> None:
    """List documents by their rows; where there are none, say how they come.

    Args:
        output: where to.
        kind, kinds: what one is, and several are, called.
        own: the columns that are the kind's own.
        rows: from :func:`row_of`.
    """
    sentence = "" if rows else f"No {kind} is published: bowtie {kind} publish FILE does."
    columns = [kind, *own, "published_at", "position"]
    output.show(Answer(columns, list(rows), {kinds: list(map(plain, rows))}, sentence))
