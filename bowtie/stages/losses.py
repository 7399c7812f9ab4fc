"""When a journey was lost: left of the knot by disqualification, right of it with its contracts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import attrgetter

from bowtie.stages.history import History, Moment, value_at
from bowtie.stages.paid import Close, right_closes

__all__ = ["standing_closes"]


def standing_closes(
    history: History,
    commitments: list[datetime],
    entering: list[datetime],
    requalify_within: timedelta,
    as_of: datetime | None,
) -> list[Close]:
    """The moments at which the customer's cycles end, in order, one a moment.

    Args:
        history: the customer's facts.
        commitments: times at which commitment was entered, ascending.
        entering: times at which any stage was entered, ascending.
        requalify_within: how soon one of those undoes a loss on the left.
        as_of: an end that can't be known by then is none yet.
    """
    right = {
        close.at: close  # of several at one moment, the one seen last
        for close in sorted(right_closes(history), key=attrgetter("seen_at", "position"))
        if as_of is None or close.seen_at <= as_of
    }
    ends = sorted(right)
    left = {
        moment.at: Close(moment.at, moment.at, "left", moment.position)
        for moment in _disqualifications(history)
        if not _committed(moment.at, commitments, ends)
        and not _any_between(entering, moment.at, moment.at + requalify_within)
    }
    return [close for _, close in sorted({**left, **right}.items())]


def _any_between(times: list[datetime], after: datetime, upto: datetime) -> bool:
    """Whether one of the ascending times lies in (after, upto]."""
    return bisect_right(times, after) < bisect_right(times, upto)


def _committed(at: datetime, commitments: list[datetime], ends: list[datetime]) -> bool:
    """Whether there was a commitment since the last paid contract had ended."""
    earlier = bisect_right(ends, at)
    since = bisect_right(commitments, ends[earlier - 1]) if earlier else 0
    return since < bisect_right(commitments, at)


def _disqualifications(history: History) -> Iterator[Moment]:
    """The facts ``disqualified`` that leave no opportunity open."""
    seen: set[str] = set()
    open_ones: set[str] = set()
    for moment in history.moments:
        name = _opportunity(moment)
        if name is not None and name not in seen:
            seen.add(name)
            open_ones.add(name)
        type_name = moment.data.type_name
        if type_name == "disqualified":
            if name is None:
                open_ones.clear()
            open_ones.discard(name or "")
            if not open_ones:
                yield moment
        elif type_name == "contract_signed":
            open_ones.discard(name or "")


def _opportunity(moment: Moment) -> str | None:
    """The opportunity that a fact names, if it names one."""
    if moment.data.type_name == "noted":
        return value_at(moment.data, "properties.opportunity") or None
    return getattr(moment.data, "opportunity", None)
