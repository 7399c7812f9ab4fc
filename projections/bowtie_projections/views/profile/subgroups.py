"""The effect of a profile within groups of prospects, and whether it differs between them.

Who looks into many groups finds one where it is large, and one where it is none, by chance alone.
So each interval allows for all the groups that are told, and whether the effect differs is asked of
all groups of a trait together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bowtie.errors import Refused, UsageError
from bowtie.wording import counted
from bowtie_projections.arms import (
    ALPHA,
    Contrast,
    interaction_p,
    mean_contrast,
    share_contrast,
)
from bowtie_projections.statistics import Interval, benjamini_hochberg, difference, wilson
from bowtie_projections.views.profile.question import Asked
from bowtie_projections.views.profile.trial import ARMS, Arm, Trial
from bowtie_projections.views.shares import typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["checked_by", "subgroups"]

_EFFECTS = ("conversion", "value")
#: With fewer of the mature in either arm a group's effect is not told.
_FEWEST = 20
_GROUPS = (
    "trait", "level", "targeted", "holdout",
    *(f"{what}_effect{side}" for what in _EFFECTS for side in ("", "_low", "_high")),
    "reason",
)  # fmt: skip
_TESTS = ("trait", "effect", "levels", "p", "q", "reason")


def checked_by(asked: Asked, by: Sequence[str]) -> tuple[str, ...]:
    """The traits whose levels are told apart, each once.

    Raises:
        UsageError: it is no list of names.
        Refused: levels of a trait were drawn, so that single prospects tell nothing.
    """
    if isinstance(by, str):
        raise UsageError(f"by is a list of names: write [{by!r}]")
    if by and asked.profile.by is not None:
        raise Refused(
            f"levels of {asked.profile.by} were drawn, of which few are in one group: ask without"
            " by="
        )
    return tuple(dict.fromkeys(by))


def subgroups(
    trial: Trial, by: Sequence[str], reason: str | None
) -> tuple[dict[str, pa.Table], list[str]]:
    """The effect in each group, and the tests whether it differs; with what is to be said of them.

    Args:
        trial: the arms, with those of groups.
        by: the traits whose levels the groups are.
        reason: why no effect is told yet.

    Returns:
        The parts ``subgroups`` and ``interaction``, and notes; none without traits.
    """
    if not by:
        return {}, []
    why = {group: reason or _too_few(arms) for group, arms in trial.groups.items()}
    number = sum(one is None for one in why.values())
    rows = [_row(trial, group, why[group], number) for group in trial.groups]
    tests = _tests(trial, by, why, reason)
    parts = {"subgroups": _table(rows, _GROUPS), "interaction": _table(tests, _TESTS)}
    return parts, list(_notes(number, tests)) if reason is None else []


def _too_few(arms: Mapping[str, Arm]) -> str | None:
    if min(arms[name].mature for name in ARMS) < _FEWEST:
        return f"fewer than {_FEWEST} in an arm"
    return None


def _row(trial: Trial, group: tuple[str, str], reason: str | None, number: int) -> dict[str, Any]:
    """A group with its effects, whose intervals allow for a number of groups."""
    arms = trial.groups[group]
    row: dict[str, Any] = dict.fromkeys(_GROUPS) | dict(zip(("trait", "level"), group, strict=True))
    row |= {name: arms[name].mature for name in ARMS} | {"reason": reason}
    if reason is not None:
        return row
    confidence = 1 - ALPHA / (number * len(_EFFECTS))
    share = difference(*(_share(arms[name], confidence) for name in ARMS))
    row |= {
        "conversion_effect": float(share.estimate),
        "conversion_effect_low": float(share.low),
        "conversion_effect_high": float(share.high),
    }
    value = _contrast("value", arms)
    low, high = value.bounds(confidence) or (None, None)
    names = ("value_effect", "value_effect_low", "value_effect_high")
    return row | dict(zip(names, (value.estimate, low, high), strict=True))


def _share(arm: Arm, confidence: float) -> Interval:
    return Interval(
        np.array(arm.converted / arm.mature), *wilson(arm.converted, arm.mature, confidence)
    )


def _contrast(what: str, arms: Mapping[str, Arm]) -> Contrast:
    first, second = (arms[name] for name in ARMS)
    if what == "value":
        return mean_contrast(first.amounts, second.amounts)
    return share_contrast((first.converted, first.mature), (second.converted, second.mature))


def _tests(
    trial: Trial,
    by: Sequence[str],
    why: Mapping[tuple[str, str], str | None],
    reason: str | None,
) -> list[dict[str, Any]]:
    """Of each trait, for each effect, whether it differs between the levels."""
    rows: list[dict[str, Any]] = []
    for trait in by:
        judged = [
            arms for group, arms in trial.groups.items() if group[0] == trait and why[group] is None
        ]
        for what in _EFFECTS:
            p = interaction_p([_contrast(what, arms) for arms in judged])
            untold = "nothing varies" if len(judged) > 1 else "fewer than two levels to compare"
            rows.append(
                {
                    "trait": trait,
                    "effect": what,
                    "levels": len(judged),
                    "p": p,
                    "q": None,
                    "reason": (reason or untold) if p is None else None,
                }
            )
    told = [row for row in rows if row["p"] is not None]
    if told:
        corrected = benjamini_hochberg([row["p"] for row in told]).tolist()
        for row, q in zip(told, corrected, strict=True):
            row["q"] = q
    return rows


def _notes(number: int, tests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not number:
        return
    groups = counted(number, "group")
    yield (
        f"{groups} are told apart: of so many, some look as if the profile did much there, or"
        " nothing, by chance. Each interval of a group allows for all that are told (Bonferroni),"
        " so that all together hold the truth in 95 of 100 studies."
    )
    judged = [row for row in tests if row["q"] is not None]
    if not judged:
        return
    found = [f"{row['effect']} by {row['trait']}" for row in judged if row["q"] <= ALPHA]
    said = f"differ: {', '.join(found)}" if found else "differ nowhere"
    yield (
        f"Whether an effect differs between groups is what interaction tests (Welch 1951;"
        f" q by Benjamini-Hochberg over {counted(len(judged), 'test')}); that one group's interval"
        f" holds 0 and another's does not tells nothing. By q <= {ALPHA:g} effects {said}."
    )


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys(columns, pa.float64())
    texts = ("trait", "level", "effect", "reason")
    whole = (*ARMS, "levels")
    kinds |= dict.fromkeys((name for name in texts if name in columns), pa.string())
    kinds |= dict.fromkeys((name for name in whole if name in columns), pa.int64())
    return typed_table(rows, kinds, {})
