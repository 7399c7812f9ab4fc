"""The bottleneck against a reading of the journeys in plain Python, and its edges."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from bowtie.errors import FileError, Refused, UsageError
from bowtie.events import Noted, OrderPlaced, Touched
from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.bottleneck import bottleneck
from bowtie_projections.views.cut import Cut
from tests.naive_bottleneck import (
    LEFT,
    STAGES,
    Journey,
    conversion_lever,
    median_wait,
    quantile,
    rate,
    stages_of,
    worths,
)
from tests.read_tables import FilledTables, Said

SHOP = load_definition("shop")
START = datetime(2023, 1, 1, tzinfo=UTC)
#: the quarters of 2023 and of the first half of 2024, by their first days
QUARTERS = [0.0, 90.0, 181.0, 273.0, 365.0, 456.0]
NOW = 820.0
HORIZON = 200


def made_up() -> list[tuple[int, Journey, list[tuple[float, str, Decimal]]]]:
    """Customers of six quarters, whose second step is better in some quarters than in others."""
    draw = random.Random(7)
    found = []
    for quarter, first in enumerate(QUARTERS):
        for _ in range(300):
            at = first + draw.uniform(0, 10)
            entries, orders = {"awareness": at}, []
            step = at
            for stage, share, mean in (
                ("education", 0.75, 20), ("selection", [0.55, 0.7, 0.6, 0.75, 0.5, 0.7][quarter], 25),
                ("commitment", 0.8, 20), ("onboarding", 0.7, 15),
            ):  # fmt: skip
                if draw.random() > share:
                    break
                step += draw.expovariate(1 / mean)
                entries[stage] = step
            if "commitment" in entries:
                orders = [(entries["commitment"], "first", Decimal(draw.randint(10, 90)))]
            if "onboarding" in entries and draw.random() < 0.6:
                again = entries["onboarding"] + draw.uniform(5, 150)
                orders.append((again, "again", Decimal(draw.randint(10, 90))))
            found.append((quarter, Journey(entries), orders))
    return found


def facts_of(people) -> list[Said]:
    facts: list[Said] = []
    for number, (_, journey, orders) in enumerate(people):
        customer = f"c{number:04}"
        told = {
            "awareness": Touched(channel=["ads", "mail"][number % 2], direction="inbound"),
            "education": Noted(name="product_viewed"),
            "selection": Noted(name="cart_added"),
            "onboarding": Noted(name="delivered"),
        }
        for stage, at in journey.entries.items():
            if stage in told:
                moment = START + timedelta(days=at)
                facts.append(Said(customer, told[stage], moment, len(facts) + 1))
        for at, order, amount in orders:
            event = OrderPlaced(order=order, kind="order", amount=amount, currency="EUR")
            facts.append(Said(customer, event, START + timedelta(days=at), len(facts) + 1))
    return facts


def with_revenue(people) -> list[Journey]:
    """Each journey with its growth, and with what was paid in the horizon, if that is over."""
    found = []
    for _, journey, orders in people:
        entries, revenue = dict(journey.entries), None
        t0 = entries.get("commitment")
        for at, order, _ in orders:
            if order == "again":
                entries["growth"] = at
        if t0 is not None and t0 + HORIZON <= NOW:
            revenue = float(sum(amount for at, _, amount in orders if at < t0 + HORIZON))
        found.append(Journey(entries, revenue))
    return found


def quarter_of(at: float) -> int:
    bounds = [*QUARTERS, 547.0]
    return next((n for n, end in enumerate(bounds[1:]) if at < end), -1)


def cohorts_of(journeys: list[Journey]) -> dict[str, list]:
    """By stage, the mature members of each quarter of entry."""
    found = {}
    for stage in STAGES[:6]:
        cohorts = [
            [one for one in journeys if stage in one.entries
             and quarter_of(one.entries[stage]) == quarter]
            for quarter in range(len(QUARTERS))
        ]  # fmt: skip
        found[stage] = stages_of(cohorts, stage, NOW)
    return found


@pytest.fixture(scope="module")
def people():
    return made_up()


@pytest.fixture(scope="module")
def naive(people):
    return cohorts_of(with_revenue(people))


@pytest.fixture(scope="module")
def tables(make_tables, people) -> FilledTables:
    made = make_tables()
    made.load(facts_of(people), SHOP)
    return made


def ask(tables, **asked):
    cut = Cut(tables.position, START + timedelta(days=NOW))
    parameters: dict[str, Any] = {
        "from_": "2023-Q1", "to": "2024-Q2", "horizon": f"{HORIZON}d", "include_truncated": True,
    }  # fmt: skip
    return bottleneck(tables, cut, SHOP, **(parameters | asked))


def lever(result, stage, what="conversion"):
    (row,) = [row for row in result.rows() if (row["stage"], row["lever"]) == (stage, what)]
    return row


@pytest.mark.parametrize("stage", LEFT)
def test_conversions_are_those_of_a_plain_reading(tables, naive, stage):
    row, expected = lever(ask(tables), stage), conversion_lever(naive, stage)
    assert row["mature"] == sum(len(one.members) for one in naive[stage])
    for name, value in expected.items():
        exact = 0.006 if "revenue" in name else 1e-9  # money is given to the cent
        assert float(row[name]) == pytest.approx(value, abs=exact, rel=1e-9), name
    assert float(row["worth"]) == pytest.approx(worths(naive)[stage][0], abs=0.006)


def test_right_of_the_knot_the_worth_is_what_those_bring_more_who_went_on(tables, naive):
    row = lever(ask(tables), "commitment")
    assert row["added_customers"] is None
    assert float(row["worth"]) == pytest.approx(worths(naive)["commitment"][0], abs=0.006)


def test_intervals_draw_whole_cohorts_again(tables, naive):
    row = lever(ask(tables), "education")
    draws = np.random.default_rng(0).integers(0, 6, (1000, 6))
    drawn = [
        conversion_lever(
            {stage: [cohorts[place] for place in draw] for stage, cohorts in naive.items()},
            "education",
        )
        for draw in draws[:1000].tolist()
    ]
    for name in ("added_revenue", "added_revenue_half"):
        values = [float(one[name] or 0) for one in drawn]
        assert float(row[f"{name}_low"]) == pytest.approx(quantile(values, 0.025), abs=0.01)
        assert float(row[f"{name}_high"]) == pytest.approx(quantile(values, 0.975), abs=0.01)


def test_the_second_step_is_the_bottleneck(tables):
    result = ask(tables)
    first = result.rows()[0]
    assert (first["rank"], first["stage"], first["lever"]) == (1, "education", "conversion")
    assert "Most would be added by the conversion of education" in result.sentence
    rows = result.rows()
    told = [row for row in rows if row["added_revenue"] is not None]
    said = f", of the {len(told)} of {len(rows)} that can be judged"
    assert (said in result.sentence) is (len(told) < len(rows))
    ranks = [row["rank"] for row in result.rows()]
    known = [rank for rank in ranks if rank is not None]
    assert known == list(range(1, len(known) + 1))
    assert ranks[len(known) :] == [None] * (len(ranks) - len(known))


def test_a_shorter_wait_lets_those_in_who_come_too_late(tables, naive, people, tmp_path):
    file = tmp_path / "benchmarks.csv"
    file.write_text("stage,conversion,days\nawareness,0.9,6\nselection,,5\n", "utf-8")
    result = ask(tables, benchmark=file, within="20d")
    naive_20 = cohorts_of(with_revenue(people))["awareness"]
    waits = [wait for one in naive_20 for wait, _ in one.members]
    members = len(waits)  # all are older than any window here
    in_time = [wait for wait in waits if wait is not None and wait <= 20]
    now = quantile(in_time, 0.5)
    later = sum(wait is not None and wait <= 20 * now / 6 for wait in waits)
    row = lever(result, "awareness", "wait")
    assert row["days_p50"] == pytest.approx(now)
    assert row["days_benchmark"] == 6
    assert row["conversion_headroom"] == pytest.approx((later - len(in_time)) / members)
    assert row["judged"] == row["mature"] == members
    assert row["added_next"] == pytest.approx(later - len(in_time))
    conversion = lever(result, "awareness")
    assert conversion["conversion_headroom"] == pytest.approx(0.9 - len(in_time) / members)
    assert lever(result, "selection")["missing"] == "the file has no benchmark of it"
    assert lever(result, "education")["missing"] == "the file has no benchmark of it"


def test_a_wait_is_as_the_funnel_has_it(tables, naive):
    assert lever(ask(tables), "awareness", "wait")["days_p50"] == pytest.approx(
        median_wait(naive["awareness"])
    )


def test_each_value_of_a_breakdown_has_benchmarks_of_its_own(tables, tmp_path):
    file = tmp_path / "b.toml"
    text = '[[benchmark]]\nstage = "awareness"\nconversion = "80%"\nchannel = "ads"\n'
    text += '[[benchmark]]\nstage = "awareness"\nconversion = 0.9\n'
    file.write_text(text, "utf-8")
    rows = ask(tables, by=["channel"], benchmark=file).rows()
    goals = {
        row["channel"]: row["conversion_benchmark"]
        for row in rows
        if (row["stage"], row["lever"]) == ("awareness", "conversion")
    }
    assert goals == {"ads": 0.8, "mail": 0.9}
    total = lever(ask(tables), "awareness")["mature"]
    assert sum(row["mature"] for row in rows if row["stage"] == "awareness") == 2 * total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "column"),
    [
        ({"stage": "awareness", "channel": "ads"}, "mature"),
        ({"stage": "education", "channel": "mail"}, "conversion"),
    ],
)
def test_the_members_of_a_conversion_can_be_named(tables, cell, column):
    cut = Cut(tables.position, START + timedelta(days=NOW))
    asked: dict[str, Any] = {
        "from_": "2023-Q1",
        "to": "2024-Q2",
        "include_truncated": True,
        "by": ["channel"],
    }
    result = explanation(
        tables, cut, SHOP, view="bottleneck", cell=cell | {"lever": "conversion"}, column=column,
        **asked,
    )  # fmt: skip
    (row,) = [
        row for row in ask(tables, by=["channel"]).rows()
        if {name: row[name] for name in cell} == cell and row["lever"] == "conversion"
    ]  # fmt: skip
    assert result.meta["value"] == row[column]
    assert len({row["customer"] for row in result.rows()}) == row["mature"]
    assert {"entered awareness", "entered education", "entered selection"} > {
        row["role"] for row in result.rows()
    }


def test_contracts_fields_come_too_late_to_break_down_by(tables):
    with pytest.raises(Refused, match=r"ask by trait.motion if it is a trait"):
        ask(tables, by=["motion"])


def test_few_cohorts_are_no_benchmark_and_give_no_interval(tables):
    result = ask(tables, from_="2024-Q1", to="2024-Q2")
    row = lever(result, "awareness")
    assert (row["rank"], row["missing"]) == (None, "2 cohorts of 100 or more members")
    assert "No lever can be said to add anything." in result.sentence
    assert any("Fewer than 4 cohorts: no interval." in note for note in result.notes)


def test_without_revenue_levers_are_ranked_by_their_headroom(tables, naive):
    result = ask(tables, horizon="3000d")
    assert lever(result, "education")["added_revenue"] is None
    assert lever(result, "education")["missing"].startswith("fewer than 20 customers whose 3000")
    assert lever(result, "education")["rank"] == 1
    assert "Furthest below its benchmark: the conversion of education." in result.sentence
    assert any("Ranked by headroom" in note for note in result.notes)


def test_the_newest_two_years_that_are_over_are_asked_if_nothing_else_is(tables):
    result = ask(tables, from_=None, to=None)
    # day 820 is 2025-03-31, and 180 days before it 2024-10-02
    asked_of = result.meta["parameters"]
    assert (asked_of["from"], asked_of["to"]) == ("2022-Q4", "2024-Q3")
    assert "entered a stage 2022-Q4 to 2024-Q3" in result.sentence


def test_who_is_too_young_is_left_out_and_said(tables):
    result = bottleneck(
        tables, Cut(tables.position, START + timedelta(days=500)), SHOP, include_truncated=True,
        from_="2023-Q1", to="2024-Q2",
    )  # fmt: skip
    assert "are too young for their windows and are left out" in result.sentence


def test_nobody_is_an_answer(make_tables):
    empty = make_tables()
    empty.load([], SHOP)
    result = bottleneck(empty, Cut(0), SHOP)
    assert result.rows() == []
    assert "No lever can be said to add anything." in result.sentence


def test_several_currencies_are_refused(make_tables):
    mixed = make_tables()
    facts = []
    for number, currency in enumerate(["EUR", "USD"]):
        order = OrderPlaced(order="1", kind="order", amount=Decimal(5), currency=currency)
        facts.append(Said(f"c{number}", order, START, number + 1))
    facts.append(Said("last", Noted(name="x"), START + timedelta(days=900), 3))
    mixed.load(facts, SHOP)
    with pytest.raises(Refused, match="EUR and USD"):
        ask(mixed)
    one = make_tables()
    one.load([facts[0], facts[2]], SHOP)
    with pytest.raises(Refused, match='currency="USD" was asked'):
        ask(one, currency="USD")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"horizon": "36h"}, "write whole days"),
        ({"horizon": "soon"}, "horizon: "),
        ({"cohort": None}, "ask with cohort=quarter"),
        ({"unit": "cycle"}, "write customer or account or opportunity"),
        ({"currency": "euro"}, "no ISO 4217 code"),
        ({"from_": "2025-Q1", "to": None}, "from_=2025-Q1 is later than 2024-Q3"),
    ],
)
def test_what_can_not_be_asked(tables, asked, problem):
    with pytest.raises(UsageError, match=problem):
        ask(tables, **asked)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stage,days\nawarenes,3\n", "b.csv:2: 'awarenes' is no stage with a next one"),
        ("stage,conversion\ngrowth,.3\n", "b.csv:2: 'growth' is no stage"),
        ("stage,conversion\nawareness,30\n", "b.csv:2: conversion is a share"),
        ("stage,conversion,days\nawareness,,\n", "b.csv:2: give a conversion, or days"),
        ("stage,conversion,days\nawareness,,-1\n", "b.csv:2: days are more than none"),
        ("stage,conversion\nawareness,.3\nawareness,.4\n", "b.csv:3: awareness stands here a sec"),
        ("stage,conversion,motion\nawareness,.3,field\n", "b.csv:1: benchmarks are by 'motion'"),
        ("stage\nawareness\n", "b.csv:1: a benchmark has a stage, and"),
        ("stage,conversion\nawareness,many\n", "b.csv:2: 'many' is no number"),
    ],
)
def test_a_file_of_benchmarks_that_is_wrong_is_named_with_its_line(tables, tmp_path, text, problem):
    file = tmp_path / "b.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(FileError, match=problem):
        ask(tables, benchmark=file)


def test_the_rates_of_the_plain_reading_vary(naive):
    """What this module is worth rests on it."""
    rates = [rate([one]) for one in naive["education"]]
    assert max(rates) - min(rates) > 0.1
