"""What the page was asked, and what of it each view is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from bowtie.errors import UnknownName, UsageError
from bowtie.extras import need
from bowtie_projections.checking import check_question
from bowtie_projections.options import option
from bowtie_projections.parameters import OfData
from bowtie_projections.report.sections import PROFILE, SECTIONS, Ask, Section

__all__ = ["Question", "ReportAsked", "check_report"]

#: What narrows who or what is counted: a view that takes none of it counts all.
_NARROWS = ("segment", "where", "segment_as_of", "as_of", "data_from", "data_through")
_OF_WORTH = ("horizon", "top", "threshold", "policy")
_OF_PAGE = ("by", "sections", "title", "prospects", "customers", *_OF_WORTH)


class ReportAsked(OfData, total=False):
    """What :meth:`bowtie_projections.Views.report` takes."""

    by: str | Sequence[str]
    currency: str | None
    horizon: str | None
    top: float | str | None
    threshold: str | int | None
    policy: str | Path | None
    sections: Sequence[str]
    title: str | None
    prospects: bool
    customers: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What the page was asked.

    Args:
        shared: what each view is asked that takes it.
        worth: what says what value and high value are, as far as it is given.
        by: the breakdowns.
        sections: what is on the page, in its order.
        title: its title.
        customers: whether customers' keys are on it.
    """

    shared: Mapping[str, Any]
    worth: Mapping[str, Any]
    by: tuple[str, ...]
    sections: tuple[Section, ...]
    title: str
    customers: bool

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Question:
        """What was asked, checked as far as it can be before any table is opened.

        Raises:
            UnknownName: there is no such section.
            UsageError: a value that can't be asked, or two that exclude each other.
        """
        known = set(get_type_hints(ReportAsked))
        if unknown := sorted(set(asked) - known):
            raise UsageError(f"report has no parameter {unknown[0]!r}")
        own = {name: value for name, value in asked.items() if value not in (None, (), [], False)}
        by = own.get("by", ())
        question = cls(
            {name: value for name, value in own.items() if name not in _OF_PAGE},
            {name: own[name] for name in _OF_WORTH if name in own},
            (by,) if isinstance(by, str) else tuple(by),
            _sections(own.get("sections", ()), prospects=bool(own.get("prospects"))),
            str(own.get("title") or "How our bowtie stands"),
            bool(own.get("customers")),
        )
        for section in question.sections:
            for ask in section.asks:
                if ask.asked.get("profile") != PROFILE:
                    check_question(ask.view, question.parameters(ask))
        return question

    @property
    def asks_for_worth(self) -> bool:
        """Whether any section needs to know what high value is."""
        return any(ask.worth for section in self.sections for ask in section.asks)

    def parameters(self, ask: Ask, **more: Any) -> dict[str, Any]:
        """What a view is asked: what it takes of what was asked of the page, and its own."""
        takes = set(get_type_hints(ask.takes))
        shared = {name: value for name, value in self.shared.items() if name in takes}
        worth = dict(self.worth) if ask.worth else {}
        own = {name: value for name, value in more.items() if name in takes}
        return {**ask.asked, **worth, **own, **shared}

    def left_out(self, ask: Ask) -> list[str]:
        """The options asked of the page that a view can't be narrowed by."""
        takes = set(get_type_hints(ask.takes))
        return [
            option(ask.view, name) for name in _NARROWS if name in self.shared and name not in takes
        ]


def check_report(asked: Mapping[str, Any]) -> None:
    """Refuse what is wrong with a page in itself, before any table is opened.

    Raises:
        UnknownName: there is no such section.
        UsageError: a value that can't be asked, two that exclude each other, or the extra that
            draws the page is not installed.
    """
    for module in ("jinja2", "altair", "vl_convert"):
        need(module, "charts")
    Question.of(asked)


def _sections(named: str | Sequence[str], *, prospects: bool) -> tuple[Section, ...]:
    names = [named] if isinstance(named, str) else list(named)
    for name in names:
        if name not in SECTIONS:
            raise UnknownName(f"the page has no section {name!r}; it has: {', '.join(SECTIONS)}")
    if prospects and names:
        names.append("prospects")
    return tuple(
        section
        for section in SECTIONS.values()
        if section.name in names
        or (not names and (section.always or (prospects and section.name == "prospects")))
    )
