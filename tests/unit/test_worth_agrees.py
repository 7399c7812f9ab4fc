"""Views that tell what customers were worth, of one question: they count the same, and say so."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie_projections import Result, Views

ASKED: dict[str, Any] = {
    "horizon": "180d", "as_of": "2025-06-30", "tz": "Asia/Tokyo", "where": "industry!=rail",
}  # fmt: skip


@pytest.fixture
def views(tmp_path):
    file = tmp_path / "demo.jsonl.gz"
    Demo(customers=150, seed=4).write(file)
    with Bowtie.open("memory://") as engine:
        engine.ingest(file)
        with Views.open(engine) as made:
            yield made


@pytest.fixture
def shop():
    """One order of each of forty customers, one a week: who came first may be older."""
    lines = [
        {
            "specversion": "1.0", "id": f"{n}", "source": "shop", "type": "bowtie.order_placed",
            "subject": f"c{n}", "time": f"2024-{n // 4 + 1:02}-{n % 4 * 7 + 1:02}T10:00:00Z",
            "data": {"order": f"{n}", "kind": "order", "amount": f"{n + 1}", "currency": "EUR"},
        }
        for n in range(40)
    ]  # fmt: skip
    with Bowtie.open("memory://") as engine:
        engine.ingest(io.BytesIO("\n".join(map(json.dumps, lines)).encode()))
        with Views.open(engine) as made:
            yield made


def sums(rows: Any, *names: str) -> tuple[Any, ...]:
    """Credits are parts of customers, so that theirs are whole to six places."""
    return tuple(
        round(sum((Decimal(str(row[name] or 0)) for row in rows), Decimal(0)), 6) for name in names
    )


def answers(views: Views, asked: dict[str, Any]) -> dict[str, Result]:
    """What each view answers."""
    names = ("value", "referrals", "partners", "loop", "attribution")
    return {name: getattr(views, name)(**asked) for name in names}


def told(found: dict[str, Result]) -> dict[str, tuple[Any, ...]]:
    """Of each view how many are customers, mature, and what these were worth."""
    value, partners, sources = found["value"], found["partners"], found["loop"].part("sources")
    both = [row for row in partners if row["partner"] in {"(any partner)", "(no partner)"}]
    said = {
        "value": sums(value, "customers", "mature", "value"),
        "referrals": sums(found["referrals"].part("depth"), "customers", "mature", "value"),
        "partners": sums(both, "sourced", "mature_sourced", "value_sourced"),
        "loop": sums(sources, "customers", "mature", "value"),
    }
    high = {sums(value, "high"), sums(sources, "high"), (found["loop"].meta["high"],)}
    for model in {row["model"] for row in found["attribution"]}:
        rows = [row for row in found["attribution"] if row["model"] == model]
        said[model] = sums(rows, "wins", "mature", "value")
        high.add(sums(rows, "high"))
    assert len(high) == 1
    return said


def test_customers_and_value_are_the_same_in_all_views(views):
    found = answers(views, ASKED)
    said = told(found)
    customers, mature, worth = said["value"]
    assert customers > mature > 0
    assert worth > 0
    for name, (number, old, money) in said.items():
        assert (number, old) == (customers, mature), name
        assert abs(money - worth) < Decimal("0.01"), name  # credits add up to the cent
    tiers = sums(found["value"].part("tiers"), "customers", "value")
    assert (tiers[0], round(tiers[1], 2)) == (mature, round(worth, 2))


def test_who_may_be_older_than_the_data_is_told_by_each(shop):
    asked = {"definition": "shop/1", "horizon": "30d"}
    found = answers(shop, asked)
    assert set(told(found).values()) == {(28, 24, sum(range(13, 37)))}
    for name, answer in found.items():
        assert "; 12 more may be older than the data and are" in answer.sentence, name
    everybody = shop.attribution(**asked, include_truncated=True)
    assert "older than the data" not in everybody.sentence
