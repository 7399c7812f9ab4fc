"""Finding and publishing documents of the log: a name that was published, a file, or a text.

What segments and value policies share; each kind reads its own text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bowtie.errors import UnknownName
from bowtie.events import DocumentPublished, ProfilePublished
from bowtie.labels import file_text, newest
from bowtie.stages.fields import near

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.documents import Document

__all__ = ["find_text", "publish_text"]


def find_text(kind: str, given: str, published: Mapping[str, str]) -> tuple[str, str]:
    """What a document is called in messages, and its text.

    Args:
        kind: of document, such as ``segment``.
        given: a name (the newest version), or name and version, of one that was published; a path;
            or, if it has a line break in it, the text itself. A name wins over a file.
        published: the texts of those published, by name and version.

    Raises:
        UnknownName: none of that name was published, and no such file is there.
        DefinitionError: the file is not UTF-8.
        FileError: the file can't be read.

    >>> find_text("segment", "large", {"large/1": "...", "large/2": "newer"})
    ('large/2', 'newer')
    """
    if "\n" in given:
        return kind, given
    label = newest(given, published)
    if label is not None:
        return label, published[label]
    text = file_text(given, f"name a TOML file of a {kind}")
    if text is None:
        raise UnknownName(_unknown(kind, given, published))
    return given, text


def publish_text(
    engine: Bowtie,
    kind: str,
    document: tuple[str, int | None, str, str],
    publishing: type[DocumentPublished | ProfilePublished] = DocumentPublished,
) -> Document:
    """Publish a document that was read and found right; one published already is left as it is.

    Args:
        engine: the store.
        kind: of document.
        document: its name, version, text and the text's hash.
        publishing: the event that does it.

    Raises:
        EventRejected: its name and version are published with another text.
    """
    name, number, body, sha256 = document
    version = str(number)
    for known in engine.documents(kind, name):
        if (known.version, known.sha256) == (version, sha256):
            return known
    event = publishing(name=name, version=version, body=body, sha256=sha256)
    engine.record(name, event, kind=kind)
    return next(one for one in engine.documents(kind, name) if one.version == version)


def _unknown(kind: str, label: str, published: Mapping[str, str]) -> str:
    if not published:
        return (
            f'no {kind} "{label}" is published: none is; name the path of a TOML file, or publish'
            f" one with bowtie {kind} publish FILE"
        )
    return (
        f'no {kind} "{label}" is published, nor is it the path of a TOML file:'
        f" {near(label, sorted(published))}"
    )
