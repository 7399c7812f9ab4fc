"""How a profile fared: targeted prospects less those held out, by intention to treat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowtie.durations import format_duration
from bowtie.profiles import Profile
from bowtie.stages import Definition
from bowtie.wording import are
from bowtie_projections.arms import Gap, detectable_mean, detectable_share
from bowtie_projections.results import Result
from bowtie_projections.views.cohorts import first_day
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.loop.numbers import percent
from bowtie_projections.views.profile.outlook import Came, outlook, trend_table
from bowtie_projections.views.profile.question import Asked, profile_at
from bowtie_projections.views.profile.subgroups import checked_by, subgroups
from bowtie_projections.views.profile.trial import ARMS, Trial, trial_of
from bowtie_projections.views.shares import typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DIFFERENCE", "not_yet", "profile_evaluation"]

#: The row of what sets the arms apart.
DIFFERENCE = "difference"
_COLUMNS = (
    "arm", "assigned", "mature", "converted", "conversion", "conversion_low", "conversion_high",
    "conversion_detectable", "value", "value_per_prospect", "value_per_prospect_low",
    "value_per_prospect_high", "value_detectable", "cost", "cost_per_prospect",
    "cost_per_prospect_low", "cost_per_prospect_high", "reason",
)  # fmt: skip
_DAY = timedelta(days=1)
#: A split that comes about more rarely than this was not made by the draw alone.
_UNLIKELY = 0.001
#: Fewer clusters than this in an arm are too few to draw from.
_FEW_CLUSTERS = 10


def profile_evaluation(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    profile: str | Path | Profile,
    interim: bool = False,
    by: Sequence[str] = (),
    data_through: Any = None,
    tz: str = "UTC",
) -> Result:
    """What targeting by a profile did: value, cost and conversion of a prospect in either arm.

    By intention to treat: whoever was assigned counts in their arm, whatever was done with them and
    whether or not it reached them. Each counts from their own assignment on, over the horizon of
    the profile's value policy.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the entry of a stage is.
        profile: the name of one that was published; a file or text, or one at hand.
        interim: tell the figures of those who are old enough before all are.
        by: traits, within whose levels the effect is told too: by what was known of each when they
            were assigned.
        data_through: up to when the data is complete, if not up to the moment asked of.
        tz: the zone of the profile's days.

    Returns:
        A row for each arm, and one of their ``difference`` with 95% intervals and the smallest
        differences that the profile said it could show (``..._detectable``). Nothing but counts
        before everybody who is assigned while the profile runs is old enough: ``reason`` says from
        when. The part ``trend``: prospects by the quarter they came in, as long before as the
        profile runs, during and after; all of them, whatever segment is asked of. With ``by`` the
        part ``subgroups``: a row for each level with the effects in it, whose intervals allow for
        all levels together; and ``interaction``: for each trait whether the effects differ between
        its levels, with q over all these tests.

    Raises:
        UnknownName: there is no such profile, or nobody has such a trait.
        DefinitionError: the profile is wrong.
        Refused: amounts are in several currencies, or costs are missing for too many; a trait is
            protected, or its levels can't be told apart because levels were drawn.
    """
    found = profile_at(reader, cut, profile)
    asked = Asked.of(reader, cut, definition, found, data_through=data_through, tz=tz)
    by = checked_by(asked, by)
    trial = trial_of(asked, by)
    reason = None if interim and trial.mature else not_yet(trial)
    groups, notes = subgroups(trial, by, reason)
    # as many days before as it runs, and all of the quarter that the first of them lies in
    since = first_day(found.starts_on - (found.ends_on - found.starts_on) - _DAY, "quarter")
    quarters = {
        start: came for start, came in outlook(asked.of_everybody).items() if start >= since
    }
    return Result(
        "profile_evaluation",
        _table(_rows(trial, reason)),
        sentence=f"{_sentence(trial, reason)} {_of_the_trend(quarters)}",
        notes=[*_notes(trial, reason), *notes],
        sql=asked.reader.statements,
        meta=asked.meta(by)
        | {"ready": trial.ready, "split_p": trial.split, "currency": trial.currency}
        | {"detectable": found.detectable},
        parts=groups | {"trend": trend_table(asked, quarters)},
    )


def not_yet(trial: Trial) -> str | None:
    """Why the arms are not told apart, where they are not."""
    asked = trial.asked
    if not trial.assigned:
        over = asked.cut.moment is not None and asked.moment >= asked.ends
        return "nobody was assigned" if over else "nobody was assigned yet"
    if asked.cut.moment is None or asked.moment < trial.ready:
        return f"not yet, from {trial.ready:%Y-%m-%d}"
    empty = [name for name in ARMS if not trial.arms[name].mature]
    return f"nobody is in the arm {empty[0]}" if empty else None


def _rows(trial: Trial, reason: str | None) -> list[dict[str, Any]]:
    rows = []
    for name in ARMS:
        arm = trial.arms[name]
        own = reason or (None if arm.mature else "nobody is old enough to be judged")
        row: dict[str, Any] = dict.fromkeys(_COLUMNS) | {
            "arm": name, "assigned": arm.assigned, "mature": arm.mature, "reason": own,
        }  # fmt: skip
        rows.append(row | (_told(trial, name) if own is None else {}))
    apart: dict[str, Any] = dict.fromkeys(_COLUMNS) | {"arm": DIFFERENCE, "reason": reason}
    planned = {} if trial.asked.narrowed else trial.asked.profile.detectable or {}
    apart |= {f"{what}_detectable": planned.get(what) for what in ("conversion", "value")}
    if reason is None:
        apart |= _bounds("conversion", trial.gap("conversions"))
        apart |= _bounds("value_per_prospect", trial.gap("amounts"))
        apart |= _bounds("cost_per_prospect", trial.gap("outlays"))
    return [*rows, apart]


def _told(trial: Trial, name: str) -> dict[str, Any]:
    """The figures of an arm of which somebody is old enough, each with its interval."""
    arm = trial.arms[name]
    means = {
        "conversion": ("conversions", arm.converted / arm.mature),
        "value_per_prospect": ("amounts", _float(arm.per_prospect(arm.worth))),
        "cost_per_prospect": ("outlays", _float(arm.per_prospect(arm.outlay))),
    }
    found = {"converted": arm.converted, "value": arm.worth, "cost": arm.outlay}
    for column, (what, mean) in means.items():
        low, high = trial.bounds(name, what) or (None, None)
        found |= {column: mean, f"{column}_low": low, f"{column}_high": high}
    return found


def _float(amount: Any) -> float | None:
    return None if amount is None else float(amount)


def _bounds(name: str, gap: Gap | None) -> dict[str, Any]:
    if gap is None:
        return {}
    return {name: gap.estimate, f"{name}_low": gap.low, f"{name}_high": gap.high}


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys(_COLUMNS, pa.float64())
    kinds |= dict.fromkeys(("assigned", "mature", "converted"), pa.int64())
    kinds |= dict.fromkeys(("arm", "reason"), pa.string())
    kinds |= dict.fromkeys(("value", "cost"), pa.decimal128(38, 6))
    return typed_table(rows, kinds, {})


def _sentence(trial: Trial, reason: str | None) -> str:
    asked, profile = trial.asked, trial.asked.profile
    if not trial.assigned or trial.first is None or trial.last is None:
        if asked.narrowed:
            return f"Nobody of the segment was assigned by {profile.label}."
        return (
            f"{profile.label} has assigned nobody: bowtie profile assign {profile.name} does, from"
            f" {profile.starts_on} through {profile.ends_on}."
        )
    targeted, held = (trial.arms[name].assigned for name in ARMS)
    days = f"from {trial.first:%Y-%m-%d} through {trial.last:%Y-%m-%d}"
    who = (
        f"{profile.label} assigned {trial.assigned:,} prospects {days}: {targeted:,} targeted,"
        f" {held:,} held out."
    )
    if reason is not None:
        return f"{who} What it did can't be told: {reason}."
    over, young = format_duration(asked.value.horizon), trial.assigned - trial.mature
    left = f"; {young:,} {are(young)} too young and left out" if young else ""
    return (
        f"{who} {trial.mature:,} {are(trial.mature)} judged, each over the {over} from their"
        f" assignment, whatever became of them{left}."
    )


def _of_the_trend(quarters: Mapping[Any, Came]) -> str:
    number = sum(one.prospects for one in quarters.values())
    return f"The trend is of {number:,} prospects who came, assigned or not."


def _notes(trial: Trial, reason: str | None) -> Iterator[str]:
    asked, profile = trial.asked, trial.asked.profile
    yield f"{profile.label}: {profile}."
    yield from _of_the_draw(trial)
    if reason is None:
        if (ready := trial.ready) > asked.moment:
            yield (
                f"Interim: all are old enough from {ready:%Y-%m-%d} on. Who looks often and stops"
                " where it suits finds an effect where there is none."
            )
        yield from _of_the_effect(trial)
    if asked.narrowed:
        yield (
            "A part of those drawn was chosen to be looked at. Who looks at many parts finds one"
            " with an effect by chance, and the intervals don't allow for the others: by=TRAIT"
            " tells all levels at once, and whether the effect differs between them. The trend is"
            " of all prospects."
        )
    yield (
        "The trend is no effect: it compares prospects who came at different times, and all else"
        " that changed with them. The effect is the difference of the arms."
    )


def _of_the_draw(trial: Trial) -> Iterator[str]:
    profile, split = trial.asked.profile, trial.split
    if split is not None and split < _UNLIKELY:
        yield (
            f"WARNING, sample ratio mismatch: {percent(profile.holdout)} were to be held out, and a"
            f" split so far from it comes about by chance {_rarely(split)}. Prospects were lost or"
            " added after the draw; don't believe the difference before it is known how."
        )
    if trial.moved:
        yield (
            f"WARNING: {trial.moved:,} stand in another arm than the one that their {profile.by}"
            " was drawn into."
        )
    if trial.repeated:
        yield (
            f"{trial.repeated:,} have more than one assignment on record, as keys that were linked"
            " later do: the first one counts."
        )
    if trial.before:
        yield f"{trial.before:,} had committed before they were assigned: no conversion here."


def _rarely(p: float) -> str:
    return f"once in {1 / p:,.0f}" if p > 1e-9 else "as good as never"


def _of_the_effect(trial: Trial) -> Iterator[str]:
    profile = trial.asked.profile
    value = trial.gap("amounts")
    if value is not None:
        money = f" in {trial.currency}" if trial.currency else ""
        yield (
            f"Value is {trial.asked.value.measure}{money}; its interval is by {value.method}, from"
            " the profile's own seed. Cost is what touches, acquiring and selling to each of them"
            " cost; what was spent on channels is not of single prospects, and in neither arm."
        )
    if trial.clustered:
        least = min(trial.arms[name].markets for name in ARMS)
        few = (
            f" With {least} in an arm the interval is too narrow." if least < _FEW_CLUSTERS else ""
        )
        yield f"Levels of {profile.by} were drawn, so they are drawn anew for the intervals.{few}"
        return
    held = trial.arms["holdout"]
    sizes = [trial.arms[name].mature for name in ARMS]
    if held.mature < 2:
        return
    share = detectable_share(held.converted / held.mature, *sizes)
    value_seen = detectable_mean(float(held.amounts.std(ddof=1)), *sizes)
    of_share = "none" if share is None else f"{share:.1%}"
    yield (
        f"So many show, with a chance of 80%, a difference in conversion of {of_share} and in value"
        f" of {value_seen or 0:,.2f}. An interval that holds 0 doesn't say that there is no effect."
    )
