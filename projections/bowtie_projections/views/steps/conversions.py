"""The counts of every attempt at a funnel: events in one go from SQL, counted by columns.

Only where entries that come while an attempt lasts count for nothing (``reentry="first"``), the
events of members who have such are gone through one by one, to find the entries that count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.cut import Reader
from bowtie_projections.views.steps.any_order import AnyOrder
from bowtie_projections.views.steps.attempts import Attempts, Standing
from bowtie_projections.views.steps.members import DAYS, StepMembers, entries_of
from bowtie_projections.views.steps.occurrences import Flags, Numbers, Occurrences, codes
from bowtie_projections.views.steps.rows import whole
from bowtie_projections.views.steps.rules import Rules

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["attempts"]

_Row = dict[str, Any]


def attempts(reader: Reader, members: StepMembers) -> tuple[list[_Row], list[_Row]]:
    """What ``StepMembers.counted`` and ``StepMembers.spread`` tell of members, of attempts.

    Several attempts of one member tell less than as many of different ones: they are clustered.
    """
    chains = members.chains
    assert not isinstance(chains, AnyOrder)  # noqa: S101 - refused before
    question = chains.source.question
    rows = reader.fetch(_statement(members))
    kinds = len(question.exclusions) + (question.order == "strict")
    events = Occurrences.read(rows, len(question.steps), kinds)
    found = Attempts.of(events, Rules(question, chains.now))
    entries = rows.take(events.raw[found.starts])
    tallies = _Tallies.of(entries, members.cells.key_names, _clusters(reader, members, entries))
    counted: list[_Row] = []
    sums: list[_Row] = []
    ripe = found.ripe
    for row in question.rows:
        standing = found.standing(row)
        counted += tallies.counts(row.step, standing, ripe)
        sums += tallies.spread(row.step, standing, ripe)
    return counted, sums


def _clusters(reader: Reader, members: StepMembers, entries: pa.Table) -> Numbers:
    """A number for the customer of each attempt; for the account, where units repeat in one."""
    customer = codes(entries, "customer")
    accounts = members.cells.units.accounts
    if accounts is None:
        return customer
    rows = reader.fetch(sa.select(accounts.c.customer, accounts.c.account)).to_pylist()
    account = {row["customer"]: row["account"] for row in rows if row["account"] is not None}
    names = [account.get(one, one) for one in entries.column("customer").to_pylist()]
    return np.unique(np.asarray(names, dtype=object), return_inverse=True)[1]


def _statement(members: StepMembers) -> sa.Select[Any]:
    """The events of steps, the first with their cells; under negative numbers what stops them."""
    chains = members.chains
    assert not isinstance(chains, AnyOrder)  # noqa: S101 - refused before
    source, question = chains.source, chains.source.question
    entries = entries_of(chains, members.cells.dimensions)
    keys, joined = replace(members.cells, journeys=entries).keys_at(entries.c["at"])
    own = [*source.parts, "t", "tie", "position"]
    nothing = [sa.cast(sa.null(), key.type).label(key.name) for key in keys]

    def row(step: int, *columns: ColumnElement[Any]) -> sa.Select[Any]:
        return sa.select(*columns, whole(step).label("step"))

    found = [row(1, *(entries.c[name] for name in own), *keys).select_from(joined)]
    began = chains.entries.c
    for number in range(2, len(question.steps) + 1):
        rows = source.of_step(number).subquery(f"step_{number}")
        found.append(row(number, *(rows.c[name] for name in own), *nothing))
    marks = [source.marks(one) for one in question.exclusions]
    marks += [source.anything()] if question.order == "strict" else []
    blank = {
        name: sa.cast(sa.null(), began[name].type).label(name)
        for name in own
        if name not in {"customer", "t"}
    }
    for number, mark in enumerate(marks, 1):
        rows = mark.subquery(f"mark_{number}")
        columns = [blank[name] if name in blank else rows.c[name] for name in own]
        found.append(row(-number, *columns, *nothing))
    every = sa.union_all(*found).subquery("every_row")
    # who never began has no attempt
    return sa.select(every).where(every.c.customer.in_(sa.select(began.customer)))


@dataclass(frozen=True, slots=True)
class _Tallies:
    """The attempts by cell, and by customer or account within it.

    Args:
        cells: the values of each cell.
        cell: the cell of each attempt, by number.
        cluster: the cell and customer of each attempt, by number.
        cell_of: the cell of each cluster.
    """

    cells: list[_Row]
    cell: Numbers
    cluster: Numbers
    cell_of: Numbers

    @classmethod
    def of(cls, entries: pa.Table, names: list[str], clusters: Numbers) -> _Tallies:
        """Those of attempts that began with some entries."""
        cell = np.zeros(entries.num_rows, dtype=np.int64)
        firsts = np.zeros(min(entries.num_rows, 1), dtype=np.int64)
        for name in names:
            own = codes(entries, name) + 1
            both = cell * (int(own.max(initial=0)) + 1) + own
            _, firsts, cell = np.unique(both, return_index=True, return_inverse=True)
        size = int(clusters.max(initial=0)) + 1
        found, cluster = np.unique(cell * size + clusters, return_inverse=True)
        cells = entries.select(names).take(firsts).to_pylist() if names else [{}] * len(firsts)
        return cls(cells, cell, cluster, found // size)

    def counts(self, step: int, standing: Standing, ripe: Flags) -> list[_Row]:
        """The counts and quantiles of a step, for each cell of which anyone reached it."""
        cell, size = self.cell[standing.attempt], len(self.cells)
        reached, mature, own_ripe = standing.reached, standing.mature, ripe[standing.attempt]
        wanted = {
            "entered": np.ones(len(cell), dtype=bool),
            "reached_next": reached,
            "excluded": standing.excluded,
            "pending": standing.pending,
            "mature": mature,
            "mature_reached": mature & reached,
            "ripe": own_ripe,
        }
        numbers = {
            name: np.bincount(cell[flags], minlength=size).tolist()
            for name, flags in wanted.items()
        }
        waited = _quantiles(cell, standing.waited, mature & reached, size)
        since_first = _quantiles(cell, standing.since_first, own_ripe, size)
        return [
            values
            | {name: own[number] for name, own in numbers.items()}
            | {"step": step, "waited": waited[number], "since_first": since_first[number]}
            for number, values in enumerate(self.cells)
            if numbers["entered"][number]
        ]

    def spread(self, step: int, standing: Standing, ripe: Flags) -> list[_Row]:
        """How those asked of are spread over clusters, and those of them that got on."""
        clusters = self.cluster[standing.attempt]
        judged, hit = standing.mature, standing.mature & standing.reached
        began, got_there = self.cluster[ripe], clusters[ripe[standing.attempt]]
        pairs = {"next": (clusters[judged], clusters[hit]), "first": (began, got_there)}
        return [
            values | {"step": step, "share": share} | sums
            for share, (all_of_them, hits) in pairs.items()
            for values, sums in zip(self.cells, self._sums(all_of_them, hits), strict=True)
        ]

    def _sums(self, judged: Numbers, hits: Numbers) -> list[_Row]:
        """Of each cell the sums over clusters that the effect of clustering is computed from."""
        size = len(self.cells)
        number, hit = (np.bincount(one, minlength=len(self.cell_of)) for one in (judged, hits))
        weights = {"hit_squares": hit * hit, "products": number * hit, "squares": number * number}
        sums: dict[str, list[Any]] = {
            name: np.bincount(self.cell_of, one, minlength=size).tolist()
            for name, one in weights.items()
        }
        sums["accounts"] = np.bincount(self.cell_of[number > 0], minlength=size).tolist()
        return [dict(zip(sums, own, strict=True)) for own in zip(*sums.values(), strict=True)]


def _quantiles(cell: Numbers, values: Numbers, flags: Flags, size: int) -> list[list[float] | None]:
    """The quantiles of each cell's values, interpolated linearly; None where it has none."""
    cell, values = cell[flags], values[flags]
    order = np.lexsort((values, cell))
    bounds = np.searchsorted(cell[order], np.arange(size + 1))
    parts = (values[order[a:b]] for a, b in pairwise(bounds))
    shares = list(DAYS.values())
    return [np.quantile(one, shares).tolist() if len(one) else None for one in parts]
