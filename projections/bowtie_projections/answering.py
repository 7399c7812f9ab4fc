"""Where a question is asked: the tables opened, the cut found, the answer noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bowtie.errors import DefinitionError, TablesError, TablesForeign, UsageError
from bowtie.stages import Definition, load_definition
from bowtie_projections.asking import Asking
from bowtie_projections.databases.contract import Tables
from bowtie_projections.lag import Lag, lag_of
from bowtie_projections.moments import (
    beyond,
    last_moments,
    newest_moments,
    nothing_known,
    recorded_by,
)
from bowtie_projections.narrowing import Narrowing
from bowtie_projections.published import published
from bowtie_projections.replay import refresh
from bowtie_projections.results import Result
from bowtie_projections.skipping import notes_on_skipped
from bowtie_projections.views.cut import Cut, utc

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie_projections.databases.asking import Reader

__all__ = ["Answering", "explained"]


class Answering:
    """Tables that are asked, all questions at one position.

    Args:
        engine: the store.
        file: its read tables.
    """

    def __init__(self, engine: Bowtie, file: Tables) -> None:
        self.engine, self.tables = engine, file
        self.definition = engine.definition
        self._position = 0
        self._refreshes, self._strict = True, False
        self._note = ""
        self._moments: dict[int, tuple[datetime | None, datetime | None]] = {}
        #: the tables that all answers are read from, where they are opened once
        self.held: Reader | None = None

    @property
    def position(self) -> int:
        """The position that all answers share."""
        return self._position

    def lag(self) -> Lag:
        """How far these answers are behind the log; false where they are not."""
        return lag_of(self.engine.store, self._position)

    def _answer(
        self, view: Callable[..., Result], asked: Mapping[str, Any], *, personal: bool = False
    ) -> Result:
        with self._reading() as reader:
            return self._asked(reader, view, asked, personal=personal)

    def _asked(
        self,
        reader: Reader,
        view: Callable[..., Result],
        asked: Mapping[str, Any],
        *,
        personal: bool = False,
    ) -> Result:
        """What a view answers to the parameters, over tables that are open."""
        parameters, where = parted(asked)
        cut = self._cut(reader, **where)
        definition = self._definition(parameters.pop("definition", None), reader, cut)
        if "before" in parameters:
            parameters["before"] = self._definition(parameters["before"], reader, cut)
        if personal:
            parameters["personal_names"] = self.engine.personal_names
        question = Asking(reader, cut, definition, self.engine.personal_names)
        policy = None
        if parameters.get("policy") is not None:
            policy = parameters["policy"] = question.policy(parameters["policy"])
            if said := sorted(policy.asked().keys() & parameters.keys()):
                raise UsageError(
                    f"the policy {policy.label} says what value is: leave out"
                    f" {', '.join(f'{name}=' for name in said)}"
                )
        narrowing = Narrowing.of(view, parameters, question)
        try:
            result = view(narrowing.reading(reader), cut, definition, **narrowing.parameters)
        except TypeError as error:
            raise explained(error, view) from error
        narrowing.told(result)
        silent = beyond(self._times(reader, cut.position)[0], where["as_of"])
        if silent is not None and parameters.get("data_through") is None:
            result.notes.append(silent)
        if policy is not None:
            result.meta["policy"] = {"name": policy.label, "sha256": policy.sha256}
            result.notes.append(f"Policy {policy.label}: {policy}.")
        result.notes += self._notes(reader)
        if where["known_at"] is not None and cut.position == 0:
            result.notes.append(nothing_known(reader))
        if where["known_at"] is not None:
            result.meta["known_at"] = where["known_at"]
        return result

    @contextmanager
    def at_once(self) -> Iterator[Self]:
        """These views, all of whose answers are read from tables that are opened once.

        Nobody can change the tables meanwhile, so be quick.
        """
        with self._reading() as reader:
            held = copy(self)
            held.held = reader
            yield held

    def place(self, asked: Mapping[str, Any]) -> tuple[Cut, Definition]:
        """Up to where a question is answered, and by which definition."""
        parameters, where = parted(asked)
        with self._reading() as reader:
            cut = self._cut(reader, **where)
            return cut, self._definition(parameters.get("definition"), reader, cut)

    def documents(self, kind: str, asked: Mapping[str, Any]) -> list[str]:
        """The documents of a kind that a question knows of, in the order of publication."""
        _, where = parted(asked)
        with self._reading() as reader:
            return list(published(reader, kind, self._cut(reader, **where)))

    @contextmanager
    def _reading(self) -> Iterator[Reader]:
        """The tables, at the position of these views or past it.

        A rebuild that began before the views were opened may have put older tables in place since:
        they are brought up to date, once.
        """
        if self.held is not None:
            self.held.statements = []  # of the answer that follows
            yield self.held
            return
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

    def _definition(
        self, given: str | Path | Definition | None, reader: Reader, cut: Cut
    ) -> Definition:
        """The definition of a name, or of a file, as the cut knows of it.

        A name with its version is one text for ever, whenever it was published: today's rules can
        be asked of what was known in March. A bare name is the newest version that the cut knows
        of, so that an old answer is found again.
        """
        own = self.definition
        if given is None:
            return own
        if not isinstance(given, Definition):
            if str(given) == own.label:
                return own
            known = published(reader, "definition", cut, later="/" in str(given))
            found = load_definition(
                given, self.engine.personal_names, known | {own.label: own.text}
            )
            given = own if found == own else found
        if given.label == own.label and given.sha256 != own.sha256:
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


def parted(asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a question says of the view itself, and up to where it is asked."""
    where: dict[str, Any] = {**last_moments(asked), "position": asked.get("position")}
    return {name: value for name, value in asked.items() if name not in where}, where


def explained(error: TypeError, view: Callable[..., Result]) -> Exception:
    """A parameter that a view doesn't have is the asker's mistake; all else is ours."""
    text = str(error)
    if f"{view.__name__}() got an unexpected keyword argument" not in text:
        return error
    return UsageError(f"{view.__name__} has no parameter {text.rpartition(' ')[2]}")
