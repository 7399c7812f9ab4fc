"""What a traits file says: what kind each trait is, and so what may be asked of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bowtie.errors import FileError, UsageError

__all__ = ["KINDS", "REFUSED", "TOUCH_TRAITS", "TraitRule", "read_traits"]

#: What a trait can be, and why three kinds are not asked.
KINDS = ("fit", "behaviour", "consequence", "protected", "identifier")
REFUSED = {
    "consequence": "it follows from the sale, so it can't tell beforehand who will be valuable",
    "protected": "customers must not be chosen by it",
    "identifier": "it names a customer and can't recur in another",
}
#: Traits that come from the first touch.
TOUCH_TRAITS = ("channel", "campaign")


@dataclass(frozen=True, slots=True)
class TraitRule:
    """What a traits file says of one trait.

    Args:
        kind: one of :data:`KINDS`, or None where nobody declared it.
        timeless: it can't have changed (a country of birth): where nothing was known by time
            zero, what was learnt later holds.
        reason: why, in the file's own words.
    """

    kind: str | None = None
    timeless: bool = False
    reason: str | None = None

    @property
    def refusal(self) -> str | None:
        """Why the trait is not asked; None if it may be."""
        said = REFUSED.get(self.kind or "")
        return said and f"declared {self.kind}: {self.reason or said}"


def read_traits(source: str | Path | Mapping[str, Any] | None) -> dict[str, TraitRule]:
    """The rules of a traits file: a path, its text, or what it would hold.

    >>> read_traits('''
    ... [industry]
    ... kind = "fit"
    ... timeless = true
    ... ''')
    {'industry': TraitRule(kind='fit', timeless=True, reason=None)}

    Raises:
        FileError: the file can't be read.
        UsageError: it is no TOML, or says something no trait can be.
    """
    name = "traits"
    if isinstance(source, (str, Path)):
        name, text = _text(source)
        try:
            source = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{name}: no TOML: {error}") from None
    return {trait: _rule(name, trait, said) for trait, said in (source or {}).items()}


def _text(source: str | Path) -> tuple[str, str]:
    if isinstance(source, str) and ("\n" in source or "=" in source):
        return "traits", source
    path = Path(source)
    try:
        return str(source), path.read_text("utf-8")
    except OSError as error:
        raise FileError(str(source), f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileError(str(source), "is not UTF-8 text") from None


def _rule(name: str, trait: str, said: object) -> TraitRule:
    where = f"{name}: [{trait}]"
    if not isinstance(said, Mapping):
        raise UsageError(f'{where}: write a table, such as [{trait}] and below it kind = "fit"')
    unknown = sorted(set(said) - {"kind", "timeless", "reason"})
    if unknown:
        raise UsageError(f"{where}: has no key {unknown[0]!r}; it has kind, timeless and reason")
    kind, timeless, reason = said.get("kind"), said.get("timeless", False), said.get("reason")
    if kind not in {None, *KINDS}:
        raise UsageError(f"{where}: kind is {kind!r}; write one of {', '.join(KINDS)}")
    if not isinstance(timeless, bool):
        raise UsageError(f"{where}: timeless is true or false")
    if reason is not None and not isinstance(reason, str):
        raise UsageError(f"{where}: reason is a text")
    return TraitRule(kind, timeless, reason)
