"""What a score is made of: of each feature a level, for every look.

All is told in levels, days and amounts too: so a score is a sum of one weight for each feature, and
says itself why it is what it is. Which levels there are is learnt from the looks that are learnt
from: rare ones are put together (of numbers, with their neighbours), numbers are cut into fifths of
them, and what is not known is a level like any other. A level that nobody there had weighs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bowtie.stages import STAGES
from bowtie_projections.traits import TraitRule, rule_of
from bowtie_projections.views.labels import OTHER, apart
from bowtie_projections.views.loop.counts import MISSING
from bowtie_projections.views.prospects.standing import COUNTS, Known

__all__ = ["Feature", "Levels", "features", "learnt_levels"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A level with fewer looks to learn from is one of the others.
RARE = 20
#: A trait has at most so many levels of its own.
MOST_LEVELS = 50
#: Numbers are cut into so many parts, each of as many looks, where nobody says into how many.
FIFTHS = 5
#: A trait with more different numbers, and nothing else, is numeric though nobody says so.
FEW_NUMBERS = 10
_DAYS = (1.0, 7.0, 30.0, 90.0, 180.0, 365.0)
_NUMBERS = (1.0, 2.0, 3.0, 6.0, 11.0)
_FOR = {"lead_for": "a lead for", "in_stage": "in the stage for", "quiet_for": "quiet for"}


def _of_days(borders: Sequence[float], place: int) -> str:
    if place == 0:
        return f"under {borders[0]:g} {'day' if borders[0] == 1 else 'days'}"
    if place == len(borders):
        return f"{borders[-1]:g} days or more"
    return f"{borders[place - 1]:g} to {borders[place]:g} days"


def _of_numbers(borders: Sequence[float], place: int) -> str:
    if place == 0:
        return "none" if borders[0] == 1 else f"up to {borders[0] - 1:g}"
    if place == len(borders):
        return f"{borders[-1]:g} or more"
    least, most = borders[place - 1], borders[place] - 1
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _of_amounts(borders: Sequence[float], place: int) -> str:
    if place == 0:
        return f"under {borders[0]:,g}"
    if place == len(borders):
        return f"{borders[-1]:,g} or more"
    return f"{borders[place - 1]:,g} to {borders[place]:,g}"


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing known of every look.

    Args:
        name: what it is called.
        levels: the values that there are, in order.
        codes: the place of each look's level; -1 where it is not known.
        numbers: the same as numbers, where they are; NaN where it is not known. They are cut into
            levels when they are learnt from.
        borders: where; None is into parts of as many looks.
        bins: into how many of these.
        words: the name of a level, by the borders and its place.
    """

    name: str
    levels: Sequence[str] = ()
    codes: Ints | None = None
    numbers: Floats | None = None
    borders: Sequence[float] | None = None
    bins: int = FIFTHS
    words: Callable[[Sequence[float], int], str] = _of_amounts


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of one feature, as they were learnt.

    Args:
        name: of the feature.
        levels: their names.
        codes: the place of each look's level among them; -1 where nobody learnt from had it.
    """

    name: str
    levels: list[str]
    codes: Ints


def features(known: Known, rules: Mapping[str, TraitRule]) -> list[Feature]:
    """Everything a score may use: where a lead stands, what was done, and its traits.

    Args:
        known: what was known of all looks.
        rules: what the traits file says; a trait may be numeric, and cut as it says.
    """
    import pyarrow as pa

    found = [Feature("stage", STAGES, known.place)]
    for name, words in _FOR.items():
        found.append(Feature(words, numbers=known.days[name], borders=_DAYS, words=_of_days))
    for name, words in COUNTS.items():
        counts = known.counts[name].astype(np.float64)
        found.append(Feature(words, numbers=counts, borders=_NUMBERS, words=_of_numbers))
    if len(known.currencies) == 1:
        amounts = known.amount.cast(pa.float64()).to_numpy(zero_copy_only=False)
        found.append(Feature(f"open amount in {known.currencies[0]}", numbers=amounts))
    found += [_trait(name, *of, rule_of(name, rules)) for name, of in known.traits.items()]
    return found


def _trait(name: str, levels: list[str], codes: Ints, rule: TraitRule) -> Feature:
    numbers = [_number(level) for level in levels]
    told = [one for one in numbers if one is not None]
    looks_numeric = len(told) == len(numbers) and len(set(told)) > FEW_NUMBERS
    if not (looks_numeric or rule.is_numeric):
        return Feature(name, [apart(level, (OTHER, MISSING)) for level in levels], codes)
    # what is no number is not known
    values = np.array([math.nan if one is None else one for one in (*numbers, None)])[codes]
    if isinstance(rule.bins, tuple):
        return Feature(name, numbers=values, borders=rule.bins)
    return Feature(name, numbers=values, bins=rule.bins or FIFTHS)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def learnt_levels(feature: Feature, learnt_from: Ints) -> Levels:
    """A feature's levels, by the looks to learn from; those of all looks are named by them.

    Args:
        feature: of all looks.
        learnt_from: the rows of those to learn from.
    """
    if feature.numbers is not None:
        feature = _cut(feature, feature.numbers, learnt_from)
    assert feature.codes is not None  # noqa: S101 - for the type checker
    size = len(feature.levels)
    counts = np.bincount(feature.codes[learnt_from] + 1, minlength=size + 1)
    ranked = sorted(range(size), key=lambda level: (-counts[level + 1], level))
    own = sorted(level for level in ranked[:MOST_LEVELS] if counts[level + 1] >= RARE)
    # those that are not known, then all levels: where each of them goes; first of all to the others
    goes = np.full(size + 1, len(own), np.int64)
    goes[np.array(own, np.int64) + 1] = np.arange(len(own))
    names = [feature.levels[level] for level in own]
    rest = counts[1:].sum() - sum(counts[level + 1] for level in own)
    if rest:
        names.append(OTHER)
    else:
        goes[goes == len(own)] = -1
    goes[0] = -1
    if counts[0]:
        goes[0] = len(names)
        names.append(MISSING)
    return Levels(feature.name, names, goes[feature.codes + 1])


def _quantiles(numbers: Floats, bins: int) -> list[float]:
    """Where numbers are cut into so many parts; fewer, where many are the same."""
    known = numbers[~np.isnan(numbers)]
    if not known.size:
        return []
    shares = np.arange(1, bins) / bins
    found: list[float] = np.unique(np.quantile(known, shares, method="inverted_cdf")).tolist()
    return found


def _cut(feature: Feature, numbers: Floats, learnt_from: Ints) -> Feature:
    """Numbers by where they lie between borders; each begins a level."""
    told = numbers[learnt_from]
    borders = _quantiles(told, feature.bins) if feature.borders is None else feature.borders
    kept = _far_enough(borders, told[~np.isnan(told)])
    codes = np.searchsorted(kept, numbers, "right").astype(np.int64)
    codes[np.isnan(numbers)] = -1
    levels = [feature.words(kept, place) for place in range(len(kept) + 1)] if kept else ["any"]
    return Feature(feature.name, levels, codes)


def _far_enough(borders: Sequence[float], told: Floats) -> list[float]:
    """The borders between which no part is rare: one that is joins the smaller of its neighbours.

    Whoever lies beyond all that was learnt from is like the nearest of them, and not like the
    average: a lead of two years, where none was older than one.
    """
    kept = list(borders)
    counts = np.bincount(np.searchsorted(kept, told, "right"), minlength=len(kept) + 1).tolist()
    while kept and min(counts) < RARE:
        place = counts.index(min(counts))
        above = counts[place + 1] if place < len(kept) else math.inf
        below = counts[place - 1] if place else math.inf
        border = place if above < below else place - 1
        counts[border] += counts.pop(border + 1)
        del kept[border]
    return kept
