"""Who brought whom, and what partners brought, against a reading of the facts in Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused, UsageError
from bowtie.events import (
    ContractSigned,
    IdentityLinked,
    OrderPlaced,
    PartnerInvolved,
    Referred,
    StageEntered,
)
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.referrals import partners, referrals
from bowtie_projections.views.referrals.partners import ANY, NONE
from tests.behind import behind
from tests.read_tables import Said, counted

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HORIZON = timedelta(days=30)
NAMES = [f"c{n}" for n in range(7)]
people = st.sampled_from(NAMES)


def order(amount):
    return OrderPlaced(order="o", kind="order", amount=amount, currency="EUR")


def deal(partner):
    return ContractSigned(
        contract="c", kind="paid", amount=0, per="year", currency="EUR", starts_on=START.date(),
        partner=partner,
    )  # fmt: skip


facts = st.one_of(
    st.tuples(people, st.just(StageEntered(stage="commitment"))),
    st.tuples(people, st.integers(-20, 300).map(order)),
    st.tuples(
        people,
        st.builds(
            Referred,
            referrer=st.just("x"),
            referred=st.none() | people | people,
            reward=st.integers(1, 9).map(Decimal),
            currency=st.just("EUR"),
        ),
    ),
    st.tuples(
        people,
        st.builds(
            PartnerInvolved,
            partner=st.sampled_from(("p1", "p2")),
            role=st.sampled_from(("source", "reseller")),
        ),
    ),
    st.tuples(people, st.sampled_from(("p1", "p3", None)).map(deal)),
)
logs = st.lists(st.tuples(facts, st.integers(0, 60), st.integers(-1, 60)), min_size=5, max_size=45)


def log_of(said):
    """Facts as they were told; some are retracted by a later one."""
    return [
        Said(
            customer, data, START + day * DAY, place,
            retracted_position=gone if gone % 4 == 0 and place < gone <= len(said) else None,
        )
        for place, ((customer, data), day, gone) in enumerate(said, start=1)
    ]  # fmt: skip


def customers_of(known, as_of):
    """(time zero, worth or None) of each who committed, by their orders of 30 days."""
    zero: dict[str, Any] = {}
    for fact in known:
        commits = isinstance(fact.data, StageEntered) or (
            isinstance(fact.data, ContractSigned) and fact.data.amount > 0
        )
        if commits and fact.occurred_at <= as_of:
            zero[fact.customer] = min(zero.get(fact.customer, fact.occurred_at), fact.occurred_at)
    worth = {}
    for name, t0 in zero.items():
        own = [f for f in known if f.customer == name and isinstance(f.data, OrderPlaced)]
        inside = [f.data.amount for f in own if t0 <= f.occurred_at < t0 + HORIZON]
        worth[name] = (t0, sum(inside, Decimal(0)) if t0 + HORIZON <= as_of else None)
    return worth


def brought_by(known, worth):
    """By whom each was brought: the first referral that is no circle and came in time."""
    return {one: fact.customer for one, fact in told_by(known, worth).items()}


def told_by(known, worth):
    """The referral by which each was brought."""
    by: dict[str, str] = {}
    told = {}
    said = [f for f in known if isinstance(f.data, Referred)]
    for fact in sorted(said, key=lambda f: (f.occurred_at, f.position)):
        one, other = fact.data.referred, fact.customer
        if one is None or one in by or (one in worth and fact.occurred_at > worth[one][0]):
            continue
        chain, above = {other}, other
        while above in by:
            above = by[above]
            chain.add(above)
        if one not in chain:
            by[one], told[one] = other, fact
    return told


def depth_of(name, by):
    depth = 0
    while name in by:
        name, depth = by[name], depth + 1
    return depth


@given(logs, st.integers(20, 100), st.integers(5, 60))
def test_referrals_are_those_of_reading_the_facts(memory, said, until, position):
    log, as_of = log_of(said), START + until * DAY
    memory.load(log, B2B)
    cut = Cut(min(position, memory.position), as_of)
    known = [f for f in counted(log, cut.position) if f.occurred_at <= as_of]
    worth = customers_of(known, as_of)
    by = brought_by(known, worth)
    answer = referrals(memory, cut, B2B, horizon=HORIZON, data_from="2024-01-01", most=99)

    expected: dict[str, dict[str, Any]] = {}
    for fact in known:
        if isinstance(fact.data, Referred):
            row = expected.setdefault(fact.customer, defaultdict(int))
            row["referrals"] += 1
            row["rewards"] += fact.data.reward
    for name, referrer in by.items():
        expected[referrer]["brought"] += 1
        above, prefix = referrer, ""
        while True:
            for kind in ("", "chain_") if not prefix else ("chain_",):
                if name in worth:
                    expected[above][f"{kind}customers"] += 1
                    if worth[name][1] is not None:
                        expected[above][f"{kind}mature"] += 1
                        expected[above][f"{kind}value"] += worth[name][1]
            prefix = "chain_"
            if above not in by:
                break
            above = by[above]
    found = {row["customer"]: row for row in answer}
    assert found.keys() == expected.keys()
    for name, row in found.items():
        assert {key: figure for key, figure in row.items() if key != "customer"} == {
            key: expected[name][key] for key in row if key != "customer"
        }
    # all customers are at exactly one depth
    depths: dict[str, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    for name, (_, own) in worth.items():
        cell = depths["nobody" if name not in by else str(depth_of(name, by))]
        cell[0] += 1
        cell[1] += own is not None
        cell[2] += own or 0
    told = {
        row["referrals_before"]: [row["customers"], row["mature"], row["value"]]
        for row in answer.part("depth")
        if row["customers"]
    }
    assert told == depths


@given(logs, st.integers(20, 100), st.integers(5, 60))
def test_partners_are_those_of_reading_the_facts(memory, said, until, position):
    log, as_of = log_of(said), START + until * DAY
    memory.load(log, B2B)
    cut = Cut(min(position, memory.position), as_of)
    known = [f for f in counted(log, cut.position) if f.occurred_at <= as_of]
    worth = customers_of(known, as_of)
    sourced: dict[str, str] = {}
    influenced: defaultdict[str, set[str]] = defaultdict(set)
    for fact in sorted(known, key=lambda f: (f.occurred_at, f.position)):
        partner = getattr(fact.data, "partner", None)
        if (
            partner is None
            or fact.customer not in worth
            or fact.occurred_at > worth[fact.customer][0]
        ):
            continue
        influenced[fact.customer].add(partner)
        if isinstance(fact.data, PartnerInvolved) and fact.data.role == "source":
            sourced.setdefault(fact.customer, partner)
    answer = partners(memory, cut, B2B, horizon=HORIZON, data_from="2024-01-01")
    if not known:
        assert not len(answer)
        return
    cells: dict[str, Any] = {
        name: (lambda one, name=name: name in influenced[one]) for name in ("p1", "p2", "p3")
    }
    cells |= {ANY: lambda one: bool(influenced[one]), NONE: lambda one: not influenced[one]}
    sources: dict[str, Any] = {
        name: (lambda one, name=name: sourced.get(one) == name) for name in ("p1", "p2", "p3")
    }
    sources |= {ANY: lambda one: one in sourced, NONE: lambda one: one not in sourced}
    rows = {row["partner"]: row for row in answer}
    total = sum((own or 0 for _, own in worth.values()), Decimal(0))
    for name, has in cells.items():
        row = rows.get(name)
        if row is None:
            assert not any(map(has, worth))
            continue
        for side, test in (("influenced", has), ("sourced", sources[name])):
            own = [worth[one][1] for one in worth if test(one)]
            value = sum((one or 0 for one in own), Decimal(0))
            assert row[side] == len(own)
            assert row[f"mature_{side}"] == sum(one is not None for one in own)
            assert row[f"value_{side}"] == value
            if worth:
                assert row[f"{side}_share"] == pytest.approx(len(own) / len(worth))
            if total > 0:
                assert row[f"value_{side}_share"] == pytest.approx(float(value / total))
    # what is sourced adds up, and with those of no partner it is everybody
    assert sum(row["sourced"] for name, row in rows.items() if name != ANY) == len(worth)


def above_of(name, by):
    """By whom one was brought, and by whom these were."""
    found = []
    while name in by:
        name = by[name]
        found.append(name)
    return found


def chosen(rows, names, place):
    """A figure that is not 0, if there is one."""
    cells = [(row, name) for row in rows for name in names if row[name] is not None]
    some = [(row, name) for row, name in cells if row[name]]
    return (some or cells)[place % len(some or cells)] if cells else None


#: What the views are asked here.
ASKED: dict[str, Any] = {"horizon": HORIZON, "data_from": "2024-01-01"}
COMMITTED = "entered commitment"
ONE_OF = ("customers", "mature", "value")


@given(logs, st.integers(20, 100), st.integers(5, 60), st.integers(0, 999))
def test_behind_referrals_are_who_came_and_what_said_so(memory, said, until, position, place):
    log, as_of = log_of(said), START + until * DAY
    memory.load(log, B2B)
    cut = Cut(min(position, memory.position), as_of)
    known = [f for f in counted(log, cut.position) if f.occurred_at <= as_of]
    worth = customers_of(known, as_of)
    told = told_by(known, worth)
    by = {one: fact.customer for one, fact in told.items()}
    answer = referrals(memory, cut, B2B, horizon=HORIZON, data_from="2024-01-01")

    part, names = (
        (None, ("brought", *ONE_OF, *(f"chain_{name}" for name in ONE_OF))),
        ("depth", ONE_OF),
        (None, ("referrals", "rewards")),
    )[place % 3]
    figure = chosen((answer if part is None else answer.part(part)).rows(), names, place)
    if figure is None:
        return
    row, column = figure
    key = "customer" if part is None else "referrals_before"
    named = behind(memory, cut, B2B, "referrals", row, column, part, **ASKED)
    if column in {"referrals", "rewards"}:
        said_by = [f for f in known if f.customer == row[key] and isinstance(f.data, Referred)]
        assert named == {row[key]: {"referral": {f.position for f in said_by}}}
        return
    if part is None:
        chain = column.startswith("chain_")
        own = {one for one in by if row[key] in (above_of(one, by) if chain else [by[one]])}
        own = own if column == "brought" else own & worth.keys()
    else:
        own = {one for one in worth if row[key] == str(len(above_of(one, by)) or "nobody")}
    if not column.endswith(("brought", "customers")):
        own = {one for one in own if worth[one][1] is not None}
    assert set(named) == own
    for one, roles in named.items():
        assert roles.get("referral", set()) == ({told[one].position} if one in told else set())
        before = {told[name].position for name in above_of(one, by) if name in told}
        assert roles.get("referral before", set()) == (before if part else set())
        zero = {f.occurred_at for f in known if f.position in roles[f"time zero: {COMMITTED}"]}
        assert column == "brought" or zero == {worth[one][0]}


@pytest.mark.slow
@given(logs, st.integers(20, 100), st.integers(5, 60), st.integers(0, 999))
def test_behind_partners_are_whom_they_took_part_in(memory, said, until, position, place):
    log, as_of = log_of(said), START + until * DAY
    memory.load(log, B2B)
    cut = Cut(min(position, memory.position), as_of)
    known = [f for f in counted(log, cut.position) if f.occurred_at <= as_of]
    worth = customers_of(known, as_of)
    took: defaultdict[str, list[Any]] = defaultdict(list)
    for fact in sorted(known, key=lambda f: (f.occurred_at, f.position)):
        in_time = fact.customer in worth and fact.occurred_at <= worth[fact.customer][0]
        if getattr(fact.data, "partner", None) is not None and in_time:
            took[fact.customer].append(fact)
    sourced = {
        one: next(f for f in facts if getattr(f.data, "role", None) == "source")
        for one, facts in took.items()
        if any(getattr(f.data, "role", None) == "source" for f in facts)
    }
    answer = partners(memory, cut, B2B, horizon=HORIZON, data_from="2024-01-01")
    sides = [
        f"{before}{side}"
        for side in ("sourced", "influenced")
        for before in ("", "mature_", "value_")
    ]
    figure = chosen(answer.rows(), sides, place)
    if figure is None:
        return
    column, partner = figure[1], figure[0]["partner"]
    named = behind(memory, cut, B2B, "partners", figure[0], column, **ASKED)
    by_side = {one: [fact] for one, fact in sourced.items()} if "sourced" in column else took
    expected = {
        one: {f.position for f in by_side.get(one, ()) if partner in (ANY, f.data.partner)}
        for one in worth
    }
    if not column.startswith(("sourced", "influenced")):
        expected = {one: own for one, own in expected.items() if worth[one][1] is not None}
    if partner == NONE:
        assert set(named) == {one for one in expected if not by_side.get(one)}
        return
    expected = {one: own for one, own in expected.items() if own}
    assert set(named) == set(expected)
    for one, roles in named.items():
        told = [roles[role] for role in roles if role.startswith("partner: ")]
        assert set().union(*told) == expected[one]


def test_behind_a_partner_are_customers_and_by_what_it_took_part(memory):
    said = [
        Said("a", StageEntered(stage="commitment"), START + DAY, 1),
        Said("a", order(50), START + DAY, 2),
        Said("a", PartnerInvolved(partner="p", role="source"), START, 3),
        Said("a", PartnerInvolved(partner="p", role="reseller"), START + DAY, 4),
        Said("a", PartnerInvolved(partner="p", role="source"), START + 2 * DAY, 5),
        Said("b", StageEntered(stage="commitment"), START + 80 * DAY, 6),
        Said("b", deal("p"), START + 70 * DAY, 7),
    ]
    memory.load(said, B2B)
    cut, names = Cut(7, START + 90 * DAY), ("p", NONE)
    answer = partners(memory, cut, B2B, **ASKED).rows()
    one, none = ({row["partner"]: row for row in answer}[name] for name in names)

    def told(row, column):
        return behind(memory, cut, B2B, "partners", row, column, **ASKED)

    zero = f"time zero: {COMMITTED}"
    assert told(one, "value_sourced") == {
        "a": {"partner: sourced": {3}, zero: {1}, "value: order": {2}}
    }
    assert told(one, "influenced") == {
        "a": {"partner: involved": {3, 4}, zero: {1}},
        "b": {"partner: in a contract": {7}, zero: {6}},
    }
    assert (told(one, "mature_influenced").keys(), none["influenced"]) == ({"a"}, 0)
    assert told(none, "sourced") == {"b": {zero: {6}}}


def test_what_is_a_share_or_a_mean_names_what_to_explain(memory):
    said = [
        Said("a", StageEntered(stage="commitment"), START, 1),
        Said("a", order(50), START, 2),
        Said("a", PartnerInvolved(partner="p", role="source"), START, 3),
    ]
    memory.load(said, B2B)
    cut = Cut(3, START + 90 * DAY)
    with pytest.raises(UsageError, match="explain one of: sourced, mature_sourced"):
        behind(memory, cut, B2B, "partners", {"partner": "p"}, "sourced_share")
    with pytest.raises(UsageError, match="explain one of: customers, mature, value"):
        behind(memory, cut, B2B, "referrals", {"referrals_before": "nobody"}, "value_mean", "depth")


def test_who_came_is_found_under_the_key_they_have_now(memory):
    """A visitor was referred, and turned out to be the customer globex."""
    said = [
        Said("acme", Referred(referrer="acme", referred="visitor"), START, 1),
        Said("globex", IdentityLinked(alias="visitor"), START, 2),
        Said("visitor", StageEntered(stage="awareness"), START, 3),
        Said("globex", StageEntered(stage="commitment"), START + DAY, 4),
        Said("globex", order(70), START + DAY, 5),
    ]
    memory.load(said, B2B)
    memory.execute(
        "INSERT INTO identities (customer, canonical, from_position) VALUES ('visitor', 'globex', 2)"
    )
    [row] = referrals(memory, Cut(5, START + 90 * DAY), B2B, horizon="30d").rows()
    assert (row["customer"], row["customers"], row["value"]) == ("acme", 1, 70)
    [before] = referrals(memory, Cut(1, START + 90 * DAY), B2B, horizon="30d").rows()
    assert (before["brought"], before["customers"]) == (1, 0)


def test_what_brings_nobody_is_said(memory):
    at = [START + n * DAY for n in range(6)]
    said = [
        Said("a", Referred(referrer="a"), at[0], 1),
        Said("a", Referred(referrer="a", referred="a"), at[0], 2),
        Said("b", StageEntered(stage="commitment"), at[1], 3),
        Said("a", Referred(referrer="a", referred="b"), at[2], 4),
        Said("a", Referred(referrer="a", referred="c"), at[3], 5),
        Said("b", Referred(referrer="b", referred="c"), at[4], 6),
    ]
    memory.load(said, B2B)
    answer = referrals(memory, Cut(6, at[5]), B2B, horizon="1d", most=1)
    notes = " ".join(answer.notes)
    for words in ("without the name", "customer already", "referred before", "of oneself"):
        assert words in notes
    assert "Of 2 who referred others, the first 1 are shown" in notes
    assert [row["brought"] for row in answer] == [1]


def test_what_cannot_be_asked(memory):
    memory.load([], B2B)
    for view in (referrals, partners):
        with pytest.raises(UsageError, match="whole number from 1"):
            view(memory, Cut(0), B2B, most=0)
        assert "nobody is counted" in view(memory, Cut(0), B2B).sentence
    dollars = Referred(referrer="a", referred="b", reward="5", currency="USD")
    commits = Said("a", StageEntered(stage="commitment"), START, 1)
    memory.load([commits, Said("a", order(5), START, 2), Said("a", dollars, START, 3)], B2B)
    with pytest.raises(Refused, match="EUR and USD"):
        referrals(memory, Cut(3, START + 90 * DAY), B2B, horizon="30d")
