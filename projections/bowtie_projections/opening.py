"""Views: the read tables of a store, brought up to date once and then asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from bowtie.errors import (
    DefinitionError,
    NotReached,
    TablesError,
    TablesForeign,
    UsageError,
)
from bowtie.stages import Definition, load_definition
from bowtie_projections.databases import tables_at
from bowtie_projections.databases.contract import WAIT, Tables
from bowtie_projections.databases.places import beside
from bowtie_projections.lag import Lag, lag_of
from bowtie_projections.moments import (
    last_moments,
    newest_moments,
    nothing_known,
    recorded_by,
)
from bowtie_projections.parameters import (
    CompareAsked,
    FunnelAsked,
    LoopAsked,
    StatusAsked,
    StockAsked,
)
from bowtie_projections.replay import refresh
from bowtie_projections.results import Result
from bowtie_projections.skipping import notes_on_skipped, refuse_tables_with_skipped
from bowtie_projections.views.comparison import comparison
from bowtie_projections.views.cut import Cut, utc
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.loop import loop
from bowtie_projections.views.status import status
from bowtie_projections.views.stock import stock

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie_projections.databases.asking import Reader

__all__ = ["Views", "tables_of"]

#: How soon it is looked again whether the tables stand where they are waited for, in seconds.
_LOOK = 0.05


def tables_of(url: str | Path | None, engine: Bowtie | None, wait: float | None = None) -> Tables:
    """The read tables at a place; by default beside the store.

    Raises:
        UsageError: no place is named, and there is no store to stand beside.
    """
    patience = WAIT if wait is None else wait
    if url is not None:
        return tables_at(url, patience)
    if engine is None:
        raise UsageError("name the read tables with --views: without a store they have no place")
    return tables_at(beside(engine.store), patience)


class Views:
    """The views of a store.

    All answers share one position, until :meth:`refresh`. No file is held between two answers.

    >>> from datetime import datetime, timezone
    >>> from bowtie import Bowtie, Touched
    >>> with Bowtie.open("memory://") as engine:
    ...     touch = Touched(channel="webinar", direction="inbound")
    ...     _ = engine.record("acme", touch, occurred_at=datetime(2026, 1, 5, tzinfo=timezone.utc))
    ...     views = Views.open(engine)
    ...     views.funnel(by=["channel"], within="90d").rows()[0]["entered"]
    1
    """

    def __init__(self, engine: Bowtie, file: Tables) -> None:
        self.engine, self.tables = engine, file
        self.definition = engine.definition
        self._position = 0
        self._refreshes, self._strict = True, False
        self._note = ""
        self._moments: dict[int, tuple[datetime | None, datetime | None]] = {}

    @classmethod
    def open(
        cls,
        engine: Bowtie,
        url: str | Path | None = None,
        *,
        refresh: bool = True,
        strict: bool = False,
        wait: float | None = None,
        progress: Callable[..., None] | None = None,
    ) -> Self:
        """The views of a store, its tables brought up to date.

        Args:
            engine: the store, opened.
            url: where the tables are: a path, ``duckdb:///PATH`` or ``memory://``; by default
                beside the store, under its name with ``.duckdb``.
            refresh: bring the tables up to date; else they are asked as they stand.
            strict: refuse tables that lack an event because it could not be processed.
            wait: how long to wait for other processes, in seconds (30).
            progress: called with the events done and those to do.

        Raises:
            EventSkipped: with ``strict``, an event could not be processed.
            TablesForeign: the tables are of another store.
            TablesHeld: another process held the tables for the whole wait.
            TablesError: they can't be used.
        """
        views = cls(engine, tables_of(url, engine, wait))
        views._refreshes, views._strict = refresh, strict
        if refresh:
            views.refresh(progress)
        else:
            views._stand()
        return views

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of tables in memory; those in a file are not held."""
        self.tables.close()

    @property
    def position(self) -> int:
        """The position that all answers share."""
        return self._position

    def refresh(self, progress: Callable[..., None] | None = None) -> None:
        """Bring the tables to the head of the log; later answers are from there.

        Where another process holds the tables, answers come from them as they stand, and say so.
        """
        self.definition = self.engine.definition
        report = refresh(
            self.engine.store,
            self.tables,
            self.definition,
            progress=progress,
            strict=self._strict,
        )
        self._position, self._note = report.position, ""
        if report.note:
            self._note = f"The tables are as they stood, {self.lag()}: {report.note}."

    def _stand(self) -> None:
        standing = self.tables.standing()
        if standing is None:
            self.refresh()
            return
        if standing.store_id != self.engine.store.store_id:
            raise TablesForeign(
                f"{self.tables.name} holds the tables of another store: name others with --views,"
                " or make them anew with replay --rebuild"
            )
        if self._strict:
            refuse_tables_with_skipped(self.tables)
        self._position, self._note = standing.position, ""
        if lag := self.lag():
            self._note = f"The tables are as they stood, {lag}."

    def lag(self) -> Lag:
        """How far these answers are behind the log; false where they are not."""
        return lag_of(self.engine.store, self._position)

    def wait_until(self, position: int, timeout: float = 30.0) -> None:
        """Wait until answers cover a position, so that one reads what one has just written.

        The tables are brought there unless they were opened with ``refresh=False``: then somebody
        else has to (``replay --follow``). Afterwards all answers are from where the tables stand.

        Args:
            position: such as that of the last event of :meth:`bowtie.engine.Bowtie.record`.
            timeout: how long to wait, in seconds.

        Raises:
            NotReached: the tables don't stand there when the time is over.
            EventSkipped, TablesForeign, TablesError: as :meth:`open`.
        """
        end = time.monotonic() + timeout
        if not self.engine.store.changed(position - 1, timeout):
            raise NotReached(self._not_reached(position, timeout))
        while True:
            self.refresh() if self._refreshes else self._stand()
            if self._position >= position:
                return
            left = end - time.monotonic()
            if left <= 0:
                raise NotReached(self._not_reached(position, timeout))
            time.sleep(min(_LOOK, left))

    def _not_reached(self, position: int, timeout: float) -> str:
        head = self.engine.store.head()
        if head < position:
            return f"waited {timeout:g} seconds for position {position:,}: the log ends at {head:,}"
        hint = "" if self._refreshes else "; is replay --follow running?"
        return (
            f"waited {timeout:g} seconds for position {position:,}: {self.tables.name} stands at"
            f" {self._position:,}{hint}"
        )

    # -- the views ----------------------------------------------------------------------------

    def funnel(self, **asked: Unpack[FunnelAsked]) -> Result:
        """How customers pass through the stages.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.funnel.funnel`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(funnel, asked, personal=True)

    def stock(self, **asked: Unpack[StockAsked]) -> Result:
        """Who stands in which stage.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.stock.stock`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(stock, asked, personal=True)

    def loop(self, **asked: Unpack[LoopAsked]) -> Result:
        """Which traits mark those who became valuable, and which sources bring them.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.loop.loop`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(loop, asked)

    def status(self, **asked: Unpack[StatusAsked]) -> Result:
        """What is in the log, and which views can be answered.

        Args:
            asked: ``unit``, ``look_back``, ``tz``, ``known_at`` and ``position``.
        """
        result = self._answer(status, asked)
        lag = self.lag()
        result.meta |= {"head": lag.head, "lag": lag.positions, "lag_seconds": lag.seconds}
        result.meta["parked"] = sum(self.engine.store.parked_counts().values())
        result.meta["dropped"] = sum(self.engine.store.dropped_counts().values())
        return result

    def compare(
        self,
        before: str | Path | Definition,
        after: str | Path | Definition,
        **asked: Unpack[CompareAsked],
    ) -> Result:
        """Who stands in another stage by another definition.

        Args:
            before, after: the definitions: a name, a file, or one at hand.
            asked: ``unit``, ``look_back``, ``who`` (their keys, not counts), and up to where.
        """
        parameters = {**asked, "before": self._definition(before), "definition": after}
        return self._answer(comparison, parameters)

    def sql(self, statement: str) -> Result:
        """The rows of a statement of your own, which may only read.

        It sees the tables as they stand; where another process has brought them past the position
        of the other answers, a note says so.
        """
        with self._reading() as reader:
            table = reader.fetch(statement)
            meta = {"position": reader.position, "definition": reader.definition}
            statements = [*reader.statements]
            notes = self._notes(reader)
            if reader.position != self._position:
                notes.append(
                    f"This is from position {reader.position:,}, where the tables stand now; the"
                    f" views answer from {self._position:,} until they are refreshed."
                )
            return Result("sql", table, sql=statements, meta=meta, notes=notes)

    # -- where an answer is asked -------------------------------------------------------------

    def _answer(
        self, view: Callable[..., Result], asked: Mapping[str, Any], *, personal: bool = False
    ) -> Result:
        parameters = dict(asked)
        where: dict[str, Any] = {**last_moments(parameters)}
        where["position"] = parameters.get("position")
        parameters = {name: value for name, value in parameters.items() if name not in where}
        definition = self._definition(parameters.pop("definition", None))
        if personal:
            parameters["personal_names"] = self.engine.personal_names
        with self._reading() as reader:
            cut = self._cut(reader, **where)
            try:
                result = view(reader, cut, definition, **parameters)
            except TypeError as error:
                raise _explained(error, view) from error
            result.notes += self._notes(reader)
            if where["known_at"] is not None and cut.position == 0:
                result.notes.append(nothing_known(reader))
        if where["known_at"] is not None:
            result.meta["known_at"] = where["known_at"]
        return result

    @contextmanager
    def _reading(self) -> Iterator[Reader]:
        """The tables, at the position of these views or past it.

        A rebuild that began before the views were opened may have put older tables in place since:
        they are brought up to date, once.
        """
        with ExitStack() as stack:
            reader = stack.enter_context(self._opened())
            if reader.position < self._position and self._refreshes:
                stack.close()
                refresh(self.engine.store, self.tables, self.engine.definition)
                reader = stack.enter_context(self._opened())
            if reader.position < self._position:
                raise TablesError(
                    f"{self.tables.name} now stands at position {reader.position:,}, behind"
                    f" {self._position:,}, from where these views answer: another process has put"
                    " older tables in place; refresh the views"
                )
            yield reader

    @contextmanager
    def _opened(self) -> Iterator[Reader]:
        with self.tables.read() as reader:
            if reader.standing.store_id != self.engine.store.store_id:
                raise TablesForeign(f"{self.tables.name} now holds the tables of another store")
            yield reader

    def _definition(self, given: str | Path | Definition | None) -> Definition:
        if given is None:
            return self.definition
        if not isinstance(given, Definition):
            own = self.definition
            if str(given) in {own.label, own.name}:
                return own
            given = load_definition(given, self.engine.personal_names)
        if given.label == self.definition.label and given.sha256 != self.definition.sha256:
            raise DefinitionError(
                given.label,
                "the store's own definition of that name and version reads differently:"
                " give this one another name, or a higher version",
            )
        return given

    def _cut(
        self,
        reader: Reader,
        as_of: datetime | None,
        known_at: datetime | None,
        position: int | None,
    ) -> Cut:
        if known_at is not None and position is not None:
            raise UsageError("known_at and position both say up to where: give one of them")
        where = self._position
        if position is not None:
            if not 0 <= position <= where:
                raise UsageError(f"position {position}: the tables hold positions up to {where}")
            where = position
        if known_at is not None:
            where = recorded_by(reader, self._position, known_at)
        newest, recorded = self._times(reader, where)
        latest = newest if newest is None or recorded is None else min(newest, recorded)
        if as_of is not None:
            latest = utc(as_of)
        complete = newest is None or latest is None or newest <= latest
        return Cut(where, None if latest is None else latest.replace(tzinfo=UTC), complete)

    def _times(self, reader: Reader, position: int) -> tuple[datetime | None, datetime | None]:
        """When the newest fact at a position happened, and when the last one was recorded."""
        if position not in self._moments:
            self._moments[position] = newest_moments(reader, position)
        return self._moments[position]

    def _notes(self, reader: Reader) -> list[str]:
        return [*([self._note] if self._note else []), *notes_on_skipped(reader)]


def _explained(error: TypeError, view: Callable[..., Result]) -> Exception:
    """A parameter that a view doesn't have is the asker's mistake; all else is ours."""
    text = str(error)
    if f"{view.__name__}() got an unexpected keyword argument" not in text:
        return error
    return UsageError(f"{view.__name__} has no parameter {text.rpartition(' ')[2]}")
