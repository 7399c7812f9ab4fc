"""One printer: the same answer in every form."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import click
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from bowtie_cli.output import Answer, output_options, output_options_with_parts
from bowtie_cli.tables import table_text
from bowtie_projections.cells import cell, plain

ROWS = [
    {
        "stage": "awareness",
        "entered": 1234,
        "conversion": 0.25,
        "conversion_low": 0.2,
        "conversion_high": 0.3,
        "cohort": None,
        "value": Decimal("1234.500000"),
        "at": datetime(2026, 1, 5, 10, 0, 0, 250, tzinfo=UTC),
    },
    {
        "stage": "edu|cation",
        "entered": 7,
        "conversion": None,
        "conversion_low": None,
        "conversion_high": None,
        "cohort": None,
        "value": None,
        "at": None,
    },
]
WHOLE = {"view": "funnel", "rows": 2}
PART = Answer(["source", "spend"], [{"source": "web", "spend": Decimal(5)}], {})


@click.command()
@output_options_with_parts
def show(output):
    """Print an answer."""
    output.show(
        Answer(list(ROWS[0]), ROWS, WHOLE, "Who is counted.", ["mind this"], {"costs": PART})
    )


@pytest.fixture
def call(folder):
    def run(*args: str, code: int = 0):
        done = CliRunner().invoke(show, list(args))
        assert done.exit_code == code, done.output
        return done

    return run


def test_a_table_to_read(call):
    done = call()
    sentence, table, title, part, note = done.stdout.rstrip("\n").split("\n\n")
    assert sentence == "Who is counted."
    lines = table.splitlines()
    assert lines[0].split() == ["stage", "entered", "conversion", "value", "at"]
    assert lines[1].split() == [
        *("awareness", "1,234", "25.0%", "(20.0..30.0)", "1,234.50", "2026-01-05T10:00:00Z")
    ]
    assert lines[2].split() == ["edu|cation", "7", "\u2013", "\u2013", "\u2013"]
    assert title == "Costs:"
    assert "web" in part
    assert note == "Note: mind this"
    assert done.stderr == ""


def test_a_table_is_as_wide_as_it_must_be_and_plain():
    rows = [{f"column_{i}": "x" * 40 for i in range(20)}]
    text = table_text(list(rows[0]), rows)
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text
    assert "…" not in text


@pytest.mark.parametrize("width", [20, 60, 90, 200])
def test_a_narrow_terminal_wraps_sentences_and_loses_nothing(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    said = "what is wrong with this line and what to do about it"
    row = {f"number_{i}": 1_234_567 + i for i in range(9)} | {"id": "x" * 36, "problem": said}
    text = table_text(list(row), [row, row], terminal=True)
    words = text.split()
    assert words.count("x" * 36) == 2
    for i in range(9):
        assert words.count(f"{1_234_567 + i:,}") == 2
    assert all(words.count(word) == 2 * said.split().count(word) for word in set(said.split()))


def test_a_table_without_rows():
    assert table_text(["a"], []) == "(no rows)"


def test_what_customers_send_can_not_move_the_cursor():
    text = table_text(["name"], [{"name": "a\x1b[2Jb\nc\u202ed"}])
    assert text.splitlines() == ["name", r"a\x1b[2Jb\nc\u202ed"]
    assert "[bold]x[/bold]" in table_text(["name"], [{"name": "[bold]x[/bold]"}])


def test_json_is_one_object(call):
    for args in (("--json",), ("--format", "json")):
        assert json.loads(call(*args).stdout) == WHOLE


def test_json_lines(call):
    first, second = map(json.loads, call("--format", "jsonl").stdout.splitlines())
    assert first["value"] == "1234.500000"
    assert first["at"] == "2026-01-05T10:00:00.000250Z"
    assert second["conversion"] is None


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_csv_and_tsv(call, form, delimiter):
    done = call("--format", form)
    first, second = csv.DictReader(io.StringIO(done.stdout), delimiter=delimiter)
    assert first["entered"] == "1234"
    assert first["conversion_low"] == "0.2"
    assert second["conversion"] == ""
    assert "Who is counted." in done.stderr
    assert "costs" in done.stderr


def test_markdown(call):
    lines = call("--format", "markdown").stdout.splitlines()
    assert lines[0] == "Who is counted."
    assert lines[2].startswith("| stage | entered |")
    assert r"edu\|cation" in lines[5]


def test_parquet_to_a_file_by_its_name(call, folder):
    assert call("-o", "rows.parquet").stdout == ""
    table = pq.read_table("rows.parquet")
    assert table.column("entered").to_pylist() == [1234, 7]
    assert table.column("value").to_pylist()[0] == Decimal("1234.5")


@pytest.mark.parametrize(
    ("name", "starts"), [("a.json", "{"), ("a.csv", "stage,"), ("a.md", "Who"), ("a.txt", "Who")]
)
def test_a_file_is_written_in_the_form_its_name_says(call, folder, name, starts):
    call("-o", name)
    assert (folder / name).read_text().startswith(starts)
    call("-o", name, "--format", "tsv")
    assert (folder / name).read_text().startswith("stage\t")
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_part(call):
    assert call("--part", "costs", "--format", "csv").stdout == "source,spend\nweb,5\n"
    assert "costs" in call("--part", "other", code=2).stderr


def test_two_forms_at_once(call):
    assert "two different forms" in call("--json", "--format", "csv", code=2).stderr


def test_a_command_without_parts_has_no_such_option():
    @click.command()
    @output_options
    def bare(output):
        """Print."""

    assert "--part" not in CliRunner().invoke(bare, ["--help"]).stdout


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("high_rate", 0.125, "12.5%"),
        ("share_of_high", 1.0, "100.0%"),
        ("days_p50", 12.345, "12.3"),
        ("lift", 1.234, "1.23"),
        ("p", 0.0001, "<0.001"),
        ("q", 0.0312, "0.031"),
        ("spend", Decimal("10.5"), "10.50"),
        ("spend", Decimal("10.123456"), "10.12"),
        ("cost_per_customer", Decimal("207.666667"), "207.67"),
        ("value", Decimal("-0.000400"), "-0.0004"),
        ("value_mean", Decimal("22.946667"), "22.95"),
        ("chain_value", Decimal("37.876712"), "37.88"),
        ("realised", Decimal("83.90411"), "83.90"),
        ("predicted_mean", Decimal("50.764098"), "50.76"),
        ("difference_without_one", Decimal("-4.123456"), "-4.12"),
        ("added_revenue_half", Decimal("4.123456"), "4.12"),
        ("value", Decimal(5), "5.00"),
        ("amount", Decimal("10.123456"), "10.123456"),
        ("replicated", True, "yes"),
        ("day", date(2026, 1, 5), "2026-01-05"),
    ],
)
def test_cells(name, value, shown):
    assert cell(name, value) == shown


def test_plain_values():
    assert plain({"a": [Decimal("1.10"), b"\x01"]}) == {"a": ["1.10", "01"]}
    assert plain([math.nan, math.inf, {1.5}]) == [None, None, [1.5]]


def test_a_name_that_no_form_is_known_by_is_refused(call, folder):
    done = call("-o", "out.xlsx", code=2)
    assert ".csv" in done.stderr
    assert "--format" in done.stderr
    assert list(folder.iterdir()) == []
    call("-o", "out.xlsx", "--format", "csv")  # said, so it is meant
    call("-o", "plain.txt")
