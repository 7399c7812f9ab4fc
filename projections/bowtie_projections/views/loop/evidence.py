"""Who is behind a figure of the closed loop: their time zero, what was known, and their worth."""

from __future__ import annotations

from fractions import Fraction

import sqlalchemy as sa

from bowtie_projections.evidence import Evidence, Figure, Trace
from bowtie_projections.localtime import local_month
from bowtie_projections.value import MONEY, money
from bowtie_projections.views.labels import apart_in_sql
from bowtie_projections.views.loop.behind import Behind
from bowtie_projections.views.loop.population import Arrived, Population, channel_of
from bowtie_projections.views.loop.sources import (
    NO_SOURCE,
    Span,
    money_of,
    read_spend,
    source_of,
    unusable,
)
from bowtie_projections.views.loop.tally import fitted, judged
from bowtie_projections.views.loop.tracing import prospects_of

__all__ = ["evidence", "origins", "pairs", "prospects", "sources", "traits", "values"]

_OF_LEVELS = ("customers", "high", "high_rate")
_OF_SOURCES = ("customers", "mature", "high", "value")
_OF_TRAITS = ("known", "ever", "assumed", "undated")
_OF_VALUES = ("customers", "value_mean", "value_mean_others", "value_median")
_DAYS = 365


def evidence(figure: Figure) -> Evidence:
    """The mature who have a level of a trait: what entered time zero, and what told the level.

    Args:
        figure: of the row of the loop; its column is ``customers``, ``high`` (with what
            their value is made of), or ``high_rate``.

    Raises:
        UsageError: no members stand behind the column.
    """
    behind, cell = Behind.of(figure), figure.cell
    column = behind.column(_OF_LEVELS)
    if cell["level"] is None:  # a leak has no level: all of whom it was ever observed
        return _of_trait(behind, "ever")
    return _having(behind, column, {str(cell["trait"]): str(cell["level"])})


def pairs(figure: Figure) -> Evidence:
    """The mature who have both levels of a pair, and what told each.

    Args:
        figure: of the row of the part ``pairs``; its column is ``customers``, ``high`` (with what
            their value is made of), or ``high_rate``.

    Raises:
        UsageError: no members stand behind the column.
    """
    behind, cell = Behind.of(figure), figure.cell
    column = behind.column(_OF_LEVELS)
    wanted = {str(cell[f"trait{end}"]): str(cell[f"level{end}"]) for end in ("", "_2")}
    return _having(behind, column, wanted)


def origins(figure: Figure) -> Evidence:
    """The mature who have a level and came by a source, by their first touch.

    Args:
        figure: of the row of the part ``origins``; its column is ``customers``, ``high`` (with
            what their value is made of), or ``high_rate``.

    Raises:
        UsageError: no members stand behind the column.
    """
    behind, cell = Behind.of(figure), figure.cell
    column = behind.column(_OF_LEVELS)
    source = (str(cell["by"]), str(cell["source"]))
    return _having(behind, column, {str(cell["trait"]): str(cell["level"])}, source)


def _having(
    behind: Behind, column: str, wanted: dict[str, str], source: tuple[str, str] | None = None
) -> Evidence:
    """The mature who have some levels, and came by some source, if one is named."""
    levels, traits = behind.levels(), list(wanted)
    mature = levels.mature(traits)
    parts = [
        levels.has(mature.rows, trait, level, place)
        for place, (trait, level) in enumerate(wanted.items())
    ]
    if source is not None:
        parts.append(_came_by(mature.rows, *source))
    if column == "high":
        parts.append(mature.rows.c.high == 1)
    members = sa.select(mature.rows).where(mature.told, *parts).cte("of_level")
    traces = [behind.time_zero(members), *_told(members, traits)]
    if source is not None:
        traces.append(behind.first_touch(members))
    if column == "high":
        traces += behind.worth(members)
    rate = sa.cast(sa.func.sum(members.c.high), sa.Double()) / sa.func.count()
    return behind.evidence(members, traces, rate if column == "high_rate" else None)


def _told(members: sa.CTE, traits: list[str]) -> list[Trace]:
    """What told the level of each trait."""
    return [Trace.fact(trait, members.c[f"position_{place}"]) for place, trait in enumerate(traits)]


def _came_by(who: sa.FromClause, by: str, source: str) -> sa.ColumnElement[bool]:
    """Whether somebody came by a source, as it is named: of their first touch by time zero."""
    named = apart_in_sql(channel_of(who, by), (NO_SOURCE,))
    return sa.func.coalesce(named, NO_SOURCE) == source


def values(figure: Figure) -> Evidence:
    """Whose mean or median value is told, and what the value of each is made of.

    Behind ``value_mean_others`` stand the others: who has another level of the trait, or none.

    Args:
        figure: of the row of the part ``values``; its column is ``customers``, ``value_mean``,
            ``value_mean_others`` or ``value_median``.

    Raises:
        UsageError: no members stand behind the column; a difference is made of two means.
    """
    behind, trait = Behind.of(figure), str(figure.cell["trait"])
    column = behind.column(_OF_VALUES)
    levels = behind.levels()
    mature = levels.mature([trait])
    own = levels.has(mature.rows, trait, str(figure.cell["level"]))
    chosen = sa.not_(own) if column == "value_mean_others" else own
    members = sa.select(mature.rows).where(mature.told, chosen).cte("of_level")
    traces = [behind.time_zero(members), *_told(members, [trait])]
    if column == "customers":
        return behind.evidence(members, traces)
    traces += behind.worth(members)
    worth = members.c.worth
    if column == "value_median":
        middle = sa.cast(sa.func.percentile_disc(0.5).within_group(worth), MONEY)
        return behind.evidence(members, traces, middle, money)
    total = sa.cast(sa.func.sum(worth), MONEY)
    return behind.evidence(
        members, traces, total, lambda mean: money_of(Fraction(mean) / _DAYS), mean=True
    )


def traits(figure: Figure) -> Evidence:
    """The mature of whom a trait was known by time zero, or is by now, and what told it.

    Args:
        figure: of the row of the part ``traits``; its column is ``known``, ``ever``, ``assumed``
            or ``undated``.

    Raises:
        UsageError: no members stand behind the column.
    """
    behind = Behind.of(figure)
    return _of_trait(behind, behind.column(_OF_TRAITS))


def _of_trait(behind: Behind, flag: str) -> Evidence:
    trait = str(behind.figure.cell["trait"])
    rows = behind.levels().mature([trait]).rows
    members = sa.select(rows).where(rows.c[f"{flag}_0"] == 1).cte("of_trait")
    return behind.evidence(members, [behind.time_zero(members), *_told(members, [trait])])


def prospects(figure: Figure) -> Evidence:
    """Which prospects have a level now: what made them prospects, and what told the level.

    Args:
        figure: of the row of the part ``prospects``; its column is ``prospects``.

    Raises:
        UsageError: no members stand behind the column.
    """
    behind, trait = Behind.of(figure), str(figure.cell["trait"])
    behind.column(("prospects",), "a share of all of them")
    levels = behind.levels()
    who = prospects_of(behind.population, figure.definition.lead)
    rows = levels.known(who, [trait])
    own = levels.has(rows, trait, str(figure.cell["level"]))
    members = sa.select(rows).where(own).cte("prospects_of_level")
    entered = [name for name in who.c.keys() if name.endswith("_at")]  # noqa: SIM118 - columns
    traces = [Trace.entry(name.removesuffix("_at"), members.c[name]) for name in entered]
    return behind.evidence(members, [*traces, *_told(members, [trait])])


def sources(figure: Figure) -> Evidence:
    """Whom a source brought in the months it has spend on record for, by their first touch.

    Args:
        figure: of the row of the part ``sources``; its column is ``customers``, or of the
            mature ``mature``, ``high``, ``value`` (with what it is made of).

    Raises:
        UsageError: no members stand behind the column.
    """
    behind, source = Behind.of(figure), str(figure.cell["source"])
    column, population = behind.column(_OF_SOURCES), behind.population
    who = population.kept() if column == "customers" else judged(population)
    parts = [_came_by(who, "channel", source)]
    months = _months(population, source)
    if months is not None:
        parts.append(local_month(who.c.t0, behind.question.tz).in_(months))
    if column == "high":
        parts.append(who.c.high == 1)
    members = sa.select(who).where(*parts).cte("of_source")
    traces = [behind.time_zero(members), behind.first_touch(members)]
    if column in {"high", "value"}:
        traces += behind.worth(members)
    if column != "value":
        return behind.evidence(members, traces)
    worth = sa.func.coalesce(sa.func.sum(members.c.worth), sa.literal_column("0", sa.Integer()))
    return behind.evidence(members, traces, worth, money)


def _months(population: Population, source: str) -> list[int] | None:
    """The months in which a source has spend on record; None where all count."""
    reader, question = population.units.reader, population.question
    arrived = Arrived.of(reader.fetch(population.arrivals()).to_pylist(), question)
    assert arrived.first is not None  # noqa: S101 - there is a row, so somebody has come
    span = Span.of(question, arrived.first, population.end)
    ledgers, _ = read_spend(reader, population.cut, question, span)
    ledger = {source_of(channel): one for channel, one in ledgers.items()}.get(source)
    currency = reader.fetch(fitted(population)).to_pylist()[0]["currency_low"]
    if ledger is None or unusable(source, ledger, currency) is not None:
        return None
    return sorted(ledger.months)
