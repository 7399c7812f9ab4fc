"""What a section of the page is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bowtie_projections.report import figures
from bowtie_projections.report.tables import Shown
from bowtie_projections.results import Result

__all__ = ["PROFILE", "Ask", "Drawn", "Section"]

#: The profile that a section is asked of, where several are published.
PROFILE = "(each profile)"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn of an answer.

    Args:
        part: of which further table, if not of the answer itself.
        most: of how many of its first rows, if not of all.
    """

    part: str | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One view, asked for a section.

    Args:
        view: its name.
        takes: its parameters.
        tables: what is shown of its answer.
        asked: what this page asks of it, beside what was asked of the page.
        drawn: its chart.
        figures: of an answer, those to look behind.
        by: asked a second time with the page's breakdown.
        worth: what high value is, and over which time, is asked of it.
    """

    view: str
    takes: type[Any]
    tables: tuple[Shown, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)
    drawn: Drawn | None = None
    figures: Callable[[Result], Iterable[figures.Figure]] = figures.none
    by: bool = False
    worth: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A question of a manager, and the views that answer it.

    Args:
        name: as ``--section`` has it.
        heading: the question.
        short: the question in the list at the top.
        asks: the views.
        reads: how to read the figures, and what they don't say.
        always: it is on the page unless others are asked for.
        needs: what has to be in the log for an answer.
    """

    name: str
    heading: str
    short: str
    asks: tuple[Ask, ...]
    reads: Sequence[str]
    always: bool = True
    needs: str = ""
