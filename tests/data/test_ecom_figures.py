"""The clickstream's funnel and loop, against pandas on the raw file.

The expected figures are made from the data's own description (which page means which stage) and
from the definitions of the views; `tests/data/by_pandas.py` shares no code with the project.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pandas as pd
import pytest

from bowtie import Bowtie
from bowtie.ingest import IngestReport
from bowtie.logs import Mapping
from bowtie_projections import Views
from tests.conftest import ROOT
from tests.data.by_pandas import STAGES, assert_row, level_figures, stage_figures

EXAMPLE = ROOT / "examples" / "ecom"
PAGES = {
    "awareness": ["home", "promo_page", "search"],
    "education": ["catalog", "product_view", "compare"],
    "selection": ["add_to_cart", "cart", "shipping_details"],
    "commitment": ["purchase"],
    "onboarding": [],
    "utilization": ["account_page", "review_page", "support_chat"],
}
WINDOW = HORIZON = pd.Timedelta(days=60)
LEFT, RIGHT = pd.Timedelta(days=90), pd.Timedelta(days=180)
KNOT = STAGES.index("commitment")
MISSING = "(missing)"


@pytest.fixture(scope="module")
def raw(shared_data) -> pd.DataFrame:
    frame = pd.read_csv(shared_data / "ecom" / "ecom.csv.gz")
    frame["at"] = pd.to_datetime(frame.timestamp)
    # equal times keep the order of the file, which is that of recording
    return frame.sort_values("at", kind="stable")


@pytest.fixture(scope="module")
def store(shared_data, tmp_path_factory) -> Iterator[tuple[Views, IngestReport]]:
    path = tmp_path_factory.mktemp("ecom") / "ecom.db"
    with Bowtie.open(f"sqlite:///{path}") as engine:
        engine.init(str(EXAMPLE / "ecom-stages.toml"))
        report = engine.ingest(
            shared_data / "ecom" / "ecom.csv.gz", mapping=Mapping.load(EXAMPLE / "ecom.toml")
        )
        with Views.open(engine) as views:
            yield views, report


@pytest.fixture(scope="module")
def views(store) -> Views:
    return store[0]


def entries_of(raw: pd.DataFrame) -> pd.DataFrame:
    """When each user first entered each stage: a row a user, a column a stage."""
    first = {
        stage: raw[raw.event.isin(pages)].groupby("user_id")["at"].min()
        for stage, pages in PAGES.items()
    }
    bought = raw[raw.event == "purchase"]
    first["growth"] = bought[bought.groupby("user_id").cumcount() == 1].set_index("user_id")["at"]
    return pd.DataFrame(first, index=sorted(raw.user_id.unique()), dtype="datetime64[ns]")


def channel_by(raw: pd.DataFrame, moment: pd.Series) -> pd.Series:
    """The channel of each user's first touch, where it came by a moment of their own."""
    touches = raw[raw.event.isin(PAGES["awareness"])]
    first = touches.groupby("user_id").first().reindex(moment.index)
    return first.acquisition_channel.where(first["at"] <= moment)


@pytest.fixture(scope="module")
def entries(raw) -> pd.DataFrame:
    return entries_of(raw)


def rows_by_stage(result) -> dict[str, dict]:
    return {row["stage"]: row for row in result.rows()}


def test_the_whole_file_is_in_the_log(store, raw):
    views, report = store
    traits = views.sql("SELECT count(*) AS n FROM events WHERE type = 'traits_observed'")

    assert (report.parked, report.duplicates, report.out_of_sequence) == (0, 0, 0)
    assert report.appended - traits.rows()[0]["n"] == len(raw) == 31_106
    [orders] = views.sql(
        "SELECT count(*) AS purchases, count(DISTINCT customer) AS buyers, sum(amount) AS worth"
        " FROM order_placed WHERE currency = 'XXX'"
    ).rows()
    assert orders == {"purchases": 470, "buyers": 328, "worth": 470}
    [channels] = views.sql("SELECT count(DISTINCT channel) AS n FROM touched").rows()
    assert channels["n"] == raw.acquisition_channel.nunique() == 5


def test_journeys_enter_stages_when_their_pages_were_seen(views, entries):
    columns = ", ".join(f"{stage}_at AS {stage}" for stage in STAGES)
    ours = views.sql(f"SELECT customer, {columns} FROM journeys ORDER BY customer").to_pandas()

    assert ours.customer.tolist() == entries.index.tolist()
    for stage in STAGES:
        at = pd.to_datetime(ours[stage], utc=True).dt.tz_localize(None)
        assert at.dropna().tolist() == entries[stage].dropna().tolist(), stage
        assert at.isna().tolist() == entries[stage].isna().tolist(), stage


@pytest.mark.parametrize("within", ["60d", None])
def test_the_funnel_of_all(views, raw, entries, within):
    as_of = raw["at"].max()
    rows = rows_by_stage(views.funnel(within=within))

    assert list(rows) == STAGES
    for number, (stage, following) in enumerate(pairwise(STAGES)):
        window = WINDOW if within else LEFT if number < KNOT else RIGHT
        assert_row(rows[stage], stage_figures(entries[stage], entries[following], window, as_of))
    assert rows["growth"]["entered"] == entries.growth.notna().sum() == 104
    assert rows["growth"]["conversion"] is None


def test_the_funnel_by_first_touch_channel(views, raw, entries):
    as_of = raw["at"].max()
    rows = {
        (row["channel"], row["stage"]): row
        for row in views.funnel(by=["channel"], within="60d").rows()
    }
    expected = {}
    for stage, following in zip(STAGES, [*STAGES[1:], None], strict=True):
        entry = entries[stage].dropna()
        # what is not known at the entry is no channel yet
        channel = channel_by(raw, entry).fillna(MISSING)
        for name in [*raw.acquisition_channel.unique(), MISSING]:
            mine = entry[channel == name]
            key = (None if name == MISSING else name, stage)
            if following is None:
                expected[key] = {"entered": len(mine), "reached_next": None, "conversion": None}
            else:
                expected[key] = stage_figures(mine, entries[following], WINDOW, as_of)

    assert set(rows) == set(expected)
    for key, figures in expected.items():
        assert_row(rows[key], figures)
    whole = rows_by_stage(views.funnel(within="60d"))
    for stage in STAGES:
        parts = [row["entered"] for (_, where), row in rows.items() if where == stage]
        assert sum(parts) == whole[stage]["entered"], stage


def test_the_funnel_of_the_months_that_users_came_in(views, raw, entries):
    """One population, those who came in that month, followed through all stages."""
    as_of = raw["at"].max()
    month = entries.awareness.dt.strftime("%Y-%m")
    rows = views.funnel(cohort="month", cohort_stage="awareness", within="60d").rows()
    shown = {(row["cohort"], row["stage"]): row for row in rows}

    assert {cohort for cohort, _ in shown} == set(month)
    for cohort in sorted(set(month)):
        for stage, following in pairwise(STAGES):
            mine = entries[month == cohort]
            assert_row(
                shown[cohort, stage], stage_figures(mine[stage], mine[following], WINDOW, as_of)
            )


def test_the_funnel_as_the_world_was_in_may(views, raw):
    as_of = pd.Timestamp("2024-05-15 12:00")
    entries = entries_of(raw[raw["at"] <= as_of])
    rows = rows_by_stage(views.funnel(within="30d", as_of="2024-05-15T12:00:00Z"))

    for stage, following in pairwise(STAGES):
        window = pd.Timedelta(days=30)
        assert_row(rows[stage], stage_figures(entries[stage], entries[following], window, as_of))


@pytest.fixture(scope="module")
def buyers(raw, entries) -> pd.DataFrame:
    """The mature: a row each, with their first purchase, channel by then, and value over 60 days."""
    first = entries.commitment.dropna()
    bought = raw[raw.event == "purchase"].set_index("user_id")["at"]
    since = bought - first.reindex(bought.index)
    frame = pd.DataFrame({"first": first})
    frame["value"] = since[since < HORIZON].groupby(level=0).size().reindex(first.index)
    frame["channel"] = channel_by(raw, first).fillna(MISSING)
    assert len(frame) == 328
    return frame[frame["first"] + HORIZON <= raw["at"].max()]


def test_the_loop_counts_328_buyers_of_whom_172_are_mature(views, buyers):
    result = views.loop(horizon="60d", threshold=2)

    assert len(buyers) == result.meta["mature"] == 172
    assert result.meta["entered"] == 328
    assert result.meta["high"] == (buyers.value >= 2).sum()
    assert result.meta["currency"] == "XXX"
    assert "328 customers" in result.sentence
    assert "172 are counted" in result.sentence


def test_the_loop_by_channel(views, buyers):
    rows = views.loop(horizon="60d", threshold=2).rows()
    shown = {row["level"]: row for row in rows if row["trait"] == "channel"}
    expected = level_figures(buyers.channel, buyers.value >= 2)

    assert set(shown) == set(expected)
    for level, figures in expected.items():
        assert_row(shown[level], figures)
        assert (shown[level]["verdict"] == "insufficient") == (figures["customers"] < 30)


@pytest.mark.parametrize(
    ("trait", "column"),
    [("platform", "platform"), ("lifecycle", "user_lifecycle"), ("cohort", "user_cohort")],
)
def test_the_loop_by_what_was_known_at_the_first_purchase(views, raw, buyers, trait, column):
    seen = raw[raw["at"] <= raw.user_id.map(buyers["first"])]
    known = seen.groupby("user_id")[column].last().reindex(buyers.index)
    rows = views.loop(horizon="60d", threshold=2).rows()
    shown = {row["level"]: row for row in rows if row["trait"] == trait}
    expected = level_figures(known, buyers.value >= 2)

    assert set(shown) == set(expected)
    for level, figures in expected.items():
        assert_row(shown[level], figures)


def test_the_sources_of_the_buyers(views, raw, entries, buyers):
    everybody = channel_by(raw, entries.commitment.dropna()).fillna("(none)")
    rows = {row["source"]: row for row in views.loop(horizon="60d", threshold=2).part("sources")}

    assert set(rows) == set(everybody)
    for source, row in rows.items():
        mature = buyers[buyers.channel == (MISSING if source == "(none)" else source)]
        assert row["customers"] == (everybody == source).sum()
        assert (row["mature"], row["high"]) == (len(mature), (mature.value >= 2).sum())
        assert row["value"] == int(mature.value.sum())
        # nothing was ever recorded as spent: no cost, and no zero
        assert (row["spend"], row["cost_per_customer"], row["cost_per_high"]) == (None,) * 3
        assert row["reason"]


def test_the_traits_file_keeps_what_may_follow_from_the_sale_out_of_it(views):
    plain = views.loop(horizon="60d", threshold=2)
    ruled = views.loop(horizon="60d", threshold=2, traits=EXAMPLE / "traits.toml")

    assert {row["trait"] for row in plain.rows()} - {row["trait"] for row in ruled.rows()} == {
        "lifecycle"
    }
    assert (plain.meta["tests"], ruled.meta["tests"]) == (4, 3)
    assert not [note for note in ruled.notes if "no traits file" in note]
