"""The views asked for the page: all of them at one position, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_type_hints

from bowtie.errors import Refused, UnknownName, UsageError
from bowtie_projections.options import as_options, command, explain_command, option, written
from bowtie_projections.report.figures import Figure
from bowtie_projections.report.question import Question
from bowtie_projections.report.sections import PROFILE, SECTIONS, Ask, Section
from bowtie_projections.results import Result

if TYPE_CHECKING:
    from bowtie_projections.questions import Questions

__all__ = ["Answered", "Asking", "Horizon"]

#: Over which time value counts, if nobody says: the longest that leaves enough to judge.
_HORIZONS, _ENOUGH = ("365d", "180d", "90d"), 100


@dataclass(frozen=True, slots=True)
class Answered:
    """What a view answered, or why it did not.

    Args:
        ask: what was asked for.
        parameters: what the view was asked.
        result: its answer.
        refused: why there is none.
        notes: what to know before believing it, as one types it.
    """

    ask: Ask
    parameters: Mapping[str, Any]
    result: Result | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()

    @property
    def by(self) -> list[str]:
        """The breakdowns it was asked by."""
        return list(self.parameters.get("by", ()))

    @property
    def command(self) -> str:
        """The command that asks the same."""
        return command(self.ask.view, self.parameters)

    def explain(self, figure: Figure) -> str:
        """The command that names whom a figure counts."""
        return explain_command(
            self.ask.view,
            self.parameters,
            cell=figure.cell,
            column=figure.column,
            part=figure.part,
        )


@dataclass(frozen=True, slots=True)
class Horizon:
    """Over which time value counts, and why.

    Args:
        horizon: what each view of value is asked; None where it was asked for otherwise.
        says: the same for the reader, and why.
    """

    horizon: str | None
    says: str


class Asking:
    """The views, asked for a page.

    Args:
        views: those of the store, whose tables are open.
        question: what was asked of the page.
    """

    def __init__(self, views: Questions, question: Question) -> None:
        self.views, self.question = views, question
        self.sql: list[str] = []
        self._found: dict[str, Answered] = {}

    def horizon(self) -> Horizon | None:
        """Over which time value counts; None where nothing on the page needs it."""
        if not self.question.asks_for_worth:
            return None
        worth = self.question.worth
        if "policy" in worth:
            return Horizon(None, f"Value is what the policy {written(worth['policy'])} says.")
        if "horizon" in worth:
            return Horizon(None, f"Value is taken over {written(worth['horizon'])}, as asked.")
        (value,) = SECTIONS["value"].asks
        for horizon in _HORIZONS:
            result = self._answer(value, self.question.parameters(value, horizon=horizon)).result
            if result is None:
                return Horizon(horizon, f"Value is taken over {horizon}.")
            number = sum(row["mature"] or 0 for row in result.rows())
            if number >= _ENOUGH:
                return Horizon(
                    horizon,
                    f"Value is taken over {horizon}: the longest of {', '.join(_HORIZONS)} for"
                    f" which {_ENOUGH} customers or more are old enough ({number:,} are).",
                )
        return Horizon(
            horizon,
            f"Value is taken over {horizon}: even for that only {number:,} customers are old"
            f" enough, fewer than {_ENOUGH}, so nothing here is firm.",
        )

    def section(self, section: Section, horizon: Horizon | None) -> list[Answered]:
        """The answers of a section, those by the page's breakdown after their whole."""
        found = []
        over = {} if horizon is None or horizon.horizon is None else {"horizon": horizon.horizon}
        for ask in self._each_profile(section.asks):
            parameters = self.question.parameters(ask, **(over if ask.worth else {}))
            found.append(self._answer(ask, parameters))
            if ask.by and self.question.by:
                found.append(self._answer(ask, {"by": list(self.question.by), **parameters}))
        return found

    def _each_profile(self, asks: tuple[Ask, ...]) -> list[Ask]:
        """The asks, those of a profile once for each that was published."""
        found = []
        for ask in asks:
            if ask.asked.get("profile") != PROFILE:
                found.append(ask)
                continue
            labels = self.views.documents("profile", self.question.shared)
            names = dict.fromkeys(label.rpartition("/")[0] for label in labels)
            found += [replace(ask, asked={**ask.asked, "profile": name}) for name in names]
        return found

    def _answer(self, ask: Ask, parameters: Mapping[str, Any]) -> Answered:
        key = f"{ask.view} {parameters}"
        if key not in self._found:
            self._found[key] = self._asked(ask, parameters)
        return replace(self._found[key], ask=ask)

    def _asked(self, ask: Ask, parameters: Mapping[str, Any]) -> Answered:
        """What the view answers.

        Raises:
            UnknownName: a segment, a trait or the like that is not there: the asker mistyped it.
        """
        options = {
            name: (option(ask.view, name), kind is bool)
            for name, kind in get_type_hints(ask.takes).items()
        }
        try:
            result: Result = getattr(self.views, ask.view)(**parameters)
        except UnknownName:
            raise
        except (Refused, UsageError) as error:
            return Answered(ask, parameters, refused=as_options(str(error), options))
        self.sql += result.sql
        result.sentence = as_options(result.sentence, options)
        notes = [as_options(note, options) for note in result.notes]
        if left := self.question.left_out(ask):
            notes.append(f"This view takes no {', '.join(left)}: it is of all.")
        return Answered(ask, parameters, result, notes=tuple(notes))
