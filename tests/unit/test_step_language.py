"""Steps as texts, dictionaries and in Python: one meaning, and mistakes that say what to write."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bowtie.errors import UsageError
from bowtie_projections.views.steps import Step
from bowtie_projections.views.steps.language import parse_exclusion, parse_step


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("touched", {"event": "touched"}),
        ("noted[name=a]", {"event": "noted", "where": {"name": "a"}}),
        ("noted[name=a|b]", {"event": "noted", "where": {"name": ["a", "b"]}}),
        ('touched[campaign="a, b]|c"]', {"event": "touched", "where": {"campaign": "a, b]|c"}}),
        (
            "order_placed[amount>1, amount<=5]",
            {"event": "order_placed", "where": {"amount": {"gt": 1, "le": "5"}}},
        ),
        (
            "noted[properties.size>=10]",
            {"event": "noted", "where": {"properties": {"size": {"ge": Decimal(10)}}}},
        ),
        ("noted[properties.gift=true]", {"event": "noted", "where": {"properties.gift": True}}),
        (
            "support_contacted[minutes!=3]",
            {"event": "support_contacted", "where": {"minutes": {"ne": 3}}},
        ),
        ("stage:selection", {"stage": "selection"}),
        ("touched | stage:growth", {"any": [{"event": "touched"}, {"stage": "growth"}]}),
        ("touched?", {"event": "touched", "optional": True}),
        (
            "touched after 1h within 7d",
            {"event": "touched", "after": "1h", "within": timedelta(days=7)},
        ),
    ],
)
def test_a_text_and_a_dictionary_mean_the_same(text, table):
    one, other = parse_step(text, 2), parse_step(table, 2)
    assert (one.same, one.optional, one.after, one.within) == (
        other.same, other.optional, other.after, other.within,
    )  # fmt: skip


def test_a_step_in_python_is_its_dictionary():
    step = Step("order_placed", {"amount": {"gt": 100}}, label="big", optional=True, after="1h")
    assert parse_step(step, 2) == parse_step(step.table, 2)
    assert parse_step(step, 2).label == "big"
    assert parse_step(Step("stage:growth"), 2).same == parse_step("stage:growth", 2).same


def test_a_step_is_called_as_it_was_written_or_named():
    assert parse_step("noted[ name = a ]", 1).label == "noted[ name = a ]"
    assert parse_step('touched within 7d as "came back"', 2).label == "came back"
    assert parse_step("touched | noted[name=a]", 1).label == "touched | noted[name=a]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an event's name is missing"),
        ("touched[", "comparison is missing"),
        ("touched[channel]", "comparison is missing"),
        ("touched[channel=]", "value of channel is missing"),
        ("touched[channel=a", "] is missing"),
        ("touched[channel=a b]", "] is missing"),
        ("touched[channel=a] x", "not understood"),
        ("touched[channel>a]", "numbers and days"),
        ("touched[channel=a, channel=b]", "compared twice"),
        ("touched[channel!=a|b]", "takes one value"),
        ("touched[direction=up]", '"inbound" or "outbound"|never "up"'),
        ("touched within 7", "not a span of time"),
        ("touched within 7d within 8d", "within twice"),
        ("touched within 1h after 2h", "nothing is after"),
        ("touched soon", "not understood"),
        ("spend_recorded", "no event 'spend_recorded'"),
        ("growth", "write stage:growth"),
        ("stage:selected", 'did you mean "selection"'),
        ("noted[properties=x]", "names no value"),
        ("noted[properties.email=x]", "sealed"),
        ("score_given[comment=x]", "sealed"),
    ],
)
def test_a_mistake_names_the_step_and_what_to_write(text, said):
    with pytest.raises(UsageError, match=r"^step 2") as raised:
        parse_step(text, 2)
    assert any(one in str(raised.value) for one in said.split("|"))


def test_a_dictionary_with_a_key_too_many():
    with pytest.raises(UsageError, match='did you mean "where"'):
        parse_step({"event": "touched", "were": {}}, 1)
    with pytest.raises(UsageError, match="names no event"):
        parse_step({"where": {}}, 1)


def test_an_exclusion_lies_between_two_steps():
    steps = [parse_step(text, n) for n, text in enumerate(["touched", "noted?", "noted"], 1)]
    assert (parse_exclusion("disqualified", steps).after, len(steps)) == (1, 3)
    found = parse_exclusion("touched[channel=x] @ 1-3", steps)
    assert (found.after, found.before, found.label) == (1, 3, "touched[channel=x]")
    for text, said in (("touched@1-2", "optional"), ("touched@3-1", "A before B")):
        with pytest.raises(UsageError, match=said):
            parse_exclusion(text, steps)
