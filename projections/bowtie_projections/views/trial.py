"""A stage definition tried on a log: whom it sees, and which rules and events never meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.durations import format_duration
from bowtie.stages import STAGES, Comparison, Condition, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts, condition_rows
from bowtie_projections.cycles import BOOKKEEPING
from bowtie_projections.entering import entering_facts
from bowtie_projections.matching import contextual, groups_of, placed_matches
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.journey_source import Needs, journeys_at, settled
from bowtie_projections.views.stock import NO_STAGE, stock
from bowtie_projections.views.units import Units, check_look_back, check_unit, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["trial"]

#: Events about the log itself, or that say whose other events are: no rule asks for them.
_ABOUT_OTHERS = (
    *BOOKKEEPING, "identity_linked", "identity_unlinked", "membership_started", "membership_ended"
)  # fmt: skip
#: Events that end journeys, where the definition sees losses, or hold such an end off.
_ENDING = ("disqualified", "contract_signed", "contract_renewed", "contract_ended")

_Row = dict[str, Any]


def trial(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
) -> Result:
    """What a definition does to the log: who enters each stage, and by which events.

    Args:
        reader: the read tables.
        cut: the facts that count.
        definition: the one that is tried.
        unit: what is counted: ``customer``, ``account``, ``opportunity`` or ``cycle``.
        look_back: touches of a member count for the account from so long before the membership.

    Returns:
        A row for each stage: how many ``rules`` it has, how many ever ``entered`` it and how many
        stand there. The part ``rules`` has a row for each rule and how many met it, the part
        ``events`` one for each type of event (of what is noted, each name): how many there are,
        and how many of them are ``used``: enter a stage, or bear on the end of a journey.
    """
    unit, span = check_unit(unit), check_look_back(look_back)
    cut = settled(reader, cut)
    standing = stock(reader, cut, definition, unit=unit, look_back=span).rows()
    stand = {row["stage"]: row[plural(unit)] for row in standing}
    units = Units.of(reader, cut, unit, span)
    reader = units.reader
    entered = reader.fetch(_entered(units, cut, definition)).to_pylist()[0]
    rules = _rules(reader.fetch(_met(definition, cut)).to_pylist(), definition)
    events = reader.fetch(_events(definition, cut)).to_pylist()
    unseen, everybody = stand[NO_STAGE], sum(stand.values())
    places = [
        {
            "stage": place,
            "rules": len(definition.conditions[place]) if place in STAGES else None,
            "entered": entered.get(place),
            "standing": number,
        }
        for place, number in stand.items()
    ]
    return Result(
        "definition_check",
        _table(places, ("stage",), ("rules", "entered", "standing")),
        sentence=f"{definition.label} sees {everybody - unseen:,} of {units.count(everybody)}:"
        f" {unseen:,} never {'enters' if unseen == 1 else 'enter'} a stage.",
        notes=[*_unmet(rules), *_unused(events)],
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "parameters": {"unit": unit, "look_back": format_duration(span)},
            "position": cut.position,
            "as_of": None if cut.moment is None else cut.moment.replace(tzinfo=UTC),
            "known_at": None,
            "seen": everybody - unseen,
            plural(unit): everybody,
        },
        parts={
            "rules": _table(rules, ("stage", "event", "condition"), ("line", "met")),
            "events": _table(events, ("event", "name"), ("events", "used")),
        },
    )


def _entered(units: Units, cut: Cut, definition: Definition) -> sa.Select[Any]:
    """How many ever entered each stage, in whichever cycle."""
    journeys = journeys_at(units.reader, cut, definition, Needs())
    c = journeys.c
    counted = sa.func.count(c.cycle if units.name == "cycle" else c.customer.distinct())
    asked: list[sa.ColumnElement[Any]] = [
        counted.filter(c[f"{stage}_at"].is_not(None)).label(stage) for stage in STAGES
    ]
    return sa.select(*asked)


def _met(definition: Definition, cut: Cut) -> sa.Select[Any]:
    """How many met each rule where it enters a stage: ``stage``, ``rule`` and ``met``."""
    facts = Facts(cut)
    found: list[tuple[str, int, sa.FromClause]] = []
    in_cycles = contextual(definition, facts, groups_of(definition, facts), placed_matches)
    for stage in STAGES:
        rows = iter([rows for name, rows in in_cycles if name == stage])
        for number, condition in enumerate(definition.conditions[stage]):
            own = condition_rows(condition, facts) if condition.plain else next(rows)
            found.append((stage, number, own))
    return sa.select(
        sa.union_all(
            *(
                sa.select(
                    sa.literal_column(f"'{stage}'", sa.String()).label("stage"),
                    sa.literal_column(str(number), sa.Integer()).label("rule"),
                    sa.func.count(rows.c.customer.distinct()).label("met"),
                )
                for stage, number, rows in found
            )
        ).subquery("met")
    )


def _events(definition: Definition, cut: Cut) -> sa.Select[Any]:
    """How many events of each type there are, and how many of them are used; unused ones first."""
    events, noted = tables.events, tables.facts["noted"]
    entering = entering_facts(definition, Facts(cut), STAGES).subquery("entering")
    used = sa.select(entering.c.position, entering.c.customer).distinct().subquery("used")
    same = sa.and_(used.c.position == events.c.position, used.c.customer == events.c.subject)
    named = sa.and_(noted.c.position == events.c.position, noted.c.customer == events.c.subject)
    enters: sa.ColumnElement[bool] = used.c.position.is_not(None)
    if definition.loss == "events":
        enters = sa.or_(enters, events.c.type.in_(_ENDING))
    number, uses = sa.func.count(), sa.func.count().filter(enters)
    return (
        sa.select(
            events.c.type.label("event"),
            noted.c.name.label("name"),
            number.label("events"),
            uses.label("used"),
        )
        .select_from(events.outerjoin(used, same).outerjoin(noted, named))
        .where(counts(events, cut), events.c.kind == "customer")
        .where(events.c.type.not_in(_ABOUT_OTHERS))
        .group_by(events.c.type, noted.c.name)
        .order_by(
            sa.case((uses == 0, 0), else_=1),
            number.desc(),
            events.c.type,
            noted.c.name.nulls_last(),
        )
    )


def _rules(met: Sequence[_Row], definition: Definition) -> list[_Row]:
    """The rules in the order of the stages, each with how many met it."""
    numbers = {(row["stage"], row["rule"]): row["met"] for row in met}
    return [
        {
            "stage": stage,
            "event": condition.event,
            "condition": "; ".join(_said(condition)) or None,
            "line": condition.line,
            "met": numbers[stage, number],
        }
        for stage in STAGES
        for number, condition in enumerate(definition.conditions[stage])
    ]


def _said(condition: Condition) -> Iterator[str]:
    """What a condition asks beside the event, in the words of the document."""
    yield from map(_compared, condition.where)
    for name in ("rises", "falls"):
        if (field := getattr(condition, name)) is not None:
            yield f"{field} {name}"
    if (total := condition.day_total) is not None:
        yield f"{total.field} of a day {total.op} {total.value}"
    if condition.after is not None:
        yield f"after {condition.after}"
    if condition.within is not None:
        yield f"within {format_duration(condition.within.time)} of {condition.within.of}"
    if condition.nth > 1:
        counted = "" if condition.counted_by == "event" else f", by {condition.counted_by}"
        yield f"nth {condition.nth}{counted}{f', each {condition.each}' if condition.each else ''}"


def _compared(comparison: Comparison) -> str:
    values = ", ".join(map(str, comparison.values))
    return f"{comparison.field} {'=' if comparison.op == 'in' else comparison.op} {values}"


def _unmet(rules: Sequence[_Row]) -> list[str]:
    unmet = [row for row in rules if not row["met"]]
    if not unmet:
        return []
    named = ", ".join(f"{row['event']} for {row['stage']} (line {row['line']})" for row in unmet)
    verb = "rule is" if len(unmet) == 1 else "rules are"
    return [f"{len(unmet)} of {len(rules)} {verb} met by nothing in the log: {named}."]


def _unused(events: Sequence[_Row]) -> list[str]:
    unused = [row for row in events if not row["used"]]
    if not unused:
        return []
    number = sum(row["events"] for row in unused)
    everything = sum(row["events"] for row in events)
    said = f"{number:,} of {everything:,} events are of a type, or were noted under a name"
    return [f"{said}, that no rule uses: see the part events."]


def _table(rows: Sequence[_Row], texts: Sequence[str], numbers: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    kinds = {**dict.fromkeys(texts, pa.string()), **dict.fromkeys(numbers, pa.int64())}
    schema = pa.schema([pa.field(name, kind) for name, kind in kinds.items()])
    return pa.Table.from_pylist(list(rows), schema=schema)
