"""Views: the read tables of a store, brought up to date once and then asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from bowtie.errors import (
    NotReached,
    TablesForeign,
    UsageError,
)
from bowtie_projections.databases import tables_at
from bowtie_projections.databases.contract import WAIT, Tables
from bowtie_projections.databases.places import beside
from bowtie_projections.questions import Questions
from bowtie_projections.replay import refresh
from bowtie_projections.skipping import refuse_tables_with_skipped

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie_projections.report import ReportAsked
    from bowtie_projections.report.page import Report

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


class Views(Questions):
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
        at_once: bool = False,
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
            at_once: they are asked now and closed then: the tables stay open until that, so that
                they are opened once. Nobody can change them meanwhile.

        Raises:
            EventSkipped: with ``strict``, an event could not be processed.
            TablesForeign: the tables are of another store.
            TablesHeld: another process held the tables for the whole wait.
            TablesError: they can't be used.
        """
        views = cls(engine, tables_of(url, engine, wait))
        views._refreshes, views._strict = refresh, strict
        if at_once:
            views.tables.keep_open()
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

    def report(self, **asked: Unpack[ReportAsked]) -> Report:
        """One page of many views' answers, all at one position (extra ``charts``).

        How the bowtie stands, what it is worth, who are good customers and where they come from,
        for somebody who asks no view: see the page *The report* of the documentation.

        >>> from bowtie import Bowtie
        >>> with Bowtie.open("memory://") as engine:
        ...     page = Views.open(engine).report(sections=["stock", "missing"])
        >>> page
        <report: stock, missing; position 0>

        Args:
            asked: ``sections``, the names of those wanted (all but ``prospects``); ``by``, a
                breakdown beside the whole where a view takes one; ``horizon``, and ``top`` or
                ``threshold``, of what customers are worth (the longest of 365d, 180d and 90d for
                which 100 customers are old enough; 0.2), or a ``policy``; ``currency``; ``title``;
                ``prospects``: score them too (extra ``models``); ``customers``: name customers by
                their keys; and the parameters that every view has.

        Returns:
            The page: ``.html``, ``.save("report.html")``, and shown by a notebook.

        Raises:
            UnknownName: there is no such section, segment or trait.
            UsageError: a value that can't be asked; or the extra is not installed. What a view
                refuses stands on the page with its reason.
        """
        from bowtie_projections.report import check_report

        check_report(asked)
        from bowtie_projections.report.page import report

        return report(self, asked)

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
