"""Every error that bowtie raises on purpose, and the exit code each has on the command line.

::

    BowtieError                      1   something went wrong
      UsageError                     2   the question can't be answered; says what to ask instead
        UnknownName                  2   a name (stage, trait, definition, ...) that is not there
      FileError                      1   a file can't be read or written
      StoreError                     1   the store can't be opened or used
        StoreMissing                 1   there is no store where one was named
        NotAStore                    1   the file is another program's
        StoreNewer                   1   written by a newer version of bowtie
        StoreOlder                   1   written by an older version: bowtie init upgrades it
        StoreReadOnly                1   the store or its folder can't be written
        SealedKeyMissing             1   the master key that opens personal data is not at hand
        StoreBusy                    4   another writer has held the store all the while
        StoreAway                    1   the database server can't be reached, or went away
      EventRejected                  1   an event is wrong in itself; `reason` says in which way
      RuleViolation                  1   a command breaks a rule of sequence
      Conflict                       4   what was asked for changed or is taken
        StreamConflict               4   the stream is not at the version that was expected
        AliasClaimed                 4   the alias belongs to another customer
        IdReused                     4   (source, id) is taken by an event of other content
      NotReached                     4   what was waited for did not come in time
      DefinitionError                1   a stage definition is wrong; names the line
      MappingError                   1   a mapping file is wrong; names the line
      TablesError                    1   the read tables can't be used
        TablesForeign                1   they belong to another store
        TablesDamaged                1   the file can't be read; a rebuild replaces it
        TablesHeld                   4   another process holds the file
        TablesAway                   1   the database server of the tables can't be reached
        EventSkipped                 1   an event can't be processed, and none may be skipped
      Refused                        1   a view would mislead; says why, and what to ask instead
      ProblemsFound                  3   the command worked and found problems

Catch :class:`BowtieError` to catch them all.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AliasClaimed",
    "BowtieError",
    "Conflict",
    "DefinitionError",
    "EventRejected",
    "EventSkipped",
    "FileError",
    "IdReused",
    "MappingError",
    "NotAStore",
    "NotReached",
    "ProblemsFound",
    "Refused",
    "RuleViolation",
    "SealedKeyMissing",
    "StoreAway",
    "StoreBusy",
    "StoreError",
    "StoreMissing",
    "StoreNewer",
    "StoreOlder",
    "StoreReadOnly",
    "StreamConflict",
    "TablesAway",
    "TablesDamaged",
    "TablesError",
    "TablesForeign",
    "TablesHeld",
    "UnknownName",
    "UsageError",
]


class BowtieError(Exception):
    """Something bowtie was asked to do did not work; the message says what to do about it."""

    exit_code: ClassVar[int] = 1


class UsageError(BowtieError, ValueError):
    """The question can't be answered as it was asked."""

    exit_code = 2


class UnknownName(UsageError, LookupError):
    """A name that is not there; the message lists near or known ones."""


class FileError(BowtieError, OSError):
    """A file can't be read or written.

    Args:
        path: the file, as the user named it.
        problem: what is wrong and what to do.
        line: the line it concerns, if one does.
    """

    def __init__(self, path: str, problem: str, line: int | None = None) -> None:
        self.path, self.problem, self.line = path, problem, line
        #: what an ingest did before it met the damage, if that is what it was doing
        self.report: Any = None
        where = path if line is None else f"{path}:{line}"
        super().__init__(f"{where}: {problem}")


class StoreError(BowtieError):
    """The store can't be opened or used."""


class StoreMissing(StoreError, FileNotFoundError):
    """There is no store where one was named."""


class NotAStore(StoreError):
    """The file or database belongs to another program."""


class StoreNewer(StoreError):
    """A newer version of bowtie wrote this store; this version can't read it safely."""


class StoreOlder(StoreError):
    """An older version of bowtie wrote this store: it can be read, but not written."""


class StoreReadOnly(StoreError, PermissionError):
    """The store, or the folder it would be made in, can't be written."""


class SealedKeyMissing(StoreError):
    """The master key that opens sealed personal data is not at hand."""


class StoreBusy(StoreError, TimeoutError):
    """Another writer held the store for longer than this one was to wait; trying again is safe."""

    exit_code = 4


class StoreAway(StoreError, ConnectionError):
    """The database server can't be reached, or the connection to it broke."""


class EventRejected(BowtieError, ValueError):
    """An event is wrong in itself.

    A line that raises this is parked under ``reason``; a command that does is refused.

    Args:
        reason: one word, stable: ``unreadable``, ``invalid``, ``unknown_type``, ``naive_time``,
            ``future_time``, ``no_customer``, ``id_reused``, ``alias_claimed``, ``wrong_subject``,
            ``customer_forgotten``.
        problem: what is wrong, for a person; never holds the value of a personal field.
    """

    def __init__(self, reason: str, problem: str) -> None:
        self.reason, self.problem = reason, problem
        super().__init__(problem)

    def bare(self) -> EventRejected:
        """The same without where it arose: that would hold on to all that was at hand there."""
        return EventRejected(self.reason, self.problem)


class RuleViolation(BowtieError, ValueError):
    """A command that breaks a rule of sequence, such as changing a contract never signed.

    Args:
        rule: one word, stable, such as ``not_signed``.
        problem: what is wrong and what to do.
    """

    def __init__(self, rule: str, problem: str) -> None:
        self.rule, self.problem = rule, problem
        super().__init__(problem)


class Conflict(BowtieError):
    """What was asked for changed meanwhile, or is taken."""

    exit_code = 4


class StreamConflict(Conflict):
    """The stream is not at the version that was expected: read it again, and decide anew.

    Args:
        stream: its kind and key.
        expected: what was asked for, in words or as a number.
        actual: the version found; 0 where the stream has no event.
    """

    def __init__(self, stream: str, expected: str, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        found = f"is at version {actual}" if actual else "has no event"
        super().__init__(
            f"{stream.partition('/')[2]!r} {found}, and {expected} was expected: read it again and"
            " decide anew"
        )


class AliasClaimed(Conflict):
    """The alias already belongs to another customer."""


class IdReused(Conflict):
    """(source, id) already names an event with other content."""


class NotReached(BowtieError, TimeoutError):
    """What was waited for did not come in time; waiting longer may help."""

    exit_code = 4


class DefinitionError(BowtieError, ValueError):
    """A stage definition is wrong.

    Args:
        name: the file or document.
        problem: what is wrong and what to write instead.
        line: where, counted from 1.
    """

    def __init__(self, name: str, problem: str, line: int | None = None) -> None:
        self.name, self.problem, self.line = name, problem, line
        where = name if line is None else f"{name}:{line}"
        super().__init__(f"{where}: {problem}")


class MappingError(BowtieError, ValueError):
    """A mapping file is wrong; fields as for :class:`DefinitionError`."""

    def __init__(self, name: str, problem: str, line: int | None = None) -> None:
        self.name, self.problem, self.line = name, problem, line
        where = name if line is None else f"{name}:{line}"
        super().__init__(f"{where}: {problem}")


class TablesError(BowtieError):
    """The read tables can't be used."""


class TablesForeign(TablesError):
    """The read tables were built from another store."""


class TablesDamaged(TablesError):
    """The file of the read tables can't be read any more; ``replay --rebuild`` makes them anew."""


class TablesHeld(TablesError):
    """Another process holds the read tables' file."""

    exit_code = 4


class TablesAway(TablesError, ConnectionError):
    """The database server that holds the read tables can't be reached, or went away."""


class EventSkipped(TablesError):
    """An event can't be processed, and it was asked that none is skipped.

    Args:
        position: of the event.
        type: its type.
        problem: why it can't be processed.
    """

    def __init__(self, position: int, type: str, problem: str) -> None:
        self.position, self.type, self.problem = position, type, problem
        super().__init__(
            f"the event at position {position:,} ({type}) can't be processed: {problem}."
            " Upgrade bowtie and rebuild the tables; without strict it is left out, and each result"
            " says so"
        )


class Refused(BowtieError):
    """The figure asked for would mislead; the message says why and what to ask instead."""


class ProblemsFound(BowtieError):
    """The command did its work and found problems, which were reported."""

    exit_code = 3
