"""Who belongs to what, by hand and as a plain reading has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused, UnknownName, UsageError
from bowtie.events import Disqualified, Noted, OrderPlaced, ProfilePublished, StageEntered, Targeted
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.members import members
from tests.read_tables import Said

B2B = load_definition("b2b")
START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Log:
    def __init__(self):
        self.facts, self._positions = [], count(1)

    def say(self, customer, data, day=0):
        at = START + day * DAY
        self.facts.append(Said(customer, data, at, next(self._positions), at))

    def entered(self, customer, stage, day=0):
        self.say(customer, StageEntered(stage=stage), day)

    def lost(self, customer, day):
        self.say(customer, Disqualified(reason_code="none"), day)

    def assigned(self, customer, arm, profile="lookalike", version="1", day=0):
        self.say(customer, Targeted(profile=profile, version=version, arm=arm), day)

    def bought(self, customer, amount, day=0):
        self.entered(customer, "commitment", day)
        self.say(customer, OrderPlaced(order="o", kind="order", amount=amount, currency="EUR"), day)


def who(tables, log, day=None, **asked):
    if log is not None:
        tables.load(log.facts, B2B)
    end = None if day is None else START + day * DAY
    answer = members(tables, Cut(tables.position, end or START + 500 * DAY), B2B, **asked)
    assert answer.sentence.startswith(f"{len(answer)} customer")
    return [row["customer"] for row in answer]


def test_who_committed_and_who_is_lost(memory):
    log = Log()
    log.entered("lead", "education")
    log.entered("gone", "education")
    log.lost("gone", 5)
    log.bought("paying", "10")
    log.bought("again", "10")
    assert who(memory, log) == ["again", "gone", "lead", "paying"]
    assert who(memory, None, of="customers") == ["again", "paying"]
    assert who(memory, None, of="lost") == ["gone"]
    assert who(memory, None, of="lost", day=4) == []


def test_tiers_are_those_that_value_tells(memory):
    log = Log()
    for name, amount in {"a": "900", "b": "90", "c": "10", "d": "1"}.items():
        log.bought(name, amount)
    log.bought("young", "9999", 480)
    asked = {"of": "tier", "horizon": "30d", "threshold": 90}
    assert who(memory, log, tier="high", **asked) == ["a", "b"]
    assert who(memory, None, tier="A", **asked) == ["a"]
    assert who(memory, None, tier="C", **asked) == ["c", "d"]
    with pytest.raises(UnknownName, match="there is high, A, B, C, none"):
        who(memory, None, tier="gold", **asked)
    assert who(memory, None, tier="high", currency="EUR", **asked) == ["a", "b"]
    with pytest.raises(Refused, match="amounts are in EUR"):
        who(memory, None, tier="high", currency="USD", **asked)
    with pytest.raises(Refused, match="nobody is said to be of high value"):
        who(memory, None, of="tier", tier="high", horizon="600d")


def published(log, name="lookalike"):
    body = '{"name": "x"}'
    log.say(
        name,
        ProfilePublished(
            name=name, version="1", body=body, sha256=sha256(body.encode()).hexdigest()
        ),
    )


def test_a_word_that_somebody_is_held_out_outweighs_all_others(memory):
    log = Log()
    published(log)
    published(log, "other")
    log.assigned("a", "targeted")
    log.assigned("b", "holdout")
    log.assigned("c", "targeted", version="2")
    log.assigned("d", "targeted")
    log.assigned("d", "holdout", day=1)
    log.assigned("a", "holdout", profile="other")
    assert who(memory, log, of="profile", profile="lookalike") == ["a", "c"]
    assert who(memory, None, of="held_out", profile="lookalike") == ["b", "d"]
    assert who(memory, None, of="held_out") == ["a", "b", "d"]
    assert who(memory, None, of="held_out", day=-1) == ["a", "b", "d"]
    with pytest.raises(UnknownName, match="bowtie profile list"):
        who(memory, None, of="profile", profile="nobody")


def test_who_withdrew_consent_once(memory):
    log = Log()
    log.say("a", Noted(name="consent_withdrawn"), 3)
    log.say("a", Noted(name="consent_given"), 4)
    log.say("b", Noted(name="consent_given"), 3)
    log.say("c", Noted(name="consent_withdrawn", properties={"purpose": "post"}), 9)
    assert who(memory, log, 5, of="withdrew") == ["a", "c"]  # it counts from its recording on


@pytest.mark.parametrize(
    "wrong",
    [
        {"of": "nobody"},
        {"of": "tier"},
        {"tier": "A"},
        {"of": "profile"},
        {"of": "lost", "profile": "x"},
    ],
)
def test_what_can_not_be_asked_is_refused(memory, wrong):
    memory.load([], B2B)
    with pytest.raises(UsageError):
        members(memory, Cut(0), B2B, **wrong)


ARMS = st.lists(st.sampled_from(["targeted", "holdout"]), max_size=3)


@given(st.dictionaries(st.sampled_from("abcdef"), ARMS, min_size=1))
def test_arms_are_those_of_a_plain_reading(memory, made):
    log = Log()
    published(log)
    for customer, arms in made.items():
        log.entered(customer, "education")
        for arm in arms:
            log.assigned(customer, arm)
    held = sorted(one for one, arms in made.items() if "holdout" in arms)
    reached = sorted(one for one, arms in made.items() if arms and "holdout" not in arms)
    assert who(memory, log, of="held_out", profile="lookalike") == held
    assert who(memory, None, of="profile", profile="lookalike") == reached
