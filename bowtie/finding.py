"""Finding and publishing documents of the log: a name that was published, a file, or a text.

What segments and value policies share; each kind reads its own text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bowtie.errors import DefinitionError, FileError, UnknownName
from bowtie.events import DocumentPublished, ProfilePublished
from bowtie.stages.fields import near

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.documents import Document

__all__ = ["find_text", "publish_text"]

_LABEL = re.compile(r"(?P<name>[a-z][a-z0-9_-]*)(?:/(?P<version>[1-9][0-9]*))?")


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
    label = _newest(given, published)
    return (label, published[label]) if label is not None else _from_file(kind, given, published)


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


def _newest(given: str, published: Mapping[str, str]) -> str | None:
    found = _LABEL.fullmatch(given)
    if found is None or given in published:
        return given if given in published else None
    if found["version"] is not None:
        return None
    versions = [label for label in published if label.rpartition("/")[0] == given]
    return max(versions, key=lambda label: int(label.rpartition("/")[2]), default=None)


def _from_file(kind: str, path: str, published: Mapping[str, str]) -> tuple[str, str]:
    file = Path(path)
    try:
        return path, file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if _LABEL.fullmatch(path):
            raise UnknownName(_unknown(kind, path, published)) from None
        raise FileError(path, f"there is no such file; name a TOML file of a {kind}") from None
    except UnicodeDecodeError:
        raise DefinitionError(path, "not UTF-8: save the file as UTF-8") from None
    except OSError as error:
        problem = "is a folder; name a TOML file" if file.is_dir() else str(error.strerror)
        raise FileError(path, problem) from error


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
