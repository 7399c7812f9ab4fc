"""The funnel's comparison, targets and shrunk rates, and the bottleneck, from the command line."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def business(tmp_path_factory):
    """A store with a small business in it."""
    from bowtie import Bowtie
    from bowtie.demo import Demo
    from bowtie.logs import write_log

    folder = tmp_path_factory.mktemp("business")
    write_log(Demo(customers=400).lines(), folder / "log.jsonl")
    with Bowtie.open(str(folder / "demo.db")) as engine:
        engine.ingest(folder / "log.jsonl")
    return folder / "demo.db"


@pytest.fixture
def ask(run, business, monkeypatch):
    monkeypatch.setenv("BOWTIE_STORE", str(business))
    return run


def test_a_year_beside_another(ask):
    done = ask(
        *("funnel", "--from", "2025", "--to", "2025", "--within", "90d", "--compare", "year"),
        "--json",
    )
    whole = done.json
    assert whole["parameters"]["compare"] == "year"
    assert whole["compared_with"]["from"] == "2024"
    assert whole["compared_with"]["as_of"] == whole["as_of"]
    first = whole["rows"][0]
    gap = first["conversion"] - first["conversion_before"]
    assert first["conversion_difference"] == pytest.approx(gap)
    assert " Compared with: " in whole["sentence"]


def test_what_is_refused_names_the_options(ask):
    missing = ask("funnel", "--compare", "year", code=2)
    assert "give --from and --to" in missing.err
    young = ask("funnel", "--compare", "year", "--from", "2026-05", "--to", "2026-05", code=1)
    assert "nothing can be compared yet" in young.err
    assert "with a shorter --within" in young.err
    shrink = ask("funnel", "--shrink", code=2)
    assert "ask by something, or by cohort" in shrink.err


def test_a_plan_in_a_file(ask, folder):
    (folder / "plan.csv").write_text(
        "month,measure,breakdown,value\n2025-03,awareness.entered,,10\n", "utf-8"
    )
    rows = ask("funnel", "--cohort", "month", "--targets", "plan.csv", "--json").json["rows"]
    (row,) = [row for row in rows if (row["cohort"], row["stage"]) == ("2025-03", "awareness")]
    assert (row["entered_plan"], row["entered_gap"]) == (10, row["entered"] - 10)
    (folder / "plan.csv").write_text("month,measure,value\n2025-03,awareness.x,10\n", "utf-8")
    wrong = ask("funnel", "--cohort", "month", "--targets", "plan.csv", code=1)
    assert wrong.err.startswith("Error: plan.csv:2: funnel has no measure 'x'")


def test_rates_drawn_to_their_mean(ask):
    whole = ask("funnel", "--by", "channel", "--shrink", "--json").json
    rows = [row for row in whole["rows"] if row["stage"] == "awareness"]
    raw, shrunk = ([row[name] for row in rows] for name in ("conversion", "conversion_shrunk"))
    assert max(shrunk) - min(shrunk) < max(raw) - min(raw)
    assert any("--shrink draws each rate to the mean" in note for note in whole["notes"])


def test_the_bottleneck(ask, folder):
    (folder / "b.csv").write_text("stage,conversion\neducation,95%\nselection,0.9\n", "utf-8")
    whole = ask("bottleneck", "--benchmark", "b.csv", "--json").json
    ranked = [row for row in whole["rows"] if row["rank"] is not None]
    assert {row["stage"] for row in ranked} == {"education", "selection"}
    assert whole["currency"] == "EUR"
    assert whole["parameters"]["benchmark"] == "b.csv"
    table = ask("bottleneck", "--benchmark", "b.csv").out
    assert table.startswith(whole["sentence"])
    wrong = ask("bottleneck", "--horizon", "36h", code=2)
    assert "write whole days" in wrong.err
