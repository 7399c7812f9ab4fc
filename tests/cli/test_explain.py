"""``bowtie explain``: as one asks the view, with the row and the column of the figure."""

from __future__ import annotations

import json

import click
import pytest

from bowtie_cli.explain import explain
from bowtie_projections.explained import EVIDENCE

FIGURE = (
    "--by",
    "channel",
    "--cell",
    "stage=selection",
    "--cell",
    "channel=web",
    "--column",
    "lost",
)


def line(key: str, number: int, day: str, type_name: str, **data: object) -> str:
    event = {
        "specversion": "1.0", "source": "crm", "id": str(number), "type": f"bowtie.{type_name}",
        "subject": key, "time": f"2024-01-{day}T09:00:00Z", "data": data,
    }  # fmt: skip
    return json.dumps(event)


@pytest.fixture
def log(folder):
    lines = [
        line("acme", 1, "01", "touched", channel="web", direction="inbound"),
        line("acme", 2, "02", "noted", name="opportunity_created", properties={"email": "a@b.c"}),
        line("acme", 3, "05", "disqualified", reason_code="price", reason="told Ada so"),
        line("bolt", 4, "01", "touched", channel="web", direction="inbound"),
        line("bolt", 5, "03", "noted", name="demo_requested"),
    ]
    file = folder / "log.jsonl"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


@pytest.fixture
def store(run, log):
    run("init")
    run("ingest", log)


def test_every_view_that_can_be_explained_has_a_command():
    assert isinstance(explain, click.Group)
    of_profiles = explain.commands["profile"]
    assert isinstance(of_profiles, click.Group)
    assert set(of_profiles.commands) == {"evaluate", "history"}
    # steps are asked of the funnel: bowtie explain funnel --step ...
    others = {"steps", "profile_evaluation", "profile_history"}
    assert set(explain.commands) == set(EVIDENCE) - others | {"profile"}


def test_a_figure_is_named_by_the_options_of_its_view(run, store):
    done = run("explain", "funnel", *FIGURE, "--format", "csv")
    assert done.out.splitlines() == [
        "customer,cycle,role,position,source,id,type,occurred_at,recorded_at,known_from,retracted",
        *done.out.splitlines()[1:],
    ]
    named = [row.split(",")[:7] for row in done.out.splitlines()[1:]]
    assert named == [
        ["acme", "1", "channel", "1", "crm", "1", "touched"],
        ["acme", "1", "entered selection", "2", "crm", "2", "noted"],
        ["acme", "1", "disqualified", "3", "crm", "3", "disqualified"],
    ]
    assert "lost of funnel is 1 (stage selection, channel web): 1 customer and 3 events" in done.err


def test_data_has_no_sealed_field(run, store):
    rows = run("explain", "funnel", *FIGURE, "--data", "--json").json["rows"]
    assert [json.loads(row["data"]) for row in rows] == [
        {"channel": "web", "direction": "inbound"},
        {"name": "opportunity_created", "properties": {}},
        {"reason_code": "price"},
    ]


def test_the_hash_is_that_of_the_log_and_changes_with_its_facts(run, store, folder):
    answer = run("explain", "funnel", *FIGURE, "--json").json
    assert answer["store_id"]
    known = answer["hash"]
    again = ("explain", "funnel", *FIGURE, "--verify", known)

    run("replay", "--rebuild")
    run(*again)
    run("export", "log", "-o", "all.jsonl")
    run("--store", "other.db", "init")
    run("--store", "other.db", "ingest", "--restore", "all.jsonl")
    run("--store", "other.db", *again)
    run("--store", "third.db", "init")
    run("--store", "third.db", "ingest", "log.jsonl")
    run("--store", "third.db", *again)
    other = run("--store", "other.db", "explain", "funnel", *FIGURE, "--json").json
    assert other["hash"] == known
    assert other["store_id"] != answer["store_id"]

    run("record", "bolt", "touched", "channel=web", "direction=inbound", "--at", "2024-01-04")
    run(*again)
    run("record", "acme", "retracted", "of_source=crm", "of_id=3", "--at", "2024-01-09")
    failed = run(*again, code=3)
    assert "not the one given: other customers or other events" in failed.error
    was = run(*again, "--position", "5").out
    assert "Note: 1 event counted here is retracted since." in was.splitlines()


def test_another_question_has_another_hash(run, store):
    def asked(*more: str) -> str:
        args = ("--cell", "stage=awareness", "--column", "entered", *more)
        return str(run("explain", "funnel", *args, "--json").json["hash"])

    hashes = {asked(), asked("--within", "30d"), asked("--definition", "shop/1")}
    assert len(hashes) == 3
    assert asked() in hashes
    assert asked("--position", "5") == asked("--known-at", "2100-01-01") == asked()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--column", "lost"), 2, "the cell names 7 rows of funnel: name one, by stage too"),
        (("--column", "lost", "--cell", "selection"), 2, "write COLUMN=VALUE, such as stage="),
        (("--cell", "stage=selection"), 2, "Missing option '--column'"),
        (("--cell", "stage=growth", "--column", "lost"), 1, "lost is empty in that row"),
        (("--cell", "stage=x", "--column", "lost"), 2, "no row where stage is x; there is:"),
    ],
)
def test_what_is_asked_wrongly_is_told(run, store, args, code, said):
    assert said in run("explain", "funnel", *args, code=code).err


def test_a_part_of_an_answer(run, store):
    args = ("--part", "sources", "--cell", "source=crm", "--column", "events")
    done = run("explain", "status", *args)
    assert "events of status sources is 5 (source crm): 2 keys and 5 events" in done.out
