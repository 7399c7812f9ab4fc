"""Finding a definition: one that comes with bowtie or was published, a file, or a text at hand.

>>> load_definition("b2b").label
'b2b/1'
>>> [definition.label for definition in builtin_definitions()]
['b2b/1', 'shop/1']
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from os import PathLike, fspath
from types import MappingProxyType

from bowtie.errors import DefinitionError, UnknownName
from bowtie.events import PERSONAL_NAMES
from bowtie.labels import file_text, newest
from bowtie.stages.checking import read_definition
from bowtie.stages.definition import Definition

__all__ = ["builtin_definitions", "load_definition"]


@cache
def builtin_definitions() -> tuple[Definition, ...]:
    """The definitions that come with bowtie, by name and version."""
    documents = [f for f in files("bowtie.stages").iterdir() if f.name.endswith(".toml")]
    found = [read_definition(f.name, f.read_text(encoding="utf-8")) for f in documents]
    return tuple(sorted(found, key=lambda definition: (definition.name, definition.version)))


def load_definition(
    source: str | PathLike[str],
    personal_names: Collection[str] = PERSONAL_NAMES,
    published: Mapping[str, str] = MappingProxyType({}),
) -> Definition:
    """The definition that a name, a path or a TOML text names.

    Args:
        source: ``b2b/1`` or ``b2b`` (the newest version) for one that comes with bowtie or was
            published; the path of a TOML file; or, if it has a line break in it, the TOML itself.
            A name wins over a file of that name: write ``./b2b`` for the file.
        personal_names: traits and properties that the store seals.
        published: the TOML of further definitions, by name and version.

    Raises:
        DefinitionError: the definition is wrong; the message names the line.
        UnknownName: there is no definition of that name, and no such file.
        FileError: the file can't be read.
    """
    given = fspath(source)
    if "\n" in given:
        return _own(read_definition("definition", given, personal_names), published)
    known = {one.label: one.text for one in builtin_definitions()}
    label = newest(given, {**published, **known})
    if label is None:
        text = file_text(given, "name a TOML file, or b2b, or shop")
        if text is None:
            raise _unknown(given, published)
        return _own(read_definition(given, text, personal_names), published, given)
    for one in builtin_definitions():
        if one.label == label:
            return one
    return _labelled(label, read_definition(label, published[label], personal_names))


def _labelled(label: str, definition: Definition) -> Definition:
    """Refuse a document that calls itself otherwise than it was published."""
    if definition.label != label:
        raise DefinitionError(
            label,
            f"this document calls itself {definition.label}: publish it anew with"
            " bowtie definition publish, which takes name and version from the text",
        )
    return definition


def _unknown(label: str, published: Collection[str]) -> UnknownName:
    known = [definition.label for definition in builtin_definitions()]
    own = sorted({*published} - {*known})
    more = f", and this store knows {', '.join(own)}" if own else ""
    return UnknownName(
        f'no definition "{label}" comes with bowtie, only {", ".join(known)}{more};'
        " name one of them, or the path of a TOML file"
    )


def _own(
    definition: Definition, published: Mapping[str, str], path: str = "definition"
) -> Definition:
    """Refuse another text under a label that is taken: figures would carry a false name."""
    for known in builtin_definitions():
        if known.label == definition.label and known.sha256 != definition.sha256:
            raise DefinitionError(
                path,
                f"{known.label} comes with bowtie and reads differently:"
                " give yours another name, or a higher version",
            )
    if published.get(definition.label, definition.text) != definition.text:
        raise DefinitionError(
            path,
            f"this store's {definition.label} reads differently:"
            " give yours another name, or a higher version",
        )
    return definition
