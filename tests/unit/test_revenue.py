"""Recurring revenue: cases by hand, the published examples, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import UsageError
from bowtie.events import (
    CancellationRequested,
    ContractChanged,
    ContractEnded,
    ContractRenewed,
    ContractSigned,
    Event,
    IdentityLinked,
    MembershipStarted,
    Noted,
    Touched,
    TraitsObserved,
)
from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.answers import REVENUE
from bowtie_projections.views.beside import beside
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.revenue import revenue
from bowtie_projections.views.revenue.table import AMOUNTS, in_months
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
MOVES = AMOUNTS[1:-1]


def day(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def signed(starts: str, amount: Any = 100, contract: str = "c1", **more: Any) -> ContractSigned:
    return ContractSigned(
        **{
            "contract": contract,
            "kind": "paid",
            "amount": str(amount),
            "per": "month",
            "currency": "EUR",
            "starts_on": starts,
            **more,
        }
    )


def changed(amount: Any, contract: str = "c1", **more: Any) -> ContractChanged:
    return ContractChanged(contract=contract, kind="plan", amount=str(amount), per="month", **more)


def ended(contract: str = "c1", **more: Any) -> ContractEnded:
    return ContractEnded(contract=contract, **more)


def log(*facts: tuple[str, str, Event]) -> list[Said]:
    """Facts of (customer, day, what), recorded in this order."""
    return [Said(who, data, day(on), n) for n, (who, on, data) in enumerate(facts, start=1)]


def told(
    memory: FilledTables, facts: list[Said], as_of: str, position: int | None = None, **asked: Any
) -> list[dict[str, Any]]:
    memory.load(facts)
    cut = Cut(memory.position if position is None else position, day(as_of))
    rows = revenue(memory, cut, B2B, **asked).rows()
    for row in rows:
        assert row["start"] + sum(row[name] for name in MOVES) == row["end"]
    return rows


def moves(row: dict[str, Any]) -> dict[str, int]:
    """What moved, as whole amounts."""
    return {name: int(row[name]) for name in MOVES if row[name]}


def by_period(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    return {row["period"]: moves(row) for row in rows}


def test_an_upgrade_in_the_middle_of_a_month_counts_whole_in_that_month(memory):
    facts = log(
        ("a", "2024-01-10", signed("2024-01-10")),
        ("a", "2024-02-15", changed(150)),
    )
    rows = told(memory, facts, "2024-03-31T23:59:59.999999")
    assert by_period(rows) == {"2024-01": {"new": 100}, "2024-02": {"expansion": 50}, "2024-03": {}}
    february = rows[1]
    assert (february["start"], february["end"], february["nrr"]) == (100, 150, 1.5)
    assert (february["grr"], february["complete"]) == (1.0, True)


def test_a_downgrade_is_a_contraction_from_the_day_it_takes_effect(memory):
    facts = log(
        ("a", "2024-01-10", signed("2024-01-10")),
        ("a", "2024-01-20", changed(60, effective_on="2024-03-01")),
    )
    rows = told(memory, facts, "2024-03-31T23:59:59.999999")
    assert by_period(rows) == {
        "2024-01": {"new": 100}, "2024-02": {}, "2024-03": {"contraction": -40},
    }  # fmt: skip
    assert (rows[2]["grr"], rows[2]["nrr"]) == (0.6, 0.6)


def test_an_end_that_is_announced_counts_when_its_day_has_come(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01")),
        ("a", "2024-02-10", CancellationRequested(contract="c1", effective_on="2024-04-30")),
        ("a", "2024-02-10", ended(effective_on="2024-04-30")),
    )
    memory.load(facts)
    early = revenue(memory, Cut(3, day("2024-04-15")), B2B)
    assert by_period(early.rows())["2024-04"] == {}
    assert early.rows()[-1]["customers_end"] == 1
    assert any("1 contract will begin, change or end later" in note for note in early.notes)
    # the last day is one of service: the loss is of the day after
    assert by_period(told(memory, facts, "2024-04-30T12:00"))["2024-04"] == {}
    late = told(memory, facts, "2024-05-31T23:59:59.999999")
    assert by_period(late)["2024-05"] == {"churned": -100}
    assert (late[-1]["customers_lost"], late[-1]["lost_share"], late[-1]["grr"]) == (1, 1.0, 0.0)


def test_a_contract_that_is_not_renewed_counts_for_its_grace_and_then_lapses(memory):
    facts = log(("a", "2024-01-01", signed("2024-01-01", ends_on="2024-03-31")))
    in_grace = told(memory, facts, "2024-04-30T12:00")
    assert by_period(in_grace)["2024-04"] == {}
    assert [int(row["in_grace"]) for row in in_grace] == [0, 0, 0, 100]
    over = told(memory, facts, "2024-05-01T12:00")
    # not on the day that the grace was over, but on the first without service
    assert by_period(over)["2024-04"] == {"churned": -100}
    assert not any(row["in_grace"] for row in over)
    renewal = ContractRenewed(contract="c1", amount="120", per="month")
    renewed = [*facts, Said("a", renewal, day("2024-05-20"), 2)]
    again = told(memory, renewed, "2024-05-31T12:00")
    assert by_period(again)["2024-04"] == {"expansion": 20}


def test_a_contract_that_renews_itself_runs_on(memory):
    facts = log(("a", "2024-01-01", signed("2024-01-01", ends_on="2024-03-31", auto_renews=True)))
    rows = told(memory, facts, "2025-03-31T12:00")
    assert (rows[-1]["end"], rows[-1]["in_grace"]) == (100, 0)


def test_who_comes_back_after_a_gap_is_reactivated_and_not_new(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01")),
        ("a", "2024-02-29", ended()),
        ("a", "2024-06-10", signed("2024-06-10", 80, "c2")),
    )
    rows = told(memory, facts, "2025-02-28T23:59:59.999999")
    found = by_period(rows)
    assert found["2024-03"] == {"churned": -100}
    assert found["2024-06"] == {"reactivated": 80}
    june = next(row for row in rows if row["period"] == "2024-06")
    assert (june["customers_new"], june["customers_back"], june["nrr"]) == (0, 1, None)
    # within the twelve months it left and came back: what it pays at the end counts
    year = next(row for row in rows if row["period"] == "2025-01")
    assert (year["start_12m"], year["nrr_12m"], year["grr_12m"]) == (100, 0.8, 0.8)


def test_of_two_contracts_one_that_ends_is_a_contraction_and_the_last_the_loss(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01")),
        ("a", "2024-02-01", signed("2024-02-01", 30, "c2")),
        ("a", "2024-03-15", ended("c2")),
        ("a", "2024-04-15", ended("c1")),
    )
    assert by_period(told(memory, facts, "2024-04-30T12:00")) == {
        "2024-01": {"new": 100}, "2024-02": {"expansion": 30},
        "2024-03": {"contraction": -30}, "2024-04": {"churned": -100},
    }  # fmt: skip


def test_one_contract_for_another_on_one_day_is_the_difference(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01")),
        ("a", "2024-02-10", signed("2024-02-10", 130, "c2", replaces="c1")),
    )
    for movements in ("net", "daily"):
        found = by_period(told(memory, facts, "2024-02-28T12:00", movements=movements))
        assert found["2024-02"] == {"expansion": 30}


def test_up_and_down_within_a_month_is_nothing_net_and_both_by_the_day(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01")),
        ("a", "2024-02-10", changed(150)),
        ("a", "2024-02-20", changed(100)),
        ("b", "2024-02-05", signed("2024-02-05", 10)),
        ("b", "2024-02-15", ended()),
        ("b", "2024-02-20", signed("2024-02-20", 20, "c2")),
        ("b", "2024-02-25", ended("c2")),
    )
    memory.load(facts)
    cut = Cut(7, day("2024-02-29T23:59:59.999999"))
    net = revenue(memory, cut, B2B)
    assert moves(net.rows()[1]) == {}
    assert any("1 time somebody came and went" in note for note in net.notes)
    daily = revenue(memory, cut, B2B, movements="daily").rows()[1]
    assert moves(daily) == {
        "new": 10, "expansion": 50, "contraction": -50, "churned": -30, "reactivated": 20,
    }  # fmt: skip
    assert (daily["customers_new"], daily["customers_lost"], daily["customers_back"]) == (1, 2, 1)
    # the rates compare the start with the end
    assert (daily["grr"], daily["nrr"]) == (1.0, 1.0)


def test_who_only_came_and_went_within_a_period_is_said_and_not_lost_sight_of(memory):
    facts = log(("a", "2024-02-05", signed("2024-02-05")), ("a", "2024-02-15", ended()))
    memory.load(facts)
    answer = revenue(memory, Cut(2, day("2024-03-31T12:00")), B2B)
    assert by_period(answer.rows()) == {"2024-02": {}, "2024-03": {}}
    assert any("1 time somebody came and went" in note for note in answer.notes)
    memory.load([*facts, Said("a", signed("2024-03-05", 70, "c2"), day("2024-03-05"), 3)])
    again = revenue(memory, Cut(3, day("2024-03-31T12:00")), B2B).rows()
    assert by_period(again)["2024-03"] == {"reactivated": 70}


def test_net_movements_of_months_are_no_quarter_s_but_daily_ones_add_up(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01")),
        ("a", "2024-05-10", changed(150)),
        ("a", "2024-06-10", changed(120)),
    )

    def total(every: str, movements: str) -> tuple[int, int]:
        rows = told(memory, facts, "2024-06-30T12:00", every=every, movements=movements)
        return tuple(int(sum(row[name] for row in rows)) for name in ("expansion", "contraction"))  # type: ignore[return-value]

    assert (total("month", "net"), total("quarter", "net")) == ((50, -30), (20, 0))
    assert total("month", "daily") == total("quarter", "daily") == (50, -30)


def test_a_correction_recorded_later_is_seen_by_what_was_known_after_it(memory):
    wrong = Said("a", signed("2024-01-01", 100), day("2024-01-01"), 1, retracted_position=2)
    right = Said("a", signed("2024-01-01", 90), day("2024-01-01"), 3)
    late = Said("a", changed(70, effective_on="2024-02-01"), day("2024-02-01"), 4)
    facts = [wrong, right, late]
    assert by_period(told(memory, facts, "2024-02-28T12:00", position=1)) == {
        "2024-01": {"new": 100}, "2024-02": {},
    }  # fmt: skip
    assert by_period(told(memory, facts, "2024-02-28T12:00", position=3)) == {
        "2024-01": {"new": 90}, "2024-02": {},
    }  # fmt: skip
    assert by_period(told(memory, facts, "2024-02-28T12:00")) == {
        "2024-01": {"new": 90}, "2024-02": {"contraction": -20},
    }  # fmt: skip


def test_a_figure_names_who_makes_it_and_what_was_said_of_their_contracts(memory):
    facts = log(
        *((who, "2024-01-01", signed("2024-01-01", motion="field")) for who in "abc"),
        ("a", "2024-02-10", changed(150)),
        ("b", "2024-02-10", ended()),
        ("c", "2024-02-10", changed(80)),
        ("c", "2024-05-01", changed(90)),
    )
    memory.load(facts)
    cut = Cut(7, day("2024-05-31T23:59:59.999999"))

    def explained(column: str, **asked: Any) -> tuple[Any, dict[str, set[int]]]:
        cell = {"period": "2024-02", "currency": "EUR"}
        found = explanation(memory, cut, B2B, view="revenue", cell=cell, column=column, **asked)
        named: dict[str, set[int]] = {}
        for row in found.rows():
            named.setdefault(row["customer"], set()).add(row["position"])
        return found.meta["value"], named

    assert explained("contraction") == (-20, {"c": {3, 6}})  # and nothing that came after
    assert explained("customers_lost") == (1, {"b": {2, 5}})
    assert explained("end", per="year", by="motion") == (2760, {"a": {1, 4}, "c": {3, 6}})
    rate, named = explained("grr")
    assert (rate, set(named)) == (pytest.approx(0.6), {"a", "b", "c"})
    assert explained("reactivated") == (0, {})
    with pytest.raises(UsageError, match="names the row"):
        explained("complete")


def test_what_moved_contracts_is_told_by_why(memory):
    def by(kind: str, amount: int) -> ContractChanged:
        return ContractChanged(contract="c1", kind=kind, amount=str(amount), per="month")

    facts = log(
        ("a", "2024-01-01", signed("2024-01-01", 10, ends_on="2024-02-20")),
        ("a", "2024-02-02", by("price", 11)),
        ("a", "2024-02-03", by("quantity", 9)),
        ("a", "2024-02-04", by("discount", 8)),
        ("a", "2024-02-05", by("contracted_step", 12)),
        ("a", "2024-02-20", ContractRenewed(contract="c1", amount="15", per="month")),
        ("a", "2024-02-25", signed("2024-02-25", 40, "c2")),
        ("a", "2024-02-27", ended("c2")),
        ("b", "2024-02-27", signed("2024-02-27", 1, "c3")),
    )
    memory.load(facts)
    answer = revenue(memory, Cut(9, day("2024-02-29T12:00")), B2B, changes=True, from_="2024-02")
    found = {
        row["because"]: (row["times"], int(row["more"]), int(row["less"]))
        for row in answer.part("changes").rows()
    }
    assert found == {
        "signed": (2, 41, 0), "renewed": (1, 3, 0), "quantity": (1, 0, -2), "price": (1, 1, 0),
        "discount": (1, 0, -1), "contracted_step": (1, 4, 0), "ended": (1, 0, -40),
    }  # fmt: skip
    assert moves(answer.rows()[0]) == {"new": 1, "expansion": 5}
    assert "changes" not in revenue(memory, Cut(9), B2B).parts


def test_what_is_agreed_later_counts_from_the_day_it_is_effective(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01")),
        ("a", "2024-04-02", changed(150, effective_on="2024-02-01")),
    )
    # as of March nobody had agreed to it yet
    assert by_period(told(memory, facts, "2024-03-31T12:00"))["2024-02"] == {}
    assert by_period(told(memory, facts, "2024-04-30T12:00"))["2024-02"] == {"expansion": 50}


def test_currencies_are_told_apart_and_never_added(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01", 100)),
        ("a", "2024-01-01", signed("2024-01-01", 7, "c2", currency="USD")),
        ("b", "2024-02-01", signed("2024-02-01", 9, "c3", currency="USD")),
    )
    memory.load(facts)
    answer = revenue(memory, Cut(3, day("2024-02-29T12:00")), B2B)
    found = {(row["period"], row["currency"]): int(row["end"]) for row in answer.rows()}
    assert found == {
        ("2024-01", "EUR"): 100, ("2024-02", "EUR"): 100,
        ("2024-01", "USD"): 7, ("2024-02", "USD"): 16,
    }  # fmt: skip
    assert any("EUR and USD are never added" in note for note in answer.notes)
    assert answer.sentence.startswith("1 customer pays in EUR and 2 customers pay in USD for")
    only = revenue(memory, Cut(3, day("2024-02-29T12:00")), B2B, currency="USD").rows()
    assert [int(row["end"]) for row in only] == [7, 16]
    with pytest.raises(UsageError, match="contracts are in: EUR, USD"):
        revenue(memory, Cut(3), B2B, currency="CHF")


def test_two_customers_found_to_be_one_lose_nothing_and_gain_nothing(memory):
    facts = log(
        ("old", "2024-01-01", signed("2024-01-01")),
        ("old", "2024-03-31", ended()),
        ("new", "2024-04-01", signed("2024-04-01", 120, "c2")),
        ("new", "2024-05-01", IdentityLinked(alias="old")),
    )
    before = told(memory, facts, "2024-04-30T12:00", position=3)
    assert by_period(before)["2024-04"] == {"new": 120, "churned": -100}
    merged = told(memory, facts, "2024-05-31T12:00")
    assert by_period(merged)["2024-04"] == {"expansion": 20}
    assert [row["customers_end"] for row in merged] == [1] * 5


def test_an_account_pays_while_any_of_its_members_does(memory):
    facts = log(
        ("p", "2024-01-01", MembershipStarted(account="acme")),
        ("q", "2024-01-01", MembershipStarted(account="acme")),
        ("p", "2024-01-10", signed("2024-01-10")),
        ("q", "2024-02-10", signed("2024-02-10", 40, "c2")),
        ("p", "2024-03-10", ended()),
    )
    persons = told(memory, facts, "2024-03-31T12:00")
    assert by_period(persons)["2024-03"] == {"churned": -100}
    accounts = told(memory, facts, "2024-03-31T12:00", unit="account")
    assert [row["customers_end"] for row in accounts] == [1, 1, 1]


def test_free_trials_and_pilots_are_no_revenue(memory):
    facts = log(
        ("a", "2024-01-01", signed("2024-01-01", 100, "t", kind="trial")),
        ("a", "2024-02-01", signed("2024-02-01", 100, "c1")),
        ("b", "2024-02-01", signed("2024-02-01", 0, "c2")),
    )
    rows = told(memory, facts, "2024-02-29T12:00")
    assert [(row["period"], row["customers_end"]) for row in rows] == [("2024-02", 1)]


def test_the_movements_of_chartmogul_s_example(memory):
    """4 seats at 500 a year: new 166.67; silver twice: expansion 60; and so on to its return."""
    facts = log(
        ("a", "2024-01-05", signed("2024-01-05", 2000, "gold", per="year")),
        ("a", "2024-02-05", signed("2024-02-05", 60, "silver")),
        ("a", "2024-03-05", ended("silver")),
        ("a", "2024-04-05", ended("gold", effective_on="2025-01-04")),
        ("a", "2025-05-05", signed("2025-05-05", 30, "silver again")),
    )
    found = {row["period"]: row for row in told(memory, facts, "2025-05-31T12:00")}
    assert round(found["2024-01"]["new"], 2) == Decimal("166.67")
    assert (found["2024-02"]["expansion"], found["2024-03"]["contraction"]) == (60, -60)
    # its last paid period goes on to the fourth of January
    assert found["2024-12"]["end"] == found["2024-01"]["new"] == -found["2025-01"]["churned"]
    assert found["2025-05"]["reactivated"] == 30


def test_gross_retention_takes_the_lesser_of_each_customer(memory):
    """A 100 to 150, B 100 to 0, C 100 to 80: net .767; gross .60, and no .767 of the totals."""
    facts = log(
        *((who, "2024-01-01", signed("2024-01-01")) for who in "abc"),
        ("a", "2024-02-10", changed(150)),
        ("b", "2024-02-10", ended()),
        ("c", "2024-02-10", changed(80)),
    )
    row = told(memory, facts, "2024-02-29T23:59:59.999999")[1]
    assert row["nrr"] == pytest.approx(230 / 300)
    assert row["grr"] == pytest.approx(180 / 300)


def test_rates_of_the_published_example_of_gross_and_net_churn(memory):
    """Of 100, churn 10, contraction 10, expansion 10: gross churn 20%, net churn 10%."""
    facts = log(
        *((who, "2024-01-01", signed("2024-01-01", amount))
          for who, amount in (("a", 10), ("b", 30), ("c", 60))),
        ("a", "2024-02-10", ended()),
        ("b", "2024-02-10", changed(20)),
        ("c", "2024-02-10", changed(70)),
    )  # fmt: skip
    row = told(memory, facts, "2024-02-29T23:59:59.999999")[1]
    assert 1 - row["grr"] == pytest.approx(0.20)
    assert 1 - row["nrr"] == pytest.approx(0.10)


def test_rates_wait_for_the_end_of_a_period_and_are_null_where_nothing_was_paid(memory):
    facts = log(("a", "2024-01-10", signed("2024-01-10")), ("a", "2024-02-10", changed(120)))
    rows = told(memory, facts, "2024-02-28T12:00")
    assert [row["complete"] for row in rows] == [True, False]
    assert rows[0]["grr"] is None  # nobody paid at its start
    assert (rows[1]["grr"], rows[1]["nrr"], rows[1]["lost_share"]) == (None, None, None)
    covered = told(memory, facts, "2024-02-28T12:00", data_through="2024-02-29")
    assert (covered[1]["complete"], covered[1]["nrr"]) == (True, 1.2)
    since = told(memory, facts, "2024-03-31T23:59:59.999999", data_from="2024-01-15")
    assert [row["complete"] for row in since] == [False, True, True]


def test_a_period_is_one_of_the_zone(memory):
    facts = [Said("a", signed("2024-02-01"), day("2024-01-31T22:00"), 1),
             Said("a", ended(), day("2024-02-29T23:30"), 2)]  # fmt: skip
    # told on the last of February: in Tokyo that was the first of March, a day of service
    utc, tokyo = (
        by_period(told(memory, facts, "2024-03-01T12:00", tz=tz)) for tz in ("UTC", "Asia/Tokyo")
    )
    assert (utc["2024-03"], tokyo["2024-03"]) == ({"churned": -100}, {})


def test_breakdowns_are_of_the_first_signing_and_add_up_to_the_whole(memory):
    facts = log(
        ("a", "2023-12-01", Touched(channel="ads", direction="inbound")),
        ("b", "2023-12-01", Touched(channel="seo", direction="inbound")),
        ("a", "2023-12-02", TraitsObserved(traits={"size": "small"})),
        ("a", "2024-01-01", signed("2024-01-01", 100, motion="field")),
        ("a", "2024-02-01", TraitsObserved(traits={"size": "large"})),
        ("a", "2024-02-01", signed("2024-02-01", 50, "c2", motion="partner")),
        ("b", "2024-02-01", signed("2024-02-01", 30, "c3")),
        ("c", "2024-02-01", signed("2024-02-01", 20, "c4", motion="field")),
    )
    whole = told(memory, facts, "2024-02-29T12:00")
    by_motion = told(memory, facts, "2024-02-29T12:00", by="motion")
    assert {(row["motion"], row["period"]): moves(row) for row in by_motion} == {
        ("field", "2024-01"): {"new": 100}, ("field", "2024-02"): {"new": 20, "expansion": 50},
        (None, "2024-02"): {"new": 30},
    }  # fmt: skip
    for by in ("motion", ["channel", "trait.size"]):
        parts = told(memory, facts, "2024-02-29T12:00", by=by, top=1)
        for row in whole:
            own = [part for part in parts if part["period"] == row["period"]]
            for name in (*MOVES, "end", "customers_end"):
                assert sum(part[name] for part in own) == row[name], (by, name)
    small = told(memory, facts, "2024-02-29T12:00", by="trait.size")
    assert {row["trait.size"] for row in small} == {"small", None}


def test_periods_asked_for_go_on_from_what_was_before(memory):
    facts = log(("a", "2023-06-01", signed("2023-06-01")), ("a", "2024-02-10", changed(120)))
    rows = told(memory, facts, "2024-06-30T12:00", from_="2024-01", to="2024-Q1")
    assert [row["period"] for row in rows] == ["2024-01", "2024-02", "2024-03"]
    assert rows[0]["start"] == 100
    years = told(memory, facts, "2024-06-30T12:00", every="year", per="year")
    assert [(row["period"], int(row["end"])) for row in years] == [("2023", 1200), ("2024", 1440)]


def test_a_log_without_contracts_says_so(memory):
    memory.load([])
    empty = revenue(memory, Cut(0), B2B)
    assert (len(empty), empty.sentence) == (
        0, "No customer paid for a contract in the time asked for.",
    )  # fmt: skip
    facts = log(("a", "2024-01-01", Noted(name="x", properties={})))
    assert told(memory, facts, "2024-02-01", by="channel") == []
    ahead = log(("a", "2024-01-01", signed("2024-06-01")))
    assert told(memory, ahead, "2024-02-01") == []


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"every": "week"}, "every is 'week'; write month or quarter or year"),
        ({"per": "day"}, "per is 'day'; write month or year"),
        ({"movements": "gross"}, "movements is 'gross'; write net or daily"),
        ({"unit": "opportunity"}, "unit"),
    ],
)
def test_what_can_t_be_asked_is_said(memory, asked, problem):
    memory.load([])
    with pytest.raises(UsageError, match=problem):
        revenue(memory, Cut(0), B2B, **asked)


@given(
    level=st.decimals(0, 10**6, places=6),
    moves=st.lists(st.decimals(-(10**5), 10**5, places=6), max_size=5),
)
def test_amounts_of_a_month_still_add_up(level, moves):
    start, rounded = in_months(level, moves)
    end, _ = in_months(level + sum(moves, Decimal(0)), [])
    assert start + sum(rounded, Decimal(0)) == end
    for move, shown in zip(moves, rounded, strict=True):
        assert abs(shown - move / 12) < Decimal("0.000001")
        assert bool(move) or not shown


def test_the_last_day_of_the_calendar_is_no_end(memory):
    facts = log(("a", "2024-01-01", signed("2024-01-01", ends_on="9999-12-31")))
    last = told(memory, facts, "2024-03-31T12:00")[-1]
    assert (last["end"], last["in_grace"]) == (100, 0)


def test_money_has_no_interval_to_be_compared_by(memory):
    memory.load([])
    with pytest.raises(UsageError, match="read its periods side by side"):
        beside(revenue, REVENUE)(memory, Cut(0), B2B, compare="year")
