"""The views, asked from the command line."""

from __future__ import annotations

import csv
import io

import click
import pytest

from bowtie_cli.asking import as_options
from bowtie_cli.loop import loop

VIEWS = (
    "status",
    "funnel",
    "stock",
    "loop",
    "paths",
    "touchpoints",
    "pipeline",
    "flow",
    "velocity",
    "retention",
)


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


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_in_each_form(ask, view, folder):
    sentence = ask(view, "--json").json["sentence"]
    assert ask(view).out.startswith(sentence)
    assert sentence in ask(view, "--format", "markdown").out
    for form in ("csv", "tsv", "jsonl"):
        done = ask(view, "--format", form)
        assert done.out
        assert sentence in done.err
    ask(view, "-o", f"{view}.parquet")
    assert (folder / f"{view}.parquet").read_bytes().startswith(b"PAR1")


@pytest.mark.parametrize("view", VIEWS)
def test_json_is_the_object_of_the_design(ask, view):
    whole = ask(view, "--json").json
    assert {"view", "definition", "parameters", "position", "as_of", "known_at"} <= whole.keys()
    assert whole["view"] == view
    for row in whole["rows"]:
        assert list(row) == whole["columns"]


def test_the_parameters_of_the_funnel(ask):
    whole = ask(
        *("funnel", "--by", "channel", "--by", "multi_site", "--within", "60d", "--cohort", "year"),
        *("--from", "2024", "--to", "2025-Q4", "--as-of", "2026-03-31", "--skipped", "impute"),
        *("--top", "3", "--tz", "Europe/Amsterdam", "--lost-after", "365d", "--cycles", "--json"),
    ).json
    assert whole["columns"][:4] == ["channel", "multi_site", "cohort", "stage"]
    for row in whole["rows"]:
        parts = [row[name] or 0 for name in ("reached_next", "lost", "expired", "pending")]
        assert row["stage"] == "growth" or row["entered"] == sum(parts)


def test_who_is_behind_a_cell(ask):
    cells = {row["stage"]: row for row in ask("funnel", "--json").json["rows"]}
    rows = list(
        csv.DictReader(
            io.StringIO(ask("funnel", "--customers", "selection:pending", "--format", "csv").out)
        )
    )
    assert len(rows) == cells["selection"]["pending"]
    assert {"customer", "entered_at"} <= rows[0].keys()


def test_who_is_stuck(ask):
    cells = {row["stage"]: row for row in ask("stock", "--json").json["rows"]}
    stuck = ask("stock", "--customers", "awareness:stuck", "--json").json["rows"]
    assert len(stuck) == cells["awareness"]["stuck"] > 0
    assert min(row["days"] for row in stuck) > cells["awareness"]["stuck_after_days"]
    judged = ask("stock", "--part", "waiting", "--format", "csv").out.splitlines()
    assert judged[0].startswith("stage,mature,moved")


def test_paths_of_stages_and_touches(ask):
    whole = ask("paths", "--of", "stages", "--of", "channels", "--collapse", "--json").json
    assert whole["parameters"]["of"] == ["stages", "channels"]
    assert whole["columns"][:4] == ["step", "source", "target", "customers"]
    sequences = ask("paths", "--ends", "commitment", "--part", "sequences", "--json").json
    assert all("commitment" in row["sequence"] or row["sequence"] == "other" for row in
               sequences["rows"])  # fmt: skip
    refused = ask("paths", "--of", "touchpoints", "--steps", "60", code=2).error
    assert "fewer --steps" in refused


def test_touchpoints_by_channel(ask):
    whole = ask("touchpoints", "--of", "channel", "--no-stages", "--json").json
    assert sum(row["touches"] for row in whole["rows"]) > 0
    assert ask("touchpoints", "--part", "scores", "--json").json["rows"][0]["instrument"] == "nps"


def test_single_opportunities(ask):
    sums = ask("pipeline", "--json").json["rows"]
    listed = ask("pipeline", "--opportunities", "all", "--json").json["rows"]
    assert sum(row["opportunities"] for row in sums) == len(listed) > 0
    overdue = ask("pipeline", "--opportunities", "overdue", "--json").json["rows"]
    assert sum(row["overdue"] for row in sums) == len(overdue)


def test_rates_and_intervals_are_readable_in_a_table(ask):
    out = ask("funnel").out
    assert "%" in out
    assert ".." in out
    assert "conversion low" not in out


def test_known_at_and_position_give_the_same(ask):
    now = ask("funnel", "--json").json
    again = ask("funnel", "--position", str(now["position"]), "--json").json
    assert again["rows"] == now["rows"]
    assert ask("funnel", "--known-at", "2020-01-01", "--json").json["position"] == 0


def test_another_definition(ask):
    assert ask("stock", "--definition", "shop", "--json").json["definition"] == "shop/1"


def test_the_parts_of_the_loop(ask):
    whole = ask("loop", "--horizon", "180d", "--top", "0.3", "--json").json
    assert "sources" in whole["parts"]
    assert "spend" in ask("loop", "--part", "sources", "--format", "csv").out.splitlines()[0]
    low = ask("loop", "--target", "low", "--horizon", "90d", "--rank", "shrunk", "--json").json
    assert low["parameters"]["target"] == "low"
    assert "low_rate_shrunk" in low["rows"][0]
    pairs = ask("loop", "--pairs", "--least-gain", "1", "--horizon", "90d", "--json").json
    assert "gain" in pairs["parts"]["pairs"]["columns"]


def test_the_estimates_of_the_funnel(ask):
    shown = ask("funnel", "--estimate", "--horizon", "30d,90d").out
    assert "conversion estimate" in shown
    assert "estimate low" not in shown, "bounds stand in the column of their estimate"
    curve = ask("funnel", "--horizon", "30d,90d", "--part", "curve", "--format", "csv").out
    assert curve.splitlines()[0] == "stage,days,estimate,low,high,at_risk"
    assert len(curve.splitlines()) == 1 + 6 * 2


def test_the_flow_by_quarter(ask):
    rows = ask("flow", "--period", "quarter", "--from", "2025", "--by", "channel", "--json").json
    assert rows["columns"][:3] == ["channel", "period", "stage"]
    assert rows["parameters"]["period"] == "quarter"
    refused = ask("flow", "--by", "motion", code=1).error
    assert "cohort_stage" in refused


def test_velocity_of_all_cohorts(ask):
    rows = ask("velocity", "--cohort", "all", "--json").json["rows"]
    assert {row["cohort"] for row in rows} == {"all"}
    assert {"lead_to_commitment", "commitment_to_first_impact"} < {row["step"] for row in rows}


def test_retention_is_a_triangle_to_read_and_rows_for_machines(ask):
    table = ask("retention", "--cohort", "quarter", "--ages", "3").out
    assert "month 0  month 1  month 2  month 3" in table
    assert "Curve:" in table
    long = ask("retention", "--cohort", "quarter", "--ages", "3", "--format", "csv").out
    assert long.startswith("cohort,age,customers,observed,active,retention,")
    assert ask("retention", "--long", "--ages", "3").out.count("month 0") == 0
    wide = ask("retention", "--wide", "nrr", "--ages", "1", "--format", "csv").out
    assert wide.startswith("cohort,customers,month_0,month_1")
    curve = ask("retention", "--part", "curve", "--ages", "1", "--format", "csv").out
    assert curve.startswith("age,at_risk,active,retention,")
    both = ask("retention", "--wide", "nrr", "--long", code=2).error
    assert both == "--long and --wide exclude each other"
    events = ask("retention", "--active", "usage", "--wide", "nrr", code=2).error
    assert "ask with --active contract" in events


def test_repeat_of_a_business_without_orders(ask):
    done = ask("repeat", "--within", "30d", "--within", "90d", "--json").json
    assert done["rows"] == []
    assert done["parameters"]["within"] == ["30d", "90d"]
    wrong = ask("repeat", "--within", "soon", code=2).error
    assert "'soon' is not a span of time" in wrong


def test_refusals_and_notes_name_the_options_as_they_are_typed(ask):
    refused = ask("loop", "--currency", "USD", code=1).error
    assert refused.startswith("--currency USD was asked, but amounts are in EUR")
    refused = ask("funnel", "--by", "motion", code=1).error
    assert "--cohort-stage commitment" in refused
    few = ask("loop", "--horizon", "900d", "--json").json
    assert any("Ask with --horizon " in note for note in few["notes"])


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Ask with threshold= and a value", "Ask with --threshold and a value"),
        ("the top 20%; another top=", "the top 20%; another --top"),
        ("with horizon=276d, of 100", "with --horizon 276d, of 100"),
        ('value="revenue", or costs_complete=True.', "--value revenue, or --costs-complete."),
        ("without strict_known they are", "without --strict-known they are"),
        ("backfill_gap: not a span", "--backfill-gap: not a span"),
        ("by trait.top=, include_truncated.txt", "by trait.top=, include_truncated.txt"),
        ("known_from=2 and first_touch_at", "known_from=2 and first_touch_at"),
        ("a value of the horizon", "a value of the horizon"),
    ],
)
def test_parameters_as_options(said, typed):
    with click.Context(loop):
        assert as_options(said) == typed


def test_verbose_shows_the_sql(ask):
    assert "SELECT" in ask("funnel", "-v").err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("funnel", "--within", "3 months"), 2, "span of time"),
        (("funnel", "--by", "chanel"), 2, "channel"),
        (("funnel", "--by", "motion"), 1, "commitment"),
        (("funnel", "--as-of", "2026-01-01T10:00:00"), 2, "zone"),
        (("funnel", "--customers", "selection:gone"), 2, "pending"),
        (("funnel", "--horizon", "30d,soon"), 2, "span of time"),
        (("funnel", "--entry-age"), 2, "--entry-age needs to know when the data begin"),
        (("funnel", "--estimate", "--customers", "selection:lost"), 2, "leave --estimate out"),
        (("funnel", "--definition", "b2c"), 2, "comes with bowtie"),
        (("funnel", "--tz", "Mars/Olympus"), 2, "Mars/Olympus"),
        (("funnel", "--cohort", "fortnight"), 2, "quarter"),
        (("stock", "--by", "nothing_known"), 2, "nothing_known"),
        (("stock", "--customers", "awareness:gone"), 2, "STAGE:stuck"),
        (("paths", "--of", "touchpoints", "--of", "channels"), 2, "stages and one of these"),
        (("paths", "--starts", "interest"), 2, "starts is 'interest'"),
        (("touchpoints", "--by", "motion"), 1, "by a trait or by the first touch"),
        (("pipeline", "--opportunities", "won"), 2, "all, overdue or a stage"),
        (("loop", "--horizon", "soon"), 2, "span of time"),
        (("stock", "--look-back", "soon"), 2, "--look-back: 'soon' is not a span of time"),
        (("loop", "--unit", "cycle"), 2, "ask the loop with --unit customer, account or opp"),
        (("status", "--unit", "cycle"), 2, "the status with --unit customer, account or opp"),
        (("stock", "--unit", "account"), 1, "ask with --unit customer"),
        (("loop", "--threshold", "much"), 2, "much"),
        (("sql", "DELETE FROM touched"), 2, "only statements that read"),
        (("sql", "SELECT nothing"), 2, "nothing"),
        (("sql", "SELECT * FROM read_csv('/etc/passwd')"), 2, ""),
    ],
)
def test_what_can_not_be_answered(ask, args, code, says):
    done = ask(*args, code=code)
    assert says in done.err
    assert done.out == ""


def test_sql(ask):
    out = ask("sql", "SELECT count(*) AS n FROM touched", "--format", "csv").out
    assert out.startswith("n\n")
    assert ask("sql", "-", "--format", "csv", input="SELECT count(*) AS n FROM touched").out == out


def test_no_refresh_answers_from_the_tables_as_they_stand(run, store):
    run("funnel")
    run("record", "beta", "touched", "channel=web", "direction=inbound", "--at", "2026-01-06")
    assert run("funnel", "--no-refresh", "--json").json["position"] == 5
    assert run("funnel", "--json").json["position"] == 6


def test_compare_definitions(ask):
    whole = ask("definition", "diff", "b2b", "shop", "--json").json
    assert whole["columns"] == ["before", "after", "customers"]
    assert sum(row["customers"] for row in whole["rows"]) > 0
    same = ask("definition", "diff", "b2b", "b2b/1", "--json").json
    assert same["moved"] == 0
    cycles = ask("definition", "diff", "b2b", "shop", "--unit", "cycle", "--json").json
    assert cycles["columns"] == ["before", "after", "cycles"]
    assert cycles["parameters"]["unit"] == "cycle"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("funnel", "--within", "soon"), "within: 'soon'"),
        (("stock", "--every", "month", "--customers", "selection"), "leave --every out"),
        (("diff", "flow", "--from-as-of", "then"), "'then' is no time"),
        (
            ("explain", "funnel", "--column", "lost", "--cell", "stage=selection", "--tz", "Mars"),
            "'Mars' is no time zone",
        ),
    ],
)
def test_wrong_options_are_told_before_a_store_is_looked_for(run, asked, says):
    """Not after the seconds that opening a large one takes."""
    assert says in run(*asked, code=2).error
