"""What is counted: customers, accounts, opportunities or cycles.

A view reads the facts under the keys of its unit (see :mod:`bowtie_projections.shadowing`), and so
asks the same of each. Where units repeat within an account they are not independent of each other,
and the account of each is known for the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import parse_duration
from bowtie.errors import Refused, UsageError
from bowtie_projections import tables
from bowtie_projections.membership import LOOK_BACK, Accounts, Opportunities, opportunity_of
from bowtie_projections.scope import scope_of
from bowtie_projections.shadowing import Layer, Links, found_once, shadowed
from bowtie_projections.views.cut import Cut, Reader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["UNITS", "Units", "check_look_back", "check_unit", "plural"]

UNITS = ("customer", "account", "opportunity", "cycle")


def plural(unit: str) -> str:
    """Several of a unit.

    >>> plural("opportunity"), plural("cycle")
    ('opportunities', 'cycles')
    """
    return unit[:-1] + "ies" if unit.endswith("y") else unit + "s"


def check_unit(value: object, among: Sequence[str] = UNITS) -> str:
    """The name of a unit.

    Raises:
        UsageError: it is none of those that can be asked for.
    """
    if value not in among:
        raise UsageError(f"unit is {value!r}; write {' or '.join(among)}")
    return str(value)


def check_look_back(value: object) -> timedelta:
    """From how long before a membership's start touches count for the account.

    Raises:
        UsageError: it is no span of time.
    """
    try:
        span = value if isinstance(value, timedelta) else parse_duration(str(value))
    except UsageError as error:
        raise UsageError(f"look_back: {error}") from None
    if span < timedelta(0):
        raise UsageError(f"look_back is {value}: write a span of time, or 0d for none")
    return span


class _Layered:
    """The read tables, read under the keys of a unit.

    Args:
        reader: the tables.
        layers: whose the facts are.
        own_keys: the unit's keys are those of the table of journeys.
        everybody: the same, whatever segment the layers keep.
    """

    def __init__(
        self,
        reader: Reader,
        layers: Sequence[Layer],
        *,
        own_keys: bool,
        everybody: Reader | None = None,
    ) -> None:
        self._reader, self.layers, self.scope = reader, layers, scope_of(reader)
        self.everybody = everybody or self
        self.position, self.has_links = reader.position, reader.has_links
        # the table of journeys is of customers
        self.definition = reader.definition if own_keys else ""
        self.definition_hash = reader.definition_hash if own_keys else ""

    @property
    def statements(self) -> list[str]:
        """The SQL that ran, in order."""
        return self._reader.statements

    def fetch(self, statement: sa.Select[*tuple[Any, ...]] | str) -> pa.Table:
        """The rows of a statement, over the facts of the units."""
        if isinstance(statement, str):
            return self._reader.fetch(statement)
        return self._reader.fetch(shadowed(statement, self.layers))

    def keep(self, statement: sa.Select[*tuple[Any, ...]], name: str) -> sa.FromClause | None:
        """The rows of a statement over the facts of the units, kept for this answer."""
        return self._reader.keep(shadowed(statement, self.layers), name)

    def through(self, layer: Layer) -> _Layered:
        """The same tables through one layer more."""
        return _Layered(self._reader, [*self.layers, layer], own_keys=False)


@dataclass(frozen=True, slots=True)
class Units:
    """The units of one question.

    Args:
        name: one of :data:`UNITS`.
        reader: the read tables, under the keys of the units.
        accounts: ``customer`` (the unit's key) and ``account``, for units that repeat within one;
            who is not in it is their own.
    """

    name: str
    reader: Reader
    accounts: sa.FromClause | None = None

    @classmethod
    def of(cls, reader: Reader, cut: Cut, name: str, look_back: timedelta = LOOK_BACK) -> Units:
        """The units of a cut.

        Args:
            reader: the read tables.
            cut: the links and memberships that count.
            name: one of :data:`UNITS`.
            look_back: touches count for an account from so long before a membership's start.

        Where the question is narrowed to a segment, they are those of the segment.

        Raises:
            Refused: nothing in the log tells of such units.
        """
        layers, accounts = cls._layered(reader, cut, name, look_back)
        own_keys = name in {"customer", "cycle"}

        everybody = _Layered(reader, layers, own_keys=own_keys) if layers else reader
        scope = scope_of(reader)
        if scope is None:
            return cls(name, everybody, accounts)
        scope.bind(everybody, layers, lambda one: _Layered(reader, [*layers, one], own_keys=False))
        kept = scope.kept(name, cut)
        if kept is None:
            return cls(name, everybody, accounts)
        own = _Layered(reader, [*layers, kept], own_keys=own_keys, everybody=everybody)
        return cls(name, own, accounts)

    @staticmethod
    def _layered(
        reader: Reader, cut: Cut, name: str, look_back: timedelta
    ) -> tuple[list[Layer], sa.FromClause | None]:
        """What makes the tables' keys those of the units, and the account of each."""
        linked, members = _held(reader, cut)
        layers: list[Layer] = [Links(cut.position)] if linked else []
        accounts = Accounts(cut, tuple(layers), look_back) if members else None
        if name == "account":
            if accounts is None:
                raise Refused(
                    "no membership is on record, so there are no accounts to count: record"
                    " membership_started on each person with the account's key, or ask with"
                    ' unit="customer"'
                )
            return [*layers, accounts], None
        if name == "opportunity":
            below = [*layers, accounts] if accounts else layers
            opportunities = Opportunities(cut, tuple(below))
            return [*below, opportunities], _owners(reader, opportunities)
        if accounts is not None:
            return layers, accounts.clusters()
        return layers, _nobody() if name == "cycle" else None

    def relation(self, statement: sa.Select[Any], name: str) -> sa.FromClause:
        """The rows of a statement over the facts of the units, for any other statement to join.

        Found now where the database can keep them, else in each statement anew.
        """
        layers = self.reader.layers if isinstance(self.reader, _Layered) else ()
        return found_once(self.reader, statement, layers, name)

    def through(self, layer: Layer) -> Reader:
        """The tables, through one layer more: under the keys that it gives."""
        if isinstance(self.reader, _Layered):
            return self.reader.through(layer)
        return _Layered(self.reader, [layer], own_keys=False)

    @property
    def clustered(self) -> bool:
        """Whether units repeat within an account."""
        return self.accounts is not None

    def account_of(self, rows: sa.FromClause) -> tuple[sa.FromClause, ColumnElement[Any]]:
        """The rows of units joined with what tells their account, and that account."""
        if self.accounts is None:
            return rows, rows.c.customer
        c = self.accounts.c
        joined = rows.outerjoin(self.accounts, c.customer == rows.c.customer)
        return joined, sa.func.coalesce(c.account, rows.c.customer)

    def count(self, number: int) -> str:
        """So many of them, in words."""
        return f"{number:,} {self.name if number == 1 else plural(self.name)}"

    def by_name(self, rows: pa.Table) -> pa.Table:
        """Rows that begin with their keys, each key under its unit's name.

        An opportunity's stands beside that of whose it is.
        """
        import pyarrow as pa

        if self.name == "account":
            return rows.rename_columns([self.name, *rows.column_names[1:]])
        if self.name != "opportunity":
            return rows
        both = [opportunity_of(str(key)) for key in rows.column("customer").to_pylist()]
        owners, names = (pa.array([pair[i] for pair in both], pa.string()) for i in (0, 1))
        return rows.set_column(0, "customer", owners).add_column(1, self.name, names)

    @property
    def note(self) -> str:
        """What is said of intervals where units repeat within an account."""
        owner = "account" if self.name != "cycle" else "customer or account"
        return (
            f"Several {plural(self.name)} of one {owner} tell less than as many of different ones:"
            " intervals are clustered by it (Rao and Scott 1992)."
        )


def _held(reader: Reader, cut: Cut) -> tuple[bool, bool]:
    """Whether any link stands at the cut, and whether anybody was ever a member."""
    started = tables.facts["membership_started"].c.position
    members = sa.exists().where(started <= cut.position).label("members")
    linked: ColumnElement[Any] = sa.false()
    if reader.has_links:
        linked = sa.exists(Links(cut.position).links)
    found = reader.fetch(sa.select(linked.label("linked"), members)).to_pylist()[0]
    return bool(found["linked"]), bool(found["members"])


def _owners(reader: Reader, opportunities: Opportunities) -> sa.Subquery:
    """Whose each opportunity is."""
    known = opportunities.known
    if not reader.fetch(sa.select(known.c.unit).limit(1)).num_rows:
        raise Refused(
            "no event names an opportunity, so there are none to count: record opportunity with"
            " touches, stages, disqualifications and contracts, or as a property of what is"
            ' noted, or ask with unit="customer"'
        )
    return sa.select(known.c.unit.label("customer"), known.c.customer.label("account")).subquery(
        "accounts"
    )


def _nobody() -> sa.Subquery:
    """No account at all: every customer is their own."""
    nothing = sa.cast(sa.null(), sa.String())
    return sa.select(nothing.label("customer"), nothing.label("account")).subquery("accounts")
