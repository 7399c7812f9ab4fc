"""Forgetting on the command line: looked at, asked, done, said."""

from __future__ import annotations

import pytest

from tests.cli.conftest import TOUCH, line


@pytest.fixture
def linked(run, folder):
    """Acme under two keys, a parked line about it, and a stranger."""
    lines = [
        line("1", "traits_observed", traits={"email": "ada@example.com", "plan": "pro"}),
        line("2", "identity_linked", alias="acme-web"),
        line("3", "touched", "acme-web", **TOUCH),
        line("4", "touched", "zeta", **TOUCH),
        line("5", "tuched", **TOUCH),
    ]
    (folder / "log.jsonl").write_text("\n".join(lines), "utf-8")
    run("ingest", "log.jsonl", code=3)


def test_a_dry_run_lists_and_leaves(run, linked):
    done = run("forget", "acme-web", "--dry-run", "--json").json
    assert [(row["key"], row["events"]) for row in done["keys"]] == [("acme-web", 1), ("acme", 2)]
    assert (done["events"], done["parked"]) == (3, 1)
    assert "nothing is destroyed" in run("forget", "acme", "--dry-run").out
    assert "ada@example.com" in run("journey", "acme").out


def test_without_a_terminal_it_must_be_said(run, linked):
    assert "--yes" in run("forget", "acme", code=2).err
    assert "ada@example.com" in run("journey", "acme").out


def test_forgotten(run, linked):
    done = run("forget", "acme", "--yes")
    assert "Forgotten under 2 keys, with 3 events" in done.out
    shown = run("journey", "acme")
    assert "was forgotten on" in shown.out
    assert "traits.email=(sealed for ever)" in shown.out
    assert "ada@example.com" not in shown.out
    assert run("journey", "acme", "--json").json["forgotten_at"] is not None
    assert run("parked", "list", "--json").json["parked"] == 0
    again = run("forget", "acme", "--yes", "--json").json
    assert (again["recorded"], again["erased"]["keys"]) == (0, 0)
    assert run("verify", "--json").json["ok"] is True


def test_what_comes_later_is_parked(run, linked, folder):
    run("forget", "acme", "--yes")
    (folder / "more.jsonl").write_text(line("9", "touched", "acme-web", **TOUCH), "utf-8")
    assert run("ingest", "more.jsonl", "--json", code=3).json["parked_by_reason"] == {
        "customer_forgotten": 1
    }
    assert "forgotten" in run("record", "acme", "onboarded", code=1).error


def test_a_mistaken_link_is_left(run, linked):
    done = run("forget", "acme", "--except", "acme-web", "--yes", "--json").json
    assert done["keys"] == ["acme"]
    assert run("journey", "acme-web", "--json").json["forgotten_at"] is None


def test_nobody(run, linked):
    assert "nobody" in run("forget", "nobody", "--yes", code=2).error
