"""Finding a definition: one that comes with bowtie, a file, or a text at hand.

>>> load_definition("b2b").label
'b2b/1'
>>> [definition.label for definition in builtin_definitions()]
['b2b/1', 'shop/1']
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from os import PathLike, fspath
from pathlib import Path

from bowtie.errors import DefinitionError, FileError, UnknownName
from bowtie.events import PERSONAL_NAMES
from bowtie.stages.checking import read_definition
from bowtie.stages.definition import Definition

__all__ = ["builtin_definitions", "load_definition"]

_LABEL = re.compile(r"([a-z][a-z0-9_-]*)(?:/([1-9][0-9]*))?")


@cache
def builtin_definitions() -> tuple[Definition, ...]:
    """The definitions that come with bowtie, by name and version."""
    documents = [f for f in files("bowtie.stages").iterdir() if f.name.endswith(".toml")]
    found = [read_definition(f.name, f.read_text(encoding="utf-8")) for f in documents]
    return tuple(sorted(found, key=lambda definition: (definition.name, definition.version)))


def load_definition(
    source: str | PathLike[str], personal_names: Collection[str] = PERSONAL_NAMES
) -> Definition:
    """The definition that a name, a path or a TOML text names.

    Args:
        source: ``b2b/1`` or ``b2b`` (the newest version) for one that comes with bowtie; the path
            of a TOML file; or, if it has a line break in it, the TOML itself. A name wins over a
            file of that name: write ``./b2b`` for the file.
        personal_names: traits and properties that the store seals.

    Raises:
        DefinitionError: the definition is wrong; the message names the line.
        UnknownName: no definition of that name comes with bowtie, and no such file is there.
        FileError: the file can't be read.
    """
    given = fspath(source)
    if "\n" in given:
        return _own(read_definition("definition", given, personal_names))
    return _builtin(given) or _own(_from_file(given, personal_names), given)


def _builtin(label: str) -> Definition | None:
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    name, version = found[1], found[2]
    fitting = [
        definition
        for definition in builtin_definitions()
        if definition.name == name and version in (None, str(definition.version))
    ]
    return fitting[-1] if fitting else None


def _from_file(path: str, personal_names: Collection[str]) -> Definition:
    file = Path(path)
    try:
        return read_definition(path, file.read_bytes().decode("utf-8-sig"), personal_names)
    except FileNotFoundError:
        if _LABEL.fullmatch(path):
            raise _unknown(path) from None
        raise FileError(path, "there is no such file; name a TOML file, or b2b, or shop") from None
    except UnicodeDecodeError:
        raise DefinitionError(path, "not UTF-8: save the file as UTF-8") from None
    except OSError as error:
        problem = "is a folder; name a TOML file" if file.is_dir() else str(error.strerror)
        raise FileError(path, problem) from error


def _unknown(label: str) -> UnknownName:
    known = ", ".join(definition.label for definition in builtin_definitions())
    return UnknownName(
        f'no definition "{label}" comes with bowtie, only {known};'
        " name one of them, or the path of a TOML file"
    )


def _own(definition: Definition, path: str = "definition") -> Definition:
    """Refuse another text under the label of a built-in one: figures would carry a false name."""
    for known in builtin_definitions():
        if known.label == definition.label and known.sha256 != definition.sha256:
            raise DefinitionError(
                path,
                f"{known.label} comes with bowtie and reads differently:"
                " give yours another name, or a higher version",
            )
    return definition
