"""The editions' metrics: over the funnel's own figures, in the milestones' own order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import DefinitionError, UsageError
from bowtie.events import (
    ContractChanged,
    ContractEnded,
    ContractSigned,
    Event,
    Noted,
    Onboarded,
    StageEntered,
    Touched,
)
from bowtie.stages import Definition, evaluate, load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.metrics import metrics
from bowtie_projections.views.metrics.pairs import pair_of
from bowtie_projections.views.revenue import revenue
from bowtie_projections.views.value import value
from bowtie_projections.views.velocity import velocity
from tests.read_tables import FilledTables, MemoryTables, Said
from tests.stages import Happened, at, journeys, on

#: A definition with two milestones in selection.
SAAS = """
name = "saas"
version = 1
[milestones]
prospect = "awareness"
mql = "education"
sql = "selection"
sal = "qualified"
win = "commitment"
[[stages.awareness]]
event = "touched"
[[stages.education]]
event = "noted"
where = { name = "lead" }
[[stages.selection]]
event = "noted"
where = { name = "demo" }
[[stages.selection]]
event = "noted"
where = { name = "discovery_call" }
milestone = "qualified"
[[stages.commitment]]
event = "contract_signed"
where = { kind = "paid" }
"""
SWAPPED = SAAS.replace(
    'sql = "selection"\nsal = "qualified"', 'sal = "qualified"\nsql = "selection"'
)


def journey(who: str, reached: int, first: int) -> list[Said]:
    """A customer that got so far, a step every ten days."""
    contract = ContractSigned(
        contract="c", kind="paid", amount="16000", list_amount="20000", per="year",
        currency="USD", starts_on=on(41),
    )  # fmt: skip
    steps = [
        Touched(channel="web", direction="inbound"),
        *(Noted(name=name, properties={}) for name in ("lead", "demo", "discovery_call")),
        contract,
    ]
    return [
        Said(who, data, at(10 * number), first + number)
        for number, data in enumerate(steps[:reached])
    ]


def log(*reached: int) -> list[Said]:
    """Customers that got so far, and a fact that makes them all mature."""
    found: list[Said] = []
    for number, steps in enumerate(reached):
        found += journey(f"c{number:05}", steps, len(found) + 1)
    return [*found, Said("last", Noted(name="x", properties={}), at(700), len(found) + 1)]


def told(memory: FilledTables, definition: Definition, **asked: Any) -> dict[str, dict[str, Any]]:
    rows = metrics(memory, Cut(memory.position), definition, **asked).rows()
    return {row["number"] or row["metric"]: row for row in rows}


@pytest.fixture
def memory(make_tables: Callable[[], FilledTables]) -> FilledTables:
    return make_tables()


def test_the_worked_example():
    """500 x .15 x .20 x .90 x .32 x (1 - .20) x 20,000 = 69,120: here 50 times as much."""
    left = {1: 25_000, 2: 3_750, 3: 750, 4: 675, 5: 216}
    steps = [n for n in range(1, 6) for _ in range(left[n] - left.get(n + 1, 0))]
    definition, memory = load_definition(SAAS), MemoryTables()
    memory.load(log(*steps), definition)
    found = told(memory, definition)

    assert [found[f"VM{n}"]["value"] for n in range(1, 6)] == [*left.values()]
    rates = [found[f"CR{n}"]["value"] for n in range(1, 5)]
    assert rates == pytest.approx([0.15, 0.20, 0.90, 0.32])
    assert found["CR5"]["metric"] == "discount_rate"
    assert found["CR5"]["value"] == pytest.approx(0.20)
    product = found["VM1"]["value"] * (1 - found["CR5"]["value"]) * 20_000
    for rate in rates:
        product *= rate
    assert product == pytest.approx(50 * 69_120)
    # the unit switches at the knot: money a month, of contracts that are paid by the year
    assert found["VM6"]["unit"] == "money a month"
    assert found["VM6"]["value"] * 12 == pytest.approx(50 * 69_120)
    assert [found[f"dt{n}"]["value"] for n in range(1, 5)] == [10, 10, 10, 10]


def test_names_by_meaning_and_numbers_by_edition(memory):
    definition = load_definition(SAAS)
    memory.load(log(5, 5, 4), definition)
    new, old = (told(memory, definition, edition=f"wbd-{year}") for year in (2026, 2022))

    assert (new["CR5"]["metric"], old["CR5"]["metric"]) == ("discount_rate", "onboarding_retention")
    assert new["CR6"]["metric"] == "onboarding_retention"
    assert (new["CR7"]["metric"], old["CR6"]["metric"]) == ("gross_retention", "gross_retention")
    assert (new["VM6"]["unit"], old["VM6"]["unit"]) == ("money a month", "customers")
    assert new["CR4"]["metric"] == old["CR4"]["metric"] == "win_rate"
    assert old["discount_rate"]["value"] == new["CR5"]["value"]
    assert all((one["value"] is None) != (one["reason"] is None) for one in new.values())


def test_the_order_of_the_milestones_is_the_definition_s(memory):
    facts = log(5, 4, 3, 3, 2)
    for text, names in ((SAAS, ["sqls", "sals"]), (SWAPPED, ["sals", "sqls"])):
        definition = load_definition(text)
        memory.load(facts, definition)
        found = told(memory, definition)
        assert [found[f"VM{n}"]["metric"] for n in (3, 4)] == names
    # who had the discovery call had the demo before: reached already
    assert (found["CR3"]["metric"], found["CR3"]["value"]) == ("sal_to_sql", 1.0)
    assert found["CR4"]["metric"] == "win_rate"


def test_figures_are_the_funnel_s_and_the_velocity_s(memory):
    without = SAAS[: SAAS.index("[mile")] + SAAS[SAAS.index("[[stages") :]
    definition = load_definition(without.replace('milestone = "qualified"', ""))
    memory.load(log(*[5] * 30, 4, 2, 1), definition)
    found = told(memory, definition)
    rows = {row["stage"]: row for row in funnel(memory, Cut(memory.position), definition).rows()}

    stages = ("awareness", "education", "selection")
    for number, stage in enumerate(stages, start=1):
        assert found[f"VM{number}"]["value"] == rows[stage]["entered"]
    assert found["VM5"]["value"] == rows["commitment"]["entered"]
    for name, stage in zip(("CR1", "CR2", "sql_to_win"), stages, strict=True):
        for own, column in (("value", "conversion"), ("of", "mature"), ("low", "conversion_low")):
            assert found[name][own] == rows[stage][column]
    steps = velocity(memory, Cut(memory.position), definition, cohort="all").rows()
    days = {row["step"]: row["days_p50"] for row in steps}
    assert found["dt1"]["value"] == days["awareness_to_education"] == 10
    assert "names no milestone sal" in found["VM4"]["reason"]
    assert "names no milestone sal" in found["CR4"]["reason"]


@given(history=journeys(), order=st.sampled_from([SAAS, SWAPPED]))
def test_cycles_begin_and_end_as_they_did(history: list[Happened], order: str) -> None:
    """Where the rules of the left half are dealt anew, no journey begins or ends at another time."""
    definition = load_definition(order.replace('"demo"', '"viewed"'))
    facts = [fact for fact in history if fact.data.type_name != "stage_entered"]
    own = [(one.opened_at, one.lost_at) for one in evaluate(definition, facts)]
    for pair in pairwise(definition.milestones):
        dealt = pair_of(definition, *pair)
        assert not isinstance(dealt, str)
        assert [(one.opened_at, one.lost_at) for one in evaluate(dealt[0], facts)] == own


def test_what_a_log_says_of_stages_alone_tells_no_milestones(memory):
    definition = load_definition(SAAS)
    facts = log(5)
    facts.append(Said("c00000", StageEntered(stage="selection"), at(15), len(facts) + 1))
    memory.load(facts, definition)
    found = told(memory, definition)

    assert "not which milestone" in found["CR3"]["reason"]
    assert found["CR2"]["value"] == 1.0


def test_rules_that_wait_for_a_stage_of_the_left_half(memory):
    definition = load_definition(
        SAAS.replace('milestone = "qualified"', 'milestone = "qualified"\nafter = "education"')
    )
    memory.load(log(5), definition)
    assert "wait for the entry" in told(memory, definition)["CR3"]["reason"]


def test_without_list_prices_there_is_no_discount(memory):
    definition = load_definition("shop")
    memory.load(log(2), definition)
    found = told(memory, definition)
    assert "list price" in found["CR5"]["reason"]
    assert "no contract" in found["VM6"]["reason"]


def paying(who: str, first: int, *said: tuple[int, Event], amount: int = 100) -> list[Said]:
    """A customer who signs on the first day, and what is said on days after it."""
    contract = ContractSigned(
        contract="c", kind="paid", amount=str(amount), per="month", currency="EUR",
        starts_on=on(0),
    )  # fmt: skip
    facts: list[tuple[int, Event]] = [(0, contract), *said]
    return [Said(who, data, at(day), first + n) for n, (day, data) in enumerate(facts)]


def changed(amount: int) -> ContractChanged:
    return ContractChanged(contract="c", kind="price", amount=str(amount), per="month")


def test_the_right_half_is_of_recurring_revenue_and_what_was_kept_of_it(memory):
    """A 100 to 150, B 100 to 0, C 100 to 80: net .767, gross .60; net = gross x (1 + CR8)."""
    facts = [
        *paying("a", 1, (200, changed(150))),
        *paying("b", 3, (200, ContractEnded(contract="c"))),
        *paying("c", 5, (200, changed(80))),
    ]
    definition = load_definition("b2b")
    memory.load(facts, definition)
    cut = Cut(memory.position, at(400))
    new, old = (
        {row["number"] or row["metric"]: row
         for row in metrics(memory, cut, definition, edition=f"wbd-{year}").rows()}
        for year in (2026, 2022)
    )  # fmt: skip
    assert (new["VM8"]["value"], new["VM8"]["of"], new["VM8"]["currency"]) == (230, 2, "EUR")
    assert old["VM8"]["value"] == 12 * 230
    assert new["CR7"]["value"] == old["CR6"]["value"] == pytest.approx(0.6)
    assert new["net_retention"]["value"] == pytest.approx(230 / 300)
    assert new["CR8"]["value"] == old["CR7"]["value"] == pytest.approx(50 / 180)
    net = new["CR7"]["value"] * (1 + new["CR8"]["value"])
    assert net == pytest.approx(new["net_retention"]["value"])
    assert {new[name]["of"] for name in ("CR7", "CR8", "net_retention")} == {3}
    (month,) = revenue(memory, cut, definition, from_=f"{on(370):%Y-%m}", to=f"{on(370):%Y-%m}")
    assert (new["CR7"]["value"], new["net_retention"]["value"]) == (
        month["grr_12m"],
        month["nrr_12m"],
    )
    (worth,) = value(memory, cut, definition).rows()
    assert new["VM9"]["value"] == old["VM9"]["value"] == float(worth["realised"])
    said = metrics(memory, cut, definition).notes
    assert any(f"of the year to the end of {on(370):%Y-%m}" in note for note in said)


def test_onboarding_retention_counts_who_left_before_first_impact(memory):
    """Customers in the older edition, their money in the newer; each of the mature."""
    facts = [
        *paying("a", 1, (30, Onboarded())),
        *paying("b", 3, (30, ContractEnded(contract="c")), amount=300),
        *paying("c", 5, (30, Onboarded()), (60, ContractEnded(contract="c"))),
        *paying("d", 8, (250, ContractEnded(contract="c"))),  # too late for its 180 days
        *[Said("e", data, at(395), 10) for data in [paying("e", 1)[0].data]],
    ]
    definition = load_definition("b2b")
    memory.load(facts, definition)
    cut = Cut(memory.position, at(400))
    new, old = (
        {row["number"] or row["metric"]: row
         for row in metrics(memory, cut, definition, edition=f"wbd-{year}").rows()}
        for year in (2026, 2022)
    )  # fmt: skip
    share = old["CR5"]
    assert (share["metric"], share["value"], share["of"]) == ("onboarding_retention", 0.75, 4)
    assert share["low"] < 0.75 < share["high"]
    assert (new["CR6"]["value"], new["CR6"]["of"]) == (pytest.approx(0.5), 4)
    # of the money that was committed, what did not leave before first impact, whenever
    assert (new["VM6"]["value"], new["VM7"]["value"]) == (700, 300)


def test_what_right_of_the_knot_can_t_be_told_says_why(memory):
    shop = load_definition("shop")
    memory.load(paying("a", 1), shop)
    found = told(memory, shop)
    assert "sees no losses" in found["VM7"]["reason"]
    assert "sees no losses" in found["CR6"]["reason"]
    assert "a year before" in found["CR7"]["reason"]
    b2b = load_definition("b2b")
    dollars = paying("b", 2)[0]
    dollars = replace(dollars, data=dollars.data.model_copy(update={"currency": "USD"}))
    memory.load([*paying("a", 1), dollars], b2b)
    rows = metrics(memory, Cut(2, at(30)), b2b).rows()
    assert [row["currency"] for row in rows if row["number"] == "VM8"] == ["EUR", "USD"]
    by_number = {row["number"]: row for row in rows}
    assert "EUR and USD" in by_number["VM9"]["reason"]
    assert "old enough" in by_number["CR6"]["reason"]
    of_cycles = told(memory, b2b, unit="cycle")
    assert "customers or accounts" in of_cycles["VM8"]["reason"]
    assert "customers, accounts" in of_cycles["VM9"]["reason"]
    memory.load([], b2b)
    nobody = told(memory, b2b)
    assert (nobody["VM8"]["reason"], nobody["VM9"]["reason"]) == (
        "nobody paid for a contract",
        "nobody committed",
    )


def test_an_edition_that_is_not_there(memory):
    memory.load(log(1))
    with pytest.raises(UsageError, match="wbd-2022 or wbd-2026"):
        told(memory, load_definition("b2b"), edition="2024")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('sal = "qualified"', 'sal = "qualifed"', "qualified"),
        ('win = "commitment"\n', "", "end at the knot"),
        ('sal = "qualified"\n', 'late = "growth"\n', "growth"),
        ("[milestones]", "[[milestones]]", "is a table"),
        ('milestone = "qualified"', "milestone = 1", "is a name"),
        ('milestone = "qualified"', 'milestone = "education"', "is a stage"),
        ('kind = "paid" }', 'kind = "paid" }\nmilestone = "x"', "left of the knot"),
        ('where = { name = "lead" }', 'where = { name = "lead" }\nmilestone = "qualified"', "already"),
        (SAAS[SAAS.index("[mile"):SAAS.index("[[stages")], "", "has no place"),
    ],
)  # fmt: skip
def test_milestones_that_are_wrong(old, new, says):
    with pytest.raises(DefinitionError, match=says):
        load_definition(SAAS.replace(old, new, 1))


def test_milestones_of_those_that_come_along():
    names = [[one.name for one in load_definition(label).milestones] for label in ("b2b", "shop")]
    assert names == [["prospect", "mql", "sql", "win"]] * 2


#: Made of two figures each.
_OF_SEVERAL = {"discount_rate", "onboarding_retention", "expansion_rate"}


@pytest.mark.slow
@pytest.mark.parametrize("edition", ["wbd-2022", "wbd-2026"])
def test_a_metric_is_explained_by_the_view_behind_it(memory, edition):
    facts = log(5, 5, 4, 3, 1)
    facts += paying("x", len(facts) + 1, (200, changed(150)))
    facts += paying("y", len(facts) + 1, (60, changed(80)), amount=120)
    definition = load_definition(SAAS)
    memory.load(facts, definition)
    cut = Cut(memory.position)
    explained = set()
    for row in metrics(memory, cut, definition, edition=edition).rows():
        if row["value"] is None:
            continue
        asked: dict[str, Any] = {
            "view": "metrics", "column": "value", "edition": edition,
            "cell": {name: row[name] for name in ("metric", "currency")},
        }  # fmt: skip
        if row["metric"] in _OF_SEVERAL:
            with pytest.raises(UsageError, match="has no members to name"):
                explanation(memory, cut, definition, **asked)
            continue
        found = explanation(memory, cut, definition, **asked)
        assert found.meta["value"] == row["value"]
        explained.add(row["metric"])
    assert explained >= {"prospects", "wins", "recurring_revenue"}
