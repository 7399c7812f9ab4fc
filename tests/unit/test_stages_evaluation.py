"""Which events enter a stage, condition by condition, and what a cycle says."""

from __future__ import annotations

from datetime import timedelta, timezone
from time import perf_counter

import pytest

from bowtie.errors import UsageError
from bowtie.stages import current_stage, evaluate, load_definition
from tests.stages import (
    Happened,
    achieved,
    at,
    changed,
    define,
    ended,
    entered,
    facts,
    noted,
    ordered,
    renewed,
    signed,
)

B2B = load_definition("b2b/1")
SHOP = load_definition("shop/1")
INBOUND = {"channel": "web", "direction": "inbound"}
OUTBOUND = {"channel": "web", "direction": "outbound"}


def entries(definition, *rows, cycle=1):
    """The day of each entry of one cycle."""
    cycles = evaluate(definition, facts(*rows))
    if len(cycles) < cycle:
        return {}
    return {s: (t - at(0)) / timedelta(days=1) for s, t in cycles[cycle - 1].entries.items()}


def when_entered(body, *rows):
    """The first and last day on which growth is entered by one condition; None if never."""
    definition = define(f"[[stages.growth]]\n{body}", head='loss = "none"')
    cycles = evaluate(definition, facts(*rows))
    days = [
        (cycle.entries["growth"] - at(0), cycle.latest["growth"] - at(0))
        for cycle in cycles
        if "growth" in cycle.entries
    ]
    return tuple(day / timedelta(days=1) for day in days[0]) if days else None


# The built-in definitions.


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        ((1, "touched", INBOUND), "awareness"),
        (noted(1, "lead_created"), "education"),
        (noted(1, "content_downloaded"), "education"),
        (noted(1, "webinar_attended"), "education"),
        (noted(1, "signed_up"), "education"),
        (noted(1, "opportunity_created"), "selection"),
        (noted(1, "demo_requested"), "selection"),
        (noted(1, "quote_requested"), "selection"),
        (signed(1, kind="trial"), "selection"),
        (signed(1, kind="pilot", amount="0"), "selection"),
        ((1, "impact_sought", {"kind": "rational", "metric": "hours"}), "selection"),
        (signed(1), "commitment"),
        (noted(1, "kickoff_held"), "onboarding"),
        ((1, "onboarded", {}), "utilization"),
        (achieved(1), "utilization"),
        (renewed(1), "growth"),
        (entered(1, "selection"), "selection"),
    ],
)
def test_b2b_one_event_enters_one_stage(row, stage):
    assert entries(B2B, row) == {stage: 1}


@pytest.mark.parametrize(
    "row",
    [
        (1, "touched", OUTBOUND),
        (1, "traits_observed", {"traits": {"industry": "retail"}}),
        noted(1, "something_else"),
        signed(1, kind="free"),
        signed(1, amount="0"),
        (1, "usage_metered", {"metric": "logins", "quantity": "1"}),
        (1, "referred", {"referrer": "other"}),
        changed(1, "900"),
        ended(1),
    ],
)
def test_b2b_what_enters_no_stage(row):
    assert entries(B2B, row) == {}


def test_b2b_usage_counts_from_commitment_on():
    usage = {"metric": "logins", "quantity": "1"}
    found = entries(B2B, (1, "usage_metered", usage), signed(2), (3, "usage_metered", usage))
    assert found == {"commitment": 2, "onboarding": 3}
    at_once = entries(B2B, signed(2), (2, "usage_metered", usage))
    assert at_once == {"commitment": 2, "onboarding": 2}


def test_b2b_growth_by_a_further_contract_referral_expansion_and_recurring_impact():
    assert entries(B2B, signed(1, "a"), signed(5, "b"))["growth"] == 5
    assert entries(B2B, signed(1), changed(5, "1300"))["growth"] == 5
    assert "growth" not in entries(B2B, signed(1), changed(5, "1100"))
    assert entries(B2B, signed(1), (5, "referred", {"referrer": "x"}))["growth"] == 5
    assert entries(B2B, (0, "referred", {"referrer": "x"}), signed(1)) == {"commitment": 1}
    impacts = [achieved(day) for day in (1, 50, 100, 150, 200)]
    assert entries(B2B, *impacts) == {"utilization": 1, "growth": 200}


def test_shop_stages():
    found = entries(
        SHOP,
        (0, "touched", INBOUND),
        noted(1, "product_viewed"),
        noted(2, "cart_added"),
        ordered(3, "20"),
        noted(5, "delivered"),
        ordered(9, "20"),
    )
    assert found == {
        "awareness": 0,
        "education": 1,
        "selection": 2,
        "commitment": 3,
        "onboarding": 5,
        "growth": 9,
    }


def test_shop_orders_of_one_day_are_one_purchase():
    rows = [ordered(3.1, "20"), ordered(3.9, "30"), ordered(4.0, "-20"), ordered(4.5, "20")]
    assert entries(SHOP, *rows) == {"commitment": 3.1}
    assert entries(SHOP, *rows, ordered(5.5, "1")) == {"commitment": 3.1, "growth": 5.5}


def test_shop_a_return_never_enters_a_stage():
    assert entries(SHOP, ordered(1, "20", "return")) == {}
    rows = [ordered(1, "20"), ordered(2, "20", "return"), ordered(3, "-5", "exchange")]
    assert entries(SHOP, *rows) == {"commitment": 1}


def test_shop_nothing_is_ever_lost():
    [cycle] = evaluate(
        SHOP, facts(noted(0, "searched"), (1, "disqualified", {}), ordered(400, "1"))
    )
    assert cycle.is_open


# Comparisons.


@pytest.mark.parametrize(
    ("where", "properties", "holds"),
    [
        ('properties.x = "pro"', {"x": "pro"}, True),
        ('properties.x = "pro"', {"x": "Pro"}, False),
        ('properties.x = "pro"', {}, False),
        ('properties.x = "pro"', {"x": None}, False),
        ('properties.x = { ne = "pro" }', {"x": "free"}, True),
        ('properties.x = { ne = "pro" }', {}, False),
        ('properties.x = ["a", 5, true]', {"x": 5}, True),
        ('properties.x = ["a", 5, true]', {"x": True}, True),
        ('properties.x = ["a", 5, true]', {"x": 1}, False),
        ("properties.x = 5", {"x": "5"}, True),
        ("properties.x = 5", {"x": "5.0"}, True),
        ("properties.x = 5", {"x": 5.0}, True),
        ("properties.x = 50", {"x": "5e1"}, True),
        ("properties.x = 5", {"x": " 5"}, False),
        ("properties.x = 5", {"x": "5 EUR"}, False),
        ("properties.x = { ne = 5 }", {"x": "five"}, False),
        ("properties.x = { ne = 5 }", {"x": 6}, True),
        ('properties.x = "5"', {"x": 5}, True),
        ("properties.x = true", {"x": "true"}, True),
        ("properties.x = false", {"x": False}, True),
        ("properties.x = { gt = 5, le = 9.5 }", {"x": 9.5}, True),
        ("properties.x = { gt = 5, le = 9.5 }", {"x": 5}, False),
        ("properties.x = { gt = 5 }", {"x": "nan"}, False),
    ],
)
def test_values_in_maps_are_compared_by_their_text(where, properties, holds):
    found = when_entered(f'event = "noted"\nwhere = {{ {where} }}', noted(1, "n", **properties))
    assert (found is not None) is holds


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ('amount = "1200.00"', True),
        ("amount = { gt = 1200 }", False),
        ("amount = { ge = 1200, lt = 1200.000001 }", True),
        ('amount = { ne = "1200" }', False),
        ("starts_on = { ge = 2024-01-02, lt = 2024-01-03 }", True),
        ("starts_on = 2024-01-02", True),
        ("ends_on = { gt = 2024-01-01 }", False),
        ("auto_renews = false", False),
        ("quantity = { ne = 5 }", False),
        ('per = ["month", "year"]', True),
        ('per = { ne = "year" }', False),
        ('kind = "paid", per = "month"', False),
    ],
)
def test_fields_are_compared_in_their_type_and_the_absent_never_hold(where, holds):
    found = when_entered(f'event = "contract_signed"\nwhere = {{ {where} }}', signed(1))
    assert (found is not None) is holds


def test_all_traits_asked_for_are_of_one_observation():
    body = 'event = "traits_observed"\nwhere = { traits.a = "x", traits.b = "y" }'
    apart = [(d, "traits_observed", {"traits": t}) for d, t in [(1, {"a": "x"}), (2, {"b": "y"})]]
    assert when_entered(body, *apart) is None
    together = (3, "traits_observed", {"traits": {"a": "x", "b": "y"}})
    assert when_entered(body, *apart, together) == (3, 3)


# Against the last value.


@pytest.mark.parametrize(
    ("key", "rows", "found"),
    [
        ("rises", [signed(1), changed(2, "1300")], (2, 2)),
        ("rises", [signed(1), changed(2, "1200")], None),
        ("falls", [signed(1), changed(2, "1100")], (2, 2)),
        ("falls", [signed(1), changed(2, "1300")], None),
        # 100 a month is what was signed: 1200 a year
        ("rises", [signed(1), changed(2, "100", "month")], None),
        ("rises", [signed(1), changed(2, "301", "quarter")], (2, 2)),
        ("rises", [changed(2, "1300")], None),
        ("rises", [changed(2, "1300"), changed(3, "1400")], (3, 3)),
        ("rises", [signed(1, "other"), changed(2, "1300")], None),
        ("rises", [signed(1, kind="free", amount="0"), changed(2, "10")], (2, 2)),
        ("rises", [signed(1), renewed(2, amount="900"), changed(3, "1000")], (3, 3)),
        # recorded in another order than it happened
        ("rises", [changed(3, "1000"), renewed(2, amount="900"), signed(1)], (3, 3)),
        # at one moment the place in the store decides
        ("rises", [changed(2, "1300"), signed(2)], None),
        ("rises", [signed(2), changed(2, "1300")], (2, 2)),
    ],
)
def test_rises_and_falls_compare_with_the_contracts_last_yearly_value(key, rows, found):
    assert when_entered(f'event = "contract_changed"\n{key} = "amount"', *rows) == found


def test_a_missing_value_is_passed_over():
    body = 'event = "contract_changed"\nrises = "list_amount"'
    rows = [signed(1, list_amount="10"), changed(2, "5"), changed(3, "5", list_amount="11")]
    assert when_entered(body, *rows) == (3, 3)


def test_where_does_not_narrow_the_values_before():
    body = 'event = "contract_changed"\nwhere = { kind = "plan" }\nrises = "amount"'
    rows = [signed(1), changed(2, "2000"), changed(3, "1500", kind="plan")]
    assert when_entered(body, *rows) is None


# Totals of a day.

TOTAL = 'event = "order_placed"\nday_total = { field = "amount", gt = 10 }'


def test_a_days_total_matches_once_at_its_first_fact():
    assert when_entered(TOTAL, ordered(1.2, "6"), ordered(1.5, "6"), ordered(2, "10")) == (1.2, 1.2)
    assert when_entered(TOTAL, ordered(1.2, "60"), ordered(1.5, "-50")) is None
    assert when_entered(TOTAL, ordered(0.9, "6"), ordered(1.5, "6")) is None


def test_currencies_are_never_added():
    assert when_entered(TOTAL, ordered(1.2, "6"), ordered(1.5, "6", currency="USD")) is None
    rows = [ordered(1.2, "6"), ordered(1.5, "12", currency="USD")]
    assert when_entered(TOTAL, *rows) == (1.5, 1.5)


def test_days_are_those_of_utc():
    zone = timezone(timedelta(hours=-5))
    late = [
        Happened(f.data, f.occurred_at.astimezone(zone), f.position)
        for f in facts(ordered(1.9, "6"), ordered(2.1, "6"))
    ]
    definition = define(f"[[stages.growth]]\n{TOTAL}")
    assert late[0].occurred_at.date() == late[1].occurred_at.date()
    assert evaluate(definition, late) == []


# Counting.


@pytest.mark.parametrize(
    ("keys", "days", "found"),
    [
        ("nth = 2", [1, 2, 3], (2, 3)),
        ("nth = 2", [1], None),
        ("nth = 2", [1, 1], (1, 1)),
        ('nth = 2\ncounted_by = "day"', [1.1, 1.2, 1.9], None),
        ('nth = 2\ncounted_by = "day"', [1.1, 1.2, 2.5, 2.7], (2.5, 2.7)),
        ('nth = 2\ncounted_by = "quarter"', [1, 89, 90.5], None),
        ('nth = 2\ncounted_by = "quarter"', [1, 89, 91, 95], (91, 95)),
        # the same quarter of the next year is another one
        ('nth = 2\ncounted_by = "quarter"', [1, 367], (367, 367)),
    ],
)
def test_the_nth_match_and_later_ones_enter(keys, days, found):
    assert when_entered(f'event = "noted"\n{keys}', *(noted(d, "n") for d in days)) == found


def test_each_value_is_counted_by_itself():
    body = 'event = "impact_achieved"\nnth = 2\neach = "metric"'
    rows = [achieved(1, "a"), achieved(2, "b"), achieved(3, "c"), achieved(4, "b")]
    assert when_entered(body, *rows) == (4, 4)


def test_what_lacks_the_value_is_not_counted():
    body = 'event = "noted"\nnth = 2\neach = "properties.x"'
    assert when_entered(body, noted(1, "n"), noted(2, "n"), noted(3, "n", x=None)) is None
    rows = [noted(1, "n", x=1), noted(2, "n", x=2), noted(3, "n", x="1")]
    assert when_entered(body, *rows) == (3, 3)


# In relation to other stages.

AFTER = define(
    """
    [[stages.commitment]]
    event = "noted"
    where = { name = "bought" }
    [[stages.onboarding]]
    event = "noted"
    where = { name = "used" }
    after = "commitment"
    [[stages.utilization]]
    event = "noted"
    where = { name = "used" }
    after = "commitment"
    within = { of = "onboarding", time = "10d" }
    nth = 3
    """
)


def test_after_counts_from_the_moment_of_the_entry():
    assert entries(AFTER, noted(1, "used")) == {}
    rows = [noted(1, "used"), noted(2, "used"), noted(2, "bought"), noted(3, "bought")]
    assert entries(AFTER, *rows) == {"commitment": 2, "onboarding": 2}


def test_within_ends_with_its_last_moment_and_nth_counts_what_is_left():
    start = [noted(1, "used"), noted(2, "bought"), noted(3, "used"), noted(4, "used")]
    assert "utilization" not in entries(AFTER, *start)
    assert entries(AFTER, *start, noted(13, "used"))["utilization"] == 13
    assert "utilization" not in entries(AFTER, *start, noted(13.01, "used"))


def test_a_stage_the_sender_names_counts_for_what_waits_for_it():
    assert entries(AFTER, entered(1, "commitment"), noted(2, "used")) == {
        "commitment": 1,
        "onboarding": 2,
    }


# What a cycle says.


def test_a_cycle_says_when_by_what_and_how_far():
    rows = [
        noted(5, "lead_created"),
        (1, "touched", INBOUND),
        (9, "touched", INBOUND),
        (1, "touched", INBOUND),
    ]
    [cycle] = evaluate(B2B, facts(*rows))
    assert (cycle.number, cycle.opened_at, cycle.stage, cycle.is_open) == (
        1,
        at(1),
        "education",
        True,
    )
    assert cycle.entries == {"awareness": at(1), "education": at(5)}
    assert cycle.latest == {"awareness": at(9), "education": at(5)}
    assert cycle.caused_by == {"awareness": 2, "education": 1}
    assert (cycle.lost_at, cycle.lost_seen_at, cycle.lost_side, cycle.lost_by) == (None,) * 4


def test_the_current_stage_is_that_of_the_open_cycle():
    assert current_stage([]) is None
    rows = [noted(1, "lead_created"), noted(0, "demo_requested")]
    assert current_stage(evaluate(B2B, facts(*rows))) == "selection"
    assert current_stage(evaluate(B2B, facts(*rows, (5, "disqualified", {})))) is None


def test_as_of_leaves_out_what_happened_later():
    rows = facts(noted(1, "lead_created"), noted(2, "demo_requested"))
    assert evaluate(B2B, rows, at(0)) == []
    assert current_stage(evaluate(B2B, rows, at(1))) == "education"
    assert current_stage(evaluate(B2B, rows, at(2))) == "selection"


def test_as_of_has_a_zone():
    with pytest.raises(UsageError, match="zone"):
        evaluate(B2B, [], at(1).replace(tzinfo=None))


def test_a_long_journey_takes_well_under_a_second():
    rows = []
    for day in range(2000):
        usage = (day, "usage_metered", {"metric": "logins", "quantity": "1"})
        rows += [usage, (day, "touched", INBOUND), achieved(day), ordered(day, "5")]
        rows += [signed(day, f"c{day}", ends_on=at(day).date()), (day, "disqualified", {})]
    journey = facts(*rows)
    started = perf_counter()
    assert evaluate(B2B, journey)
    assert perf_counter() - started < 1
