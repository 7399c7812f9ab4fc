"""The closed loop as a view: who is counted, what is refused, what is said."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bowtie.errors import FileError, Refused, UnknownName, UsageError
from bowtie.events import (
    ContractSigned,
    CostIncurred,
    Invoiced,
    Noted,
    SpendRecorded,
    Touched,
    TraitsObserved,
)
from bowtie.stages import load_definition
from bowtie_projections.traits import read_traits
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.loop import loop
from tests.loops import B2B, DAY, START, World, fill, rows_of, source_of, trait_of

COLUMNS = [
    "trait", "level", "customers", "high", "high_rate", "high_rate_low", "high_rate_high",
    "high_rate_shrunk", "lift", "lift_low", "lift_high", "risk_ratio", "odds_ratio", "p", "q",
    "share_of_customers", "share_of_high", "sign_change", "p_homogeneity", "replicated", "verdict",
]  # fmt: skip


@pytest.fixture
def world(memory):
    return World(memory)


def test_columns_and_parts_are_those_of_the_design(world):
    fill(world)
    answer = world.loop(threshold=400)

    assert answer.columns == COLUMNS
    assert answer.part("sources").columns[:8] == [
        "source", "spend", "customers", "mature", "high", "value", "cost_per_customer",
        "cost_per_high",
    ]  # fmt: skip
    assert json.loads(answer.to_json())["parameters"]["horizon"] == "30d"


def test_the_sentence_says_who_is_counted_and_that_nothing_is_a_cause(world):
    fill(world)
    answer = world.loop(as_of=START + 340 * DAY, threshold=400)

    assert answer.sentence == (
        "114 customers by 2023-12-07: 104 are counted, each over the first 30d; 10 are too young"
        " for 30d and are left out. High value is 400 EUR or more of revenue: 26 of them."
        " Every finding is an association, not a cause."
    )


def test_no_facts_at_all_is_an_answer(world):
    answer = world.loop()

    assert answer.rows() == []
    assert answer.columns == COLUMNS
    assert answer.meta["mature"] == 0


def test_without_a_day_asked_of_the_newest_fact_is_the_end(world):
    fill(world, 40)

    assert world.loop(as_of=None, threshold=400).meta["mature"] == 30


def test_nobody_mature_says_the_longest_horizon_that_leaves_enough(world):
    fill(world, 120)
    answer = world.loop(as_of=START + 360 * DAY, horizon="400d")

    assert answer.rows() == []
    # the hundredth customer came on day 297
    assert any("horizon=63d" in note for note in answer.notes)


def test_few_mature_answer_all_the_same(world):
    fill(world, 60)
    answer = world.loop(threshold=400)

    assert answer.meta["mature"] == 60
    assert rows_of(answer, "half")["a"]["customers"] == 30
    assert any("no horizon leaves 100" in note for note in answer.notes)


def test_a_customer_of_exactly_the_horizon_is_mature(world):
    world.customer("a", START)
    world.customer("b", START + timedelta(microseconds=1))

    assert world.loop(as_of=START + 30 * DAY, threshold=1).meta["mature"] == 1


def test_value_counts_from_time_zero_up_to_the_horizon(world):
    world.customer("a", START, None)
    world.order("a", START - timedelta(microseconds=1), "1")
    world.order("a", START, "10")
    world.order("a", START + 30 * DAY - timedelta(microseconds=1), "200")
    world.order("a", START + 30 * DAY, "1000")
    world.order("a", START + DAY, "5", kind="return")

    assert source_of(world.loop(threshold=1), "(none)")["value"] == 205


def test_contracts_accrue_exactly(world):
    signed = ContractSigned(
        contract="k", kind="paid", amount="100", per="month", currency="EUR",
        starts_on=date(2023, 1, 1),
    )  # fmt: skip
    world.say("a", signed, START + timedelta(hours=10))
    under = world.loop(threshold="98.630136")
    over = world.loop(threshold="98.630137")

    # 1,200 a year for 30 of 365 days are 98.63013698...; compared exactly, rounded only in print
    assert source_of(under, "(none)")["value"] == Decimal("98.630137")
    assert (under.meta["high"], over.meta["high"]) == (1, 0)


def test_a_fitted_threshold_asked_again_gives_the_same_high(world):
    for n in range(50):
        signed = ContractSigned(
            contract="k", kind="paid", amount=Decimal(100 + n), per="month", currency="EUR",
            starts_on=date(2023, 1, 1) + n * DAY,
        )  # fmt: skip
        world.say(f"c{n}", signed, START + n * DAY)
    fitted = world.loop(top=0.3)
    again = world.loop(threshold=fitted.meta["threshold"])

    # 25 in the older half, 30% rounded up are 8: the one who pays 117 a month
    assert fitted.meta["threshold"] == Decimal("115.397260")
    assert fitted.meta["high"] == again.meta["high"] == 8 + 25


def test_ties_that_take_the_share_too_far_are_refused(world):
    for n in range(40):
        world.customer(f"c{n}", START + n * DAY, "1")
    with pytest.raises(Refused, match="can't be told apart: 100% of them reach 1"):
        world.loop(top=0.2)


def test_nobody_paying_is_refused_for_a_share_and_answered_for_a_threshold(world):
    world.customer("a", START, None)
    with pytest.raises(Refused, match="threshold="):
        world.loop()

    assert world.loop(threshold=0).meta["high"] == 0


def test_several_currencies_are_refused_and_one_may_be_named(world):
    world.customer("a", START)
    assert world.loop(threshold=1, currency="EUR").meta["currency"] == "EUR"
    with pytest.raises(Refused, match="dated rates"):
        world.loop(threshold=1, currency="USD")

    world.order("a", START + DAY, "5", currency="USD")
    with pytest.raises(Refused, match=r"EUR and USD.*currency="):
        world.loop(threshold=1)
    with pytest.raises(Refused, match="dated rates"):
        world.loop(threshold=1, currency="EUR")


def test_orders_and_invoices_of_one_customer_are_pointed_out(world):
    world.customer("a", START)
    bill = Invoiced(invoice="i", kind="one_time", amount="100", currency="EUR")
    world.say("a", bill, START + DAY)

    assert any("counted twice" in note for note in world.loop(threshold=1).notes)


def test_a_trait_known_later_is_not_used(world):
    """Known by its recordedtime, else by its recording; far apart: by when it happened."""
    t0 = START + 50 * DAY
    world.customer("a", t0)
    cases = {
        "recorded_in_time": (t0 - 2 * DAY, t0 - DAY, None),
        "recorded_late": (t0 - 2 * DAY, t0 + DAY, None),
        "loaded_later": (t0 - 2 * DAY, t0 + 90 * DAY, None),
        "known_in_time": (t0 - 2 * DAY, t0 + DAY, t0 - DAY),
        "known_late": (t0 - 20 * DAY, t0 + 90 * DAY, t0 + DAY),
        "happened_later": (t0 + DAY, t0 + DAY, t0 - DAY),
    }
    for name, (at, recorded, known) in cases.items():
        world.say("a", TraitsObserved(traits={name: "yes"}), at, recorded, known)
    answer = world.loop(threshold=1)

    used = {row["trait"] for row in answer.rows() if row["level"] == "yes"}
    assert used == {"recorded_in_time", "loaded_later", "known_in_time"}
    leaks = {row["trait"] for row in answer.rows() if row["verdict"] == "leak"}
    assert leaks == {"recorded_late", "known_late", "happened_later"}
    assert any(note.startswith("1 of 3 trait values") for note in answer.notes)
    with pytest.raises(Refused, match=r"1 of the 3 trait values.*strict_known"):
        world.loop(threshold=1, strict_known=True)
    assert world.loop(threshold=1, backfill_gap="100d").rows()


def test_a_fact_of_a_day_is_known_from_its_end(world, memory):
    noon = START + timedelta(days=10, hours=12)
    for name, day in (("same", noon.replace(hour=0)), ("before", noon.replace(hour=0) - DAY)):
        world.say("a", TraitsObserved(traits={name: "yes"}), day)
    world.customer("a", noon)
    memory.load(world.facts, B2B)
    memory.execute("update traits_observed set time_precision = 'day'")
    answer = loop(memory, Cut(memory.position, START + 90 * DAY), B2B, horizon="30d", threshold=1)

    assert trait_of(answer, "same")["use"] == "leak"
    assert trait_of(answer, "before")["known"] == 1


def test_tables_without_times_of_recording_say_so(world, memory):
    world.say("a", TraitsObserved(traits={"fit": "yes"}), START)
    world.customer("a", START + DAY)
    memory.load(world.facts, B2B)
    memory.execute("update traits_observed set recorded_at = null")
    answer = loop(memory, Cut(memory.position, START + 90 * DAY), B2B, horizon="30d", threshold=1)

    assert trait_of(answer, "fit")["known"] == 1
    assert any("don't say when facts were recorded" in note for note in answer.notes)


def test_an_unset_trait_is_missing(world):
    world.say("a", TraitsObserved(traits={"fit": "yes"}), START)
    world.say("a", TraitsObserved(traits={"fit": None}), START + DAY)
    world.say("b", TraitsObserved(traits={"fit": "yes"}), START)
    for name in "ab":
        world.customer(name, START + 2 * DAY)

    rows = rows_of(world.loop(threshold=1), "fit")
    assert {level: row["customers"] for level, row in rows.items()} == {"yes": 1, "(missing)": 1}


def test_kinds_that_are_no_marks_are_refused_with_the_reason(world):
    fill(world, 80, plan="big", race="x", key="k")
    answer = world.loop(
        threshold=400,
        traits="""
        [plan]
        kind = "consequence"
        reason = "chosen at the sale"
        [race]
        kind = "protected"
        [key]
        kind = "identifier"
        [half]
        kind = "fit"
        [hlaf]
        kind = "fit"
        """,
    )

    assert {row["trait"] for row in answer.rows()} == {"half"}
    assert trait_of(answer, "plan")["reason"] == "declared consequence: chosen at the sale"
    assert trait_of(answer, "race")["use"] == trait_of(answer, "key")["use"] == "refused"
    assert trait_of(answer, "hlaf")["use"] == "not seen"
    assert not any("no traits file says" in note for note in answer.notes)


def test_undeclared_traits_are_used_and_marked(world):
    fill(world, 80)
    answer = world.loop(threshold=400)

    assert trait_of(answer, "half")["kind"] is None
    assert any(note.startswith("half: used, though") for note in answer.notes)


def test_a_timeless_trait_may_be_learnt_later(world):
    for n in range(80):
        world.customer(f"c{n}", START + n * DAY)
        observed = TraitsObserved(traits={"country": "de" if n % 2 else "fr"})
        world.say(f"c{n}", observed, START + (n + 5) * DAY)

    assert rows_of(world.loop(threshold=1), "country").keys() == {None}
    answer = world.loop(threshold=1, traits={"country": {"kind": "fit", "timeless": True}})
    assert rows_of(answer, "country").keys() == {"de", "fr"}
    assert "looked up later" in trait_of(answer, "country")["reason"]


def test_a_trait_with_a_value_for_each_customer_is_marked(world):
    for n in range(80):
        world.customer(f"c{n}", START + n * DAY, key=f"k{n}")

    answer = world.loop(threshold=1)
    assert trait_of(answer, "key")["use"] == "identifier-like"
    assert answer.rows() == []
    assert answer.meta["tests"] == 0


def test_levels_beyond_fifty_are_other(world):
    for n in range(180):
        world.customer(f"c{n}", START + n * DAY, town=f"t{n % 60:02}" if n < 170 else None)
    rows = rows_of(world.loop(threshold=1), "town")

    assert len(rows) == 52
    assert rows["other"]["customers"] == 170 - sum(
        row["customers"] for level, row in rows.items() if level[0] == "t"
    )
    # of 60 towns with 2 or 3 customers, the 50 with 3 stay
    assert {row["customers"] for level, row in rows.items() if level[0] == "t"} == {3}
    assert rows["(missing)"]["customers"] == 10


def test_first_touch_is_a_trait_if_it_came_by_time_zero(world):
    for name, days in (("early", -5), ("late", 5)):
        touch = Touched(channel="fair", direction="outbound", campaign="spring")
        world.say(name, touch, START + (20 + days) * DAY)
        world.say(name, TraitsObserved(traits={"channel": "own"}), START)
        world.customer(name, START + 20 * DAY)
    answer = world.loop(threshold=1)

    for trait, level in (("channel", "fair"), ("campaign", "spring")):
        customers = {k: row["customers"] for k, row in rows_of(answer, trait).items()}
        assert customers == {level: 1, "(missing)": 1}
    assert rows_of(answer, "trait.channel")["own"]["customers"] == 2


def test_leads_count_with_value_nought_where_they_were_lost(world):
    for n in range(4):
        world.say(f"c{n}", Noted(name="lead_created"), START + n * DAY)
    world.customer("c0", START + 5 * DAY, "300")
    answer = world.loop(threshold=1, time_zero="lead")

    assert (answer.meta["mature"], answer.meta["high"]) == (4, 1)
    assert answer.sentence.startswith("4 leads by 2024-02-05 (entered education): 4 are counted")


def test_customers_who_may_be_older_than_the_data_are_left_out_and_said(world):
    world.say("old", Noted(name="x"), START)
    world.customer("old", START + 20 * DAY)
    world.customer("new", START + 20 * DAY)
    answer = world.loop(threshold=1, data_from="2023-01-10")
    both = world.loop(threshold=1, data_from="2023-01-10", include_truncated=True)

    assert (answer.meta["mature"], answer.meta["left_truncated"]) == (1, 1)
    assert "1 more may be older than the data and is left out" in answer.sentence
    assert both.meta["mature"] == 2
    assert any("include_truncated" in note for note in both.notes)


def test_a_definition_with_a_burn_in_knows_where_the_data_begin(world):
    shop = load_definition("shop")
    world.order("first", START)
    world.order("soon", START + 89 * DAY)
    world.order("later", START + 90 * DAY)
    world.memory.load(world.facts, shop)
    cut = Cut(world.memory.position, START + 400 * DAY)
    answer = loop(world.memory, cut, shop, horizon="30d", threshold=1)

    assert (answer.meta["mature"], answer.meta["left_truncated"]) == (1, 2)


def test_data_through_ends_the_horizons(world):
    world.customer("a", START)
    world.customer("b", START + 20 * DAY)

    assert world.loop(threshold=1, data_through="2023-02-05").meta["mature"] == 1


def test_contribution_needs_costs_on_record(world):
    fill(world, 80)
    for n in range(76):
        cost = CostIncurred(activity="serve", amount="480", currency="EUR")
        world.say(f"c{n}", cost, START + (n * 3 + 1) * DAY)
    # 76 of 80 have one, and 38 of 40 in each half: just enough; 4 have none and count as they are
    answer = world.loop(threshold=1, value="contribution")
    assert answer.meta["high"] == 19 + 4


def test_contribution_of_too_few_with_costs_is_refused(world):
    fill(world, 80)
    for n in range(75):
        cost = CostIncurred(activity="serve", amount="480", currency="EUR")
        world.say(f"c{n}", cost, START + (n * 3 + 1) * DAY)
    with pytest.raises(Refused, match=r"75 of 80 \(94%\)"):
        world.loop(threshold=1, value="contribution")


def test_contribution_of_a_level_without_costs_is_refused_unless_complete(world):
    fill(world, 80)
    for n in range(0, 80, 2):
        cost = CostIncurred(activity="onboard", amount="480", currency="EUR")
        world.say(f"c{n}", cost, START + n * 3 * DAY)
    with pytest.raises(Refused, match="costs_complete"):
        world.loop(threshold=1, value="contribution")

    answer = world.loop(threshold=1, value="contribution", costs_complete=True)
    assert answer.meta["high"] == 20 + 40


def test_motion_is_a_stratum_where_there_are_several(world):
    for n in range(80):
        signed = ContractSigned(
            contract="k", kind="paid", amount="100", per="month", currency="EUR",
            starts_on=(START + n * DAY).date(), motion="field" if n % 2 else "self_serve",
        )  # fmt: skip
        world.say(f"c{n}", TraitsObserved(traits={"half": "ab"[n % 2]}), START + (n - 1) * DAY)
        world.say(f"c{n}", signed, START + n * DAY)
    answer = world.loop(threshold=98)

    assert any("within acquisition quarter and motion (1 quarter)" in n for n in answer.notes)
    # half is the motion: within a motion there is nothing to compare
    assert rows_of(answer, "half")["a"]["p"] == 1


def test_spend_is_spread_over_its_days_and_set_against_the_same_months(world):
    for n in range(4):
        touch = Touched(channel="ads", direction="inbound", cost="2", currency="EUR")
        world.say(f"c{n}", touch, START + (n * 31) * DAY)
        world.customer(f"c{n}", START + (n * 31 + 1) * DAY, "500")
    spend = SpendRecorded(
        activity="acquire", channel="ads", amount="590", currency="EUR", includes_touch_cost=True,
        from_on=date(2023, 1, 1), to_on=date(2023, 2, 28),
    )  # fmt: skip
    world.say("ads", spend, datetime(2023, 3, 1, tzinfo=UTC))
    other = {"activity": "serve", "amount": "999", "includes_touch_cost": False}
    world.say("ads", SpendRecorded(**{**spend.model_dump(), **other}), START)
    world.say(
        "c0", CostIncurred(activity="sell", channel="ads", amount="31", currency="EUR"), START
    )
    row = source_of(world.loop(as_of=datetime(2023, 3, 20, tzinfo=UTC), threshold=400), "ads")

    # January 310 + 31 to sell, February 280; the touch of 4 March costs 2, those before are in it;
    # customers of 2 January, 2 February and 5 March; mature up to 18 February
    assert (row["customers"], row["mature"], row["high"]) == (3, 2, 2)
    assert row["spend"] == 310 + 31 + 280 + 2
    assert row["spend_mature"] == 310 + 31 + 180
    assert row["cost_per_customer"] == Decimal("207.666667")
    assert row["cost_per_high"] == Decimal("260.5")
    assert row["value"] == 1000


def test_months_without_spend_on_record_are_left_out_on_both_sides(world):
    for n in range(3):
        world.say(f"c{n}", Touched(channel="ads", direction="inbound"), START + n * 31 * DAY)
        world.customer(f"c{n}", START + n * 31 * DAY)
    spend = SpendRecorded(
        activity="acquire", channel="ads", amount="100", currency="EUR", includes_touch_cost=False,
        from_on=date(2023, 1, 1), to_on=date(2023, 1, 31),
    )  # fmt: skip
    world.say("ads", spend, datetime(2023, 2, 1, tzinfo=UTC))
    row = source_of(world.loop(threshold=1), "ads")

    assert (row["customers"], row["spend"], row["cost_per_customer"]) == (1, 100, 100)
    assert row["reason"].startswith("2 customers were acquired in 2 months without spend")


def test_a_source_without_spend_has_no_cost_and_the_reason(world):
    for name, channel in (("a", "web"), ("b", "usd")):
        world.say(name, Touched(channel=channel, direction="inbound"), START)
        world.customer(name, START)
    world.customer("c", START)
    abroad = Touched(channel="usd", direction="inbound", cost="5", currency="USD")
    world.say("z", abroad, START + DAY)
    empty = Touched(channel="fair", direction="inbound", cost="5", currency="EUR")
    world.say("z", empty, START + DAY)
    answer = world.loop(threshold=1)

    assert source_of(answer, "web")["spend"] is None
    assert source_of(answer, "web")["reason"] == "no spend on record for this source"
    assert "in USD, value in EUR" in source_of(answer, "usd")["reason"]
    assert "no touch by time zero" in source_of(answer, "(none)")["reason"]
    fair = source_of(answer, "fair")
    assert (fair["spend"], fair["customers"], fair["cost_per_customer"]) == (5, 0, None)
    assert "no customer counted" in fair["reason"]


def test_days_are_those_of_the_zone(world):
    world.customer("a", datetime(2023, 1, 31, 23, 30, tzinfo=UTC))
    world.say("a", Touched(channel="ads", direction="inbound"), START)
    spend = SpendRecorded(
        activity="acquire", channel="ads", amount="100", currency="EUR", includes_touch_cost=False,
        from_on=date(2023, 2, 1), to_on=date(2023, 2, 28),
    )  # fmt: skip
    world.say("ads", spend, START)

    assert source_of(world.loop(threshold=1, tz="Europe/Berlin"), "ads")["customers"] == 1
    assert source_of(world.loop(threshold=1, tz="UTC"), "ads")["customers"] == 0


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"time_zero": "signup"}, UsageError),
        ({"horizon": "36h"}, UsageError),
        ({"horizon": "a year"}, UsageError),
        ({"top": 1.5}, UsageError),
        ({"top": "x"}, UsageError),
        ({"threshold": "-1"}, UsageError),
        ({"threshold": "nan"}, UsageError),
        ({"value": "profit"}, UsageError),
        ({"currency": "euro"}, UsageError),
        ({"tz": "Mars/Base"}, UnknownName),
        ({"data_from": "2023-13-01"}, UsageError),
        ({"backfill_gap": "soon"}, UsageError),
        ({"traits": "no-such-file.toml"}, FileError),
        ({"traits": "[x]\nkind = 'odd'"}, UsageError),
    ],
)
def test_what_can_not_be_asked_says_so(world, asked, error):
    with pytest.raises(error):
        world.loop(**asked)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "no TOML"),
        ("x = 'fit'", "write a table"),
        ("[x]\nkind = 'odd'", "fit, behaviour, consequence, protected, identifier"),
        ("[x]\ntimeless = 'yes'", "true or false"),
        ("[x]\nreason = 1", "reason is a text"),
        ("[x]\nkidn = 'fit'", "no key 'kidn'"),
    ],
)
def test_traits_files_are_checked(text, message):
    with pytest.raises(UsageError, match=message):
        read_traits(text)


def test_traits_files_are_read(tmp_path):
    path = tmp_path / "traits.toml"
    path.write_text('[plan]\nkind = "consequence"\n', "utf-8")

    assert read_traits(path)["plan"].refusal is not None
    assert read_traits(str(path)) == read_traits({"plan": {"kind": "consequence"}})
    path.write_bytes(b"\xff")
    with pytest.raises(FileError, match="UTF-8"):
        read_traits(path)


def test_another_position_and_definition_are_read_from_the_facts(world):
    fill(world, 40)
    answer = world.loop(threshold=400)
    position = world.memory.position - 9
    before = loop(world.memory, Cut(position, START + 400 * DAY), B2B, horizon="30d", threshold=400)

    assert answer.meta["mature"] == 40
    assert before.meta["mature"] == 37
    assert before.meta["position"] == position


def test_real_values_are_told_from_the_rest_and_the_missing(world):
    for n in range(120):
        town = ["other", "(missing)", None][n % 3] if n < 12 else f"t{n % 54:02}"
        world.customer(f"c{n}", START + n * DAY, town=town)
    rows = rows_of(world.loop(threshold=1), "town")

    real = {level: rows[level]["customers"] for level in ("other (value)", "(missing) (value)")}
    assert real == {"other (value)": 4, "(missing) (value)": 4}
    assert rows["(missing)"]["customers"] == 4
    assert rows["other"]["customers"] == 120 - sum(
        row["customers"] for level, row in rows.items() if level != "other"
    )


def test_a_channel_called_none_is_a_source(world):
    world.say("a", Touched(channel="(none)", direction="inbound"), START)
    for name in ("a", "b"):
        world.customer(name, START + 20 * DAY)
    answer = world.loop(threshold=1)

    assert source_of(answer, "(none) (value)")["customers"] == 1
    assert source_of(answer, "(none)")["customers"] == 1
