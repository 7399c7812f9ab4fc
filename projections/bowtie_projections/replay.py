"""From the log to the read tables: build, catch up, rebuild.

All three are one way of reading with batches of different sizes, so they make the same tables. Rows
and the position they stand for change in one transaction: a process killed at any moment leaves
tables that the next replay completes, and nothing is counted twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bowtie.errors import SealedKeyMissing, TablesDamaged, TablesForeign, TablesHeld
from bowtie_projections.columns import Columns
from bowtie_projections.databases.contract import BeingBuilt, Overtaken
from bowtie_projections.filling import apply_retractions, insert_columns, recompute_journeys
from bowtie_projections.identities import apply_links
from bowtie_projections.skipping import refuse_skipped, refuse_tables_with_skipped
from bowtie_projections.source import Source, columns_between
from bowtie_projections.standing import Standing, refuse_newer
from bowtie_projections.tables import SCHEMA_MINOR, SCHEMA_VERSION

if TYPE_CHECKING:
    from bowtie.stages import Definition
    from bowtie_projections.databases.contract import Tables, Writing

__all__ = ["MANY", "ReplayReport", "refresh", "replay"]

#: More events than these are written beside the tables in use, not into them.
MANY = 1_000_000
#: The most events that one transaction on the tables in use may hold.
BATCH = 100_000
#: The most bytes that a piece of tables that no one reads yet may hold.
_PIECE_BYTES = 400_000_000
#: How long a refresh waits for readers before it answers from the tables as they are, in seconds.
_REFRESH_WAIT = 2.0
#: How soon it is looked again whether another process has built the tables, in seconds.
_RETRY = 0.1

_SCHEMA = (SCHEMA_VERSION, SCHEMA_MINOR)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay did, and where the tables stand now.

    Attributes:
        events: how many events were read.
        position: where the tables stand.
        seconds: how long it took.
        skipped: how many of the events read could not be processed; ``skipped`` names them.
        rebuilt: whether the tables were made from zero.
        behind: how many positions of the log the tables don't cover.
        note: why they are behind, where they are.
    """

    events: int
    position: int
    seconds: float
    skipped: int
    rebuilt: bool
    behind: int = 0
    note: str = ""


def replay(
    source: Source,
    tables: Tables,
    definition: Definition,
    *,
    rebuild: bool = False,
    batch: int = BATCH,
    wait: float | None = None,
    progress: Progress | None = None,
    strict: bool = False,
) -> ReplayReport:
    """Bring the read tables to the head of the log.

    Args:
        source: the log.
        tables: where the tables are, or shall be.
        definition: what the rows of ``journeys`` follow: the store's default.
        rebuild: from zero, whatever is there.
        batch: how many events to read at a time; the tables are the same with any.
        wait: how long to wait for readers, in seconds, instead of what the tables say.
        progress: called with the events done and those to do.
        strict: stop at an event that can't be processed, instead of skipping it. Tables in use
            then stand before the batch that holds it, and a rebuild leaves them as they are.

    Raises:
        EventSkipped: with ``strict``, an event can't be processed, or was skipped before.
        TablesForeign: the tables are of another store.
        TablesHeld: another process held them for the whole wait.
        TablesError: they can't be read or written, or are of a newer version.
        SealedKeyMissing: the log links keys, and the master key is not at hand. Without those links
            the figures would be others, so there are none.
    """
    size = min(max(batch, 1), BATCH)
    end = time.monotonic() + (tables.wait if wait is None else wait)
    while True:
        run = _Run(
            source, tables, definition, batch=size, wait=wait, progress=progress, strict=strict
        )
        try:
            return run.replay(rebuild=rebuild)
        except Overtaken:
            continue  # begin again from where the other process has brought them
        except BeingBuilt:
            if time.monotonic() >= end:
                raise
            time.sleep(_RETRY)


def refresh(
    source: Source,
    tables: Tables,
    definition: Definition,
    *,
    progress: Progress | None = None,
    strict: bool = False,
) -> ReplayReport:
    """Bring the tables up to date if no one holds them; else say how far behind they are.

    So too where links can't be followed for want of the master key.

    Raises:
        EventSkipped: as :func:`replay`.
        TablesForeign, TablesHeld, TablesError, SealedKeyMissing: as :func:`replay`, where there is
            nothing to answer from.
    """
    started = time.perf_counter()
    wait = min(tables.wait, _REFRESH_WAIT)
    try:
        return replay(source, tables, definition, wait=wait, progress=progress, strict=strict)
    except (TablesHeld, SealedKeyMissing) as hindrance:
        standing = tables.standing()
        if standing is None and isinstance(hindrance, BeingBuilt):
            # nothing else to answer from
            return replay(source, tables, definition, progress=progress, strict=strict)
        if standing is None or standing.store_id != source.store_id:
            raise
        if strict:
            refuse_tables_with_skipped(tables)
        return ReplayReport(
            events=0,
            position=standing.position,
            seconds=time.perf_counter() - started,
            skipped=0,
            rebuilt=False,
            behind=max(source.head() - standing.position, 0),
            note=f"not brought up to date: {hindrance}",
        )


def _untouchable(standing: Standing, head: int, *, rebuild: bool) -> str:
    """Why tables of another version are answered from as they are, or ""."""
    if standing.schema > _SCHEMA:
        return (
            "the tables were written by a newer version of bowtie: read, but not brought up to date"
        )
    if standing.schema < _SCHEMA and head > MANY and not rebuild:
        return (
            "the tables are of an older version, and the log is long:"
            " bring them up to date with replay --rebuild"
        )
    return ""


class _Run:
    """One replay: from where to where, and what was counted on the way."""

    def __init__(
        self,
        source: Source,
        tables: Tables,
        definition: Definition,
        *,
        batch: int,
        wait: float | None,
        progress: Progress | None,
        strict: bool,
    ) -> None:
        self.source, self.tables, self.definition = source, tables, definition
        self.batch, self.wait, self.progress, self.strict = batch, wait, progress, strict
        self.head = 0
        self.started = time.perf_counter()
        self.events = self.skipped = self.begin = 0

    def replay(self, *, rebuild: bool) -> ReplayReport:
        """Do what the state of the tables asks for."""
        try:
            standing = self.tables.standing()
        except TablesDamaged:
            if not rebuild:
                raise
            self.tables.set_aside()
            standing = None
        self.head = self.source.head()  # after the standing, which another may bring on
        if standing is not None:
            refuse_newer(standing, self.tables.name)
            if standing.store_id != self.source.store_id and not rebuild:
                raise TablesForeign(
                    f"{self.tables.name} belongs to another store: make it anew with"
                    " replay --rebuild, or name others with --views"
                )
            if note := _untouchable(standing, self.head, rebuild=rebuild):
                return self.report(standing, note=note)
        if standing is None or rebuild or not self.continues(standing):
            return self.build(None)
        if self.strict:
            refuse_tables_with_skipped(self.tables)
        if self.head - standing.position > MANY:
            return self.build(standing)
        return self.catch_up(standing)

    def continues(self, standing: Standing) -> bool:
        """Whether the tables are of this history and these rules, so that only the rest lacks."""
        rules = (standing.schema, standing.definition, standing.definition_hash)
        return (
            rules == (_SCHEMA, self.definition.label, self.definition.sha256)
            and standing.position <= self.source.head()
            and self.source.hash_at(standing.position) == standing.position_hash
        )

    def report(self, standing: Standing, *, rebuilt: bool = False, note: str = "") -> ReplayReport:
        """What was done so far, and where the tables stand."""
        return ReplayReport(
            events=self.events,
            position=standing.position,
            seconds=time.perf_counter() - self.started,
            skipped=self.skipped,
            rebuilt=rebuilt,
            behind=max(self.head - standing.position, 0),
            note=note,
        )

    def catch_up(self, standing: Standing) -> ReplayReport:
        """Add what is missing to the tables in use, in short transactions."""
        self.begin = standing.position
        for columns in self._read(standing.position):
            with self.tables.write(self.wait) as writing:
                if writing.standing() != standing:
                    raise Overtaken(f"{self.tables.name} was changed meanwhile: try again")
                insert_columns(writing, [columns])
                standing = self._settle(writing, standing, columns.last, standing.position)
            self._count(columns)
        return self.report(standing)

    def build(self, base: Standing | None) -> ReplayReport:
        """Make the tables beside those in use, from zero or from a copy, and swap them in.

        While they are made, others may bring those in use further: then the rest is added first,
        for tables never go back.
        """
        reached = base or Standing.new(self.source.store_id, self.definition)

        def beaten(used: Standing | None) -> bool:
            return (
                used is not None
                and used.store_id == reached.store_id
                and used.position > reached.position
                and self.continues(used)
            )

        with self.tables.building(copy=base is not None, beaten=beaten) as writing:
            # a copy may stand a little before or after what was read of the original
            reached = writing.standing() or reached
            self.begin = reached.position
            self._fill(writing, reached.position)
            with writing.transaction():
                reached = self._settle(writing, reached, self.head, None)
            while beaten(self.tables.standing()):
                self.head = self.source.head()
                self._fill(writing, reached.position)
                with writing.transaction():
                    reached = self._settle(writing, reached, self.head, reached.position)
        return self.report(reached, rebuilt=base is None)

    def _fill(self, writing: Writing, after: int) -> None:
        """Insert what came after a position, in pieces that are transactions of their own."""
        waiting: list[Columns] = []
        for columns in self._read(after):
            waiting.append(columns)
            self._count(columns)
            if _is_a_piece(waiting, writing.piece):
                _insert_piece(writing, waiting)
                waiting = []
        _insert_piece(writing, waiting)
        writing.filled()

    def _read(self, after: int) -> Iterator[Columns]:
        for columns in columns_between(self.source, after, self.head, self.batch):
            if self.strict:
                refuse_skipped(columns.skipped)
            yield columns

    def _settle(
        self,
        writing: Writing,
        standing: Standing,
        position: int,
        journeys_after: int | None,
    ) -> Standing:
        """What follows from rows inserted: retractions, journeys, and the position."""
        apply_retractions(writing, standing.position)
        apply_links(writing, self._alias_hash, standing.position)
        recompute_journeys(writing, self.definition, position, journeys_after)
        reached = standing.at(position, self.source.hash_at(position))
        writing.stand(reached)
        return reached

    def _alias_hash(self, alias: str) -> str:
        """The store's keys are asked for here: they are needed only where there is a link."""
        try:
            return self.source.secrets.alias_hash(alias)
        except SealedKeyMissing as error:
            raise SealedKeyMissing(
                "the log links keys of customers, and only with the master key it can be told"
                f" which: {error}"
            ) from error

    def _count(self, columns: Columns) -> None:
        self.events += columns.count
        self.skipped += columns.skipped.num_rows
        if self.progress is not None:
            # positions may have gaps; at the end all is done
            todo = self.head - self.begin
            self.progress(todo if columns.last == self.head else min(self.events, todo), todo)


def _is_a_piece(waiting: list[Columns], events: int) -> bool:
    return (
        sum(columns.count for columns in waiting) >= events
        or sum(columns.nbytes for columns in waiting) >= _PIECE_BYTES
    )


def _insert_piece(writing: Writing, waiting: list[Columns]) -> None:
    with writing.transaction():
        insert_columns(writing, waiting)
