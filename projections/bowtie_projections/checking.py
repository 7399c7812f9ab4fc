"""What is wrong with a question in itself, told before any table is opened.

The view is asked as ever, of tables that can't be read: it refuses what it would refuse, in its own
words, up to the first thing that it wants to know of the data.

>>> check_question("funnel", {"within": "soon"})
Traceback (most recent call last):
    ...
bowtie.errors.UsageError: within: 'soon' is not a span of time: write a whole number and a unit, \
such as "90d", "36h", "2w", "30min" or "45s"
>>> check_question("funnel", {"within": "30d", "by": ["plan"]})  # whether there is one, tables say
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, NoReturn

from bowtie.errors import UsageError
from bowtie.labels import is_label
from bowtie.policies import load_policy
from bowtie.segments import load_segment, segment_where
from bowtie.stages import load_definition
from bowtie.times import moment, zone
from bowtie_projections.answering import explained
from bowtie_projections.asking import Asking
from bowtie_projections.diff import check_asked, diffed_view
from bowtie_projections.judging import judged_at
from bowtie_projections.moments import last_moments
from bowtie_projections.narrowing import Narrowing
from bowtie_projections.questions import Questions
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_question"]


class _Fine(Exception):
    """A view wants to know something of the data: nothing is wrong up to here."""


def check_question(view: str, asked: Mapping[str, Any]) -> None:
    """Refuse what is wrong with a question, whatever the data may be.

    Args:
        view: the name of a view, or ``diff``.
        asked: its parameters, as the method of that name in :class:`bowtie_projections.Views`
            takes them. Documents that they name are not looked for, but files are read.

    Raises:
        UsageError: a value that can't be asked, or two that exclude each other.
        UnknownName: there is no such time zone.
        Refused: a breakdown that only later stages can carry.
        FileError: a file that can't be read.
        DefinitionError: a file whose document is wrong.
    """
    try:
        if view == "diff":
            _check_diff(dict(asked))
        else:
            getattr(_Questions(), view)(**asked)
    except _Fine:
        return


def _check_diff(asked: dict[str, Any]) -> None:
    """Either side of a difference, and what the two are to differ in."""
    view, limit = asked.pop("view"), asked.pop("limit", 20)
    before, after = (asked.pop(word, None) or {} for word in ("before", "after"))
    diffed_view(view)
    check_asked(before, after, asked, limit)
    for side in (before, after):
        check_question(view, {**asked, **side})


#: What reads the documents that a view is asked with. Which names are sealed, the store says.
_LOADED: dict[str, Callable[[Any], object]] = {
    "definition": partial(load_definition, personal_names=()),
    "policy": load_policy,
    "segment": partial(load_segment, personal_names=()),
}


def _check_document(load: Callable[[Any], object], source: Any) -> None:
    """Read a document that is a file or a text; whether one is published, tables say."""
    named = isinstance(source, str) and is_label(source)
    if isinstance(source, str | PathLike | Mapping) and not named:
        load(source)


class _Unread:
    """Tables that can't be read."""

    position, definition, definition_hash, has_links = 0, "", "", False
    scope = None
    statements: list[str]

    def __init__(self) -> None:
        self.statements = []

    def fetch(self, statement: Any) -> pa.Table:
        """Whatever is asked first."""
        del statement
        raise _Fine

    def keep(self, statement: Any, name: str) -> NoReturn:
        """The same."""
        del statement, name
        raise _Fine


class _Questions(Questions):
    """The views, asked of tables that can't be read."""

    def __init__(self) -> None:
        # which stages there are and what makes a lead is not refused: any definition will do
        self.definition = load_definition("b2b")

    def __getattr__(self, name: str) -> NoReturn:
        """The store and its tables, which are not there."""
        raise _Fine

    def _answer(
        self, view: Callable[..., Result], asked: Mapping[str, Any], *, personal: bool = False
    ) -> Result:
        del personal  # which names are sealed, the store says
        parameters = dict(asked)
        until = last_moments(parameters)
        if until["known_at"] is not None and parameters.get("position") is not None:
            raise UsageError("known_at and position both say up to where: give one of them")
        for name in (*until, "position"):
            parameters.pop(name, None)
        for name in ("definition", "policy"):
            _check_document(_LOADED[name], parameters.pop(name, None))
        if "before" in parameters:
            _check_document(_LOADED["definition"], parameters["before"])
            parameters["before"] = self.definition
        tests, segment = parameters.pop("where", None), parameters.pop("segment", None)
        _check_document(_LOADED["segment"], segment)
        if tests:
            segment_where(tests, ())
        if tests or segment is not None:
            judged = parameters.pop("segment_as_of", None)
            if judged is not None and not judged_at(view, judged, parameters, self.definition):
                moment(judged, end_of_day=True, tz=zone(parameters.get("tz") or "UTC"))
        reader, cut = _Unread(), Cut(0, until["as_of"])
        question = Asking(reader, cut, self.definition, ())
        narrowing = Narrowing.of(view, parameters, question)
        try:
            view(reader, cut, self.definition, **narrowing.parameters)
        except TypeError as error:
            raise explained(error, view) from error
        raise _Fine
