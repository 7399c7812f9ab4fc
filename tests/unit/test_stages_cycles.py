"""Where one cycle ends and the next begins: contracts that end, opportunities that come to nothing."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from bowtie.stages import evaluate, load_definition
from bowtie.stages.history import History
from bowtie.stages.paid import paid_intervals
from tests.stages import at, changed, ended, entered, facts, noted, on, renewed, signed

B2B = load_definition("b2b/1")


def cycles(*rows, as_of=None):
    return evaluate(B2B, facts(*rows), None if as_of is None else at(as_of))


def ends(*rows, as_of=None):
    """Of each cycle: the day it was lost, the day that could be seen, the side."""
    day = timedelta(days=1)
    return [
        ((c.lost_at - at(0)) / day, (c.lost_seen_at - at(0)) / day, c.lost_side)
        if c.lost_at and c.lost_seen_at
        else None
        for c in cycles(*rows, as_of=as_of)
    ]


def lost(day, opportunity=None):
    return day, "disqualified", {"opportunity": opportunity} if opportunity else {}


def through(*rows):
    """Of each paid contract: its first and last day (None: open), and whether it lapsed."""
    return [
        (
            (i.start - on(0)).days,
            None if i.last is None else (i.last - on(0)).days,
            i.lapsed,
        )
        for i in paid_intervals(History(facts(*rows)))
    ]


# Intervals.


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([signed(1)], [(1, None, False)]),
        ([signed(1, starts_on=on(9))], [(9, None, False)]),
        ([signed(1, ends_on=on(20))], [(1, 20, True)]),
        ([signed(1, ends_on=on(20), auto_renews=False)], [(1, 20, True)]),
        ([signed(1, ends_on=on(20), auto_renews=True)], [(1, None, False)]),
        ([signed(1, kind="trial"), signed(2, "b", amount="0"), signed(3, "c", kind="free")], []),
        ([signed(1, ends_on=date(9999, 12, 31))], [(1, None, False)]),
        # an end that is told wins over the term, before or after it
        ([signed(1, ends_on=on(20)), ended(10)], [(1, 10, False)]),
        ([signed(1, ends_on=on(20)), ended(10.7, effective_on=on(15))], [(1, 15, False)]),
        ([signed(1, ends_on=on(20)), ended(10, effective_on=on(25))], [(1, 25, False)]),
        ([signed(1, auto_renews=True), ended(10)], [(1, 10, False)]),
        # of several, the earliest last day
        ([signed(1), ended(10, effective_on=on(30)), ended(12)], [(1, 12, False)]),
        ([signed(1), ended(10, effective_on=date(9999, 1, 1))], [(1, None, False)]),
        # an end before the start is kept
        ([signed(1, starts_on=on(9)), ended(5)], [(9, 5, False)]),
        # the last renewal tells the term
        ([signed(1, ends_on=on(20)), renewed(15, ends_on=on(40))], [(1, 40, True)]),
        ([signed(1, ends_on=on(20)), renewed(15)], [(1, None, False)]),
        (
            [signed(1, ends_on=on(20)), renewed(30, ends_on=on(35)), renewed(15, ends_on=on(40))],
            [(1, 35, True)],
        ),
        ([signed(1, ends_on=on(20)), renewed(15, "other", ends_on=on(40))], [(1, 20, True)]),
        # the first signing of a contract counts
        ([signed(5, ends_on=on(9)), signed(1, ends_on=on(20))], [(1, 20, True)]),
        ([signed(1, amount="0"), signed(2, ends_on=on(20))], [(2, 20, True)]),
        # replaced: it ends the day before, unless it had ended
        ([signed(1, "a"), signed(9, "b", replaces="a")], [(1, 8, False), (9, None, False)]),
        ([signed(1, "a"), signed(9, "b", kind="free", replaces="a")], [(1, 8, False)]),
        (
            [signed(1, "a", ends_on=on(8)), signed(9, "b", replaces="a")],
            [(1, 8, False), (9, None, False)],
        ),
        (
            [signed(1, "a", ends_on=on(5)), signed(9, "b", replaces="a")],
            [(1, 5, True), (9, None, False)],
        ),
        (
            [signed(1, "a"), ended(4, "a"), signed(9, "b", replaces="a")],
            [(1, 4, False), (9, None, False)],
        ),
        (
            [signed(1, "a"), ended(12, "a"), signed(9, "b", replaces="a")],
            [(1, 8, False), (9, None, False)],
        ),
        ([signed(1, "a", replaces="a")], [(1, None, False)]),
        (
            [signed(1, "a", starts_on=date.min), signed(2, "b", kind="free", replaces="a")],
            [((date.min - on(0)).days, 1, False)],
        ),
    ],
)
def test_the_days_of_a_paid_contract(rows, expected):
    assert through(*rows) == expected


def test_a_contract_replaced_on_the_first_of_all_days():
    rows = [signed(1, "a"), signed(2, "b", kind="free", starts_on=date.min, replaces="a")]
    [interval] = paid_intervals(History(facts(*rows)))
    assert interval.last == date.min


# The end on the right.


def test_an_ended_contract_closes_the_cycle_on_the_day_after():
    assert ends(signed(1), ended(10.5)) == [(11, 11, "right")]


def test_an_end_that_is_told_late_is_seen_when_it_is_told():
    rows = [signed(1), ended(15, effective_on=on(10))]
    assert ends(*rows) == [(11, 15, "right")]
    assert ends(*rows, as_of=14) == [None]
    assert ends(*rows, as_of=15) == [(11, 15, "right")]


def test_an_end_that_lies_ahead_is_no_end_yet():
    rows = [signed(1), ended(5, effective_on=on(10))]
    assert ends(*rows, as_of=10.9) == [None]
    assert ends(*rows, as_of=11) == [(11, 11, "right")]


def test_a_contract_that_runs_out_is_active_through_the_grace():
    rows = [signed(1, ends_on=on(10))]
    assert ends(*rows) == [(11, 41, "right")]
    assert ends(*rows, as_of=40.9) == [None]
    assert ends(*rows, as_of=41) == [(11, 41, "right")]


def test_the_fact_that_ended_a_cycle_can_be_named():
    [by_end] = cycles(signed(1), ended(10))
    [by_term] = cycles(signed(1, ends_on=on(10)))
    [by_renewal] = cycles(signed(1, ends_on=on(10)), renewed(9, ends_on=on(20)))
    [by_loss] = cycles(noted(1, "lead_created"), lost(5))
    assert [c.lost_by for c in (by_end, by_term, by_renewal, by_loss)] == [2, 1, 2, 2]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # overlapping and touching contracts are one stretch
        ([signed(1, "a"), ended(20, "a"), signed(10, "b"), ended(30, "b")], [(31, 31, "right")]),
        ([signed(1, "a"), ended(9, "a"), signed(10, "b"), ended(30, "b")], [(31, 31, "right")]),
        ([signed(1, "a"), ended(30, "a"), signed(10, "b"), ended(20, "b")], [(31, 31, "right")]),
        ([signed(1, "a"), ended(20, "a"), signed(10, "b")], [None]),
        # a short one inside a long one does not shorten the stretch
        (
            [signed(1, "a"), ended(30, "a"), signed(9, "b"), ended(12, "b"), signed(25, "c")],
            [None],
        ),
        # a gap of a day parts them
        (
            [signed(1, "a"), ended(8, "a"), signed(10, "b"), ended(30, "b")],
            [(9, 9, "right"), (31, 31, "right")],
        ),
        # within the grace the next contract goes on; after it, it is a win-back
        (
            [signed(1, "a", ends_on=on(10)), signed(41, "b"), ended(50, "b")],
            [(51, 51, "right")],
        ),
        ([signed(1, "a", ends_on=on(10)), signed(42, "b")], [(11, 41, "right"), None]),
        # the greatest last day decides, and how it came to its end
        (
            [signed(1, "a", ends_on=on(20)), signed(1, "b"), ended(22, "b")],
            [(23, 23, "right")],
        ),
        (
            [signed(1, "a", ends_on=on(20)), signed(1, "b"), ended(20, "b")],
            [(21, 51, "right")],
        ),
        # replaced by what is no paid contract
        (
            [signed(1, "a"), signed(9, "b", kind="free", starts_on=on(5), replaces="a")],
            [(5, 9, "right")],
        ),
        # of two stretches that end on one day, the one that is seen last
        (
            [
                signed(1, "a", ends_on=on(5)),
                signed(1, "b", starts_on=on(50)),
                ended(3, "b", effective_on=on(5)),
            ],
            [(6, 36, "right")],
        ),
        # cancelled before it began
        ([signed(1, starts_on=on(9)), ended(5)], [(6, 6, "right")]),
    ],
)
def test_the_last_of_the_contracts_that_follow_on_each_other(rows, expected):
    assert ends(*rows) == expected


def test_win_back_opens_the_next_cycle():
    first, second = cycles(
        noted(0, "lead_created"),
        signed(1, "a"),
        signed(2, "b"),
        ended(9, "a"),
        ended(9, "b"),
        signed(50, "c"),
        signed(60, "d"),
    )
    assert first.entries == {"education": at(0), "commitment": at(1), "growth": at(2)}
    assert (second.number, second.opened_at, second.is_open) == (2, at(50), True)
    # a further contract is the second one of its own cycle
    assert second.entries == {"commitment": at(50), "growth": at(60)}


def test_a_fact_at_the_very_end_belongs_to_the_cycle_that_ends():
    rows = [signed(1), ended(9), noted(10, "lead_created")]
    assert [c.entries for c in cycles(*rows)] == [{"commitment": at(1), "education": at(10)}]
    later = [signed(1), ended(9), noted(10.01, "lead_created")]
    assert len(cycles(*later)) == 2


def test_expansion_and_renewal_stay_in_their_cycle():
    rows = [signed(1, ends_on=on(30)), changed(5, "2000"), renewed(30, ends_on=on(60))]
    [cycle] = cycles(*rows, as_of=50)
    assert cycle.entries == {"commitment": at(1), "growth": at(5)}
    assert cycle.latest["growth"] == at(30)


def test_an_end_that_is_not_seen_yet_parts_nothing():
    rows = [signed(1, ends_on=on(10)), noted(20, "lead_created")]
    assert len(cycles(*rows, as_of=30)) == 1
    assert len(cycles(*rows, as_of=41)) == 2


# The end on the left.


def test_disqualified_before_commitment_is_a_loss():
    assert ends(noted(1, "lead_created"), lost(5)) == [(5, 5, "left")]


def test_disqualified_after_commitment_is_none():
    assert ends(signed(1), lost(5)) == [None]
    assert ends(signed(5), lost(5)) == [None]
    assert ends(entered(1, "commitment"), lost(5)) == [None]


def test_after_the_last_contract_a_loss_is_on_the_left_again():
    rows = [signed(1), ended(9), noted(20, "lead_created"), lost(30)]
    assert ends(*rows) == [(10, 10, "right"), (30, 30, "left")]


def test_a_commitment_at_the_very_end_of_the_last_contract_is_over_with_it():
    rows = [signed(1), ended(9), entered(10, "commitment"), noted(20, "lead_created"), lost(30)]
    assert ends(*rows) == [(10, 10, "right"), (30, 30, "left")]


def test_at_one_moment_the_end_on_the_right_wins():
    assert ends(signed(1), ended(9), lost(10)) == [(10, 10, "right")]


def opportunity(day, name):
    return noted(day, "opportunity_created", opportunity=name)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([opportunity(1, "a"), lost(5, "a")], [(5, 5, "left")]),
        ([opportunity(1, "a"), opportunity(2, "b"), lost(5, "a")], [None]),
        ([opportunity(1, "a"), opportunity(2, "b"), lost(5, "a"), lost(6, "b")], [(6, 6, "left")]),
        ([opportunity(1, "a"), opportunity(2, "b"), lost(5)], [(5, 5, "left")]),
        # an opportunity that nobody opened
        ([opportunity(1, "a"), lost(5, "b")], [None]),
        ([noted(1, "lead_created"), lost(5, "b")], [(5, 5, "left")]),
        # any event that names one opens it
        (
            [
                opportunity(1, "a"),
                (2, "opportunity_valued", {"opportunity": "b", "amount": "1", "currency": "EUR"}),
                lost(5, "a"),
            ],
            [None],
        ),
        # a contract closes the opportunity it names, of whatever kind it is
        (
            [
                opportunity(1, "a"),
                opportunity(1, "b"),
                signed(2, kind="trial", opportunity="b"),
                lost(5, "a"),
            ],
            [(5, 5, "left")],
        ),
        # what is closed is not opened again
        (
            [
                opportunity(1, "a"),
                lost(2, "a"),
                opportunity(3, "a"),
                opportunity(3, "b"),
                lost(5, "b"),
            ],
            [(5, 5, "left")],
        ),
        # at one moment the place in the store decides
        ([lost(5, "a"), opportunity(5, "b")], [(5, 5, "left")]),
        ([opportunity(5, "b"), lost(5, "a")], [None]),
        # a number names one as its text does; an empty text names none
        ([noted(1, "quote_requested", opportunity=7), lost(5, "7")], [(5, 5, "left")]),
        ([noted(1, "quote_requested", opportunity=""), lost(5, "7")], [(5, 5, "left")]),
    ],
)
def test_a_loss_leaves_no_opportunity_open(rows, expected):
    assert ends(*rows) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (5.01, [None]),
        (95, [None]),
        (95.01, [(5, 5, "left"), None]),
        # at the very moment of the loss it precedes it
        (5, [(5, 5, "left")]),
    ],
)
def test_requalifying_soon_enough_undoes_a_loss(day, expected):
    assert ends(noted(1, "lead_created"), lost(5), noted(day, "demo_requested")) == expected


def test_what_waits_for_a_stage_undoes_no_loss():
    rows = [noted(1, "lead_created"), lost(5), (6, "referred", {"referrer": "x"})]
    assert ends(*rows) == [(5, 5, "left")]


def test_as_of_a_day_before_it_requalified_it_was_lost():
    rows = [noted(1, "lead_created"), lost(5), noted(20, "demo_requested")]
    assert ends(*rows, as_of=19) == [(5, 5, "left")]
    assert ends(*rows, as_of=20) == [None]


def test_a_loss_before_anything_was_entered_makes_no_cycle():
    [cycle] = cycles(lost(1), noted(200, "lead_created"))
    assert (cycle.number, cycle.opened_at, cycle.is_open) == (1, at(200), True)


def test_one_loss_after_another():
    rows = [noted(1, "lead_created"), lost(5), lost(6), noted(200, "lead_created")]
    assert ends(*rows) == [(5, 5, "left"), None]
