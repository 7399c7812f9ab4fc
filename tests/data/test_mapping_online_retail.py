"""The mapping of the wholesaler's orders, against pandas and the facts known of the data."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pandas as pd
import pytest

from bowtie.errors import EventRejected
from bowtie.logs import Mapping, open_log
from bowtie.reader import Reader
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

MAPPING = ROOT / "examples" / "online_retail" / "retail.toml"


class Read(NamedTuple):
    """What the mapping made of the whole file."""

    rows: int
    unused: int
    kinds: Counter
    without_customer: int
    sums: dict[bool, Decimal]
    by_customer: dict[str, Decimal]
    orders: set[tuple[str, str]]
    returned: list[Decimal]
    countries: list[tuple[str, str]]
    times: set[str]
    ids: set[str]
    parked: Counter


@pytest.fixture(scope="module")
def path(shared_data):
    return shared_data / "online_retail" / "online_retail.parquet"


@pytest.fixture(scope="module")
def raw(path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    # thousandths of a pound are whole numbers: sums of them are exact
    frame["thousandths"] = (frame.Quantity * (frame.UnitPrice * 1000).round()).astype("int64")
    frame["key"] = frame.CustomerID.astype("Int64").astype("string")
    return frame


@pytest.fixture(scope="module")
def read(path) -> Read:
    read = Read(
        0, 0, Counter(), 0, defaultdict(Decimal), defaultdict(Decimal), set(), [], [], set(), set(),
        Counter(),
    )  # fmt: skip
    without, reader = 0, Reader()
    with open_log(path) as log:
        mapper = Mapping.load(MAPPING).begin(log)
        for _, made in mapper.over(log):
            for event in made:
                assert isinstance(event, dict)
                without += _note(event, read, reader)
    return read._replace(rows=mapper.rows, unused=mapper.unused, without_customer=without)


def _note(event: dict[str, Any], read: Read, reader: Reader) -> bool:
    """Count an event; whether it is an order's without a customer."""
    read.ids.add(event["id"])
    data = event["data"]
    try:
        reader.line(msgspec.json.encode(event))
    except EventRejected as error:
        read.parked[error.reason] += 1
    if event["type"] == "bowtie.traits_observed":
        read.countries.append((event["subject"], data["traits"]["country"]))
        return False
    amount = Decimal(data["amount"])
    signed = -amount if data["kind"] == "return" else amount
    read.kinds[data["kind"]] += 1
    read.sums["subject" in event] += signed
    read.times.add(event["time"])
    if data["kind"] == "return":
        read.returned.append(amount)
    if "subject" not in event:
        return True
    read.by_customer[event["subject"]] += signed
    read.orders.add((event["subject"], data["order"]))
    return False


def test_every_line_is_an_order_or_a_return(read, raw):
    assert read.rows == len(raw) == 541_909
    assert read.unused == 0
    assert read.kinds == {"order": 541_909 - 9_288, "return": 9_288}
    assert raw.InvoiceNo.str.startswith("C").sum() == 9_288


def test_the_sum_is_exact(read, raw):
    total = sum(read.sums.values())

    assert total * 1000 == int(raw.thousandths.sum())
    assert round(total, 2) == Decimal("9747747.93")


def test_lines_without_a_customer_keep_their_sum_and_are_the_only_ones_parked(read, raw):
    assert read.without_customer == raw.key.isna().sum() == 135_080
    assert read.sums[False] * 1000 == int(raw[raw.key.isna()].thousandths.sum())
    assert read.parked == {"no_customer": 135_080}


def test_each_customers_orders_and_sum(read, raw):
    known = raw[raw.key.notna()]

    assert len(read.by_customer) == known.key.nunique() == 4_372
    assert {key: int(amount * 1000) for key, amount in read.by_customer.items()} == (
        known.groupby("key").thousandths.sum().to_dict()
    )
    assert read.orders == set(zip(known.key, known.InvoiceNo, strict=True))


def test_what_was_given_back_is_positive(read):
    assert min(read.returned) > 0


def test_times_are_londons(read, raw):
    london = raw.InvoiceDate.dt.tz_localize("Europe/London").dt.tz_convert("UTC")

    assert read.times == set(london.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_countries_are_said_when_they_change(read, raw):
    known = raw[raw.key.notna()]
    changes = known[known.groupby("key").Country.shift().fillna("") != known.Country]

    assert read.countries == list(zip(changes.key, changes.Country, strict=True))


def test_ids_are_unique_though_rows_repeat(read, raw):
    columns = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice"]

    assert raw.duplicated(columns).sum() > 5_000
    assert len(read.ids) == len(raw) + len(read.countries)
