"""Stage definitions: shown, copied, checked."""

from __future__ import annotations

import pytest

from bowtie.stages import load_definition


def test_list(run):
    rows = run("definition", "list", "--json").json["definitions"]
    assert [row["definition"] for row in rows] == ["b2b/1", "shop/1"]
    assert not any(row["default"] for row in rows)


def test_list_marks_the_store_s_own(run):
    run("init", "--definition", "shop")
    rows = run("definition", "list", "--json").json["definitions"]
    assert [row["default"] for row in rows] == [False, True]


def test_show(run):
    assert run("definition", "show", "shop").out == load_definition("shop").text
    run("init", "--definition", "shop")
    assert run("definition", "show").out == load_definition("shop").text


def test_a_copy_can_be_checked_changed_and_used(run, folder):
    run("definition", "init", "b2b", "-o", "Saas 2.toml")
    assert "saas-2/1 is right" in run("definition", "check", "Saas 2.toml").out
    file = folder / "Saas 2.toml"
    file.write_text(file.read_text().replace("webinar_attended", "course_taken"))
    assert run("init", "--definition", file, "--json").json["definition"] == "saas-2/1"
    assert "is there already" in run("definition", "init", "b2b", "-o", file, code=1).error


def test_check_counts_conditions(run, folder):
    run("definition", "init", "shop", "-o", "own.toml")
    whole = run("definition", "check", "own.toml", "--json").json
    assert whole["ok"] is True
    assert [row["stage"] for row in whole["stages"]][3] == "commitment"
    assert next(r for r in whole["stages"] if r["stage"] == "utilization")["conditions"] == 0


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('event = "touched"', 'event = "tuched"', "touched"),
        ('event = "touched"', "", "event"),
        ("version = 1", "version = 0", "version"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(run, folder, before, after, says):
    run("definition", "init", "b2b", "-o", "own.toml")
    file = folder / "own.toml"
    file.write_text(file.read_text().replace(before, after, 1))
    for command in (("definition", "check"), ("init", "--definition")):
        error = run(*command, "own.toml", code=1).error
        assert error.startswith("own.toml:")
        assert says in error
    assert not (folder / "bowtie.db").exists()


def test_names_that_are_not_there(run):
    assert "comes with bowtie" in run("definition", "show", "b2c", code=2).error
    assert "no such file" in run("definition", "check", "no.toml", code=1).error
    assert "no store" in run("definition", "show", code=1).error
