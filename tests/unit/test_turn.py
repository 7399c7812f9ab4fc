"""One turn of the demo's loop: two logs, of which the first doesn't depend on the profile."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter, defaultdict
from itertools import islice
from typing import Any

import numpy as np
import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie.demo.turn import Turn, channels_by
from bowtie.errors import UsageError
from bowtie.profiles import load_profile, publish_profile
from bowtie_projections import Views

TEXT = """
name = "lookalike"
version = 1
starts_on = 2024-07-01
ends_on = 2025-06-30
holdout = "0.3"
[[traits]]
trait = "multi_site"
level = "true"
lift = "2.7"
[[traits]]
trait = "multi_site"
level = "false"
lift = "0.6"
[[traits]]
trait = "channel"
level = "partner"
lift = "2.9"
[[traits]]
trait = "channel"
level = "directory"
lift = "0.2"
"""
PROFILE = load_profile(TEXT)
TURN = Turn(customers=150, seed=2)


def facts(lines):
    for line in lines:
        if b'"source":"form"' not in line:  # the lines of the form are wrong on purpose
            yield json.loads(line)


@pytest.fixture(scope="module")
def second():
    return list(TURN.after(PROFILE))


def test_the_same_arguments_give_the_same_two_logs(second):
    assert list(TURN.after(PROFILE)) == second
    before = list(TURN.before())
    assert list(Turn(customers=150, seed=2).before()) == before
    assert list(islice(Turn(customers=150, seed=3).before(), 50)) != before[:50]
    assert max(fact.get("recordedtime", "") for fact in facts(before)) < "2024-07-01"
    assert min(fact.get("recordedtime", "3") for fact in facts(second)) >= "2024-07-01"
    assert not any(b"bowtie.targeted" in line for line in before)


def test_the_demo_that_does_not_go_on_is_as_it_was():
    """Figures in tests and docs are of these very bytes."""
    digest = hashlib.sha256(b"".join(Demo(customers=100, seed=1).lines())).hexdigest()
    assert digest == "3579eb12f451d73dc13e71da45df2573519468feb72258b2c10e803e4c3df482"


def test_the_business_assigns_as_profile_assign_would(second):
    traits: dict[str, Any] = defaultdict(dict)
    assigned: dict[str, Any] = {}
    calls: Counter[str] = Counter()
    for fact in facts(second):
        match fact["type"], fact.get("data"):
            case "bowtie.touched", {"channel": "direct_outreach"}:
                calls[fact["subject"]] += 1
            case "bowtie.touched", {"channel": channel, **rest}:
                traits[fact["subject"]].setdefault("channel", channel)
                traits[fact["subject"]].setdefault("campaign", rest.get("campaign"))
            case "bowtie.traits_observed", {"traits": found}:
                said = {
                    name: json.dumps(v) if isinstance(v, bool) else v for name, v in found.items()
                }
                traits[fact["subject"]] |= said
            case "bowtie.targeted", data:
                assigned[fact["subject"]] = data
                assert fact["id"] == f"targeted/lookalike/{fact['subject']}"
                assert "2024-07-01" <= fact["time"] < "2025-07-01"
    assert len(assigned) > 5
    assert all(PROFILE.fits(traits[key]) for key in assigned)
    assert {key: data["arm"] for key, data in assigned.items()} == {
        key: PROFILE.arm(key) for key in assigned
    }
    treated = {key for key, data in assigned.items() if data["arm"] == "targeted"}
    assert {key for key, number in calls.items() if number} == treated
    assert {data["probability"] for data in assigned.values()} <= {"0.3", "0.7"}


def test_it_spends_by_the_profile():
    before, after = (Counter(one.name for one in channels) for channels in (
        channels_by(load_profile(TEXT.replace('"channel"', '"campaign"'))), channels_by(PROFILE)
    ))  # fmt: skip
    assert (before["partner"], after["partner"]) == (9, 18)
    assert (before["directory"], after["directory"]) == (16, 8)
    assert before["search"] == after["search"]
    with pytest.raises(UsageError, match="on that day or later"):
        next(TURN.after(load_profile(TEXT.replace("2024-07-01", "2024-05-01"))))


def evaluated(customers, seed, text=TEXT):
    """The rows of an evaluation, by arm."""
    turn, profile = Turn(customers, seed), load_profile(text)
    with Bowtie.open("memory://") as engine, Views.open(engine) as views:
        publish_profile(engine, text)
        engine.ingest(io.BytesIO(b"".join(turn.after(profile))))
        views.refresh()
        return {row["arm"]: row for row in views.profile_evaluation("lookalike")}


@pytest.mark.slow
def test_the_interval_covers_the_planted_effect_and_none_where_there_is_none(monkeypatch):
    """The truth: nearly all targeted against nearly all held out, of many prospects."""
    nearly_all = ('holdout = "0.3"', 'holdout = "0.01"'), ('holdout = "0.3"', 'holdout = "0.99"')
    worlds = [
        [evaluated(4_000, 1_000 + seed, TEXT.replace(*said)) for seed in range(3)]
        for said in nearly_all
    ]
    names = ("targeted", "holdout")
    truth = {}
    for what in ("value_per_prospect", "conversion"):
        means = [
            np.average([w[arm][what] for w in world], weights=[w[arm]["mature"] for w in world])
            for arm, world in zip(names, worlds, strict=True)
        ]
        truth[what] = means[0] - means[1]
    assert truth["conversion"] > 0.15
    rounds = [evaluated(1_200, seed)["difference"] for seed in range(16)]
    for what, effect in truth.items():
        covered = sum(row[f"{what}_low"] <= effect <= row[f"{what}_high"] for row in rounds)
        # of 16 intervals of 95% fewer than 12 cover by chance once in two thousand
        assert covered >= 12, (what, effect, covered)
    monkeypatch.setattr("bowtie.demo.market.PUSH", 1.0)
    nothing = [evaluated(1_200, seed)["difference"] for seed in range(16)]
    for what in truth:
        covered = sum(row[f"{what}_low"] <= 0 <= row[f"{what}_high"] for row in nothing)
        assert covered >= 12, (what, covered)
