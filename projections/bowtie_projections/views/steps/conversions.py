"""The counts of every attempt at a funnel: rows in order from SQL, matched one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.cut import Reader
from bowtie_projections.views.steps.any_order import AnyOrder
from bowtie_projections.views.steps.matching import Attempt, Event, Matcher, Standing
from bowtie_projections.views.steps.members import DAYS, StepMembers, entries_of
from bowtie_projections.views.steps.rows import whole

__all__ = ["attempts"]

_Row = dict[str, Any]
#: An attempt with its member's cluster and its standings.
_Found = tuple[str, Attempt, bool, dict[int, Standing]]


def attempts(reader: Reader, members: StepMembers) -> tuple[list[_Row], list[_Row]]:
    """What ``StepMembers.counted`` and ``StepMembers.spread`` tell of members, of attempts.

    Several attempts of one member tell less than as many of different ones: they are clustered.
    """
    found = list(_matched(reader, members))
    tallies: dict[tuple[Any, ...], _Tally] = defaultdict(_Tally)
    for account, attempt, ripe, standings in found:
        for step, standing in standings.items():
            tallies[*attempt.cell, step].add(account, standing, ripe=ripe)
    names = [*members.cells.key_names, "step"]
    counted = [dict(zip(names, cell, strict=True)) | one.counts() for cell, one in tallies.items()]
    sums = [
        dict(zip(names, cell, strict=True)) | one
        for cell, tally in tallies.items()
        for one in (tally.to_next(), tally.from_first(tallies[*cell[:-1], 1]))
    ]
    return counted, sums


def _matched(reader: Reader, members: StepMembers) -> Iterator[_Found]:
    chains = members.chains
    assert not isinstance(chains, AnyOrder)  # noqa: S101 - refused before
    question = chains.source.question
    matcher = Matcher(question, chains.now)
    kinds = len(question.exclusions) + (question.order == "strict")
    accounts = _accounts(reader, members)
    for customer, rows in groupby(_rows(reader, members), key=itemgetter("customer")):
        held: dict[Any, list[_Row]] = defaultdict(list)
        marks: list[list[int]] = [[] for _ in range(kinds)]
        for row in rows:
            if row["step"] < 0:
                marks[-row["step"] - 1].append(row["t"])
            else:
                held[row.get("held")].append(row)
        for own in held.values():
            for attempt in matcher.attempts(_events(own, members.cells.key_names), marks):
                standings = matcher.standings(attempt, marks)
                yield accounts.get(customer, customer), attempt, matcher.ripe(attempt), standings


def _events(rows: Sequence[_Row], cell: Sequence[str]) -> Iterator[Event]:
    """The events, each once, with all steps it fits."""
    for (t, _, _), same in groupby(rows, key=itemgetter("t", "tie", "position")):
        event = Event(t, set())
        for row in same:
            event.steps.add(row["step"])
            if row["begins"]:
                event.cell = tuple(row[name] for name in cell)
        yield event


def _rows(reader: Reader, members: StepMembers) -> Iterator[_Row]:
    """The events of steps, and what may not come between (under negative numbers), in order."""
    found = reader.fetch(_statement(members))
    for batch in found.to_batches(max_chunksize=100_000):
        yield from batch.to_pylist()


def _statement(members: StepMembers) -> sa.Select[Any]:
    chains = members.chains
    assert not isinstance(chains, AnyOrder)  # noqa: S101 - refused before
    source, question = chains.source, chains.source.question
    entries = entries_of(chains, members.cells.dimensions)
    keys, joined = replace(members.cells, journeys=entries).keys_at(entries.c["at"])
    own = [*source.parts, "t", "tie", "position"]
    nothing = [sa.cast(sa.null(), key.type).label(key.name) for key in keys]

    def row(step: int, begins: int, *columns: ColumnElement[Any]) -> sa.Select[Any]:
        named = (whole(step).label("step"), whole(begins).label("begins"))
        return sa.select(*columns, *named)

    found = [
        row(1, 1, *(entries.c[name] for name in own), *keys).select_from(joined),
    ]
    began = chains.entries.c
    for number in range(1, len(question.steps) + 1):
        rows = source.of_step(number).subquery(f"step_{number}")
        found.append(row(number, 0, *(rows.c[name] for name in own), *nothing))
    marks = [source.marks(one) for one in question.exclusions]
    marks += [source.anything()] if question.order == "strict" else []
    empty = [
        sa.cast(sa.null(), began[name].type).label(name)
        for name in own
        if name not in {"customer", "t"}
    ]
    for number, mark in enumerate(marks, 1):
        rows = mark.subquery(f"mark_{number}")
        blank = dict(zip([n for n in own if n not in {"customer", "t"}], empty, strict=True))
        columns = [blank.get(name, rows.c.get(name)) for name in own]
        found.append(row(-number, 0, *(one for one in columns if one is not None), *nothing))
    every = sa.union_all(*found).subquery("every_row")
    c = every.c
    concerned = c.customer.in_(sa.select(began.customer))
    return (
        sa.select(every)
        .where(concerned)
        .order_by(c.customer, c.t, c.tie, c.position, c.step, c.begins)
    )


def _accounts(reader: Reader, members: StepMembers) -> dict[str, str]:
    """Of which account members are, where units repeat within one."""
    accounts = members.cells.units.accounts
    if accounts is None:
        return {}
    rows = reader.fetch(sa.select(accounts.c.customer, accounts.c.account)).to_pylist()
    return {row["customer"]: row["account"] for row in rows if row["account"] is not None}


@dataclass(slots=True)
class _Tally:
    """The attempts of one cell that reached one step."""

    entered: int = 0
    reached_next: int = 0
    excluded: int = 0
    pending: int = 0
    waited: list[int] = field(default_factory=list)
    since_first: list[int] = field(default_factory=list)
    mature: dict[str, list[int]] = field(default_factory=dict)
    ripe: dict[str, int] = field(default_factory=dict)

    def add(self, account: str, standing: Standing, *, ripe: bool) -> None:
        """Count an attempt."""
        self.entered += 1
        self.reached_next += standing.reached
        self.excluded += standing.excluded
        self.pending += standing.pending
        if standing.mature:
            numbers = self.mature.setdefault(account, [0, 0])
            numbers[0] += 1
            numbers[1] += standing.reached
            if standing.waited is not None:
                self.waited.append(standing.waited)
        if ripe:
            self.ripe[account] = self.ripe.get(account, 0) + 1
            self.since_first.append(standing.since_first)

    def counts(self) -> _Row:
        """Its counts and quantiles."""
        return {
            "entered": self.entered,
            "reached_next": self.reached_next,
            "excluded": self.excluded,
            "pending": self.pending,
            "mature": sum(number for number, _ in self.mature.values()),
            "mature_reached": sum(reached for _, reached in self.mature.values()),
            "ripe": sum(self.ripe.values()),
            "waited": _quantiles(self.waited),
            "since_first": _quantiles(self.since_first),
        }

    def to_next(self) -> _Row:
        """How the mature, and those of them that went on, are spread."""
        return _spread("next", list(self.mature.values()))

    def from_first(self, first: _Tally) -> _Row:
        """How those that began, and those of them that got here, are spread."""
        pairs = [[number, self.ripe.get(account, 0)] for account, number in first.ripe.items()]
        return _spread("first", pairs)


def _spread(share: str, pairs: Sequence[Sequence[int]]) -> _Row:
    return {
        "share": share,
        "accounts": len(pairs),
        "hit_squares": float(sum(hits * hits for _, hits in pairs)),
        "products": float(sum(number * hits for number, hits in pairs)),
        "squares": float(sum(number * number for number, _ in pairs)),
    }


def _quantiles(values: Sequence[int]) -> list[float] | None:
    return None if not values else [float(one) for one in np.quantile(values, list(DAYS.values()))]
