"""What reads an event on one side of a difference, and what came of it for each customer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bowtie.stages import STAGES
from bowtie_projections import tables
from bowtie_projections.conditions import Facts, single_rows
from bowtie_projections.cycles import cycles
from bowtie_projections.diff.sides import Side
from bowtie_projections.expressions import map_text
from bowtie_projections.views.breakdown import CONTRACT, SEGMENT, TOUCH
from bowtie_projections.views.cut import Reader, counts

__all__ = ["LOSS", "SILENCE", "Counted", "Passed", "passed", "read"]

#: What reads an event that bears on the end of a journey.
LOSS, SILENCE = "loss", "silence"
#: Events that end journeys, or hold such an end off, where the definition sees losses.
_ENDING = ("disqualified", "contract_signed", "contract_renewed", "contract_ended")
#: Events that say what a contract costs, which the next one is compared with.
_PRICED = ("contract_signed", "contract_changed", "contract_renewed")
_MEMBERSHIP = ("membership_started", "membership_ended")
#: More customers than these are not named in a statement; then all are read.
_NAMED = 2_000

#: An event as it counts: for whom, and its position.
Counted = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Passed:
    """How a customer passed through the stages: when each was entered, and when they were lost.

    Args:
        entries: stage and moment, of all cycles.
        losses: the moments.
    """

    entries: frozenset[tuple[str, Any]] = frozenset()
    losses: frozenset[Any] = frozenset()

    def differs(self, other: Passed, use: str) -> bool:
        """Whether what an event is read for came out otherwise; where losses did, all may have."""
        if self.losses != other.losses:
            return True
        if use in {LOSS, SILENCE}:
            return False
        if use not in STAGES:
            return True
        return any(stage == use for stage, _ in self.entries ^ other.entries)


def read(side: Side, customers: Collection[str]) -> dict[Counted, frozenset[str]]:
    """By customer and position, what reads each event of the customers on a side."""
    asked = sa.union_all(*_reading(side, _facts(side, customers))).subquery("reading")
    found: dict[Counted, set[str]] = defaultdict(set)
    wanted = set(customers)
    for row in _reader(side).fetch(sa.select(asked).distinct()).to_pylist():
        if row["customer"] in wanted:
            found[row["customer"], row["position"]].add(row["use"])
    return {place: frozenset(uses) for place, uses in found.items()}


def passed(side: Side, customers: Collection[str]) -> dict[str, Passed]:
    """How the customers passed through the stages on a side; of who never entered one, nothing."""
    facts = _facts(side, customers)
    found = cycles(side.definition, facts.cut, facts.customers, latest=False)
    rows = _reader(side).fetch(found).to_pylist()
    entries: dict[str, set[tuple[str, Any]]] = defaultdict(set)
    losses: dict[str, set[Any]] = defaultdict(set)
    for row in rows:
        own = entries[row["customer"]]
        own.update((stage, at) for stage in STAGES if (at := row[f"{stage}_at"]) is not None)
        if row["lost_at"] is not None:
            losses[row["customer"]].add(row["lost_at"])
    return {one: Passed(frozenset(entries[one]), frozenset(losses[one])) for one in customers}


def _reader(side: Side) -> Reader:
    """The tables under the keys of the units.

    Whom a segment leaves out on one side alone has still the same events.
    """
    reader: Reader = getattr(side.units.reader, "everybody", side.units.reader)
    return reader


def _facts(side: Side, customers: Collection[str]) -> Facts:
    if len(customers) > _NAMED:
        return Facts(side.settled)
    rows = sa.values(sa.column("customer", sa.String()), name="moved", literal_binds=True)
    named = rows.data([(one,) for one in sorted(customers)])
    return Facts(side.settled, sa.select(named).cte("moved_customers").prefix_with("MATERIALIZED"))


def _reading(side: Side, facts: Facts) -> Iterator[sa.Select[Any]]:
    """The events that a side's definition, breakdowns and own rules read: whose, which, why."""
    for stage in (one for one in STAGES if one in side.roster.stages):
        for condition in side.definition.conditions[stage]:
            yield _use(single_rows(condition, facts), stage)
            if condition.rises or condition.falls:
                yield from (_all(name, stage, facts) for name in _PRICED)
        entered = _all("stage_entered", stage, facts)
        yield entered.where(tables.facts["stage_entered"].c.stage == stage)
    if side.roster.stages and side.definition.loss == "events":
        yield from (_all(name, LOSS, facts) for name in _ENDING)
        yield from _opportunities(facts)
    if side.asked.get("unit") == "account":
        yield from (_all(name, "membership", facts) for name in _MEMBERSHIP)
    if side.roster.broken_down:
        yield from _breakdowns(side.asked.get("by", ()), facts)
    if side.asked.get("lost_after") is not None:
        yield _heard(facts)
    for use, rows in side.roster.reads.items():
        yield _use(rows(facts).subquery(), use)


def _use(rows: sa.FromClause, use: str) -> sa.Select[Any]:
    what = sa.cast(sa.literal(use), sa.String()).label("use")
    return sa.select(rows.c.customer, rows.c.position, what)


def _all(name: str, use: str, facts: Facts) -> sa.Select[Any]:
    """All events of a type."""
    table = tables.facts[name]
    return _use(table, use).where(facts.counted(table))


def _opportunities(facts: Facts) -> Iterator[sa.Select[Any]]:
    """The events that name an opportunity: as long as one is open, nobody is lost on the left."""
    for name, table in tables.facts.items():
        named: sa.ColumnElement[Any]
        if name == "noted":
            named = map_text(table.c.properties, "opportunity")
        elif "opportunity" in table.c and "customer" in table.c:
            named = table.c.opportunity
        else:
            continue
        yield _all(name, LOSS, facts).where(named.is_not(None))


def _heard(facts: Facts) -> sa.Select[Any]:
    """All events: each ends a silence."""
    c = tables.events.c
    use = sa.cast(sa.literal(SILENCE), sa.String()).label("use")
    found = sa.select(c.subject.label("customer"), c.position, use)
    found = found.where(counts(tables.events, facts.cut), c.kind == "customer")
    if facts.customers is None:
        return found
    return found.where(c.subject.in_(sa.select(facts.customers.c.customer)))


def _breakdowns(by: str | Sequence[str], facts: Facts) -> Iterator[sa.Select[Any]]:
    """The events that tell the values of breakdowns."""
    for name in [by] if isinstance(by, str) else by:
        if name in TOUCH:
            yield _all("touched", name, facts)
        elif name in CONTRACT:
            yield _all("contract_signed", name, facts)
        elif not name.startswith(SEGMENT):
            key = name.removeprefix("trait.")
            observed = tables.facts["traits_observed"].c.name == key
            yield _all("traits_observed", f"trait {key}", facts).where(observed)
