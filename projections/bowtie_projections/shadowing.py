"""Reading the same statement over other rows: whose a fact is, decided before a view asks.

A view asks the table ``touched`` whose touches there are. Where keys are linked, or accounts are
counted instead of persons, a fact counts for someone else than the key it was sent under. Then the
statement is given common table expressions that bear the tables' own names: SQL finds them first,
and the view need not know. Where there is nothing to decide, no statement changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.expressions import stored
from bowtie_projections.written import written_rows

if TYPE_CHECKING:
    from bowtie_projections.views.cut import Reader

__all__ = [
    "Kept",
    "Layer",
    "Links",
    "Until",
    "found_once",
    "of_customers",
    "replaced",
    "rows_of",
    "shadowed",
    "standing_alone",
    "whose",
]  # fmt: skip

Asking = TypeVar("Asking", bound=sa.Select[Any])


class Layer(Protocol):
    """One decision of whose a fact is."""

    def rows(self, table: sa.Table, rows: sa.FromClause) -> sa.Select[Any]:
        """The rows of a table, from those that the layers before gave."""


def whose(rows: sa.FromClause) -> ColumnElement[Any]:
    """The key that a row is of."""
    found: ColumnElement[Any] = rows.c.customer if "customer" in rows.c else rows.c.subject
    return found


def of_customers(rows: sa.FromClause) -> ColumnElement[bool]:
    """The rows whose key is a customer's: all, but in the table of all events."""
    return rows.c.kind == "customer" if "kind" in rows.c and "subject" in rows.c else sa.true()


def replaced(rows: sa.FromClause, key: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """The columns of the rows, of another key."""
    old = whose(rows)
    return [key.label(old.name) if column is old else column for column in rows.c]


class Links:
    """The facts of keys that are linked count for the key at their root.

    Args:
        position: the links up to there are known.
    """

    def __init__(self, position: int) -> None:
        c = tables.identities.c
        stands = sa.and_(
            c.from_position <= position,
            sa.or_(c.to_position.is_(None), c.to_position > position),
        )
        self.links = sa.select(c.customer, c.canonical).where(stands)

    def rows(self, table: sa.Table, rows: sa.FromClause) -> sa.Select[Any]:
        """The rows of a table, under the keys of the roots."""
        del table
        links = self.links.subquery("links")
        canonical = sa.func.coalesce(links.c.canonical, whose(rows))
        same = sa.and_(links.c.customer == whose(rows), of_customers(rows))
        return sa.select(*replaced(rows, canonical)).select_from(rows.outerjoin(links, same))


class Kept:
    """The facts of some customers only, and their journeys.

    Args:
        customers: whose, with a column ``customer``; it stands alone.
    """

    def __init__(self, customers: sa.FromClause) -> None:
        self.customers = customers

    def rows(self, table: sa.Table, rows: sa.FromClause) -> sa.Select[Any]:
        """The rows of a table that are of these customers, or of none."""
        del table
        inside = whose(rows).in_(sa.select(self.customers.c.customer))
        return sa.select(rows).where(sa.or_(sa.not_(of_customers(rows)), inside))


class Until(Kept):
    """The facts of customers up to a moment of each one's own; of who has none, nothing.

    Args:
        moments: ``customer`` (once each) and ``entered_at``; it stands alone.
    """

    def rows(self, table: sa.Table, rows: sa.FromClause) -> sa.Select[Any]:
        """The rows of a table that had happened by then."""
        del table
        c = self.customers.c
        by_then = sa.and_(c.customer == whose(rows), rows.c.occurred_at <= c.entered_at)
        return sa.select(*rows.c).select_from(rows.join(self.customers, by_then))


class standing_alone(sa.TableClause):  # noqa: N801 - read as a function
    """The rows of a statement, read for itself in whatever statement it stands.

    A statement around it may have given the tables' names to other rows; here they are those that
    these layers make of them.

    Args:
        statement: what to read; each of its columns has a name.
        layers: whose the facts are that it reads.
        name: what it is called in the statement around it.
    """

    inherit_cache = False

    def __init__(self, statement: sa.Select[Any], layers: Sequence[Layer], name: str) -> None:
        super().__init__(name, *(sa.column(c.name, c.type) for c in statement.selected_columns))
        self.statement = _over_rows(statement, _tables_in(statement), layers)

    def part(self, name: str) -> sa.CTE:
        """The rows as a part of a statement, to stand before all that is given tables' names."""
        return sa.select(*self.c).cte(name).prefix_with("MATERIALIZED")


def found_once(
    reader: Reader, statement: sa.Select[Any], layers: Sequence[Layer], name: str
) -> sa.FromClause:
    """The rows of a statement, for several others to join, whatever they make of the tables' names.

    Found now where the database can keep them, else in each statement anew.

    Args:
        reader: the tables that are asked.
        statement: what to read; each of its columns has a name.
        layers: whose the facts are that it reads.
        name: what it is called.
    """
    kept = reader.keep(statement, name)
    return standing_alone(statement, layers, f"{name}_rows").part(name) if kept is None else kept


@compiles(standing_alone)
def _standing_alone(
    element: standing_alone, compiler: SQLCompiler, *, asfrom: bool = False, **options: Any
) -> str:
    name: str = compiler.visit_table(element, asfrom=asfrom, **options)  # type: ignore[no-untyped-call]
    if not asfrom:
        return name
    sql = element.statement.compile(
        dialect=compiler.dialect, compile_kwargs={"literal_binds": True}
    )
    return f"({sql}) AS {name}"


def rows_of(table: sa.Table, layers: Sequence[Layer]) -> sa.FromClause:
    """A table through the layers."""
    rows: sa.FromClause = stored(table)
    for layer in layers:
        rows = layer.rows(table, rows).subquery(f"{table.name}_rows")
    return rows


def shadowed(statement: Asking, layers: Sequence[Layer]) -> Asking:
    """The statement, over the tables of facts as the layers give them."""
    if not layers:
        return statement
    used = [table for table in _tables_in(statement) if _over(table, layers)]
    if not used:
        return statement
    return _over_rows(statement, used, layers)


def _over_rows(statement: Asking, used: Sequence[sa.Table], layers: Sequence[Layer]) -> Asking:
    """The statement, with the rows that the layers make of each table it uses."""
    # PostgreSQL sees a name from its definition on: what stands alone must come before
    customers = [one.customers for one in layers if isinstance(one, Kept)]
    kept = [one for one in customers if isinstance(one, sa.CTE)]
    return statement.add_cte(*_alone_in(statement), *kept, *_named(used, layers))


def _named(used: Sequence[sa.Table], layers: Sequence[Layer]) -> list[sa.CTE]:
    """For each table its rows, under its own name."""
    return [
        sa.select(rows_of(table, _over(table, layers)))
        .cte(table.name)
        .prefix_with("NOT MATERIALIZED")
        for table in used
    ]


def _over(table: sa.Table, layers: Sequence[Layer]) -> list[Layer]:
    """The layers of a table: journeys are of the right customers already, or are not asked."""
    if table is not tables.journeys:
        return list(layers)
    return [layer for layer in layers if isinstance(layer, Kept)]


def _tables_in(statement: sa.Select[Any]) -> list[sa.Table]:
    """The tables of customers that a statement asks."""
    found = {}
    for element in _elements(statement):
        if isinstance(element, sa.Table):
            facts = element.name in tables.facts and "customer" in element.c
            if facts or element is tables.events or element is tables.journeys:
                found[element.name] = element
    return [found[name] for name in sorted(found)]


def _alone_in(statement: sa.Select[Any]) -> list[sa.CTE]:
    """The parts of a statement that stand alone."""
    found = {
        element.name: element
        for element in _elements(statement)
        if isinstance(element, sa.CTE)
        and any(isinstance(one, standing_alone) for one in element.element.get_children())
    }
    return [found[name] for name in sorted(found)]


def _elements(statement: sa.Select[Any]) -> Iterator[Any]:
    """What a statement is made of, each part once; of a table nothing more."""
    seen: set[int] = set()
    waiting: list[Any] = [statement]
    while waiting:
        element = waiting.pop()
        if id(element) in seen:
            continue
        seen.add(id(element))
        yield element
        if isinstance(element, written_rows):
            waiting.append(element.written.statement)
        if not isinstance(element, sa.Table):
            waiting += element.get_children()
