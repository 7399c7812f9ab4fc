"""``bowtie revenue``."""

from __future__ import annotations

import shutil
from decimal import Decimal

import pytest
from click.testing import CliRunner

from bowtie_cli.main import main

MOVES = ("new", "expansion", "contraction", "churned", "reactivated")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of the demo, and its read tables, made once."""
    made = tmp_path_factory.mktemp("made")
    asked = ["--store", f"sqlite:///{made / 'bowtie.db'}"]
    for command in (
        ["demo", "--customers", "60", "--seed", "3", "-o", str(made / "demo.jsonl")],
        ["ingest", str(made / "demo.jsonl"), *asked],
        ["replay", *asked],
    ):
        assert CliRunner().invoke(main, command).exit_code in {0, 3}, command
    return made


@pytest.fixture
def store(made, folder):
    """A copy of it, where the commands run."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder


def test_each_row_adds_up_and_the_next_begins_where_it_ends(run, store):
    rows = run("revenue", "--every", "quarter", "--json").json["rows"]
    assert len(rows) > 4
    end = Decimal(0)
    for row in rows:
        assert Decimal(row["start"]) == end
        end = Decimal(row["end"])
        assert Decimal(row["start"]) + sum(Decimal(row[name]) for name in MOVES) == end
    years = run("revenue", "--every", "quarter", "--per", "year", "--json").json["rows"]
    assert abs(Decimal(years[-1]["end"]) - 12 * end) < Decimal("0.001")


def test_parts_add_up_to_the_whole(run, store):
    whole = run("revenue", "--every", "year", "--per", "year", "--json").json["rows"]
    parts = run(
        *("revenue", "--every", "year", "--per", "year", "--by", "channel", "--top", "1", "--json")
    ).json["rows"]
    assert {"other"} < {row["channel"] for row in parts}
    for row in whole:
        own = [part for part in parts if part["period"] == row["period"]]
        for name in ("start", *MOVES, "end", "in_grace"):
            assert sum(Decimal(part[name]) for part in own) == Decimal(row[name])


def test_it_is_printed_for_a_person_and_explained(run, store):
    said = run("revenue", "--from", "2025-01", "--to", "2025-02")
    head, *_, january, february = (line for line in said.out.splitlines() if line)
    assert "recurring revenue a month (MRR) of paid contracts, 2025-01 to 2025-02" in head
    assert january.split()[:2] == ["2025-01", "EUR"]
    assert february.endswith("yes")
    asked = ("--cell", "period=2025-01", "--cell", "currency=EUR", "--column", "customers_end")
    answer = run("explain", "revenue", *asked, "--json").json
    assert answer["value"] == answer["members"] == len({row["customer"] for row in answer["rows"]})


def test_a_plan_stands_beside_the_figures(run, store):
    lines = ["month,measure,breakdown,value", "2025-Q1,EUR.end,,1000", "2026-Q2,EUR.end,,2000"]
    (store / "plan.csv").write_text("\n".join([*lines, "2025-Q1,EUR.nrr_12m,,1.05"]))
    answer = run("revenue", "--every", "quarter", "--targets", "plan.csv", "--json").json
    rows = {row["period"]: row for row in answer["rows"]}
    first, last = rows["2025-Q1"], rows["2026-Q2"]
    assert Decimal(first["end_gap"]) == Decimal(first["end"]) - 1000
    assert first["nrr_12m_gap"] == pytest.approx(first["nrr_12m"] - 1.05)
    # that quarter still goes on
    assert Decimal(last["end_plan"]) == 2000
    assert last["end_gap"] is None
    (store / "plan.csv").write_text(f"{lines[0]}\n2025-Q1,end,,1000")
    said = run("revenue", "--targets", "plan.csv", code=1).err
    assert "measure 'end' names no currency; write it as EUR.end" in said


def test_mistakes_are_said_in_one_line(run, store):
    for asked, problem, code in (
        (("--currency", "USD"), "contracts are in: EUR", 2),
        (("--by", "nonsense"), "nobody has a trait 'nonsense'", 2),
        (("--by", "email"), "email is personal", 1),
        (("--from", "2025-02", "--to", "2025-01"), "the end is before the start", 2),
        (("--unit", "account"), "no membership is on record", 1),
        (("--targets", "none.csv"), "none.csv", 1),
    ):
        said = run("revenue", *asked, code=code).err
        assert problem in said
        assert len(said.splitlines()) == 1
