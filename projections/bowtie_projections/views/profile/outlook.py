"""Who came as a prospect, how many of them fit, and what became of those: what a profile may hope.

The prospects of the past were judged by nobody. Each is taken as they stood a week after they were
first seen, by what was known of them then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import Refused
from bowtie.profiles import Profile
from bowtie.stages import Definition
from bowtie_projections.arms import ALPHA, POWER, detectable_mean, detectable_share
from bowtie_projections.results import Result
from bowtie_projections.statistics import wilson
from bowtie_projections.value import MONEY, money
from bowtie_projections.views.cohorts import cohort_label, cohort_start
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.profile.people import SETTLED, came, open_prospects, with_worth
from bowtie_projections.views.profile.question import Asked, profile_at
from bowtie_projections.views.profile.scoring import scored
from bowtie_projections.views.profile.unmet import unmet
from bowtie_projections.views.shares import typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Came", "detectable", "outlook", "outlook_by", "profile_outlook", "trend_table"]

_DAY = timedelta(days=1)
#: Under so many mature prospects of the past a rate or a deviation says little.
_FEWEST = 30
_COLUMNS = (
    "came", "period", "prospects", "fitting", "fitting_share", "mature", "converted",
    "conversion", "conversion_low", "conversion_high", "value", "value_per_prospect",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Came:
    """Prospects of the past, added up.

    Args:
        prospects: who came.
        fitting: of them, who fitted a week later.
        mature: of the fitting, who is old enough to be judged.
        converted: of these, who committed within the horizon.
        worth_by_365: what these were worth, times 365.
        squares: of their amounts, the sum.
        first, last: when the first and the last of the prospects was first seen.
    """

    prospects: int = 0
    fitting: int = 0
    mature: int = 0
    converted: int = 0
    worth_by_365: Decimal = Decimal(0)
    squares: float = 0.0
    first: Any = None
    last: Any = None

    @property
    def per_prospect(self) -> Decimal | None:
        """The mean worth of a fitting prospect."""
        return money(self.worth_by_365 / self.mature) if self.mature else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a fitting prospect's worth."""
        if self.mature < 2:
            return None
        mean = float(self.worth_by_365) / 365 / self.mature
        spread = self.squares - self.mature * mean * mean
        return sqrt(max(0.0, spread) / (self.mature - 1))

    def plus(self, other: Came) -> Came:
        """Both together."""
        return Came(
            self.prospects + other.prospects,
            self.fitting + other.fitting,
            self.mature + other.mature,
            self.converted + other.converted,
            self.worth_by_365 + other.worth_by_365,
            self.squares + other.squares,
            min(filter(None, (self.first, other.first)), default=None),
            max(filter(None, (self.last, other.last)), default=None),
        )


def outlook_by(asked: Asked, key: Any = None) -> dict[Any, Came]:
    """The prospects of the past by a key of when they came; all of them under None without one.

    Args:
        asked: the question.
        key: makes the key in SQL of the column of when each was first seen.

    Raises:
        Refused: their worth is in several currencies.
    """
    everybody = scored(asked, came(asked))
    c = everybody.c
    judged = sa.and_(c.mature == sa.literal_column("1"), c.fits == sa.literal_column("1"))
    kept = [one for one in c if one.name != "mature"]
    one, nought = (sa.literal_column(n, sa.Integer()) for n in ("1", "0"))
    members = sa.select(*kept, sa.case((judged, one), else_=nought).label("mature")).cte("weighed")
    joined, worth, _ = with_worth(asked, members)
    m = members.c
    where: ColumnElement[Any] = (
        sa.cast(sa.null(), sa.String()) if key is None else key(m.first_seen_at)
    )
    amount = sa.cast(worth.worth_by_365, sa.Double()) / sa.literal_column("365.0", sa.Double())
    rows = asked.reader.fetch(
        sa.select(
            where.label("key"),
            sa.func.count().label("prospects"),
            _whole(m.fits).label("fitting"),
            _whole(m.mature).label("mature"),
            _whole(sa.case((m.mature == one, m.converted), else_=nought)).label("converted"),
            sa.cast(sa.func.sum(worth.worth_by_365), MONEY).label("worth_by_365"),
            sa.func.sum(amount * amount).label("squares"),
            sa.func.min(m.first_seen_at).label("first"),
            sa.func.max(m.first_seen_at).label("last"),
            sa.func.min(worth.currency_low).label("low"),
            sa.func.max(worth.currency_high).label("high"),
        )
        .select_from(joined)
        .group_by(where)
    ).to_pylist()
    found = sorted({row[name] for row in rows for name in ("low", "high")} - {None})
    if len(found) > 1:
        refuse_currencies(found, asked.value.currency)
    return {
        row["key"]: Came(
            row["prospects"], row["fitting"], row["mature"], row["converted"],
            row["worth_by_365"] or Decimal(0), row["squares"] or 0.0, row["first"], row["last"],
        )
        for row in rows
        if row["prospects"]
    }  # fmt: skip


def outlook(asked: Asked) -> dict[Any, Came]:
    """The prospects of the past by the quarter they came in."""
    if asked.cut.moment is None:
        return {}
    tz = asked.value.tz
    return outlook_by(asked, lambda seen: cohort_start(seen, "quarter", tz))


def detectable(asked: Asked, quarters: Mapping[Any, Came]) -> dict[str, Any]:
    """How many prospects a profile may expect, and the smallest differences that these can show.

    Args:
        asked: the question.
        quarters: from :func:`outlook`.

    Returns:
        As it stands in the document: ``prospects`` expected while the profile runs (those of the
        past year that would have fitted, by the day; and those who stand open now, where it is for
        them), ``targeted`` and ``holdout``;
        ``base_conversion``, ``value_mean`` and ``value_deviation`` of past ones; ``conversion`` and
        ``value``, the smallest differences; ``alpha``, ``power`` and the ``formula``; and a
        ``reason`` where there are none.
    """
    past = Came()
    for one in quarters.values():
        past = past.plus(one)
    profile = asked.profile
    said: dict[str, Any] = {
        "prospects": None, "targeted": None, "holdout": None, "base_conversion": None,
        "value_mean": None, "value_deviation": None, "conversion": None, "value": None,
        "alpha": ALPHA, "power": POWER, "formula": _FORMULA, "reason": None,
    }  # fmt: skip
    if past.first is None:
        return said | {"reason": "nobody has come as a prospect yet"}
    running = (profile.ends_on - profile.starts_on) // _DAY + 1
    lately = [one for one in quarters.values() if past.last - one.last < timedelta(days=365)]
    recent = Came()
    for one in lately:
        recent = recent.plus(one)
    stands_open = profile.prospects == "open"
    days = max(1, (recent.last - recent.first) // _DAY + 1)
    expected = recent.fitting * running / days + (_standing_open(asked) if stands_open else 0)
    held = expected * float(profile.holdout)
    said |= {
        "prospects": round(expected),
        "targeted": round(expected - held),
        "holdout": round(held),
    }
    if profile.by is not None:
        return said | {
            "reason": f"levels of {profile.by} are drawn, and how far they differ is not known"
            " beforehand"
        }
    deviation = past.deviation
    if past.mature < _FEWEST or deviation is None:
        return said | {
            "reason": f"{past.mature} fitting prospects of the past are old enough to be judged,"
            f" under {_FEWEST}"
        }
    base = past.converted / past.mature
    arms = (expected - held, held)
    mean = past.per_prospect
    value = detectable_mean(deviation, *arms)
    return said | {
        "base_conversion": round(base, 6),
        "value_mean": None if mean is None else round(float(mean), 2),
        "value_deviation": round(deviation, 2),
        "conversion": _rounded(detectable_share(base, *arms), 6),
        "value": _rounded(value, 2),
    }


def _standing_open(asked: Asked) -> int:
    """How many stand open that fit."""
    fitting = sa.select(sa.func.sum(scored(asked, open_prospects(asked)).c.fits))
    return int(asked.reader.fetch(fitting).column(0)[0].as_py() or 0)


_FORMULA = (
    "(z of 1 - alpha/2 + z of power) * sqrt(1/targeted + 1/holdout), of the arcsine of a share and"
    " of the deviation of a value (Cohen 1988, chapters 6 and 2)"
)


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)


def profile_outlook(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    profile: str | Path | Profile,
    data_through: Any = None,
    tz: str = "UTC",
) -> Result:
    """How many prospects of the past would have fitted a profile, and what became of them.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the entry of a stage is.
        profile: the name of one that was published, a file, its text, or one at hand.
        data_through: up to when the data is complete, if not up to the moment asked of.
        tz: the zone of days and quarters.

    Returns:
        A row for each quarter in which prospects came: how many, how many of them ``fitting``, and
        of the ``mature`` of those how many ``converted`` and what they were worth.
        ``meta["detectable"]`` says how many the profile may expect while it runs, and which
        differences these can show.

    Raises:
        UnknownName: there is no such profile.
        DefinitionError: the profile is wrong.
        Refused: amounts are in several currencies.
    """
    asked = Asked.of(
        reader, cut, definition, profile_at(reader, cut, profile), data_through=data_through, tz=tz
    )
    quarters = outlook(asked)
    found = detectable(asked, quarters)
    total = sum(one.prospects for one in quarters.values())
    fitting = sum(one.fitting for one in quarters.values())
    sentence = (
        f"{total:,} came as prospects; {fitting:,} of them would have fitted"
        f" {asked.profile.label} {SETTLED.days} days after they were first seen."
    )
    return Result(
        "profile_outlook",
        trend_table(asked, quarters),
        sentence=sentence,
        notes=[*unmet(asked), *_expected(found), f"{asked.profile.label}: {asked.profile}."],
        sql=asked.reader.statements,
        meta=asked.meta() | {"detectable": found},
    )


def _expected(found: Mapping[str, Any]) -> list[str]:
    if found["prospects"] is None:
        return [f"No smallest difference can be told: {found['reason']}."]
    numbers = (
        f"By those of the past the profile may expect {found['prospects']:,} prospects while"
        f" it runs: {found['targeted']:,} targeted, {found['holdout']:,} held out."
    )
    if found["reason"] is not None:
        return [numbers, f"No smallest difference can be told: {found['reason']}."]
    share = (
        "none, for it would be over all"
        if found["conversion"] is None
        else f"{found['conversion']:.1%}"
    )
    seen = (
        f"{numbers} With a chance of {found['power']:.0%} they show a difference in conversion of"
        f" {share} (over {found['base_conversion']:.1%}), and in value of {found['value']:,.2f} a"
        f" prospect (over {found['value_mean']:,.2f})."
    )
    return [seen]


def trend_table(asked: Asked, quarters: Mapping[Any, Came]) -> pa.Table:
    """A row for each quarter, and whether it lies before, in or after the profile's days."""
    import pyarrow as pa

    rows = [_row(asked, start, quarters[start]) for start in sorted(quarters)]
    kinds: dict[str, Any] = dict.fromkeys(_COLUMNS, pa.int64())
    kinds |= dict.fromkeys(("came", "period"), pa.string())
    shares = ("fitting_share", "conversion", "conversion_low", "conversion_high")
    kinds |= dict.fromkeys(shares, pa.float64())
    kinds |= dict.fromkeys(("value", "value_per_prospect"), pa.decimal128(38, 6))
    return typed_table(rows, kinds, {})


def _row(asked: Asked, start: Any, one: Came) -> dict[str, Any]:
    profile = asked.profile
    label = cohort_label(start, "quarter")
    row: dict[str, Any] = dict.fromkeys(_COLUMNS) | {
        "came": label,
        "period": "before"
        if start < profile.starts_on
        else "during"
        if start <= profile.ends_on
        else "after",
        "prospects": one.prospects,
        "fitting": one.fitting,
        "fitting_share": one.fitting / one.prospects,
        "mature": one.mature,
    }
    if one.mature:
        low, high = wilson(one.converted, one.mature)
        row |= {
            "converted": one.converted,
            "conversion": one.converted / one.mature,
            "conversion_low": float(low),
            "conversion_high": float(high),
            "value": money(one.worth_by_365),
            "value_per_prospect": one.per_prospect,
        }
    return row


def _whole(column: Any) -> ColumnElement[Any]:
    return sa.cast(sa.func.sum(column), sa.BigInteger())


def refuse_uncosted(asked: Asked, paying: int, costed: int) -> None:
    """Refuse contributions of prospects whose costs nobody wrote down.

    Raises:
        Refused: fewer than 95% of those who brought revenue have a cost on record.
    """
    if asked.value.value != "contribution" or asked.value.costs_complete:
        return
    if costed < 0.95 * paying:
        raise Refused(
            f"{asked.profile.label} is judged by contribution, and {costed:,} of the {paying:,}"
            f" assigned who brought revenue have a cost on record, under 95%: publish a profile"
            " whose policy says costs_complete, or one that goes by revenue"
        )
