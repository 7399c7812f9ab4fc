"""Finding a segment: a name that was published, a file, a text or a dictionary at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from bowtie.events import PERSONAL_NAMES
from bowtie.finding import find_text, publish_text
from bowtie.segments.reading import read_segment, segment_of
from bowtie.segments.segment import Segment

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.documents import Document

__all__ = ["load_segment", "publish_segment"]


def load_segment(
    source: str | PathLike[str] | Mapping[str, Any] | Segment,
    personal_names: Collection[str] = PERSONAL_NAMES,
    published: Mapping[str, str] | None = None,
) -> Segment:
    """The segment that a name, a path, a TOML text or a dictionary names.

    Args:
        source: ``large`` (the newest version) or ``large/2`` for one that was published; the path
            of a TOML file; if it has a line break in it, the TOML itself; or what it would hold. A
            name wins over a file of that name: write ``./large`` for the file.
        personal_names: traits and properties that the store seals.
        published: the TOML of those published, by name and version.

    Raises:
        DefinitionError: the segment is wrong; the message names the line.
        UnknownName: no segment of that name was published, and no such file is there.
        FileError: the file can't be read.
    """
    if isinstance(source, Segment):
        return source
    if isinstance(source, Mapping):
        return segment_of(source, personal_names)
    found, text = find_text("segment", fspath(source), published or {})
    return read_segment(found, text, personal_names)


def publish_segment(engine: Bowtie, source: str | PathLike[str]) -> Document:
    """Publish a segment, so that every view of this store knows it by name and version.

    One that is published already is left as it is.

    Args:
        engine: the store.
        source: the path of a TOML file, or the TOML itself.

    Raises:
        DefinitionError: the segment is wrong.
        EventRejected: its name and version are published with another text.

    >>> from bowtie import Bowtie
    >>> with Bowtie.open("memory://") as engine:
    ...     publish_segment(engine, '''
    ...     name = "buyers"
    ...     version = 1
    ...     [[all]]
    ...     entered = "commitment"
    ...     ''').label
    'buyers/1'
    """
    segment = load_segment(source, engine.personal_names)
    document = (segment.name, segment.version, segment.text, segment.sha256)
    return publish_text(engine, "segment", document)
