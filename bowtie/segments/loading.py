"""Finding a segment: a name that was published, a file, a text or a dictionary at hand."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowtie.errors import DefinitionError, FileError, UnknownName
from bowtie.events import PERSONAL_NAMES, DocumentPublished
from bowtie.segments.reading import read_segment, segment_of
from bowtie.segments.segment import Segment
from bowtie.stages.fields import near

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.documents import Document

__all__ = ["load_segment", "publish_segment"]

_LABEL = re.compile(r"(?P<name>[a-z][a-z0-9_-]*)(?:/(?P<version>[1-9][0-9]*))?")


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
    given = fspath(source)
    if "\n" in given:
        return read_segment("segment", given, personal_names)
    known = published or {}
    label = _newest(given, known)
    if label is not None:
        return read_segment(label, known[label], personal_names)
    return _from_file(given, personal_names, known)


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
    body, version = segment.text, str(segment.version)
    for known in engine.documents("segment", segment.name):
        if (known.version, known.sha256) == (version, segment.sha256):
            return known
    event = DocumentPublished(name=segment.name, version=version, body=body, sha256=segment.sha256)
    engine.record(segment.name, event, kind="segment")
    return next(one for one in engine.documents("segment", segment.name) if one.version == version)


def _newest(given: str, published: Mapping[str, str]) -> str | None:
    found = _LABEL.fullmatch(given)
    if found is None or given in published:
        return given if given in published else None
    if found["version"] is not None:
        return None
    versions = [label for label in published if label.rpartition("/")[0] == given]
    return max(versions, key=lambda label: int(label.rpartition("/")[2]), default=None)


def _from_file(path: str, personal_names: Collection[str], published: Mapping[str, str]) -> Segment:
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if _LABEL.fullmatch(path):
            raise UnknownName(_unknown(path, published)) from None
        raise FileError(path, "there is no such file; name a TOML file of a segment") from None
    except UnicodeDecodeError:
        raise DefinitionError(path, "not UTF-8: save the file as UTF-8") from None
    except OSError as error:
        problem = "is a folder; name a TOML file" if file.is_dir() else str(error.strerror)
        raise FileError(path, problem) from error
    return read_segment(path, text, personal_names)


def _unknown(label: str, published: Mapping[str, str]) -> str:
    if not published:
        return (
            f'no segment "{label}" is published: none is; name the path of a TOML file, or publish'
            " one with bowtie segment publish FILE"
        )
    return (
        f'no segment "{label}" is published, nor is it the path of a TOML file:'
        f" {near(label, sorted(published))}"
    )
