"""The lengths of time that a funnel is asked about, and what is asked of its estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie_projections.views.given import length

__all__ = ["CURVE", "Estimating", "estimating"]

#: What asks for the whole curve, and in how many steps it is drawn.
CURVE = "curve"
_STEPS = 90
#: What asks for an estimate.
_WORDS = ("estimate", "horizon", "entry_age")


@dataclass(frozen=True, slots=True)
class Estimating:
    """What is asked of the estimate.

    Args:
        horizons: the ages of the curve, ascending.
        whole: draw the curve up to the window's end instead.
        entry_age: who is older than the data is at risk from its age when they begin.
    """

    horizons: tuple[timedelta, ...] = ()
    whole: bool = False
    entry_age: bool = False

    @property
    def has_curve(self) -> bool:
        """Whether a curve was asked for."""
        return self.whole or bool(self.horizons)

    @property
    def written(self) -> list[str] | str | None:
        """The horizons as they stand in an answer."""
        if self.whole:
            return CURVE
        return [format_duration(one) for one in self.horizons] or None

    def ages(self, window: timedelta) -> Sequence[timedelta]:
        """The ages of the curve of a stage."""
        if not self.whole:
            return self.horizons
        return [window * step / _STEPS for step in range(_STEPS + 1)]


def estimating(asked: Mapping[str, Any]) -> Estimating | None:
    """What is asked of the estimate; None where it isn't asked for.

    Raises:
        UsageError: a horizon that is none, or late starts that can't be known.
    """
    wanted = [name for name in _WORDS if asked.get(name)]
    if not wanted:
        return None
    if asked.get("customers") is not None:
        raise UsageError(f"customers= lists who is behind a cell: leave {wanted[0]}= out")
    if asked.get("entry_age"):
        _check_entry_age(asked)
    horizon = asked.get("horizon")
    whole = isinstance(horizon, str) and horizon == CURVE
    horizons = () if whole else _horizons(horizon)
    return Estimating(horizons, whole, bool(asked.get("entry_age")))


def _horizons(value: Any) -> tuple[timedelta, ...]:
    """The ages asked for, ascending; a text may name several."""
    if isinstance(value, str):
        value = value.split(",")
    several = value if isinstance(value, Sequence) else [value]
    found = {one for name in several if (one := length("horizon", name)) is not None}
    return tuple(sorted(found))


def _check_entry_age(asked: Mapping[str, Any]) -> None:
    if asked["data_from"] is None:
        raise UsageError(
            "entry_age= needs to know when the data begin: say so, as in data_from=2024-01-01"
        )
    if asked["include_truncated"]:
        raise UsageError(
            "include_truncated= counts who is older than the data from the entry on,"
            " entry_age= from the age at which the data begin: choose one"
        )
