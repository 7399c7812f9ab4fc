"""Value by a policy of predicted value: parts of one whole, told apart from what came."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from math import ceil

import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie.errors import Refused, UsageError
from bowtie_projections import Views

AHEAD = """
name = "ahead"
version = 1
horizon = "180d"
basis = "predicted"
discount = "0.10"
currency = "EUR"
"""
TIERS = """
[[tiers]]
name = "gold"
least = "8000"
[[tiers]]
name = "rest"
"""


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicted")
    log = folder / "demo.jsonl"
    log.write_bytes(b"".join(line + b"\n" for line in Demo(customers=500, seed=2).lines()))
    with Bowtie.open(f"sqlite:///{folder / 'demo.db'}") as engine:
        engine.ingest(log)
        yield Views.open(engine)


def test_it_is_what_the_models_expect_of_each_customer(views):
    """Summed by hand over the customers of the models' own answer, and of each channel's."""
    answer = views.value(policy=AHEAD, by="channel", most=3)
    each = views.clv(who=True, horizon="180d", discount="0.10")
    worth = {row["customer"]: row["predicted_value"] for row in each}
    committed = {
        row["customer"] for row in views.sql("SELECT customer FROM journeys WHERE cycle = 1"
                                             " AND commitment_at IS NOT NULL")
    }  # fmt: skip
    known = sorted(worth[name] for name in worth.keys() & committed)
    rows = answer.rows()
    assert sum(row["customers"] for row in rows) == len(committed)
    assert sum(row["predicted"] for row in rows) == len(known)
    assert sum(row["predicted_value"] for row in rows) == sum(known)
    paying = [one for one in known if one > 0]
    least = paying[-ceil(len(paying) * Decimal("0.2"))]
    assert sum(row["high"] for row in rows) == sum(one >= least for one in known)
    [whole] = views.value(policy=AHEAD).rows()
    assert whole["predicted_value"] == sum(known)
    assert whole["predicted_mean"] == pytest.approx(sum(known) / len(known), abs=Decimal("0.01"))
    top = known[-ceil(len(known) / 10) :]
    assert whole["top10_share"] == pytest.approx(float(sum(top) / sum(known)))


def test_everybody_of_whom_something_is_expected_is_in_one_tier(views):
    for text in (AHEAD, AHEAD + TIERS):
        whole, parts = (views.value(policy=text, by=by) for by in ((), "channel"))
        told: defaultdict[str, list] = defaultdict(lambda: [0, Decimal(0)])
        for row in parts.part("tiers"):
            told[row["tier"]][0] += row["customers"]
            told[row["tier"]][1] += row["predicted_value"]
        for row in whole.part("tiers"):
            assert told[row["tier"]] == [row["customers"], row["predicted_value"]]
        [row] = whole.rows()
        assert sum(one["customers"] for one in whole.part("tiers")) == row["predicted"]
        assert sum(one["predicted_value"] for one in whole.part("tiers")) == row["predicted_value"]
    each = views.clv(who=True, horizon="180d", discount="0.10")
    gold = sum(row["predicted_value"] >= 8000 for row in each)
    assert whole.part("tiers").rows()[0]["customers"] == gold


def test_tiers_by_share_are_those_of_an_abc_analysis(views):
    each = sorted(
        (row["predicted_value"] for row in views.clv(who=True, horizon="180d", discount="0.10")),
        reverse=True,
    )
    told = {row["tier"]: row["customers"] for row in views.value(policy=AHEAD).part("tiers")}
    found, before, total = {"A": 0, "B": 0, "C": 0, "none": 0}, Decimal(0), sum(each)
    for worth in each:
        before = sum(one for one in each if one > worth)
        name = "none"
        if worth > 0:
            name = "A" if before < total * 80 / 100 else "B" if before < total * 95 / 100 else "C"
        found[name] += 1
    assert told == found


def test_the_label_is_everywhere_and_nothing_that_came_beside_it(views):
    answer = views.value(policy=AHEAD, cohort="year")
    assert "no money that came" in answer.sentence
    assert answer.meta["basis"] == answer.meta["parameters"]["basis"] == "predicted"
    assert answer.meta["parameters"]["policy"] == "ahead/1"
    assert not {"value", "value_mean", "realised"} & set(answer.columns)
    assert any(note.startswith("Policy ahead/1: predicted revenue") for note in answer.notes)
    assert answer.chart()


def test_what_is_found_in_predictions_is_what_the_model_was_told(views):
    for ask in (views.loop, views.attribution):
        with pytest.raises(Refused, match="of predicted value"):
            ask(policy=AHEAD)
    with pytest.raises(UsageError, match="leave out horizon="):
        views.value(policy=AHEAD, horizon="30d")
    with pytest.raises(Refused, match="currency"):
        views.value(policy=AHEAD.replace("EUR", "USD"))


def test_an_empty_log_expects_nothing():
    with Bowtie.open("memory://") as engine:
        answer = Views.open(engine).value(policy=AHEAD)
    assert (len(answer), len(answer.part("tiers"))) == (0, 0)
    assert "nothing is expected" in answer.sentence


def test_behind_a_cell_are_its_customers_and_what_the_model_was_told(views):
    """Each figure is counted against its members; of these the contracts are named."""
    asked = {"policy": AHEAD, "by": ["channel"]}
    answer = views.value(**asked)
    row = max(answer.rows(), key=lambda one: one["customers"])
    told = {
        column: views.explain(
            "value", cell={"channel": row["channel"]}, column=column, **asked
        )
        for column in ("high", "predicted_value")
    }  # fmt: skip
    names = {column: {one["customer"] for one in found} for column, found in told.items()}
    assert names["high"] < names["predicted_value"]
    roles = {"time zero: entered commitment", "contract", "channel"}
    assert {one["role"] for one in told["high"]} == roles
    said = views.sql(
        "SELECT customer, position FROM contract_signed WHERE kind = 'paid'"
        " UNION ALL SELECT customer, position FROM contract_changed"
        " UNION ALL SELECT customer, position FROM contract_renewed"
        " UNION ALL SELECT customer, position FROM contract_ended"
    )
    known = {one["position"] for one in said if one["customer"] in names["high"]}
    assert {one["position"] for one in told["high"] if one["role"] == "contract"} == known
    assert any("learnt" in note or "fitted to" in note for note in told["high"].notes)
    tier = views.explain(
        "value", part="tiers", cell={"channel": row["channel"], "tier": "C"},
        column="predicted_value", **asked,
    )  # fmt: skip
    assert {one["customer"] for one in tier} < names["predicted_value"]
    with pytest.raises(UsageError, match="explain one of: customers, predicted, expected_alive"):
        views.explain("value", cell={"channel": row["channel"]}, column="top10_share", **asked)
