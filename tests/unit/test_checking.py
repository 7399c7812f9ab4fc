"""What is wrong with a question in itself: told without tables, in the views' own words."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import pytest

from bowtie import Bowtie
from bowtie.errors import BowtieError
from bowtie.policies import load_policy
from bowtie.segments import load_segment
from bowtie.stages import load_definition
from bowtie_projections import Views
from bowtie_projections.checking import check_question
from bowtie_projections.questions import Questions
from tests.unit.test_views_agree import ASKED

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("funnel", {"within": "soon"}, "within: 'soon' is not a span of time"),
    ("funnel", {"by": ["channel", "channel"]}, "by names 'channel' twice"),
    ("funnel", {"by": ["motion"]}, "cohort_stage=commitment"),
    ("funnel", {"compare": "year", "from_": "2026-Q1"}, "compare needs a period"),
    ("funnel", {"targets": "nowhere.csv"}, "nowhere.csv"),
    ("funnel", {"customers": "selection"}, "STAGE:STATE"),
    ("funnel", {"position": 3, "known_at": "2025-01-01"}, "both say up to where"),
    ("funnel", {"where": ["plan"]}, "write a test such as"),
    ("funnel", {"segment_as_of": "2025-01-01"}, "name one with segment="),
    ("funnel", {"where": ["channel=web"], "segment_as_of": "then"}, "'then' is no time"),
    ("funnel", {"where": ["channel=web"], "segment_as_of": "entry"}, "cohort_stage=selection"),
    (
        "funnel",
        {"where": ["channel=web"], "segment_as_of": "entry", "cycles": True},
        "ask without cycles",
    ),
    ("stock", {"where": ["channel=web"], "segment_as_of": "entry"}, "goes with funnel, velocity"),
    ("funnel", {"touch": "second"}, "touch is 'second'"),
    ("funnel", {"colour": "red"}, "funnel has no parameter 'colour'"),
    ("flow", {"from_": "2025-13"}, "'2025-13' is no period"),
    ("stock", {"every": "month", "customers": "selection"}, "leave every= out"),
    ("stock", {"as_of": "2026-13-01"}, "'2026-13-01' is no time"),
    ("velocity", {"tz": "Mars"}, "'Mars' is no time zone"),
    ("paths", {"steps": 0}, "steps is 0"),
    ("steps", {"steps": ["nted", "touched"]}, "did you mean noted?"),
    ("repeat", {"within": "0d"}, "longer than none"),
    ("touchpoints", {"top": 0}, "top is 0"),
    ("pipeline", {"data_through": "2025-99"}, "is no period"),
    ("bottleneck", {"horizon": "long"}, "horizon"),
    ("attribution", {"models": ["best"]}, "models is 'best'"),
    ("value", {"most": 0}, "most is 0"),
    ("loop", {"horizon": "1h"}, "whole days"),
    ("metrics", {"lost_after": "x"}, "lost_after"),
    ("status", {"look_back": "-1d"}, "look_back"),
    ("status", {"tz": ""}, "'' is no time zone"),
    ("rfm", {"unit": "cycle"}, "unit is 'cycle'"),
    ("rfm", {"since": "2025-13"}, "'2025-13' is no period"),
    ("rfm", {"currency": "EURO"}, "'EURO' is no ISO 4217 code"),
    ("rfm", {"data_from": "then"}, "'then' is no period"),
    ("clv", {"data_from": "then"}, "'then' is no period"),
    ("value", {"since": "2025-13"}, "'2025-13' is no period"),
    ("retention", {"currency": "EURO"}, "'EURO' is no ISO 4217 code"),
    ("retention", {"wide": ""}, "wide is ''"),
    ("revenue", {"currency": "EURO"}, "'EURO' is no ISO 4217 code"),
    (
        "segment",
        {"segment": {"all": [{"entered": "commitment"}]}, "unit": "cycle"},
        "unit is 'cycle'",
    ),
    ("segment", {"segment": "some", "tz": "Mars"}, "'Mars' is no time zone"),
    ("definition_check", {"definition": "b2b", "unit": "seat"}, "unit is 'seat'"),
    ("definition_check", {"definition": "no.toml"}, "there is no such file"),
    ("definition_diff", {"before": "b2b", "after": "shop", "look_back": "x"}, "look_back"),
    ("definition_diff", {"before": "no.toml", "after": "shop"}, "there is no such file"),
    ("funnel", {"definition": "no.toml"}, "there is no such file"),
    ("funnel", {"definition": 'name = "b\n"'}, "definition"),
    ("funnel", {"segment": "no.toml"}, "there is no such file"),
    ("value", {"policy": "no.toml"}, "there is no such file"),
    ("diff", {"view": "funnel"}, "say what differs"),
    ("diff", {"view": "funnel", "before": {"as_of": "x"}}, "'x' is no time"),
]


@pytest.fixture(scope="module")
def views():
    with Bowtie.open("memory://") as engine:
        yield Views.open(engine)


@pytest.mark.parametrize(("view", "asked", "says"), WRONG)
def test_what_is_wrong_is_told_as_the_view_tells_it(views, view, asked, says):
    with pytest.raises(BowtieError) as told:
        check_question(view, asked)
    assert says in str(told.value)
    with pytest.raises(BowtieError) as own:
        getattr(views, view)(**asked)
    assert (type(told.value), str(told.value)) == (type(own.value), str(own.value))


@pytest.mark.parametrize(("view", "asked"), ASKED)
def test_what_views_answer_is_not_refused(view, asked):
    check_question(view, asked)


def test_what_only_tables_can_tell_is_left_to_them():
    check_question("funnel", {"by": ["no_such_trait"], "segment": "no_such_segment"})
    check_question("funnel", {"definition": "no_such/7", "by": ["segment:unheard_of"]})
    check_question("loop", {"policy": "unpublished"})
    check_question("segment", {"segment": "anything"})
    check_question("definition_check", {"definition": "unpublished/3"})
    check_question("definition_diff", {"before": "unpublished", "after": "shop"})


def test_documents_at_hand_are_taken_as_they_are():
    definition, policy = (
        load_definition("shop"),
        load_policy('name = "own"\nversion = 1\nhorizon = "365d"\n'),
    )
    check_question("value", {"definition": definition, "policy": policy})
    check_question("definition_diff", {"before": definition, "after": definition})
    check_question("funnel", {"segment": load_segment({"all": [{"entered": "commitment"}]})})


#: What names a view needs beside its parameters.
NAMED: dict[str, dict[str, Any]] = {
    "steps": {"steps": ["touched", "contract_signed"]},
    "members": {"of": "tier", "tier": "high"},
    "segment": {"segment": "some"},
    "definition_check": {"definition": "b2b"},
    "definition_diff": {"before": "b2b", "after": "shop"},
}
#: What the tables alone can tell: which traits and events there are.
OF_DATA = {"by", "active", "position"}
#: What is of no use alone.
WITH_OTHERS = {"segment_as_of", "tier", "profile"}


def parameters() -> list[tuple[str, str]]:
    """Every parameter of every view, but for switches and what the tables alone can tell."""
    found = []
    for view, method in inspect.getmembers(Questions, inspect.isfunction):
        if view.startswith(("_", "profile_")):
            continue
        asked = get_type_hints(method).get("asked")
        if asked in (None, Any):
            continue
        hints = get_type_hints(get_args(asked)[0])
        found += [
            (view, name)
            for name in hints
            if hints[name] is not bool and name not in OF_DATA | WITH_OTHERS
        ]
    return found


@pytest.mark.parametrize(("view", "name"), parameters())
def test_a_value_that_means_nothing_is_told_without_tables(view, name):
    with pytest.raises(BowtieError, match="no such value"):
        check_question(view, {**NAMED.get(view, {}), name: "no such value"})
