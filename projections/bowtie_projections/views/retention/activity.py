"""When customers were active: the days on which something happened, or a contract was in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UnknownName
from bowtie_projections import tables
from bowtie_projections.cycles import BOOKKEEPING
from bowtie_projections.localtime import local_day
from bowtie_projections.shadowing import whose
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.purchases import purchases

__all__ = ["CONTRACT", "Active", "active_as"]

CONTRACT = "contract"
_WORDS = (CONTRACT, "order", "usage", "any")
_METRIC = "usage:"


@dataclass(frozen=True, slots=True)
class Active:
    """What it is to be active.

    Args:
        name: as it stands in the answer.
        kind: ``contract``, ``order``, ``any``, or the type of an event.
        said: the same as a part of a sentence.
        key: which events of the type: the metric of usage, the name of what is noted.
    """

    name: str
    kind: str
    said: str
    key: str | None = None

    @property
    def by_contract(self) -> bool:
        """Whether a state counts, that of a contract, and not what happened."""
        return self.kind == CONTRACT

    def days(self, cut: Cut, tz: str) -> sa.Select[Any]:
        """The days on which customers were active: ``customer``, ``day``; repeats are not told."""
        if self.kind == "order":
            bought = purchases(cut, tz).subquery("purchases")
            return sa.select(bought.c.customer, bought.c.day)
        table = tables.events if self.kind == "any" else tables.facts[self.kind]
        day = local_day(table.c.occurred_at, tz).label("day")
        return sa.select(whose(table).label("customer"), day).where(
            counts(table, cut), *self._own(table)
        )

    def facts(self, cut: Cut, tz: str) -> sa.Select[Any]:
        """The facts behind these days, with their ``position``; with contracts, all of them."""
        if self.by_contract:
            of_contracts = [
                sa.select(table.c.customer, table.c.position).where(counts(table, cut))
                for name, table in tables.facts.items()
                if name.startswith("contract_")
            ]
            return sa.select(sa.union_all(*of_contracts).subquery("of_contracts"))
        if self.kind == "any":
            table = tables.events
        else:
            table = tables.facts["order_placed" if self.kind == "order" else self.kind]
        day = local_day(table.c.occurred_at, tz).label("day")
        return sa.select(whose(table).label("customer"), table.c.position, day).where(
            counts(table, cut), *self._own(table)
        )

    def _own(self, table: sa.FromClause) -> list[ColumnElement[bool]]:
        """Which rows of the table count."""
        if self.kind == "order":
            return [table.c.kind.in_(("order", "exchange"))]
        if self.kind == "any":
            return [table.c.kind == "customer", table.c.type.not_in(BOOKKEEPING)]
        named = {"usage_metered": "metric", "noted": "name"}.get(self.kind)
        return [] if self.key is None or named is None else [table.c[named] == self.key]


def active_as(reader: Reader, cut: Cut, asked: str | None) -> Active:
    """What was asked for; else contracts, orders or anything, by what the log has.

    Raises:
        UnknownName: there is no such event.
    """
    if asked is None:
        asked = _default(reader, cut)
    if asked == CONTRACT:
        return Active(asked, CONTRACT, "a paid contract in force on the first day of the age")
    if asked == "order":
        return Active(asked, "order", "an order, of a day that comes to more than 0")
    if asked == "any":
        return Active(asked, "any", "any event")
    metric = asked.removeprefix(_METRIC) if asked.startswith(_METRIC) else None
    if asked == "usage" or metric:
        said = "usage" if metric is None else f"usage of {metric}"
        return Active(asked, "usage_metered", said, _known_metric(reader, cut, metric))
    if asked in tables.facts and "customer" in tables.facts[asked].c:
        return Active(asked, asked, f"an event {asked}")
    noted = _values(reader, cut, "noted", "name")
    if asked in noted:
        return Active(asked, "noted", f"an event {asked}", asked)
    own = [name for name, table in tables.facts.items() if "customer" in table.c]
    raise _unknown("no event is called", asked, [*_WORDS, *noted, *own])


def _default(reader: Reader, cut: Cut) -> str:
    signed, ordered = (tables.facts[name] for name in ("contract_signed", "order_placed"))
    paid = sa.exists().where(counts(signed, cut), signed.c.kind == "paid").label("paid")
    orders = sa.exists().where(counts(ordered, cut)).label("orders")
    found = reader.fetch(sa.select(paid, orders)).to_pylist()[0]
    return CONTRACT if found["paid"] else "order" if found["orders"] else "any"


def _known_metric(reader: Reader, cut: Cut, metric: str | None) -> str | None:
    if metric is None:
        return None
    known = _values(reader, cut, "usage_metered", "metric")
    if metric not in known:
        raise _unknown("no usage is metered of", metric, known)
    return metric


def _values(reader: Reader, cut: Cut, name: str, field: str) -> list[str]:
    table = tables.facts[name]
    column = table.c[field]
    found = sa.select(column).where(counts(table, cut)).distinct().order_by(column)
    return [str(value) for value in reader.fetch(found).column(0).to_pylist()]


def _unknown(what: str, asked: str, known: Sequence[str]) -> UnknownName:
    near = get_close_matches(asked, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(known)}"
    return UnknownName(f"{what} {asked!r}; {hint}")
