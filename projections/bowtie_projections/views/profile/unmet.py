"""What a profile asks for and nobody has: a name misspelt, as a rule, and published for ever."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches

import sqlalchemy as sa

from bowtie.profiles import MISSING, Exclusion, Wanted
from bowtie.wording import are
from bowtie_projections import tables
from bowtie_projections.known import Observed, called
from bowtie_projections.traits import TOUCH_TRAITS
from bowtie_projections.views.cut import counts
from bowtie_projections.views.profile.question import GAP, Asked

__all__ = ["unmet"]

#: So many names are told where none comes near.
_SOME = 5


def unmet(asked: Asked) -> list[str]:
    """Notes on traits and levels of a profile that are not on record at the cut.

    Nothing is wrong with them: they may come yet. Until then they fit nobody.
    """
    profile = asked.profile
    if asked.cut.moment is None:
        return []
    wanted: dict[str, set[str]] = defaultdict(set)
    both: list[Wanted | Exclusion] = [*profile.traits, *profile.exclusions]
    for one in both:
        wanted[one.trait] |= {one.level} - {MISSING}
    observed = Observed.of(asked.reader, asked.cut, GAP, {})
    traits = {called(name): name for name in observed.names}
    known = {*traits, *TOUCH_TRAITS}
    notes = []
    for name in [*wanted, *([profile.by] if profile.by else [])]:
        if name in observed.refused:
            notes.append(f"{name} is protected by its name and not looked at, so it fits nobody.")
        elif name not in known:
            notes.append(f"Nobody has a trait {name!r} so far{_near(name, known)}")
    for name in sorted(known & wanted.keys()):
        levels = _levels(asked, name, traits.get(name))
        missing = sorted(wanted[name] - levels)
        notes += [f"Nobody has {name} {one!r} so far{_near(one, levels)}" for one in missing]
    return notes


def _levels(asked: Asked, name: str, trait: str | None) -> set[str]:
    """All levels of a trait on record."""
    if trait is None:
        table = tables.facts["touched"]
        column, told = table.c[name], counts(table, asked.cut)
    else:
        table = tables.facts["traits_observed"]
        column, told = table.c.value, sa.and_(counts(table, asked.cut), table.c.name == trait)
    rows = asked.reader.fetch(sa.select(column).where(told, column.is_not(None)).distinct())
    return {str(level) for level in rows.column(0).to_pylist()}


def _near(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if near := get_close_matches(word, names, 3):
        return f"; did you mean {' or '.join(map(repr, near))}?"
    more = f" and {len(names) - _SOME:,} more" if len(names) > _SOME else ""
    return f"; there {are(len(names))} {', '.join(names[:_SOME])}{more}." if names else "."
