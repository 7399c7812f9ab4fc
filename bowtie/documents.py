"""Documents of the log: definitions and the like, many at once, each under a name and a version.

A document is published once: the same name and version stand for the same text for ever, so a
figure that names them can be asked again. A new text takes a new version. It lies in the stream of
its kind and name, and one that was retracted is there no more.

>>> from bowtie import Bowtie
>>> text = \"\"\"
... name = "academy"
... version = 1
... [[stages.commitment]]
... event = "contract_signed"
... \"\"\"
>>> with Bowtie.open("memory://") as engine:
...     published = engine.publish_definition(text)
...     engine.load_definition("academy") == engine.load_definition("academy/1")
True
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING

from bowtie.errors import DefinitionError
from bowtie.events import DocumentPublished, ProfilePublished, Retracted
from bowtie.reading import Reading
from bowtie.stages import Definition, load_definition

if TYPE_CHECKING:
    from bowtie.engine import Bowtie

__all__ = ["Document", "Documents"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the log.

    Args:
        kind: of the stream, such as ``definition``.
        name, version: what it is called.
        body: its text.
        sha256: the hash of the text, in hex.
        position: where it was published.
        recorded_at: when.
    """

    kind: str
    name: str
    version: str
    body: str
    sha256: str
    position: int
    recorded_at: datetime | None

    @property
    def label(self) -> str:
        """Name and version, such as ``shop/2``."""
        return f"{self.name}/{self.version}"


class Documents(Reading):
    """What an open store answers of its documents."""

    def documents(self, kind: str, name: str | None = None) -> list[Document]:
        """The documents of a kind that count, in the order they were published.

        Args:
            kind: of the stream: ``definition``, ``segment``, ``profile``, ...
            name: only those of that name.
        """
        streams = [f"{kind}/{name}"] if name is not None else self._streams_of(kind)
        found = [document for stream in streams for document in self._documents_in(kind, stream)]
        return sorted(found, key=lambda document: document.position)

    def load_definition(self, source: str | PathLike[str]) -> Definition:
        """The definition that a name, a path or a TOML text names.

        As :func:`bowtie.load_definition`, with those that were published in this store, and the
        store's own. A name without a version is the newest of them all.

        Raises:
            DefinitionError: the definition is wrong; the message names the line.
            UnknownName: there is no definition of that name, and no such file.
            FileError: the file can't be read.
        """
        own = self.definition
        published = {one.label: one.body for one in self.documents("definition")}
        return load_definition(source, self.personal_names, published | {own.label: own.text})

    def publish_definition(  # type: ignore[misc]  # every engine is a Bowtie, which records
        self: Bowtie, source: str | PathLike[str]
    ) -> Document:
        """Publish a definition, so that every view of this store knows it by name and version.

        One that is published already is left as it is.

        Args:
            source: the path of a TOML file, or the TOML itself.

        Raises:
            DefinitionError: it is wrong, or this store knows another text of its name and version.
            FileError: the file can't be read.
        """
        found = load_definition(source, self.personal_names)
        self._refuse_other_text(found)
        if self.store.meta().get(f"definition {found.label}") not in {None, found.sha256}:
            raise _other_text(found)
        known = self.documents("definition", found.name)
        if found.label not in {document.label for document in known}:
            document = DocumentPublished(
                name=found.name, version=str(found.version), body=found.text, sha256=found.sha256
            )
            self.record(found.name, document, kind="definition")
            known = self.documents("definition", found.name)
        return next(document for document in known if document.label == found.label)

    def _refuse_other_text(self, definition: Definition) -> None:
        """A label stands for one text: a figure that names it must be the same for everyone."""
        for document in self.documents("definition", definition.name):
            if document.label == definition.label and document.sha256 != definition.sha256:
                raise _other_text(definition)

    def _streams_of(self, kind: str) -> list[str]:
        # the range of all texts that begin with the kind: the id leads the index of the events
        rows = self.store.rows(
            "SELECT originator_id FROM stored_events WHERE originator_id >= ?"
            " AND originator_id < ? AND originator_version = 1",
            (f"{kind}/", f"{kind}0"),
        )
        return sorted(stream for (stream,) in rows)

    def _documents_in(self, kind: str, stream: str) -> list[Document]:
        recorded = [*map(self._decoder({stream}), self.store.stream(stream))]
        retracted = {
            (one.data.of_source, one.data.of_id)
            for one in recorded
            if isinstance(one.data, Retracted)
        }
        return [
            Document(
                kind,
                one.data.name,
                one.data.version,
                one.data.body,
                one.data.sha256,
                one.position,
                one.recorded_at,
            )
            for one in recorded
            if isinstance(one.data, DocumentPublished | ProfilePublished)
            # the stream's key is the name: another one could hold a second text under it
            and one.data.name == one.subject
            and (one.source, one.id) not in retracted
        ]


def _other_text(definition: Definition) -> DefinitionError:
    return DefinitionError(
        definition.label,
        "this store knows another text of that name and version: give the new one a higher version",
    )
