"""Options of the session: where they may stand, and which source wins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def stores() -> set[str]:
    return {path.name for path in Path().glob("*.db")}


def test_the_store_is_bowtie_db_unless_said(run):
    run("init")
    assert stores() == {"bowtie.db"}


def test_the_store_may_be_named_before_and_after_the_command(run):
    run("--store", "before.db", "init")
    run("init", "--store", "after.db")
    run("--store", "before.db", "init", "--store", "last.db")
    assert stores() == {"before.db", "after.db", "last.db"}


def test_a_command_below_a_noun_takes_the_options_too(run, good):
    run("ingest", good, "--store", "a.db")
    assert len(run("export", "log", "--store", "a.db").out.splitlines()) == 6
    assert len(run("export", "--store", "a.db", "log").out.splitlines()) == 6


def test_a_flag_wins_over_the_environment_and_that_over_the_file(run, folder):
    (folder / "pyproject.toml").write_text('[tool.bowtie]\nstore = "shared.db"\n')
    run("init")
    (folder / "bowtie.toml").write_text('store = "file.db"\n')
    run("init")
    run("init", env={"BOWTIE_STORE": "environment.db"})
    run("--store", "flag.db", "init", env={"BOWTIE_STORE": "environment.db"})
    assert stores() == {"shared.db", "file.db", "environment.db", "flag.db"}


def test_the_file_holds_defaults_of_commands(run, folder, mixed):
    (folder / "bowtie.toml").write_text('[ingest]\nformat = "csv"\n')
    assert "column" in run("ingest", mixed, code=1).error
    run("ingest", mixed, "--format", "jsonl", code=3)


def test_dashes_and_underscores_name_the_same_option(run, folder, store):
    for name in ("as-of", "as_of"):
        (folder / "bowtie.toml").write_text(f"[journey]\n{name} = 2026-01-06\n")
        assert len(run("journey", "acme", "--json").json["events"]) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("store = ", "bowtie.toml: is no TOML"),
        ('stor = "x.db"', "did you mean store?"),
        ('[funel]\nwithin = "90d"', "did you mean funnel?"),
        ('[init]\ndefinitoin = "shop"', "did you mean definition?"),
    ],
)
def test_a_wrong_file_is_said(run, folder, text, says):
    (folder / "bowtie.toml").write_text(text)
    assert says in run("init", code=2).error
    assert stores() == set()


def test_an_option_by_environment(run, folder):
    run("init", env={"BOWTIE_INIT_DEFINITION": "shop"})
    assert run("init", "--json").json["definition"] == "shop/1"


def test_an_unexpected_fault_is_one_line_unless_debug(run, monkeypatch, store):
    import bowtie.engine

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(bowtie.engine.Bowtie, "journey", fail)
    with pytest.raises(AssertionError, match="--debug"):
        run("journey", "acme")
    done = run("journey", "acme", "--debug", code=1)
    assert done.error == "ZeroDivisionError: no such luck"
    assert "Traceback" in done.err


def test_debug_shows_the_traceback_of_an_expected_error_too(run):
    done = run("--debug", "journey", "acme", code=1)
    assert "Traceback" in done.err
    assert "there is no store" in done.error


def test_an_interrupt_ends_with_130(run, monkeypatch, store):
    import bowtie.engine

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bowtie.engine.Bowtie, "journey", interrupt)
    assert run("journey", "acme", code=130).error == "interrupted"


def test_a_reader_that_goes_away_is_no_fault(store):
    script = "from bowtie_cli.main import main; main()"
    command = [sys.executable, "-c", script, "demo", "--customers", "300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
