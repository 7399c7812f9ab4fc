"""Who is behind the loop's figures, against a reading of the same facts in Python."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie_projections.evidence import Evidence, Figure, every_parameter
from bowtie_projections.explaining import agreeing
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.loop import evidence, loop
from tests.loops import B2B, DAY, START
from tests.property.test_loop_traced import (
    ASKED,
    RULES,
    a_log,
    cuts_by_hand,
    level_by_hand,
)

TRAITS = ("fit", "seats", "size")

Person = dict[str, Any]


def levels_of(people: list[Person]) -> None:
    """Note each one's levels, as the loop names them."""
    bought = [one for one in people if one["committed"]]
    seats = cuts_by_hand([one["traits"]["seats"] for one in bought], 3)
    for one in people:
        fit = one["traits"]["fit"]
        one["levels"] = {
            "fit": f"{fit} (value)" if fit in {"other", "(missing)"} else fit,
            "seats": level_by_hand(one["traits"]["seats"], seats),
            "size": level_by_hand(one["traits"]["size"], (10.0, 50.5)),
        }


def median(people: list[Person]) -> Decimal:
    return Decimal(sorted(one["worth"] for one in people)[(len(people) - 1) // 2])


def mean(people: list[Person]) -> Decimal:
    exact = Fraction(sum(one["worth"] for one in people), len(people))
    return (Decimal(exact.numerator) / exact.denominator).quantize(Decimal("0.000001"))


@given(st.randoms(use_true_random=False), st.integers(3, 30))
def test_the_members_are_those_of_a_plain_reading(memory: Any, rng: Any, customers: int) -> None:
    """Some figures of one customer's levels: whoever is named is who they count, and no other."""
    log, people = a_log(rng, customers)
    for number, one in enumerate(people):
        one["name"] = f"c{number}"
    memory.load(log, B2B)
    bought = [one for one in people if one["committed"]]
    if not bought:
        return
    levels_of(people)
    one, (trait, other) = rng.choice(bought), rng.sample(TRAITS, 2)
    level = one["levels"][trait]
    asked = every_parameter(loop, {**ASKED, "traits": RULES})
    cut = Cut(memory.position, START + 260 * DAY)

    def check(part: Callable[..., Evidence], column: str, who: list[Person], value: Any) -> None:
        cell: dict[str, Any] = {
            "trait": trait, "level": level, "trait_2": other, "level_2": one["levels"][other],
            "by": by, "source": one[by_key] or "(none)",
        }  # fmt: skip
        found = part(Figure(memory, cut, B2B, asked, cell, column))
        assert agreeing(found, value, column) == len(who)
        facts = {row["customer"] for row in memory.fetch(found.facts()).to_pylist()}
        assert facts == {each["name"] for each in who}

    def rated(part: Callable[..., Evidence], who: list[Person]) -> None:
        high = [each for each in who if each["worth"] >= 20]
        told = {"customers": len(who), "high": len(high), "high_rate": len(high) / len(who)}
        column = rng.choice([*told])
        check(part, column, high if column == "high" else who, told[column])

    by, by_key = rng.choice([("channel", "source"), ("campaign", "campaign")])
    own = [each for each in bought if each["levels"][trait] == level]
    others = [each for each in bought if each not in own]
    both = [each for each in own if each["levels"][other] == one["levels"][other]]
    came = [each for each in own if each[by_key] == one[by_key]]
    known = [each for each in bought if each["traits"][trait] is not None]
    leads = [each for each in people if not each["committed"] and each["levels"][trait] == level]
    laws: list[Callable[[], None]] = [
        lambda: rated(evidence.evidence, own),
        lambda: rated(evidence.pairs, both),
        lambda: rated(evidence.origins, came),
        lambda: check(evidence.values, "value_mean", own, mean(own)),
        lambda: check(evidence.values, "value_median", own, median(own)),
        lambda: check(evidence.traits, "known", known, len(known)),
        lambda: check(evidence.prospects, "prospects", leads, len(leads)),
    ]
    if others:
        laws.append(lambda: check(evidence.values, "value_mean_others", others, mean(others)))
    for law in rng.sample(laws, 2):
        law()
