"""What a traits file says: what kind each trait is, and so what may be asked of it.

>>> rule_of("Gender", {}).refusal is not None, rule_of("seats", {}).refusal
(True, None)
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from bowtie.errors import FileError, UsageError

__all__ = [
    "KINDS", "MOST_BINS", "PROTECTED", "REFUSED", "TOUCH_TRAITS", "TraitRule", "read_traits",
    "rule_of",
]  # fmt: skip

#: What a trait can be, and why three kinds are not asked.
KINDS = ("fit", "behaviour", "consequence", "protected", "identifier")
REFUSED = {
    "consequence": "it follows from the sale, so it can't tell beforehand who will be valuable",
    "protected": "customers must not be chosen by it",
    "identifier": "it names a customer and can't recur in another",
}
#: Traits that come from the first touch.
TOUCH_TRAITS = ("channel", "campaign")
#: Names of what the laws of most countries forbid to choose people by, in lower case; not asked
#: unless a traits file declares them to be something else.
PROTECTED = frozenset({
    "age", "age_band", "age_group", "belief", "birth_date", "birth_year", "birthdate", "birthday",
    "children", "citizenship", "country_of_birth", "date_of_birth", "disability", "disabled",
    "ethnic_origin", "ethnicity", "family_status", "gender", "genetic_data", "health",
    "marital_status", "maternity", "native_language", "nationality", "number_of_children",
    "place_of_birth", "political_opinion", "political_party", "pregnancy", "pregnant", "pronouns",
    "race", "religion", "sex", "sexual_orientation", "skin_color", "skin_colour", "trade_union",
    "union_member", "year_of_birth",
})  # fmt: skip
#: A numeric trait has at most so many bins.
MOST_BINS = 20
_BY_DEFAULT = (
    "protected by default: customers must not be chosen by it; if it is not about a person, declare"
    " what kind it is in a traits file"
)
_KEYS = ("kind", "timeless", "reason", "bins", "split")


@dataclass(frozen=True, slots=True)
class TraitRule:
    """What a traits file says of one trait.

    Args:
        kind: one of :data:`KINDS`, or None where nobody declared it.
        timeless: it can't have changed (a country of birth): where nothing was known by time
            zero, what was learnt later holds.
        reason: why, in the file's own words.
        bins: the number of bins of a numeric trait, each with as many customers, or the values at
            which it is cut; None for a trait whose values are levels themselves.
        split: a numeric trait is cut once, where the older half differs most.
    """

    kind: str | None = None
    timeless: bool = False
    reason: str | None = None
    bins: int | tuple[float, ...] | None = None
    split: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether its values are taken for numbers."""
        return self.bins is not None or self.split

    @property
    def refusal(self) -> str | None:
        """Why the trait is not asked; None if it may be."""
        said = REFUSED.get(self.kind or "")
        if self.reason == _BY_DEFAULT:
            return self.reason
        return said and f"declared {self.kind}: {self.reason or said}"


def rule_of(name: str, rules: Mapping[str, TraitRule]) -> TraitRule:
    """The rule of a trait: what a traits file says; else what is protected by its name is that.

    Args:
        name: as the trait is called; upper case, spaces and hyphens make no difference here.
        rules: of the traits file.

    >>> rule_of("age", read_traits({"age": {"kind": "fit"}})).refusal is None
    True
    """
    rule = rules.get(name, TraitRule())
    plain = name.removeprefix("trait.").lower().replace("-", "_").replace(" ", "_")
    if rule.kind is None and plain in PROTECTED:
        return replace(rule, kind="protected", reason=rule.reason or _BY_DEFAULT)
    return rule


def read_traits(source: str | Path | Mapping[str, Any] | None) -> dict[str, TraitRule]:
    """The rules of a traits file: a path, its text, or what it would hold.

    >>> read_traits('''
    ... [industry]
    ... kind = "fit"
    ... timeless = true
    ... ''')
    {'industry': TraitRule(kind='fit', timeless=True, reason=None, bins=None, split=False)}

    Raises:
        FileError: the file can't be read.
        UsageError: it is no TOML, or says something no trait can be.
    """
    name = "traits"
    if isinstance(source, (str, Path)):
        name, text = _text(source)
        try:
            source = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
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
    unknown = sorted(set(said) - set(_KEYS))
    if unknown:
        raise UsageError(f"{where}: has no key {unknown[0]!r}; it has {', '.join(_KEYS)}")
    kind, timeless, reason = said.get("kind"), said.get("timeless", False), said.get("reason")
    if kind not in (None, *KINDS):
        raise UsageError(f"{where}: kind is {kind!r}; write one of {', '.join(KINDS)}")
    if not isinstance(timeless, bool):
        raise UsageError(f"{where}: timeless is true or false")
    if reason is not None and not isinstance(reason, str):
        raise UsageError(f"{where}: reason is a text")
    split = said.get("split", False)
    if not isinstance(split, bool):
        raise UsageError(f"{where}: split is true or false")
    bins = _bins(where, said.get("bins"))
    if split and bins is not None:
        raise UsageError(f"{where}: bins and split are two ways to cut numbers; say one of them")
    return TraitRule(kind, timeless, reason, bins, split)


def _bins(where: str, said: object) -> int | tuple[float, ...] | None:
    """A number of bins, or the values to cut at."""
    if said is None:
        return None
    if isinstance(said, int) and not isinstance(said, bool) and 2 <= said <= MOST_BINS:
        return said
    numbers = said if isinstance(said, Sequence) and not isinstance(said, str) else ()
    cuts = tuple(float(n) for n in numbers if isinstance(n, int | float) and math.isfinite(n))
    rising = all(low < high for low, high in pairwise(cuts))
    if not 0 < len(cuts) == len(numbers) < MOST_BINS or not rising:
        raise UsageError(
            f"{where}: bins is {said!r}; write how many (2 to {MOST_BINS}), or the values to cut"
            " at, each above the one before: bins = [10, 50]"
        )
    return cuts
