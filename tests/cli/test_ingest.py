"""Logs into the store: the report, the exit code, and every kind of bad file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import BAD, GOOD, TOUCH, line


def test_the_report_is_one_object(run, mixed):
    report = run("ingest", mixed, "--json", code=3).json
    assert report["read"] == 8
    assert report["appended"] == 5
    assert report["duplicates"] == 0
    assert report["parked"] == 3
    assert report["out_of_sequence"] == 0
    assert report["position"] == 5
    assert report["parked_by_reason"] == {"naive_time": 1, "no_customer": 1, "unknown_type": 1}
    assert report["parked_amounts"] == {"no_customer": {"EUR": "12.50"}}


def test_the_report_for_a_person(run, mixed):
    done = run("ingest", mixed, code=3)
    assert "5 of 8 events appended" in done.out
    assert "12.50 EUR" in done.out
    assert "mixed.jsonl:3  unknown_type  type: 'bowtie.tuched'" in done.out
    assert "bowtie parked list" in done.out


def test_good_files_end_with_0_and_again_change_nothing(run, good):
    assert run("ingest", good).code == 0
    again = run("ingest", good, "--json").json
    assert (again["appended"], again["duplicates"], again["position"]) == (0, 5, 5)


def test_several_files_are_summed_and_told_apart(run, good, mixed):
    report = run("ingest", good, mixed, "--json", code=3).json
    assert (report["read"], report["duplicates"], report["position"]) == (13, 5, 5)
    assert [one["file"] for one in report["files"]] == [str(good), str(mixed)]
    assert "all" in run("ingest", good, mixed, code=3).out


def test_standard_input(run, good):
    assert run("ingest", "-", "--json", input=good.read_bytes()).json["appended"] == 5


def test_an_empty_file_holds_nothing(run, folder):
    (folder / "empty.jsonl").touch()
    assert run("ingest", "empty.jsonl", "--json").json["read"] == 0


def test_correct_records_the_new_event(run, folder, good):
    run("ingest", good)
    (folder / "new.jsonl").write_text(line("1", "touched", **{**TOUCH, "channel": "search"}))
    done = run("ingest", "new.jsonl", code=3)
    assert "id_reused" in done.out
    assert "--correct" in done.out
    assert run("ingest", "new.jsonl", "--correct", "--json").json["corrected"] == 1


def test_out_of_sequence_is_said_and_no_problem(run, folder):
    (folder / "log.jsonl").write_text(
        line("1", "contract_ended", contract="c9", effective_on="2026-01-01")
    )
    done = run("ingest", "log.jsonl")
    assert "out of sequence" in done.out
    assert "c9" in done.out


MAP = """
name = "visits"
source = "shop"
customer = "who"
time = { column = "day", zone = "UTC" }
id = "nr"
[[events]]
type = "touched"
const = { direction = "inbound" }
columns = { channel = "via" }
"""


@pytest.fixture
def rows(folder: Path) -> Path:
    (folder / "visits.toml").write_text(MAP)
    file = folder / "visits.csv"
    file.write_text("nr,who,day,via\n1,u1,2026-01-05,mail\n2,u2,nonsense,mail\n3,,2026-01-06,web\n")
    return file


def test_a_mapping_turns_rows_into_events(run, rows):
    report = run("ingest", "--map", "visits.toml", rows, "--json", code=3).json
    assert (report["appended"], report["parked"]) == (1, 2)
    assert run("journey", "u1", "--json").json["events"][0]["source"] == "shop"


def test_dry_run_shows_and_records_nothing(run, rows):
    done = run("ingest", "--map", "visits.toml", "--dry-run", rows, code=3)
    assert "touched" in done.out
    assert "2 would be parked" in done.out
    assert not Path("bowtie.db").exists()
    whole = run("ingest", "--map", "visits.toml", "--dry-run", "--rows", "1", rows, "--json").json
    assert (whole["events"], whole["parked"], len(whole["rows"])) == (1, 0, 1)


def test_dry_run_needs_a_mapping(run, good):
    assert "--map" in run("ingest", "--dry-run", good, code=2).err


def test_a_missing_column_is_named(run, rows):
    rows.write_text("nr,who,when,via\n1,u1,2026-01-05,mail\n")
    error = run("ingest", "--map", "visits.toml", rows, code=1).error
    assert "day" in error
    assert "visits.csv" in error


def test_a_wrong_mapping_names_its_line(run, rows, folder):
    (folder / "visits.toml").write_text(MAP.replace("touched", "tuched"))
    error = run("ingest", "--map", "visits.toml", rows, code=1).error
    assert error.startswith("visits.toml:")
    assert "tuched" in error


def test_half_a_gzip_file_keeps_what_is_good(run, folder):
    whole = gzip.compress(("\n".join(GOOD * 200) + "\n").encode(), mtime=0)
    (folder / "half.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    done = run("ingest", "half.jsonl.gz", code=1)
    assert "half.jsonl.gz" in done.error
    assert "5 of" in done.out


def test_a_damaged_file_does_not_keep_the_next_from_its_turn(run, folder, good):
    (folder / "bad.jsonl.gz").write_bytes(gzip.compress(b"x" * 999)[:20])
    done = run("ingest", "bad.jsonl.gz", good, "--json", code=1)
    assert done.json["appended"] == 5
    assert "bad.jsonl.gz" in done.error


def test_another_encoding_is_parked_line_by_line(run, folder):
    text = (
        GOOD[0] + "\n" + line("9", "touched", "zürich", **TOUCH).encode().decode("unicode_escape")
    )
    (folder / "latin.jsonl").write_bytes(text.encode("latin-1"))
    done = run("ingest", "latin.jsonl", code=3)
    assert "UTF-8" in done.out
    assert "1 of 2 events appended" in done.out


def test_a_csv_without_a_needed_column(run, folder):
    (folder / "log.csv").write_text("id,source,type\n1,crm,bowtie.touched\n")
    error = run("ingest", "log.csv", code=1).error
    assert "log.csv" in error
    assert "column" in error


@pytest.mark.parametrize("name", ["nowhere.jsonl", "."])
def test_no_file_and_a_folder_leave_no_store_behind(run, name):
    assert run("ingest", name, code=1).error.startswith(f"{name}: ")
    assert not Path("bowtie.db").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("some.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4, "a PNG picture"),
        ("book.csv", b"PK\x03\x04" + bytes(200), "save the sheet as CSV"),
        ("log.jsonl", bytes(range(1, 256)) * 9, "no text"),
    ],
)
def test_what_is_no_text_is_refused_as_a_whole(run, folder, name, content, says):
    """In one line, and before a store is made for it; packed, when it is unpacked."""
    (folder / name).write_bytes(content)
    error = run("ingest", name, code=1).error
    assert error.startswith(f"{name}: is ")
    assert says in error
    assert "JSON lines, CSV or Parquet" in error
    assert not Path("bowtie.db").exists()
    (folder / "packed.gz").write_bytes(gzip.compress(content))
    packed = run("ingest", "packed.gz", "--json", code=1)
    assert says in packed.error
    assert packed.json["parked"] == packed.json["read"] == 0


def test_a_line_with_zeros_in_a_good_file_is_parked(run, folder, good):
    """The damage of one line is not the file's."""
    (folder / "log.jsonl").write_bytes(good.read_bytes() + b'{"id": "\0\0\0"}\n')
    done = run("ingest", "log.jsonl", "--json", code=3)
    assert done.json["parked"] == 1


@pytest.mark.parametrize(
    ("bad", "reason", "says"),
    [
        ('{"half": ', "unreadable", "not JSON"),
        (line("1", "touched", channel="web"), "invalid", "direction: missing"),
        (line("1", "touched", **TOUCH, colour="red"), "invalid", "colour"),
        (line("1", "touched", **TOUCH, cost="5", currency="EURO"), "invalid", "ISO 4217"),
        (line("1", "touched", time="2199-01-01T00:00:00Z", **TOUCH), "future_time", "future"),
        (BAD[0], "unknown_type", "bowtie.touched"),
        (BAD[1], "naive_time", "zone"),
        (BAD[2], "no_customer", "subject"),
    ],
)
def test_each_bad_line_names_its_line_field_and_reason(run, folder, bad, reason, says):
    (folder / "log.jsonl").write_text(f"{line('2', 'touched', **TOUCH)}\n{bad}\n")
    done = run("ingest", "log.jsonl", code=3)
    (example,) = [text for text in done.out.splitlines() if text.startswith("log.jsonl:2")]
    assert reason in example
    assert says in example
    assert "1 of 2 events appended" in done.out


def test_restore_takes_an_export_back(run, store):
    run("export", "log", "-o", "backup.jsonl.gz")
    report = run("ingest", "--restore", "backup.jsonl.gz", "--store", "copy.db", "--json").json
    assert report["appended"] == 5
    lines = [
        run("export", "log", "--store", name).out.splitlines()[1:] for name in (store, "copy.db")
    ]
    assert lines[0] == lines[1]
    assert (
        "not empty" in run("ingest", "--restore", "backup.jsonl.gz", "--store", store, code=2).error
    )


def test_restore_takes_nothing_else(run, good):
    assert "no export" in run("ingest", "--restore", good, code=2).error
    assert "--restore" in run("ingest", "--restore", good, good, code=2).err


def test_progress_and_notes_stay_out_of_the_data(run, good):
    done = run("ingest", good, "--json")
    assert json.loads(done.out)
    assert done.err == ""
