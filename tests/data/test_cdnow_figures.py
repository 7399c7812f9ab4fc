"""The purchases of a cohort of 1997, against pandas on the raw file and a published figure."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pandas as pd
import pytest

from bowtie import Bowtie
from bowtie.logs import Mapping
from bowtie_projections import Views
from tests.conftest import ROOT
from tests.data.by_pandas import assert_row, repeat_figures

CALIBRATED = datetime(1997, 9, 30, 23, 59, tzinfo=UTC)


@pytest.fixture(scope="module")
def raw(shared_data):
    text = (shared_data / "cdnow" / "cdnow_sample.txt").read_text("ascii")
    names = ["master", "customer", "day", "units", "dollars"]
    return pd.read_csv(io.StringIO(text), sep=r"\s+", header=None, names=names, dtype=str)


@pytest.fixture(scope="module")
def views(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cdnow")
    raw[["customer", "day", "dollars"]].to_csv(folder / "cdnow.csv", index=False)
    mapping = Mapping.load(ROOT / "examples" / "cdnow" / "cdnow.toml")
    with Bowtie.open(f"sqlite:///{folder / 'cdnow.db'}") as engine:
        engine.init("shop/1")
        engine.ingest(folder / "cdnow.csv", mapping=mapping)
        with Views.open(engine) as opened:
            yield opened


@pytest.fixture(scope="module")
def bought(raw):
    """The days on which each customer spent anything."""
    frame = raw.assign(at=pd.to_datetime(raw.day), spent=raw.dollars.astype(float))
    sums = frame.groupby(["customer", "at"]).spent.sum().reset_index()
    return sums[sums.spent > 0]


def test_repeat_purchases_are_those_of_the_published_calibration(views):
    answer = views.repeat(as_of=CALIBRATED, data_from="1996", cohort="all")
    assert "and 2,457 more orders since" in answer.sentence


def test_repeat_by_month_of_the_first_order(views, bought):
    answer = views.repeat(as_of=CALIBRATED, data_from="1996", cohort="month")
    as_of = pd.Timestamp(CALIBRATED).tz_localize(None)
    told = bought[bought["at"] <= as_of]
    first = told.groupby("customer")["at"].min()
    rows = {(row["cohort"], row["within"]): row for row in answer.rows()}
    assert len(rows) == 15
    for (cohort, within), row in rows.items():
        own = told[told.customer.map(first).dt.strftime("%Y-%m") == cohort]
        assert_row(row, repeat_figures(own, pd.Timedelta(within), as_of))


def test_the_curve_of_orders_is_the_share_that_orders_in_each_month(views, bought):
    curve = views.retention(active="order", data_from="1996", ages=12).part("curve").rows()
    first = bought.customer.map(bought.groupby("customer")["at"].min())
    months = (bought["at"].dt.year - first.dt.year) * 12 + bought["at"].dt.month - first.dt.month
    age = months - (bought["at"].dt.day < first.dt.day)
    for row in curve:
        assert row["active"] == bought.customer[age == row["age"]].nunique()
        assert row["at_risk"] == bought.customer.nunique() == 2_349
