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


def test_a_published_one_is_known_by_its_name(run, store, folder):
    run("definition", "init", "b2b", "-o", "own.toml")
    file = folder / "own.toml"
    done = run("definition", "publish", file)
    assert done.out.startswith("own/1 is published, at position 6.")
    assert "was published already" in run("definition", "publish", file).out
    rows = run("definition", "list", "--json").json["definitions"]
    assert [(row["definition"], row["from"]) for row in rows][-1] == ("own/1", "log")
    assert run("definition", "show", "own").out == file.read_text()
    file.write_text(file.read_text().replace("lead_created", "lead_made"))
    assert "higher version" in run("definition", "publish", file, code=1).error
    file.write_text(file.read_text().replace("version = 1", "version = 2", 1))
    run("definition", "publish", file)
    assert run("stock", "--definition", "own", "--json").json["definition"] == "own/2"
    assert run("journey", "acme", "--definition", "own/1", "--json").json["definition"] == "own/1"
    assert run("init", "--definition", "own", "--json").json["definition"] == "own/2"
    run("definition", "init", "own/1", "-o", "next.toml")
    assert "lead_created" in (folder / "next.toml").read_text()


def test_publishing_needs_a_store(run, folder):
    run("definition", "init", "b2b", "-o", "own.toml")
    assert "no store" in run("definition", "publish", "own.toml", code=1).error
    assert not (folder / "bowtie.db").exists()


def test_check_tries_it_on_the_log(run, store, folder):
    run("definition", "init", "b2b", "-o", "own.toml")
    file = folder / "own.toml"
    file.write_text(file.read_text().replace('"lead_created", ', ""))
    done = run("definition", "check", file)
    assert "own/1 is right. own/1 sees 2 of 2 customers" in done.out
    whole = run("definition", "check", file, "--json").json
    assert (whole["ok"], whole["seen"], whole["customers"]) == (True, 2, 2)
    entered = {row["stage"]: row["entered"] for row in whole["rows"]}
    assert (entered["awareness"], entered["education"], entered["commitment"]) == (2, 0, 1)
    unused = [row for row in whole["parts"]["events"]["rows"] if not row["used"]]
    assert [(row["event"], row["name"], row["events"]) for row in unused] == [
        ("noted", "lead_created", 1),
        ("traits_observed", None, 1),
    ]
    assert "education" in next(note for note in whole["notes"] if "met by nothing" in note)
    assert run("definition", "check", "b2b", "--part", "rules", "--format", "csv").out
    assert "no store" in run("definition", "check", file, "--store", "none.db", code=1).error


def test_diff_says_who_moves_and_which_figures_change(run, store, folder):
    run("definition", "init", "b2b", "-o", "own.toml")
    file = folder / "own.toml"
    file.write_text(file.read_text().replace('direction = "inbound"', 'channel = "webinar"'))
    whole = run("definition", "diff", "b2b", file, "--json").json
    moves = {(row["before"], row["after"]): row["customers"] for row in whole["rows"]}
    assert moves == {("awareness", "no stage"): 1, ("commitment", "commitment"): 1}
    (figures, *_) = whole["parts"]["figures"]["rows"]
    assert (figures["entered_before"], figures["entered_after"]) == (2, 1)
    (who,) = run("definition", "diff", "b2b", file, "--who", "--json").json["rows"]
    assert who == {"customer": "zeta", "before": "awareness", "after": "no stage"}
    assert run("definition", "diff", "b2b", "b2b/1", "--who", "--json").json["rows"] == []


def test_names_that_are_not_there(run):
    assert "comes with bowtie" in run("definition", "show", "b2c", code=2).error
    assert "no such file" in run("definition", "check", "no.toml", code=1).error
    assert "no store" in run("definition", "show", code=1).error
