"""``bowtie report``: a page in a file, or on the standard output."""

from __future__ import annotations

import re

import pytest

from bowtie_projections.report.sections import SECTIONS
from tests.web_pages import parsed


def test_a_page_is_written_where_it_is_wanted(run, store, folder):
    done = run("report", "--section", "stock", "--section", "missing", "--title", "Mine")
    assert (done.out, done.err) == ("", "Report written to report.html\n")
    page = parsed((folder / "report.html").read_text("utf-8"))
    assert [one.attributes["id"] for one in page.one("main").all("section")] == ["stock", "missing"]
    assert page.one("h1").text == "Mine"
    run("report", "--section", "stock", "-o", "own.html", "--silent")
    done = run("report", "--section", "stock", "-o", "-")
    assert done.out.startswith("<!doctype html>")
    assert done.err == ""

    def without_time(text: str) -> str:
        return re.sub(r"made [\d :-]+", "", text)

    written = (folder / "own.html").read_text("utf-8")
    assert without_time(written) == without_time(done.out)
    assert sorted(one.name for one in folder.glob("*.html")) == ["own.html", "report.html"]


def test_the_commands_on_it_are_for_this_command_line(run, store):
    page = parsed(run("report", "--section", "stock", "--section", "missing", "-o", "-").out)
    commands = [one.text for one in page.all("code")]
    assert commands == ["bowtie stock --position 5", "bowtie status --position 5"]
    for command in commands:
        told = run(*command.split()[1:], "--json").json
        assert told["sentence"] in page.text
        assert told["position"] == 5


def test_every_kind_of_option(run, store):
    page = run(
        *("report", "--section", "stock", "--section", "value", "--section", "missing"),
        *("--as-of", "2026-03-31", "--known-at", "2099-01-01", "--tz", "Europe/Berlin"),
        *("--by", "channel", "--where", "channel=webinar", "--data-from", "2026-01-01"),
        *("--definition", "b2b/1", "--horizon", "30d", "--top", "0.5", "--currency", "EUR"),
        *("--segment-as-of", "2026-03-01", "-o", "-"),
    ).out
    where = parsed(page).one("p", **{"class": "where"}).text
    assert "As of 2026-03-31 23:59, as known at 2099-01-01" in where
    assert "where channel=webinar" in where
    assert "Value is taken over 30d, as asked." in page
    assert "top 0.5" in page
    commands = [one.text for one in parsed(page).all("code")]
    assert len(commands) == 6
    for command in commands:
        assert "--known-at 2099-01-01" in command
        assert "--position" not in command


def test_the_help_names_every_section(run):
    told = run("report", "--help").out
    assert re.sub(r"\s+", " ", ", ".join(SECTIONS)) in re.sub(r"\s+", " ", told)


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["-o", "page.pdf"], 2, "page.pdf: name a file that ends in .html, or -"),
        (["-o", "page"], 2, "page: name a file that ends in .html"),
        (["--section", "funel"], 2, "the page has no section 'funel'; it has: funnel, stock,"),
        (["--horizon", "soon"], 2, "horizon: 'soon' is not a span of time"),
        (["--where", "size>"], 2, "size>"),
        (["--known-at", "2026-01-01", "--position", "3"], 2, "--known-at and position both say"),
        (["--segment", "none.toml"], 1, "none.toml"),
        (["--section", "stock", "--by", "nope"], 2, "nobody has a trait 'nope'"),
        (
            ["--section", "stock", "-o", "nowhere/page.html"],
            1,
            "nowhere/page.html: can't be written",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run, store, arguments, code, problem):
    done = run("report", *arguments, code=code)
    assert problem in done.err.splitlines()[-1]
    assert list(store.parent.glob("*.html")) == []


def test_without_a_store_nothing_is_written(run, folder):
    assert "no store" in run("report", code=1).error
    assert list(folder.glob("*.html")) == []
