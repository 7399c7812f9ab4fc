"""How documents are named: by a name and version, or by the path of a file."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from bowtie.errors import DefinitionError, FileError

__all__ = ["file_text", "is_label", "newest"]

_LABEL = re.compile(r"(?P<name>[a-z][a-z0-9_-]*)(?:/(?P<version>[1-9][0-9]*))?")


def is_label(given: str) -> bool:
    """Whether a text may be the name of a document, with or without its version.

    >>> is_label("shop/2"), is_label("shop"), is_label("./shop"), is_label("shop.toml")
    (True, True, False, False)
    """
    return _LABEL.fullmatch(given) is not None


def newest(given: str, known: Collection[str]) -> str | None:
    """The label that a name stands for: itself, or without a version the newest one known.

    >>> newest("shop", {"shop/9", "shop/10", "b2b/11"}), newest("shop/9", {"shop/10"})
    ('shop/10', None)
    """
    if given in known:
        return given
    found = _LABEL.fullmatch(given)
    if found is None or found["version"] is not None:
        return None
    versions = [label for label in known if label.rpartition("/")[0] == given]
    return max(versions, key=lambda label: int(label.rpartition("/")[2]), default=None)


def file_text(path: str, wanted: str) -> str | None:
    """The text of a file; None where there is no such file, and the path reads as a label.

    Args:
        path: of the file.
        wanted: what to name instead, if there is no such file.

    Raises:
        DefinitionError: the file is not UTF-8.
        FileError: it can't be read.
    """
    if not path.strip():  # which Path takes for the folder one is in
        raise FileError(repr(path), f"is no file; {wanted}")
    file = Path(path)
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if is_label(path):
            return None
        raise FileError(path, f"there is no such file; {wanted}") from None
    except UnicodeDecodeError:
        raise DefinitionError(path, "not UTF-8: save the file as UTF-8") from None
    except OSError as error:
        problem = "is a folder; name a TOML file" if file.is_dir() else str(error.strerror)
        raise FileError(path, problem) from error
