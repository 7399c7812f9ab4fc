"""Statements that are put together and written once, and then asked of any cut.

What the cycles of a definition are is said by a long statement, of which only the position and the
moment differ from one question to the next. To build and to write it takes longer than to run it
over small tables, so its text is kept, with marks where the two belong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.cut import Cut

__all__ = ["Written", "written_rows"]


class _Mark(ColumnElement[Any]):
    """Where a value of the cut belongs: between NUL characters, which no other SQL text holds."""

    inherit_cache = False

    def __init__(self, name: str, type_: Any) -> None:
        self.text, self.type = f"\0{name}\0", sa.types.to_instance(type_)


@compiles(_Mark)
def _mark(element: _Mark, compiler: SQLCompiler, **options: Any) -> str:
    del compiler, options
    return element.text


_POSITION = _Mark("position", sa.BigInteger)
_MOMENT = _Mark("moment", sa.DateTime)


class _AnyCut(Cut):
    """A cut whose position and moment are marks."""

    @property
    def moment(self) -> Any:
        """The mark as it is."""
        return self.as_of


class Written:
    """A statement for all cuts of one kind: with a moment or without, complete or not.

    Args:
        build: makes the statement for a cut; it may compare with the cut's position and moment,
            and do no sums with them.
        timed: whether the cuts have a moment.
        complete: whether nothing at their positions happened after it.
    """

    def __init__(
        self, build: Callable[[Cut], sa.Select[Any]], *, timed: bool, complete: bool
    ) -> None:
        moment = cast("Any", _MOMENT if timed else None)
        self.statement = build(_AnyCut(cast("Any", _POSITION), moment, complete))
        self._texts: dict[str, str] = {}

    def text(self, dialect: sa.Dialect, cut: Cut) -> str:
        """The SQL for a cut."""
        if dialect.name not in self._texts:
            options = {"literal_binds": True}
            sql = self.statement.compile(dialect=dialect, compile_kwargs=options)
            self._texts[dialect.name] = str(sql)
        text = self._texts[dialect.name].replace(_POSITION.text, str(cut.position))
        if cut.moment is None:
            return text
        moment = sa.literal(cut.moment, sa.DateTime()).compile(
            dialect=dialect, compile_kwargs={"literal_binds": True}
        )
        return text.replace(_MOMENT.text, str(moment))


class written_rows(sa.TableClause):  # noqa: N801 - read as a function
    """The rows of a written statement at a cut.

    Args:
        written: the statement; each of its columns has a name.
        cut: which facts count.
        name: what its rows are called.
    """

    inherit_cache = False

    def __init__(self, written: Written, cut: Cut, name: str) -> None:
        columns = written.statement.selected_columns
        super().__init__(name, *(sa.column(c.name, c.type) for c in columns))
        self.written, self.cut = written, cut


@compiles(written_rows)
def _written_rows(
    element: written_rows, compiler: SQLCompiler, *, asfrom: bool = False, **options: Any
) -> str:
    name: str = compiler.visit_table(element, asfrom=asfrom, **options)  # type: ignore[no-untyped-call]
    if not asfrom:
        return name
    return f"({element.written.text(compiler.dialect, element.cut)}) AS {name}"
