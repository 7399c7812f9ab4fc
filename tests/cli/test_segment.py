"""``bowtie segment``, and the options by which every view is narrowed."""

from __future__ import annotations

import pytest

LARGE = """
name = "large"
version = 1
title = "Large companies"
[[all]]
traits = { company_size = ["250-999", "1000+"] }
"""


@pytest.fixture
def store(run, folder):
    """A store of the demo, and a segment beside it."""
    run("demo", "--customers", "60", "--seed", "3", "-o", "demo.jsonl")
    run("ingest", "demo.jsonl", code=3)
    (folder / "large.toml").write_text(LARGE)
    return folder


def test_a_segment_is_checked_published_listed_and_asked_by_name(run, store):
    inside = run("segment", "check", "large.toml", "--json").json["rows"][-1]["customers"]
    assert 0 < inside < 60
    assert "No segment is published" in run("segment", "list").out

    assert "large/1 is published" in run("segment", "publish", "large.toml").out
    assert "was published already" in run("segment", "publish", "large.toml").out
    listed = run("segment", "list", "--json").json["segments"]
    assert [(one["segment"], one["title"]) for one in listed] == [("large/1", "Large companies")]
    assert run("segment", "show", "large").out == LARGE

    stock = run("stock", "--segment", "large", "--json").json
    assert stock["segment"]["inside"] == inside
    assert sum(row["customers"] for row in stock["rows"]) == inside
    who = run("segment", "check", "large", "--who", "--format", "csv").out.splitlines()
    assert len(who) == inside + 1


def test_options_are_named_as_they_are_typed(run, store):
    said = run("funnel", "--where", "company_size=1000+", "--by", "channel", "--touch", "last").out

    assert "--segment-as-of DATE" in said
    assert "channel: of the last touch by then (--touch first or --touch step" in said
    broken = run("funnel", "--by", "segment:large.toml", "--format", "csv")
    assert broken.out.startswith("segment:large.toml,stage,")
    assert "0 of 60 customers; 60 are outside" in run("stock", "--where", "industry=foood").out
    assert "Did you mean industry food?" in run("stock", "--where", "industry=foood").out


def test_mistakes_are_said_in_one_line(run, store):
    (store / "wrong.toml").write_text(LARGE + 'last = "3d"\n')
    for arguments, code, problem in [
        (["stock", "--segment", "lareg"], 2, 'no segment "lareg" is published'),
        (["stock", "--where", "industri=food"], 2, "did you mean industry"),
        (["stock", "--where", "industry"], 2, "write a test such as"),
        (["stock", "--touch", "step", "--by", "channel"], 2, "--touch first or --touch last"),
        (["stock", "--segment", "none.toml"], 1, "there is no such file"),
        (["segment", "check", "wrong.toml"], 1, 'wrong.toml:7: unknown key "last"'),
        (["segment", "publish", "wrong.toml"], 1, "wrong.toml:7"),
        (["segment", "show", "small"], 2, 'no segment "small"'),
    ]:
        assert problem in run(*arguments, code=code).error


def test_a_segment_without_a_name_is_no_folder(run, store):
    for asked in (("segment", "check", ""), ("rfm", "--segment", "")):
        assert "'': is no file; name a TOML file of a segment" in run(*asked, code=1).error


def test_the_units_of_a_segment_are_those_that_its_help_names(run, store):
    assert "'cycle' is not one of" in run("segment", "check", "x", "--unit", "cycle", code=2).err
