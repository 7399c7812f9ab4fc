"""The two arms of a profile: whom it assigned, what each was worth, and what each cost to win."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bowtie.errors import Refused
from bowtie.profiles import MISSING
from bowtie_projections.arms import (
    Gap,
    clustered_bounds,
    clustered_gap,
    mean_bounds,
    mean_gap,
    split_p,
)
from bowtie_projections.statistics import Interval, difference, wilson
from bowtie_projections.value import money
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.profile.outlook import refuse_uncosted
from bowtie_projections.views.profile.people import assigned, levels_at, markets, with_worth
from bowtie_projections.views.profile.question import Asked

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ARMS", "Arm", "Trial", "trial_of"]

ARMS = ("targeted", "holdout")
#: Of a trait with more levels no effects are told: nearly all would be of too few.
_MOST_LEVELS = 50
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm.

    Args:
        assigned: everybody in it, whatever became of them.
        markets: the levels these were drawn by, where levels are drawn.
        mature: who is old enough to be judged.
        converted: of these, who committed within the horizon.
        worth, outlay: what the mature were worth and cost to win, added up exactly.
        amounts: the worth of each of the mature.
        outlays, conversions: the same of costs, and 1 for each that committed.
        levels: what each of the mature was drawn by.
    """

    assigned: int
    markets: int
    mature: int
    converted: int
    worth: Decimal
    outlay: Decimal
    amounts: Floats
    outlays: Floats
    conversions: Floats
    levels: Sequence[str | None]

    def per_prospect(self, total: Decimal) -> Decimal | None:
        """A total over all of the mature."""
        return (total / self.mature).quantize(Decimal("0.000001")) if self.mature else None


@dataclass(frozen=True, slots=True)
class Trial:
    """Both arms, and what is wrong with them.

    Args:
        asked: the question.
        arms: by name.
        first, last: when the first and the last of all were assigned.
        repeated: prospects with more than one assignment on record.
        before: who had committed before they were assigned.
        moved: who stands in another arm than their market was drawn into.
        currency: of all amounts.
        groups: the arms of those alone who had a level of a trait, by both.
    """

    asked: Asked
    arms: dict[str, Arm]
    first: datetime | None = None
    last: datetime | None = None
    repeated: int = 0
    before: int = 0
    moved: int = 0
    currency: str | None = None
    groups: Mapping[tuple[str, str], dict[str, Arm]] = field(default_factory=dict)

    @property
    def assigned(self) -> int:
        """How many there are in both arms."""
        return sum(arm.assigned for arm in self.arms.values())

    @property
    def mature(self) -> int:
        """How many of them are old enough to be judged."""
        return sum(arm.mature for arm in self.arms.values())

    @property
    def ready(self) -> datetime:
        """When all are old enough: whoever is assigned by the profile's last day, or the last was.

        Before that the arms are not told apart. The day was settled when the profile was published,
        so that nobody looks until they see what they like.
        """
        asked = self.asked
        over = asked.cut.moment is not None and asked.moment >= asked.ends
        last = self.last if over and self.last is not None else asked.ends
        return last + asked.value.horizon

    @property
    def clustered(self) -> bool:
        """Whether levels of a trait were drawn, and not prospects."""
        return self.asked.profile.by is not None

    def gap(self, what: str) -> Gap | None:
        """Targeted less holdout: ``amounts``, ``outlays`` or ``conversions`` of a prospect."""
        pair = [getattr(self.arms[name], what) for name in ARMS]
        if self.clustered:
            both = zip(pair, (self.arms[name].levels for name in ARMS), strict=True)
            first, second = (_by_level(values, levels) for values, levels in both)
            return clustered_gap(first, second, self.asked.seed)
        if what == "conversions":
            return _newcombe(*(self.arms[name] for name in ARMS))
        return mean_gap(pair[0], pair[1], self.asked.seed)

    def bounds(self, name: str, what: str) -> tuple[float, float] | None:
        """The 95% interval of the same mean of one arm."""
        arm = self.arms[name]
        if self.clustered:
            return clustered_bounds(*_by_level(getattr(arm, what), arm.levels), self.asked.seed)
        if what == "conversions":
            low, high = wilson(arm.converted, arm.mature)
            return (float(low), float(high)) if arm.mature else None
        return mean_bounds(getattr(arm, what), self.asked.seed)

    @property
    def split(self) -> float | None:
        """How likely the split is by chance, of what was drawn: prospects, or levels."""
        targeted, held = (
            arm.markets if self.clustered else arm.assigned
            for arm in (self.arms[name] for name in ARMS)
        )
        return split_p(targeted, held, float(self.asked.profile.holdout))


def _newcombe(first: Arm, second: Arm) -> Gap | None:
    if not first.mature or not second.mature:
        return None
    shares = [
        Interval(np.array(arm.converted / arm.mature), *wilson(arm.converted, arm.mature))
        for arm in (first, second)
    ]
    found = difference(*shares)
    return Gap(float(found.estimate), float(found.low), float(found.high), "Newcombe")


def _by_level(values: Floats, levels: Sequence[str | None]) -> tuple[Floats, Floats]:
    """The sums of levels, and how many members each has; whoever has none is alone."""
    places: dict[str | int, int] = {}
    where = [
        places.setdefault(number if level is None else level, len(places))
        for number, level in enumerate(levels)
    ]
    sums: Floats = np.bincount(where, weights=values, minlength=len(places)).astype(np.float64)
    return sums, np.bincount(where, minlength=len(places)).astype(np.float64)


def trial_of(asked: Asked, by: Sequence[str] = ()) -> Trial:
    """The arms of a profile at a cut.

    Args:
        asked: the question.
        by: traits, of whose levels the arms are told too: those known when each was assigned.

    Raises:
        Refused: amounts are in several currencies, or costs are missing for too many; or a trait
            can't be told apart by.
    """
    nothing = np.zeros(0)
    empty = Arm(0, 0, 0, 0, Decimal(0), Decimal(0), nothing, nothing, nothing, ())
    if asked.cut.moment is None:
        return Trial(asked, dict.fromkeys(ARMS, empty))
    members = assigned(asked)
    joined, worth, spent = with_worth(asked, members)
    m = members.c
    market: Any = sa.cast(sa.null(), sa.String())
    if asked.profile.by is not None:
        known = markets(asked, members)
        joined = joined.outerjoin(known, known.c.customer == m.customer)
        market = known.c.market
    told: list[Any] = []
    if by:
        of_each = levels_at(asked, members, by)
        joined = joined.outerjoin(of_each, of_each.c.customer == m.customer)
        told = [one for one in of_each.c if one.name != "customer"]
    amounts = [worth.worth_by_365, spent.outlay]
    paying = sa.case((worth.revenue_by_365 > sa.literal_column("0"), 1), else_=0)
    rows = asked.reader.fetch(
        sa.select(
            m.arm, m.t0, m.mature, m.converted, m.before, m.words, market.label("market"),
            *amounts, worth.costs, paying.label("paying"),
            *(c for c in (*worth, *spent) if "currency" in c.name), *told,
        )
        .select_from(joined)
        .order_by(
            *(sa.nulls_last(one) for one in (m.arm, m.mature, market, *amounts, m.converted, *told))
        )
    )  # fmt: skip
    _check_currencies(asked, rows)
    return _trial(asked, rows, by)


def _trial(asked: Asked, rows: pa.Table, by: Sequence[str]) -> Trial:
    judged = _column(rows, "mature") == 1
    paying = judged & (_column(rows, "paying") == 1)
    refuse_uncosted(asked, int(paying.sum()), int((paying & (_column(rows, "costs") > 0)).sum()))
    names = np.array(rows.column("arm").to_pylist(), dtype=object)
    levels = np.array(rows.column("market").to_pylist(), dtype=object)
    moved = 0
    if asked.profile.by is not None:
        pairs = zip(names, levels, strict=True)
        moved = sum(level is not None and asked.profile.arm(level) != arm for arm, level in pairs)
    times = [moment for moment in rows.column("t0").to_pylist() if moment is not None]
    return Trial(
        asked,
        {name: _arm(rows, names == name, judged, levels) for name in ARMS},
        min(times, default=None),
        max(times, default=None),
        int((_column(rows, "words") > 1).sum()),
        int(_column(rows, "before").sum()),
        moved,
        next(iter(_currencies(rows, costs=asked.value.value == "contribution")), None),
        {
            (trait, level): {
                name: _arm(rows, own & (names == name), judged, levels) for name in ARMS
            }
            for trait, level, own in _groups(rows, by)
        },
    )


def _groups(rows: pa.Table, by: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """Of each trait its levels, the most frequent first, and who had them."""
    for number, trait in enumerate(by):
        own = [level or MISSING for level in rows.column(f"by_{number}").to_pylist()]
        counted = sorted(Counter(own).items(), key=lambda one: (-one[1], one[0]))
        if len(counted) > _MOST_LEVELS:
            raise Refused(
                f"{trait} has {len(counted):,} levels among those assigned, and {_MOST_LEVELS} are"
                " told apart at most: say which with where="
            )
        known = np.array(own, dtype=object)
        for level, _ in counted:
            yield trait, level, known == level


def _arm(rows: pa.Table, own: Any, judged: Any, levels: Any) -> Arm:
    """Those of one arm, and of these the judged."""
    mature = own & judged
    drawn = levels[own].tolist()
    amounts = {
        name: _column(rows, name)[mature] for name in ("worth_by_365", "outlay", "converted")
    }
    return Arm(
        assigned=int(own.sum()),
        # whoever has no level is alone
        markets=len(set(drawn) - {None}) + drawn.count(None),
        mature=int(mature.sum()),
        converted=int(amounts["converted"].sum()),
        worth=money(_exact(rows, "worth_by_365", mature)),
        outlay=_exact(rows, "outlay", mature),
        amounts=amounts["worth_by_365"] / 365,
        outlays=amounts["outlay"],
        conversions=amounts["converted"],
        levels=levels[mature].tolist(),
    )


def _column(rows: pa.Table, name: str) -> Floats:
    """The numbers of a column; a null is nothing on record, so 0."""
    import pyarrow as pa

    column: Any = rows.column(name).cast(pa.float64())
    found: Floats = column.fill_null(0.0).to_numpy()
    return found


def _exact(rows: pa.Table, name: str, chosen: Any) -> Decimal:
    """The sum of some amounts of a column, to the last decimal."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column: Any = rows.column(name).filter(pa.array(chosen))
    return Decimal(pc.sum(column).as_py() or 0)


def _currencies(rows: pa.Table, *, costs: bool) -> list[str]:
    """The currencies that occur, of the costs that value is less by only if asked for."""
    import pyarrow.compute as pc

    names = [one for one in rows.column_names if "currency" in one]
    found: set[Any] = set()
    for name in names:
        if costs or not name.startswith("cost_"):
            column: Any = rows.column(name)
            found.update(pc.unique(column).to_pylist())
    return sorted(found - {None})


def _check_currencies(asked: Asked, rows: pa.Table) -> None:
    """All amounts that are added or set side by side are in one currency."""
    found = _currencies(rows, costs=asked.value.value == "contribution")
    wanted = asked.value.currency
    if len(found) > 1 or (wanted is not None and found not in ([], [wanted])):
        refuse_currencies(found, wanted)
