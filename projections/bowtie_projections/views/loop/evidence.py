"""Who is behind a figure of the closed loop: their time zero, what was known, and their worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.known import Observed
from bowtie_projections.localtime import local_month
from bowtie_projections.traits import read_traits
from bowtie_projections.value import money, value_facts
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.labels import apart_in_sql
from bowtie_projections.views.loop.bins import find_bins, leveled
from bowtie_projections.views.loop.counts import MISSING
from bowtie_projections.views.loop.population import Arrived, Population, channel_of
from bowtie_projections.views.loop.question import Question, ask
from bowtie_projections.views.loop.sources import NO_SOURCE, Span, read_spend, source_of, unusable
from bowtie_projections.views.loop.tables import renamed
from bowtie_projections.views.loop.tally import fitted, judged, level_named
from bowtie_projections.views.units import Units

__all__ = ["evidence", "sources"]

_OF_LEVELS = ("customers", "high", "high_rate")
_OF_SOURCES = ("customers", "mature", "high", "value")


def evidence(figure: Figure) -> Evidence:
    """The mature who have a level of a trait: what entered time zero, and what told the level.

    Args:
        figure: of the row of the loop; its column is ``customers``, ``high`` (with what
            their value is made of), or ``high_rate``.

    Raises:
        UsageError: no members stand behind the column.
    """
    asked = dict(figure.asked)
    rules = read_traits(asked.pop("traits"))
    column = _plain(figure.column, _OF_LEVELS, asked)
    population, question = _population(figure.reader, figure.cut, figure.definition, asked)
    observed = Observed.of(population.units.reader, population.cut, question.gap, rules)
    own = _of_level(population, observed, figure.cell)
    chosen = [own.c.high == 1] if column == "high" else []
    members = sa.select(own).where(sa.true(), *chosen).cte("of_level")
    trait = Trace.fact(str(figure.cell["trait"]), members.c.position)
    traces = [_time_zero(members, question), trait]
    if column == "high":
        traces += _worth(population, members)
    rate = sa.cast(sa.func.sum(members.c.high), sa.Double()) / sa.func.count()
    return Evidence(
        population.units, population.cut, figure.definition, members, traces,
        rate if column == "high_rate" else None,
    )  # fmt: skip


def _of_level(population: Population, observed: Observed, cell: Mapping[str, Any]) -> sa.Subquery:
    """The judged who have the level of a row, with the position of what told it."""
    who = judged(population)
    among = sa.select(*who.c, who.c.customer.label("member")).subquery("among")
    bins = find_bins(population.units.reader, who, observed)
    known = observed.known(among, ("member",), only={cell["trait"]}).subquery("known")
    value = leveled(known.c.name, known.c.value, bins).label("value")
    others = [one for one in known.c if one.name not in {"name", "value"}]
    own = sa.select(value, *others).cte("trait_at_t0")
    place = sa.func.row_number().over(order_by=(sa.func.count().desc(), own.c.value))
    ranked = (
        sa.select(own.c.value, place.label("place"))
        .where(own.c.value.is_not(None))
        .group_by(own.c.value)
        .cte("ranked_levels")
    )
    level = level_named(own.c.value, ranked.c.place)
    if cell["level"] is None:  # a leak has no level: all of whom it was ever observed
        wanted: ColumnElement[bool] = own.c.ever == 1
    else:
        wanted = level.is_(None) if cell["level"] == MISSING else level == cell["level"]
        if cell["trait"] in bins and bins[cell["trait"]].split:
            wanted = sa.and_(wanted, who.c.later == 1)
    joined = who.outerjoin(own, own.c.member == who.c.customer)
    joined = joined.outerjoin(ranked, ranked.c.value == own.c.value)
    return (
        sa.select(who.c.customer, who.c.t0, who.c.high, own.c.position)
        .select_from(joined)
        .where(wanted)
        .subquery("with_level")
    )


def sources(figure: Figure) -> Evidence:
    """Whom a source brought in the months it has spend on record for, by their first touch.

    Args:
        figure: of the row of the part ``sources``; its column is ``customers``, or of the
            mature ``mature``, ``high``, ``value`` (with what it is made of).

    Raises:
        UsageError: no members stand behind the column.
    """
    asked = dict(figure.asked)
    del asked["traits"]
    column = _plain(figure.column, _OF_SOURCES, asked)
    population, question = _population(figure.reader, figure.cut, figure.definition, asked)
    who = population.kept() if column == "customers" else judged(population)
    parts = [
        sa.func.coalesce(apart_in_sql(channel_of(who), (NO_SOURCE,)), NO_SOURCE)
        == figure.cell["source"]
    ]
    months = _months(population, str(figure.cell["source"]))
    if months is not None:
        parts.append(local_month(who.c.t0, question.tz).in_(months))
    if column == "high":
        parts.append(who.c.high == 1)
    members = sa.select(who).where(*parts).cte("of_source")
    traces = [_time_zero(members, question), _first_touch(population.cut, members)]
    if column in {"high", "value"}:
        traces += _worth(population, members)
    if column != "value":
        return Evidence(population.units, population.cut, figure.definition, members, traces)
    worth = sa.func.coalesce(sa.func.sum(members.c.worth), sa.literal_column("0", sa.Integer()))
    return Evidence(
        population.units, population.cut, figure.definition, members, traces, worth, finish=money
    )


def _plain(column: str, explained: Sequence[str], asked: Mapping[str, Any]) -> str:
    """The column as it is called where those of high value are looked for.

    Raises:
        UsageError: no members stand behind it.
    """
    target = str(asked.get("target", "high"))
    names = {renamed(name, target): name for name in explained}
    if column not in names:
        raise not_explained(column, tuple(names))
    return names[column]


def _population(
    reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]
) -> tuple[Population, Question]:
    question = ask(definition, dict(asked))
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    return Population.of(units, cut, definition, question), question


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


def _time_zero(members: sa.FromClause, question: Question) -> Trace:
    return Trace.entry(question.stage, members.c.t0, f"time zero: entered {question.stage}")


def _first_touch(cut: Cut, members: sa.CTE) -> Trace:
    """The touch that names the source, where it came by time zero."""
    table = tables.facts["touched"]
    m, c = members.c, table.c
    first = sa.and_(
        c.customer == m.customer, c.occurred_at == m.first_touch_at, c.occurred_at <= m.t0
    )
    place = sa.func.row_number().over(partition_by=c.customer, order_by=c.position)
    rows = (
        sa.select(c.customer, c.position, place.label("place"))
        .select_from(members.join(table, first))
        .where(counts(table, cut))
        .subquery("first_touches_of")
    )
    return Trace.facts("first touch", sa.select(rows).where(rows.c.place == 1).subquery())


def _worth(population: Population, members: sa.CTE) -> list[Trace]:
    """What the value of each is made of."""
    question = population.question
    found = value_facts(members, population.cut, population.worth_over())
    if question.value == "revenue":
        del found["cost"]
    return [Trace.facts(f"value: {what}", rows.subquery()) for what, rows in found.items()]
