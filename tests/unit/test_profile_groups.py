"""The effect of a profile within groups: by hand, on both databases, and many of them by chance."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bowtie import Bowtie
from bowtie.errors import Refused, UnknownName, UsageError
from bowtie_projections import Views
from bowtie_projections.statistics import benjamini_hochberg
from tests.trials import PROFILE, prospects, record_trial

PEOPLE = prospects()
ARMS = ("targeted", "holdout")


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def views(request, tmp_path_factory):
    """The trial, with its tables in either database."""
    with Bowtie.open("memory://") as engine:
        record_trial(engine, PEOPLE)
        if request.param == "duckdb":
            with Views.open(engine) as views:
                yield views
            return
        server = request.getfixturevalue("postgres_server")
        with server.schema() as url, Views.open(engine, url) as views:
            yield views


def amounts(trait: str, level: str) -> list[np.ndarray]:
    """Of both arms, what those with a level brought."""
    return [
        np.array([float(p.amount) for p in PEOPLE if (p.arm, getattr(p, trait)) == (arm, level)])
        for arm in ARMS
    ]


def test_each_group_has_the_effect_of_those_who_were_in_it_when_assigned(views):
    answer = views.profile_evaluation("lookalike", by=["size", "channel"])
    groups = {(row["trait"], row["level"]): row for row in answer.part("subgroups")}
    assert [*groups] == [
        ("size", "small"), ("size", "large"), ("channel", "web"), ("channel", "fair"),
    ]  # fmt: skip
    for (trait, level), row in groups.items():
        arms = amounts(trait, level)
        assert [row[arm] for arm in ARMS] == [arm.size for arm in arms]
        known = stats.ttest_ind(*arms, equal_var=False)
        bounds = known.confidence_interval(1 - 0.05 / 8)
        found = [row[f"value_effect{side}"] for side in ("", "_low", "_high")]
        assert found == pytest.approx([arms[0].mean() - arms[1].mean(), *bounds])
        shares = [(arm > 0).mean() for arm in arms]
        assert row["conversion_effect"] == pytest.approx(shares[0] - shares[1])
        assert row["conversion_effect_low"] < row["conversion_effect"]
        assert row["reason"] is None
    assert groups["size", "large"]["value_effect_low"] > 0
    assert any(note.startswith("4 groups are told apart") for note in answer.notes)


def test_whether_effects_differ_is_asked_of_their_difference(views):
    answer = views.profile_evaluation("lookalike", by=["size", "channel"])
    tests = {(row["trait"], row["effect"]): row for row in answer.part("interaction")}
    assert len(tests) == 4
    for trait, levels in (("size", ("small", "large")), ("channel", ("web", "fair"))):
        effects, variances, freedom = [], [], []
        for level in levels:
            arms = amounts(trait, level)
            effects.append(arms[0].mean() - arms[1].mean())
            variances.append(sum(arm.var(ddof=1) / arm.size for arm in arms))
            freedom.append(stats.ttest_ind(*arms, equal_var=False).df)
        df = sum(variances) ** 2 / sum(v * v / f for v, f in zip(variances, freedom, strict=True))
        t = (effects[0] - effects[1]) / sum(variances) ** 0.5
        assert tests[trait, "value"]["p"] == pytest.approx(2 * stats.t.sf(abs(t), df))
    rows = [*tests.values()]
    assert [row["q"] for row in rows] == benjamini_hochberg([row["p"] for row in rows]).tolist()
    assert tests["size", "value"]["q"] < 0.05 < tests["channel", "value"]["q"]
    assert any("By q <= 0.05 effects differ: conversion by size" in note for note in answer.notes)


def test_a_segment_is_who_was_in_it_when_assigned(views):
    whole, part = (
        views.profile_evaluation("lookalike", **asked)
        for asked in ({}, {"where": ["size=large", "channel=web"]})
    )
    own = [p for p in PEOPLE if (p.size, p.channel) == ("large", "web")]
    for row, arm in zip(part.rows(), ARMS, strict=False):
        assert row["assigned"] == sum(p.arm == arm for p in own)
        assert row["value"] == sum(p.amount for p in own if p.arm == arm)
    assert part.part("trend").rows() == whole.part("trend").rows()
    assert f"{len(own)} of {len(PEOPLE)} customers" in part.sentence
    assert part.meta["segment"]["entry"] == "assignment"
    assert part.rows()[2]["value_detectable"] is None  # it was promised of all
    assert any("don't allow for the others" in note for note in part.notes)
    again = views.profile_evaluation("lookalike", where="size=large", segment_as_of="entry")
    assert again.rows()[0]["assigned"] == sum(
        (p.arm, p.size) == ("targeted", "large") for p in PEOPLE
    )
    nobody = views.profile_evaluation("lookalike", where="size=huge", by=["channel"])
    assert nobody.sentence.startswith("Nobody of the segment was assigned by lookalike/1.")
    assert nobody.part("subgroups").rows() == []


def test_who_is_in_a_segment_is_the_same_where_a_figure_is_explained(views):
    own = [p for p in PEOPLE if (p.size, p.arm) == ("large", "targeted")]
    asked: dict[str, Any] = {"profile": "lookalike", "where": "size=large"}
    found = views.explain(
        "profile_evaluation", cell={"arm": "targeted"}, column="assigned", **asked
    )
    assert {row["customer"] for row in found} == {p.key for p in own}
    assert "as of each one's assignment" in found.sentence


def test_no_group_is_told_before_its_time_nor_of_a_few(views):
    young = views.profile_evaluation("lookalike", by=["size"], as_of="2024-01-20")
    assert {row["reason"] for row in young.part("subgroups")} == {"not yet, from 2024-02-05"}
    assert {row["value_effect"] for row in young.part("subgroups")} == {None}
    assert {row["q"] for row in young.part("interaction")} == {None}
    assert {row["reason"] for row in young.part("interaction")} == {"not yet, from 2024-02-05"}
    few = views.profile_evaluation("lookalike", by=["campaign", "size"], where="channel=fair")
    told = {(row["trait"], row["level"]): row["reason"] for row in few.part("subgroups")}
    assert told["size", "large"] == "fewer than 20 in an arm"
    assert told["campaign", "(missing)"] is None
    assert {row["reason"] for row in few.part("interaction")} == {
        "fewer than two levels to compare"
    }


@pytest.mark.parametrize(
    ("asked", "error", "problem"),
    [
        ({"by": ["sise"]}, UnknownName, "there is size"),
        ({"by": ["age"]}, Refused, "age is protected"),
        ({"by": "size"}, UsageError, r"write \['size'\]"),
        ({"where": "size=large", "segment_as_of": "2024-01-02"}, UsageError, "assignment"),
        ({"by": ["channel"], "touch": "last"}, UsageError, "no parameter 'touch'"),
    ],
)
def test_what_can_not_be_asked_is_refused(views, asked, error, problem):
    with pytest.raises(error, match=problem):
        views.profile_evaluation("lookalike", **asked)


def test_what_has_no_groups_is_refused(views):
    with pytest.raises(UsageError, match="takes no segment"):
        views.profile_history("lookalike", where="size=large")
    drawn = PROFILE.replace("version = 1", 'version = 2\nby = "size"')
    with pytest.raises(Refused, match="levels of size were drawn"):
        views.profile_evaluation(drawn, by=["channel"])
    with Bowtie.open("memory://") as engine, Views.open(engine) as other:
        record_trial(engine, [])
        with pytest.raises(UnknownName):
            other.refresh()
            other.profile_evaluation("lookalike", by=["size"])


def test_a_trait_of_many_levels_is_refused(monkeypatch, views):
    monkeypatch.setattr("bowtie_projections.views.profile.trial._MOST_LEVELS", 1)
    with pytest.raises(Refused, match="size has 2 levels"):
        views.profile_evaluation("lookalike", by=["size"])


@pytest.mark.slow
def test_where_there_is_no_effect_few_groups_have_one(monkeypatch):
    """Of studies without any effect, at most one in twenty has an interval without 0, or a q."""
    from bowtie_projections.views.profile.subgroups import subgroups
    from bowtie_projections.views.profile.trial import Arm, Trial

    random = np.random.default_rng(5)

    def arm(size: int) -> Any:
        worth = np.where(random.random(size) < 0.5, random.lognormal(3, 0.8, size), 0)
        bought = (worth > 0).astype(float)
        counts: Any = dict.fromkeys(("assigned", "mature"), size)
        return Arm(**counts, markets=0, converted=int(bought.sum()), worth=Decimal(0), outlay=Decimal(0),
                   amounts=worth, outlays=worth, conversions=bought, levels=())  # fmt: skip

    apart = {"groups": 0, "tests": 0}
    for _ in range(600):
        groups = {
            (trait, str(level)): {name: arm(int(random.integers(20, 80))) for name in ARMS}
            for trait, level in itertools.product("abc", range(4))
        }
        trial: Any = Trial(None, {}, groups=groups)  # type: ignore[arg-type]
        parts, _ = subgroups(trial, "abc", None)
        rows = parts["subgroups"].to_pylist()
        apart["groups"] += any(
            not row[f"{what}_effect_low"] <= 0 <= row[f"{what}_effect_high"]
            for row in rows
            for what in ("conversion", "value")
        )
        apart["tests"] += min(row["q"] for row in parts["interaction"].to_pylist()) <= 0.05
    limit = stats.binom.ppf(0.999, 600, 0.05)
    assert apart["groups"] <= limit
    assert apart["tests"] <= limit
