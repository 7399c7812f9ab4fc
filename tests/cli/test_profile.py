"""``bowtie profile``, and the demo that goes on by a profile."""

from __future__ import annotations

import json

import pytest

TEXT = """
name = "lookalike"
version = 1
starts_on = 2024-07-01
ends_on = 2025-06-30
horizon = "90d"
holdout = "0.4"
[[traits]]
trait = "multi_site"
level = "true"
"""


@pytest.fixture
def store(run, folder):
    """The first log of a demo that goes on, and a profile beside it."""
    run("demo", "--turn", "--customers", "60", "--seed", "3", "-o", "first.jsonl")
    run("ingest", "first.jsonl", code=3)
    (folder / "lookalike.toml").write_text(TEXT)
    return folder


def test_a_turn_of_the_loop(run, store):
    assert "No profile is published" in run("profile", "list").out
    assert "lookalike/1 is a profile. " in run("profile", "check", "lookalike.toml").out
    assert "lookalike/1 is published" in run("profile", "publish", "lookalike.toml").out
    assert "was published already" in run("profile", "publish", "lookalike.toml").out
    [listed] = run("profile", "list", "--json").json["profiles"]
    assert listed["says"].startswith("for multi_site true; new prospects from 2024-07-01")
    run("profile", "show", "lookalike", "-o", "profile.json")
    assert (
        "nobody on 2024-06-30" in run("profile", "assign", "lookalike", "--as-of", "2024-06-30").out
    )
    told = run(
        "demo", "--customers", "60", "--seed", "3", "--react", "profile.json", "-o", "second.jsonl",
        "--truth",
    ).out  # fmt: skip
    assert "From 2024-07-01 through 2026-06-30 the business reacts to lookalike/1." in told
    run("ingest", "second.jsonl", code=3)
    answer = run("profile", "evaluate", "lookalike", "--record", "--json").json
    first, second, apart = answer["rows"]
    assert first["assigned"] + second["assigned"] == first["mature"] + second["mature"] > 0
    assert (apart["arm"], apart["reason"]) == ("difference", None)
    [version] = run("profile", "history", "lookalike", "--json").json["rows"]
    assert version["value_effect"] == pytest.approx(apart["value_per_prospect"])
    arm = ("explain", "profile", "evaluate", "lookalike", "--cell", "arm=targeted", "--column")
    for column in ("conversion", "value"):
        behind = run(*arm, column, "--json").json
        named = {row["customer"] for row in behind["rows"] if row["role"] == "assigned"}
        assert len(named) == behind["members"] == first["assigned"]
    both = ("explain", "profile", "history", "lookalike", "--cell", "profile=lookalike/1")
    said = run(*both, "--column", "assigned", "--json").json
    assert said["members"] == first["assigned"] + second["assigned"]
    assert {row["type"] for row in said["rows"]} == {"targeted"}
    assert "arm by arm" in run(*both, "--column", "value_effect", code=2).err
    # whom the demo's business met on the last day stands open that night
    asked = ("profile", "assign", "lookalike", "--as-of", "2024-09-30")
    done = run(*asked, "--json").json
    assert (done["dry_run"], done["holdout"] + done["targeted"]) == (False, len(done["prospects"]))
    again = run(*asked, "--dry-run", "--who", "--format", "csv")
    assert again.out.splitlines() == ["customer,score,market,arm"]


MISTAKES = [
    (("publish",), 2, "--from-loop"),
    (("publish", "lookalike.toml", "--holdout", "0.1"), 2, "write there what --holdout"),
    (("publish", "lookalike.toml", "--top", "0.1"), 2, "goes with --from-loop"),
    (("publish", "--from-loop", "--holdout", "0.1"), 2, "--name lookalike"),
    (("publish", "--from-loop", "--name", "x"), 2, "--holdout 0.2"),
    (("publish", "nowhere.toml"), 1, "no such file"),
    (("publish", "wrong.toml"), 1, 'wrong.toml:8: unknown key "hold"'),
    (("check", "wrong.toml"), 1, 'wrong.toml:8: unknown key "hold"'),
    (("show", "lookalike"), 2, 'no profile "lookalike" is published: none is'),
    (("assign", "lookalike.toml"), 2, "lookalike/1 is not published"),
    (("assign", "lookalike.toml", "--as-of", "2999-01-01"), 2, "has not come"),
    (("evaluate", "lookalike"), 2, 'no profile "lookalike" is published'),
    (("history", "lookalike"), 2, 'no profile "lookalike" is published'),
]  # fmt: skip


def test_mistakes_are_said_in_one_line(run, small):
    for arguments, code, problem in MISTAKES:
        done = run("profile", *arguments, code=code)
        assert problem in done.error
        assert len(done.err.splitlines()) == 1


@pytest.fixture
def small(run, folder, good):
    """A store with a few events, and two files."""
    run("ingest", good)
    (folder / "lookalike.toml").write_text(TEXT)
    (folder / "wrong.toml").write_text(TEXT.replace("\n[[traits]]", "\nhold = 1\n[[traits]]"))
    return folder


def test_what_the_demo_can_not_do_by_a_profile(run, folder):
    assert "--react FILE" in run("demo", "--turn", "--truth", code=2).error
    (folder / "early.toml").write_text(
        TEXT.replace("starts_on = 2024-07-01", "starts_on = 2024-06-30")
    )
    assert "on that day or later" in run("demo", "--react", "early.toml", code=2).error
    (folder / "lookalike.toml").write_text(TEXT)
    said = run("profile", "check", "lookalike.toml", "--json").json
    assert said["profile"] == "lookalike/1"
    assert json.loads(json.dumps(said)) == said
