"""The page of many answers: its figures are the views' own, and a browser needs nothing else."""

from __future__ import annotations

import io
import re
import shlex
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import click
import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie.errors import FileError, UnknownName, UsageError
from bowtie.events import ContractSigned, Touched, TraitsObserved
from bowtie_cli.asking import given
from bowtie_cli.main import main
from bowtie_projections import Views
from bowtie_projections.cells import cell
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.report import answers
from bowtie_projections.report.question import Question
from bowtie_projections.report.sections import SECTIONS
from tests.web_pages import Element, parsed

ALWAYS = [name for name, section in SECTIONS.items() if section.always]
#: What a page is made of. Nothing here can run, load, or be sent.
TAGS = set(
    "html head meta title style body a header h1 h2 h3 p span section ul li strong nav main div"
    " table caption thead tbody tr th td figure figcaption svg g path line rect text tspan details"
    " summary pre code dl dt dd footer".split()
)


@pytest.fixture(scope="module")
def views():
    with Bowtie.open("memory://") as engine:
        lines = b"\n".join(Demo(customers=300, seed=3).lines())
        engine.ingest(io.BytesIO(lines))
        yield Views.open(engine)


@pytest.fixture(scope="module")
def page(views):
    """The page, as one gets it without a word; its tables are opened once."""
    opened, read = [], TablesFile.read

    def counting(tables: TablesFile, wait: float | None = None) -> Any:
        opened.append(1)
        return read(tables, wait)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TablesFile, "read", counting)
        made = views.report()
    assert opened == [1]
    return made


@pytest.fixture(scope="module")
def read(page):
    return parsed(page.html)


def section(read: Element, name: str) -> Element:
    return read.one("section", id=name)


def commands(element: Element, word: str = "") -> list[str]:
    return [one.text for one in element.all("code") if one.text.startswith(f"bowtie {word}")]


def asked(command: str) -> tuple[str, dict[str, Any]]:
    """The view that a command asks, and its parameters, by the command line's own reading."""
    _, *words = shlex.split(command)
    context = click.Context(main)
    found: click.Command | None = main
    while isinstance(found, click.Group):
        found = found.get_command(context, words.pop(0))
    assert found is not None, command
    return found.name or "", given(found.make_context(found.name, words, parent=context).params)


def test_every_section_is_there_with_its_question_in_order(page, read):
    there = [one.attributes["id"] for one in read.one("main").all("section")]
    assert there == ALWAYS == page.sections
    for name in ALWAYS:
        assert section(read, name).one("h2").text == SECTIONS[name].heading
        assert section(read, name).text.strip()
    links = [one.attributes["href"] for one in read.one("nav").all("a")]
    assert links == [f"#{name}" for name in ALWAYS]


def test_a_browser_needs_nothing_else_and_runs_nothing(page, read):
    assert {one.tag for one in read.all()} <= TAGS
    names = {name for one in read.all() for name in one.attributes}
    assert not names & {"src", "srcset", "style", "action", "data", "poster", "background"}
    assert not [name for name in names if name.startswith("on")]
    links = {one.attributes["href"] for one in read.all() if "href" in one.attributes}
    ids = [one.attributes["id"] for one in read.all() if "id" in one.attributes]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert len(ids) == len(set(ids))
    assert not re.search(r"https?:|url\(|@import", page.html)


def test_who_can_not_see_it_is_told_what_is_there(read):
    assert read.one("html").attributes["lang"] == "en"
    levels = [int(one.tag[1]) for one in read.all("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = {one.attributes["id"]: one for one in read.all() if "id" in one.attributes}
    for one in read.all():
        if (named := one.attributes.get("aria-labelledby")) is not None:
            assert ids[named].text.strip()
    drawings = read.all("svg")
    assert len(drawings) == 7
    assert all(one.attributes["role"] == "img" for one in drawings)
    assert all(len(one.attributes["aria-label"]) > 20 for one in drawings)
    assert "Entered: awareness 287, " in drawings[0].attributes["aria-label"]
    for table in read.all("table"):
        assert table.one("caption").text
        assert {one.attributes["scope"] for one in table.one("thead").all("th")} == {"col"}
        for row in table.one("tbody").all("tr"):
            assert row.one("th").attributes["scope"] == "row"
            assert len(row.all("th", "td")) == len(table.one("thead").all("th"))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_what_is_written_stands_out_in_light_in_dark_and_on_paper(read):
    schemes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", one))
        for one in re.findall(r":root \{(.*?)\}", read.one("style").text, re.DOTALL)
    ]
    assert len(schemes) == 3
    for scheme in schemes:
        for front, back in [
            *((name, "paper") for name in ("ink", "quiet", "link")),
            *((name, "card") for name in ("ink", "quiet", "link")),
            *((name, "warn-card") for name in ("ink", "warn")),
        ]:
            low, high = sorted(luminance(scheme[name]) for name in (front, back))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (front, back, scheme)


def cells(table: Element) -> tuple[list[str], list[dict[str, str]]]:
    """The columns of a table, as the views name them, and its rows."""
    names = [one.text.replace(" ", "_") for one in table.one("thead").all("th")]
    rows = [
        dict(zip(names, (one.text for one in row.all("th", "td")), strict=True))
        for row in table.one("tbody").all("tr")
    ]
    return names, rows


PIVOTS = {"flow": ("period", "stage", ["entered"]),
          "attribution": ("channel", "model", ["wins", "cost_per_high"])}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in ALWAYS if name not in {"profile", "repeat"}])
def test_the_figures_are_what_the_command_beside_them_asks_for(read, views, page, name):
    own = section(read, name)
    ((view, parameters),) = {str(found): found for found in map(asked, commands(own))
                             if found[0] and "cell" not in found[1]}.values()  # fmt: skip
    assert parameters["position"] == page.meta["position"]
    answer = getattr(views, view)(**parameters)
    assert answer.sentence in own.text
    for note in answer.notes:
        assert note.split(":")[0].split("=")[0] in own.text
    tables = own.all("table")
    assert tables
    parts = [answer, *answer.parts.values()]
    if name in PIVOTS:
        down, across, figures = PIVOTS[name]
        for table, figure in zip(tables, figures, strict=True):
            _, shown = cells(table)
            wide = {row[down]: row for row in shown}
            assert len(wide) >= 8
            for one in answer:
                if one[down] in wide:
                    assert wide[one[down]][one[across]] == cell(figure, one[figure])
        return
    for table in tables:
        names, rows = cells(table)
        of = [part for part in parts if set(names) <= set(part.columns)]
        told = [
            {column: cell(column, row[column]) for column in names} for part in of for row in part
        ]
        for row in rows:
            plain = {column: text.split(" (")[0] for column, text in row.items()}
            assert any(
                all(it[name] in (row[name], plain[name]) for name in names) for it in told
            ), row


#: What can be explained at once; to find everybody's events for all of it takes a while.
QUICK = {"stock"}


@pytest.mark.parametrize(
    ("name", "least"),
    [
        pytest.param(name, least, marks=[] if name in QUICK else pytest.mark.slow)
        for name, least in [
            ("funnel", 3), ("stock", 1), ("flow", 1), ("velocity", 1), ("revenue", 3),
            ("retention", 1), ("value", 1), ("sources", 1), ("loop", 1), ("attribution", 1),
        ]
    ],
)  # fmt: skip
def test_key_figures_are_explained_by_the_commands_beside_them(read, views, name, least):
    told = 0
    for item in section(read, name).all("li"):
        for command in commands(item, "explain "):
            view, parameters = asked(command)
            found = views.explain(view, **parameters)
            shown = re.search(r" is (-?[\d,.]*\d)", found.sentence)
            assert shown is not None
            figure, explained = (
                float(one.replace(",", "")) for one in (item.text.split(" ")[0], shown[1])
            )
            assert figure == pytest.approx(explained, abs=0.01), (command, found.sentence)
            assert len(found)
            told += 1
    assert told >= least


def test_an_interval_stands_beside_its_rate(read):
    _, rows = cells(section(read, "funnel").one("table"))
    assert re.fullmatch(r"\d+\.\d% \(\d+\.\d\.\.\d+\.\d\)", rows[0]["conversion"])


def test_it_says_where_it_stands(page, read, views):
    where = read.one("p", **{"class": "where"}).text
    engine = views.engine
    for said in (
        f"position {views.position:,} of store {engine.store.store_id[:8]}",
        f"definition b2b/1 ({engine.definition.sha256[:12]})",
        "As of 2026-06-30 ",
        "days of UTC",
    ):
        assert said in where
    assert page.meta["definition"] == "b2b/1"
    assert "<meta charset" in page.html[:200]


def test_one_moment_and_one_breakdown_for_all(views):
    narrowed = views.report(
        sections=["stock", "missing"], as_of="2026-05-31", by="channel", where="channel!=search",
        tz="Europe/Amsterdam",
    )  # fmt: skip
    read = parsed(narrowed.html)
    whole, broken = (asked(one)[1] for one in commands(section(read, "stock"), "stock"))
    assert broken.pop("by") == ["channel"]
    assert whole == broken
    assert (whole["as_of"], whole["tz"]) == ("2026-05-31", "Europe/Amsterdam")
    where = [one.text for one in read.one("p", **{"class": "where"}).all("span")]
    assert where[:2] == ["As of 2026-05-31 23:59", "where channel!=search"]
    assert [one.text for one in section(read, "stock").all("h3")] == ["By channel"]
    _, rows = cells(section(read, "stock").all("table")[1])
    told = views.stock(**broken, by=["channel"]).rows()
    assert [(row["channel"], row["stage"], row["customers"]) for row in rows] == [
        (row["channel"] or "\N{EN DASH}", row["stage"], f"{row['customers']:,}") for row in told
    ]
    assert {row["channel"] for row in rows} >= {"webinar", "partner"}
    assert "search" not in {row["channel"] for row in rows}
    assert "This view takes no --where, --as-of: it is of all." in section(read, "missing").text


def test_the_longest_time_that_leaves_enough_customers(views, page, monkeypatch):
    signed = views.sql("SELECT commitment_at AS at FROM journeys WHERE cycle = 1").rows()
    as_of = page.meta["as_of"]
    mature = {
        f"{days}d": sum(one["at"] + timedelta(days) <= as_of for one in signed if one["at"])
        for days in (365, 180, 90)
    }
    said = "over 365d: the longest of 365d, 180d, 90d for which 100 customers or more are old"
    assert f"{said} enough ({mature['365d']} are)." in page.html
    asking = answers.Asking(views, Question.of({"sections": ["value"]}))
    for enough, horizon in [(mature["180d"], "180d"), (mature["90d"] + 1, "90d")]:
        monkeypatch.setattr(answers, "_ENOUGH", enough)
        found = asking.horizon()
        assert found is not None
        assert found.horizon == horizon
        assert f"over {horizon}" in found.says
        assert str(mature[horizon]) in found.says
        assert ("even for that" in found.says) is (horizon == "90d")


def test_what_high_value_is_can_be_said(views, tmp_path):
    file = tmp_path / "short.toml"
    file.write_text('name = "short"\nversion = 1\nhorizon = "60d"\nthreshold = "900"\n')
    for asks, says in [
        ({"horizon": "60d", "threshold": "900"}, "over 60d, as asked. High value is 900 or more"),
        ({"policy": str(file)}, f"Value is what the policy {file} says."),
    ]:
        read = parsed(views.report(sections=["value"], **asks).html)
        assert says in read.one("p", **{"class": "said"}).text
        _, parameters = asked(commands(section(read, "value"))[0])
        assert parameters == {**asks, "position": views.position}
        _, rows = cells(section(read, "value").one("table"))
        told = views.value(horizon="60d", threshold="900").rows()[0]
        assert rows[0]["high"] == str(told["high"])


NASTY = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "</svg></style>{{ 7*7 }}",
         "a\x1b[31mb", "url(http://x.example/)"]  # fmt: skip


@pytest.fixture(scope="module")
def odd():
    """A store whose customers send what pages are broken with, in two currencies."""
    with Bowtie.open("memory://") as engine:
        for number, text in enumerate(NASTY * 4):
            key = f"key-{number}"
            signed = ContractSigned(
                contract=f"c{number}", kind="paid", amount=100 + number, per="month",
                currency="EUR" if number % 2 else "USD", starts_on=date(2024, 2, 1),
            )  # fmt: skip
            touch = Touched(channel=text, direction="inbound")
            traits = TraitsObserved(traits={"plan": text, "email": f"{key}@secret.example"})
            engine.record(key, touch, traits, occurred_at=datetime(2024, 1, 5, tzinfo=UTC))
            engine.record(key, signed, occurred_at=datetime(2024, 2, 1, tzinfo=UTC))
        yield Views.open(engine)


@pytest.fixture(scope="module")
def odd_page(odd):
    """Of customers whose money can't be added, by what they say of themselves."""
    quick = [name for name in ALWAYS if name not in {"funnel", "flow", "velocity", "retention"}]
    return odd.report(title=NASTY[0], by="plan", sections=quick)


def test_what_senders_say_is_text_and_nothing_else(odd_page):
    read = parsed(odd_page.html)
    assert {one.tag for one in read.all()} <= TAGS
    assert not {name for one in read.all() for name in one.attributes} & {"src", "onerror"}
    assert read.one("title").text == read.one("h1").text == NASTY[0]
    shown = {one.text for one in section(read, "stock").all("th")}
    drawn = {one.text for one in section(read, "stock").all("text")}
    for text in (*NASTY[:3], NASTY[4]):
        assert text in shown
        assert any(text[:20] in one for one in drawn)
    assert "\\x1b[31m" in " ".join(shown)
    assert "\x1b" not in odd_page.html
    assert any("--by plan" in one for one in commands(section(read, "stock")))


def test_nothing_personal_and_no_key_is_on_the_page(odd_page):
    assert "key-1" not in odd_page.html
    assert "secret.example" not in odd_page.html


def test_what_a_view_refuses_stands_there_with_its_reason(odd, odd_page):
    read = parsed(odd_page.html)
    refused = section(read, "value").one("p", **{"class": "refused"}).text
    assert "Refused. Amounts are in EUR and USD, which can't be added without dated" in refused
    assert refused.endswith("name the one with --currency.")
    assert "Value is taken over 365d." in odd_page.html
    for name, needs in [("repeat", "orders (order_placed)"), ("profile", "profile publish")]:
        said = section(read, name).one("p", **{"class": "refused"}).text
        assert said.startswith("Nothing to show yet. It takes ")
        assert needs in said
    listed = section(read, "missing").one("dl")
    assert [one.attributes["href"] for one in listed.all("a")] == [
        "#repeat", "#value", "#sources", "#loop", "#profile",
    ]  # fmt: skip
    assert "without dated rates" in listed.text
    one = odd.report(sections=["value"], currency="EUR")
    assert "Refused" in one.html


def test_an_empty_log_has_a_page_that_says_what_to_record():
    with Bowtie.open("memory://") as engine:
        page = Views.open(engine).report()
    read = parsed(page.html)
    assert "An empty log" in read.one("p", **{"class": "where"}).text
    assert page.meta["position"] == 0
    missing = section(read, "missing")
    assert "an event that enters a stage by the definition" in missing.one("table").text
    assert len(missing.one("dl").all("dt")) == 10


@pytest.mark.parametrize(
    ("asked", "error", "problem"),
    [
        ({"sections": ["funel"]}, UnknownName, "no section 'funel'; it has: funnel, stock"),
        ({"horizon": "soon"}, UsageError, "'soon' is not a span of time"),
        ({"top": "2"}, UsageError, "top is 2; write a share"),
        ({"tz": "Mars"}, UnknownName, "'Mars' is no time zone"),
        ({"currency": "euro"}, UsageError, "no ISO 4217 code"),
        ({"known_at": "2026-01-01", "position": 3}, UsageError, "known_at and position"),
        ({"position": 10**6}, UsageError, "the tables hold positions up to"),
        ({"segment": "nobody"}, UnknownName, 'no segment "nobody" is published'),
        ({"definition": "b2c/7"}, UsageError, "b2c"),
        ({"by": "trait.nope"}, UnknownName, "nobody has a trait 'nope'"),
        ({"colour": "red"}, UsageError, "report has no parameter 'colour'"),
    ],
)
def test_what_can_not_be_asked_is_said(odd, asked, error, problem):
    with pytest.raises(error, match=re.escape(problem)):
        odd.report(**{"sections": ["stock", "value"], **asked})


@pytest.mark.slow
def test_customers_are_named_only_where_it_is_asked_for(views):
    quiet, named = (
        views.report(sections=["prospects"], horizon="365d", customers=customers)
        for customers in (False, True)
    )
    assert not re.search(r"acct-\d{6}", quiet.html)
    assert "ask for the page with --customers" in quiet.html
    assert len(parsed(quiet.html).all("svg")) == 1
    _, rows = cells(section(parsed(named.html), "prospects").one("table"))
    told = views.prospects(most=20, horizon="365d").rows()
    assert [row["customer"] for row in rows] == [row["customer"] for row in told]
    assert views.report(sections=["missing"]).sections == ["missing"]


def test_a_page_is_saved_as_a_whole_or_not_at_all(odd, tmp_path):
    page = odd.report(sections=["stock"])
    file = page.save(tmp_path / "page.HTML")
    assert file.read_text("utf-8") == page.html
    assert [one.name for one in tmp_path.iterdir()] == ["page.HTML"]
    with pytest.raises(UsageError, match=r"page.pdf: the page is HTML: name a file that ends in"):
        page.save(tmp_path / "page.pdf")
    with pytest.raises(FileError, match="can't be written: No such file"):
        page.save(tmp_path / "nowhere" / "page.html")
    assert "stock" in repr(page)


def test_a_notebook_shows_it_in_a_frame_of_its_own(odd):
    page = odd.report(sections=["stock"])
    frame = parsed(page._repr_html_()).one("iframe")
    assert frame.attributes["srcdoc"] == page.html
    assert frame.attributes["sandbox"] == ""


@pytest.mark.parametrize("module", ["jinja2", "altair", "vl_convert"])
def test_without_the_extra_the_message_says_what_to_install(odd, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"pip install 'bowtie-journeys\[charts\]'"):
        odd.report()
