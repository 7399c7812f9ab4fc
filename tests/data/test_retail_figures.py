"""The wholesaler's funnel and loop, against pandas on the raw file.

The whole file goes in, 541,909 lines; the expected figures are made from the data's description and
from the definitions of the views. Amounts are thousandths of a pound here, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import ceil

import pandas as pd
import pytest

from bowtie import Bowtie
from bowtie.ingest import IngestReport
from bowtie.logs import Mapping
from bowtie_projections import Views
from tests.conftest import ROOT
from tests.data.by_pandas import (
    assert_row,
    level_figures,
    repeat_figures,
    stage_figures,
    stratified_p,
)

#: Half a million lines are read for it.
pytestmark = pytest.mark.slow

MAPPING = ROOT / "examples" / "online_retail" / "retail.toml"
TRAITS = ROOT / "examples" / "online_retail" / "traits.toml"
HORIZON = BURN_IN = pd.Timedelta(days=90)
#: Under so many customers a level is not judged.
FEWEST = 30


@pytest.fixture(scope="module")
def raw(shared_data) -> pd.DataFrame:
    frame = pd.read_parquet(shared_data / "online_retail" / "online_retail.parquet")
    frame["worth"] = (frame.Quantity * (frame.UnitPrice * 1000).round()).astype("int64")
    frame["customer"] = frame.CustomerID.astype("Int64").astype("string")
    frame["returned"] = frame.InvoiceNo.str.startswith("C")
    # the data's clock is London's; days and journeys are counted in UTC
    london = frame.InvoiceDate.dt.tz_localize("Europe/London")
    frame["at"] = london.dt.tz_convert("UTC").dt.tz_localize(None)
    return frame.sort_values("at", kind="stable")


@pytest.fixture(scope="module")
def store(shared_data, tmp_path_factory) -> Iterator[tuple[Views, IngestReport]]:
    path = tmp_path_factory.mktemp("retail") / "retail.db"
    with Bowtie.open(f"sqlite:///{path}") as engine:
        engine.init("shop/1")
        report = engine.ingest(
            shared_data / "online_retail" / "online_retail.parquet", mapping=Mapping.load(MAPPING)
        )
        with Views.open(engine) as views:
            yield views, report


@pytest.fixture(scope="module")
def views(store) -> Views:
    return store[0]


@pytest.fixture(scope="module")
def known(raw) -> pd.DataFrame:
    """The lines that name their customer."""
    return raw[raw.customer.notna()]


@pytest.fixture(scope="module")
def customers(raw, known) -> pd.DataFrame:
    """All who ever bought: first and second purchase, a purchase being a day's orders over 0."""
    orders = known[~known.returned]
    days = orders.groupby(["customer", orders["at"].dt.date]).agg(
        at=("at", "first"), worth=("worth", "sum")
    )
    bought = days[days.worth > 0].reset_index(level=1, drop=True)["at"]
    nth = bought.groupby(level=0).cumcount()
    frame = pd.DataFrame({"first": bought[nth == 0]})
    frame["second"] = bought[nth == 1].reindex(frame.index)
    seen = known.groupby("customer")["at"].min().reindex(frame.index)
    frame["truncated"] = seen < raw["at"].min() + BURN_IN
    countries = known[known["at"] <= known.customer.map(frame["first"])]
    frame["country"] = countries.groupby("customer").Country.last()
    return frame


@pytest.fixture(scope="module")
def counted(customers) -> pd.DataFrame:
    """Those who surely came after the data began."""
    return customers[~customers.truncated]


@pytest.fixture(scope="module")
def mature(raw, known, counted) -> pd.DataFrame:
    """Of them, those 90 days old, and what they kept of what they bought in those 90 days."""
    old = counted[counted["first"] + HORIZON <= raw["at"].max()].copy()
    since = known["at"] - known.customer.map(old["first"])
    # what was given back has a quantity below 0 here, so that the sum is net of it
    inside = known[(since >= pd.Timedelta(0)) & (since < HORIZON)]
    old["value"] = inside.groupby("customer").worth.sum().reindex(old.index)
    return old


def rows_by_stage(result) -> dict[str, dict]:
    return {row["stage"]: row for row in result.rows()}


def test_every_line_is_in_the_log_or_parked(store, raw, known):
    views, report = store
    [lines] = views.sql("SELECT count(*) AS n FROM order_placed").rows()

    assert report.parked_by_reason == {"no_customer": 135_080}
    assert lines["n"] + report.parked == len(raw) == 541_909
    assert (lines["n"], report.duplicates, report.out_of_sequence) == (len(known), 0, 0)
    [returns] = views.sql("SELECT count(*) AS n FROM order_placed WHERE kind = 'return'").rows()
    assert raw.returned.sum() == 9_288
    assert returns["n"] == known.returned.sum()


def test_what_is_parked_keeps_its_sum_and_all_of_it_is_the_files(store, raw, known):
    views, report = store
    [kept] = views.sql(
        "SELECT sum(CASE kind WHEN 'return' THEN -amount ELSE amount END) AS worth"
        " FROM order_placed WHERE currency = 'GBP'"
    ).rows()
    parked = report.parked_amounts["no_customer", "GBP"]

    assert kept["worth"] * 1000 == int(known.worth.sum())
    assert parked * 1000 == int(raw[raw.customer.isna()].worth.sum())
    assert round(kept["worth"] + parked, 2) == Decimal("9747747.93")


def test_who_bought_and_when(views, customers, known):
    ours = views.sql(
        "SELECT customer, commitment_at, growth_at FROM journeys ORDER BY customer"
    ).to_pandas()

    # some only gave back, or took nothing but what was free
    assert known.customer.nunique() == 4_372
    assert ours.customer.tolist() == customers.index.tolist()
    assert len(customers) == 4_338
    for column, expected in (("commitment_at", "first"), ("growth_at", "second")):
        at = pd.to_datetime(ours[column], utc=True).dt.tz_localize(None)
        assert at.dropna().tolist() == customers[expected].dropna().tolist()
        assert at.isna().tolist() == customers[expected].isna().tolist()


def test_summer_is_an_hour_earlier_in_utc(views, raw):
    [hours] = views.sql(
        "SELECT min(CASE WHEN month(occurred_at) = 7 THEN occurred_at::TIME END) AS july,"
        " min(CASE WHEN month(occurred_at) = 1 THEN occurred_at::TIME END) AS january"
        " FROM order_placed"
    ).rows()
    local = raw[raw.customer.notna()].InvoiceDate
    for name, month, shift in (("july", 7, 1), ("january", 1, 0)):
        earliest = local[local.dt.month == month].dt.time.min()
        assert hours[name] == earliest.replace(hour=earliest.hour - shift)


def test_customers_older_than_the_data_are_left_out_and_said(views, customers, counted):
    result = views.funnel(within="90d")
    everybody = views.funnel(within="90d", include_truncated=True)

    assert customers.truncated.sum() == 1_723
    assert "1,723 customers may be older than the data and are left out" in result.sentence
    assert rows_by_stage(result)["commitment"]["entered"] == len(counted) == 2_615
    assert rows_by_stage(everybody)["commitment"]["entered"] == len(customers)


def test_the_funnel_from_commitment(views, raw, counted):
    """Nothing tells when goods were used: the stages between are imputed from the next order."""
    as_of = raw["at"].max()
    absent = rows_by_stage(views.funnel(within="90d", cohort_stage="commitment"))
    imputed = rows_by_stage(views.funnel(within="90d", cohort_stage="commitment", skipped="impute"))
    never = pd.Series(pd.NaT, counted.index)

    assert_row(absent["commitment"], stage_figures(counted["first"], never, HORIZON, as_of))
    assert absent["growth"]["entered"] == counted.second.notna().sum()
    expected = stage_figures(counted["first"], counted.second, HORIZON, as_of)
    # imputed times stay out of the days
    expected |= dict.fromkeys(("days_p50", "days_p75", "days_p90"))
    assert_row(imputed["commitment"], expected)


def test_the_funnel_by_country_and_quarter(views, raw, counted):
    rows = views.funnel(
        by=["country"], cohort="quarter", cohort_stage="commitment", within="90d",
        skipped="impute", top=100,
    ).rows()  # fmt: skip
    shown = {
        (row["country"], row["cohort"]): row for row in rows
        if row["stage"] == "commitment" and row["entered"]
    }  # fmt: skip
    quarter = counted["first"].dt.to_period("Q").dt.strftime("%Y-Q%q")
    groups = counted.groupby([counted.country, quarter])

    assert set(shown) == set(groups.groups)
    for key, mine in groups:
        figures = stage_figures(mine["first"], mine.second, HORIZON, raw["at"].max())
        assert_row(shown[key], figures | dict.fromkeys(("days_p50", "days_p75", "days_p90")))


def test_who_orders_again(views, raw, counted):
    """An order is a day that comes to more than nothing; what is given back takes none away."""
    orders = raw[raw.customer.isin(counted.index) & ~raw.returned]
    days = orders.groupby(["customer", orders["at"].dt.date]).agg(
        at=("at", "min"), worth=("worth", "sum")
    )
    bought = days[days.worth > 0].reset_index(level=0).reset_index(drop=True)
    quarter = bought.customer.map(counted["first"]).dt.to_period("Q").dt.strftime("%Y-Q%q")
    rows = {(row["cohort"], row["within"]): row for row in views.repeat().rows()}

    assert len(rows) == 20
    for (cohort, within), row in rows.items():
        figures = repeat_figures(bought[quarter == cohort], pd.Timedelta(within), raw["at"].max())
        assert_row(row, figures)


def test_the_loop_counts_the_mature(views, counted, mature):
    result = views.loop(horizon="90d", top=0.2)

    assert result.meta["mature"] == len(mature) == 1_654
    assert result.meta["left_truncated"] == 1_723
    young = len(counted) - len(mature)
    assert f"{young} are too young for 90d" in result.sentence.replace(",", "")
    assert "1723 more may be older than the data" in result.sentence.replace(",", "")


def test_the_threshold_is_that_of_the_top_fifth_of_the_older_half(views, mature):
    result = views.loop(horizon="90d", top=0.2)
    theta = int(result.meta["threshold"] * 1000)
    median = mature["first"].sort_values().iloc[ceil(len(mature) / 2) - 1]
    paying = mature[(mature["first"] <= median) & (mature.value > 0)]

    reaching = int((paying.value >= theta).sum())
    assert theta in set(paying.value)
    assert abs(reaching - 0.2 * len(paying)) < 1
    assert result.meta["high"] == (mature.value >= theta).sum() == 325


def test_the_loop_by_country(views, mature):
    result = views.loop(horizon="90d", top=0.2)
    high = mature.value >= int(result.meta["threshold"] * 1000)
    expected = level_figures(mature.country, high)
    shown = {row["level"]: row for row in result.rows() if row["trait"] == "country"}

    assert set(shown) == set(expected)
    for level, figures in expected.items():
        assert_row(shown[level], figures)
        assert (shown[level]["verdict"] == "insufficient") == (figures["customers"] < FEWEST)


def test_germany_marks_high_value_and_the_united_kingdom_the_opposite(views, mature):
    result = views.loop(horizon="90d", top=0.2)
    high = mature.value >= int(result.meta["threshold"] * 1000)
    quarter = mature["first"].dt.to_period("Q")
    later = mature["first"] > mature["first"].sort_values().iloc[ceil(len(mature) / 2) - 1]
    judged = {row["level"]: row for row in result.rows() if row["p"] is not None}

    assert {level: row["verdict"] for level, row in judged.items()} == {
        "Germany": "mark",
        "United Kingdom": "anti-mark",
        "France": "no finding",
    }
    for level, row in judged.items():
        inside = mature.country == level
        assert row["p"] == pytest.approx(stratified_p(inside, high, quarter), rel=1e-6)
        newer = high[later & inside].mean() - high[later & ~inside].mean()
        assert (newer > 0) == (row["lift"] > 1)


def test_what_the_mature_were_worth_net_of_what_they_gave_back(views, mature):
    [source] = views.loop(horizon="90d", top=0.2).part("sources").rows()

    assert (source["source"], source["mature"]) == ("(none)", len(mature))
    assert source["value"] * 1000 == int(mature.value.sum())
    assert (mature.value <= 0).any()  # such as a first order that was given back


def test_the_traits_file_says_that_country_fits(views):
    result = views.loop(horizon="90d", top=0.2, traits=TRAITS)

    assert not [note for note in result.notes if "no traits file" in note]
    assert {row["trait"] for row in result.rows()} == {"country"}
