"""The page itself: the answers put into words, tables and drawings, and these into HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bowtie.errors import UsageError
from bowtie.replacing import replacing
from bowtie.stages import Definition
from bowtie.times import zone
from bowtie_projections.cells import visible
from bowtie_projections.options import written
from bowtie_projections.report.answers import Answered, Asking, Horizon
from bowtie_projections.report.drawings import Picture, picture
from bowtie_projections.report.glance import glances
from bowtie_projections.report.question import Question
from bowtie_projections.report.sections import Section
from bowtie_projections.report.tables import Table, table
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut

if TYPE_CHECKING:
    from bowtie_projections.opening import Views

__all__ = ["Report", "report"]


class Report:
    """A page of many views' answers.

    Args:
        html: the page, complete: a browser needs nothing else.
        sections: the names of what is on it, in order.
        meta: ``position``, ``as_of``, ``definition`` and ``store_id``, the same for all of it.
        sql: the statements that ran.
    """

    def __init__(
        self, html: str, sections: Sequence[str], meta: Mapping[str, Any], sql: Sequence[str]
    ) -> None:
        self.html = html
        self.sections = list(sections)
        self.meta = dict(meta)
        self.sql = list(sql)

    def save(self, path: str | Path) -> Path:
        """Write the page to a file that ends in ``.html``; what stood there is replaced at once.

        Raises:
            UsageError: the file is called otherwise.
            FileError: it can't be written; what stood there before still does.
        """
        file = Path(path)
        if file.suffix.lower() != ".html":
            raise UsageError(f"{file}: the page is HTML: name a file that ends in .html")
        with replacing(file) as stream:
            stream.write(self.html.encode())
        return file

    def __repr__(self) -> str:
        return f"<report: {', '.join(self.sections)}; position {self.meta['position']:,}>"

    def _repr_html_(self) -> str:
        # in a frame of its own, so that neither style reaches the other
        return (
            f'<iframe title="bowtie report" sandbox srcdoc="{escape(self.html)}"'
            ' style="width:100%;height:80vh;border:0"></iframe>'
        )


@dataclass(frozen=True, slots=True)
class _Block:
    """One view's answer on the page."""

    number: int
    by: list[str]
    command: str
    notes: Sequence[str]
    sentence: str = ""
    money: str = ""
    refused: str = ""
    empty: bool = False
    unnamed: bool = False
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    explained: list[tuple[str, str]] = field(default_factory=list)


def report(views: Views, asked: Mapping[str, Any]) -> Report:
    """The page of a store.

    Args:
        views: the views of the store.
        asked: what the page is asked: see :meth:`bowtie_projections.Views.report`.
    """
    question = Question.of(asked)
    with views.at_once() as held:
        cut, definition = held.place(question.shared)
        if question.shared.get("known_at") is None:
            question = replace(question, shared={**question.shared, "position": cut.position})
        asking = Asking(held, question)
        horizon = asking.horizon()
        answers = [(one, asking.section(one, horizon)) for one in question.sections]
    store_id = views.engine.store.store_id
    meta: dict[str, Any] = {
        "position": cut.position,
        "as_of": cut.as_of,
        "definition": definition.label,
        "store_id": store_id,
    }
    html = _html(question, answers, horizon, _where(question, cut, definition, store_id))
    return Report(html, [one.name for one in question.sections], meta, asking.sql)


def _html(
    question: Question,
    answers: Sequence[tuple[Section, list[Answered]]],
    horizon: Horizon | None,
    where: list[str],
) -> str:
    """The page, of answers that are there."""
    sections = [
        {
            "name": section.name,
            "heading": section.heading,
            "short": section.short,
            "reads": section.reads,
            "needs": section.needs,
            "blocks": [_block(n, one, question) for n, one in enumerate(found, 1)],
        }
        for section, found in answers
    ]
    whole = {
        section.name: found[0].result
        for section, found in answers
        if found and found[0].result is not None and len(found[0].result)
    }
    folder = files("bowtie_projections.report")
    template = _environment().from_string(folder.joinpath("page.html.jinja").read_text("utf-8"))
    page = template.render(
        title=visible(question.title),
        where=[visible(one) for one in where],
        said=_said(question, horizon),
        glance=glances(whole),
        sections=sections,
        unanswered=[found for one in sections for found in _unanswered(one)],
        # the package's own file, and nobody's value
        style=Markup(folder.joinpath("page.css").read_text("utf-8").strip()),  # noqa: S704
        version=version("bowtie-journeys"),
    )
    return page.strip() + "\n"


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = "{:,}".format
    environment.filters["sentence"] = _sentence
    return environment


def _sentence(text: str) -> str:
    """What is said, with a capital and a full stop.

    >>> _sentence("nobody has a paid contract")
    'Nobody has a paid contract.'
    """
    whole = text[:1].upper() + text[1:]
    return whole if whole.endswith((".", "!", "?")) else f"{whole}."


def _block(number: int, found: Answered, question: Question) -> _Block:
    """An answer as it stands on the page; or why there is none."""
    result = found.result
    if result is None:
        return _Block(number, found.by, found.command, (), refused=visible(found.refused))
    keys = [name for name in found.by if name in result.columns]
    shown = [one for one in found.ask.tables if question.customers or not one.names_customers]
    tables = [made for one in shown if (made := table(result, one, keys)).tells]
    drawn = None if found.ask.drawn is None else picture(result, found.ask.drawn)
    behind = [] if keys else found.ask.figures(result)
    return _Block(
        number,
        found.by,
        found.command,
        [visible(note) for note in found.notes],
        sentence=visible(result.sentence),
        money=_unsaid_currency(result),
        empty=not tables,
        unnamed=len(shown) < len(found.ask.tables),
        tables=tables,
        pictures=[] if drawn is None else [drawn],
        explained=[(visible(one.says), found.explain(one)) for one in behind],
    )


def _unsaid_currency(result: Result) -> str:
    """What amounts are in, where the sentence doesn't say it."""
    currency = str(result.meta.get("currency") or "")
    return "" if currency in result.sentence else currency


def _unanswered(section: Mapping[str, Any]) -> list[dict[str, str]]:
    """Why a section has no answer, if it has none."""
    own = {name: section[name] for name in ("name", "heading", "needs")}
    if not section["blocks"]:
        return [{**own, "why": ""}]
    whole = section["blocks"][0]
    if whole.refused:
        return [{**own, "why": whole.refused, "needs": ""}]
    return [{**own, "why": whole.sentence}] if whole.empty else []


def _where(question: Question, cut: Cut, definition: Definition, store_id: str) -> list[str]:
    """Who asked what, and when: one line."""
    shared = question.shared
    here = zone(shared.get("tz") or "UTC")

    def shown(moment: datetime) -> str:
        return f"{moment.astimezone(here):%Y-%m-%d %H:%M}"

    newest = "" if shared.get("as_of") else " (the newest fact)"
    as_of = "An empty log" if cut.as_of is None else f"As of {shown(cut.as_of)}{newest}"
    known = "" if shared.get("known_at") is None else f", as known at {shared['known_at']}"
    where = shared.get("where", ())
    tests = [where] if isinstance(where, str) else where
    limits = {"segment": "segment", "data_from": "data from", "data_through": "data through"}
    return [
        f"{as_of}{known}",
        *[f"{said} {written(shared[name])}" for name, said in limits.items() if name in shared],
        *[f"where {one}" for one in tests],
        f"position {cut.position:,} of store {store_id[:8]}",
        f"definition {definition.label} ({definition.sha256[:12]})",
        f"days of {shared.get('tz') or 'UTC'}",
        f"made {shown(datetime.now(UTC))}",
    ]


def _said(question: Question, horizon: Horizon | None) -> list[str]:
    """What was chosen for the reader."""
    if horizon is None:
        return []
    worth = question.worth
    if "policy" in worth:
        return [horizon.says]
    if "threshold" in worth:
        return [horizon.says, f"High value is {worth['threshold']} or more, as asked."]
    top = f"top {worth['top']}" if "top" in worth else "top 20%"
    return [horizon.says, f"High value is what the {top} of the older half's paying reach."]
