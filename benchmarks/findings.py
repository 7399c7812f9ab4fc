"""How often the closed loop finds what is not there, and how often what is: studies over seeds.

    python benchmarks/findings.py [--seeds 400] [--only NAME]

The tests, corrections and verdicts are the view's own (`bowtie_projections.views.loop`), over
counts made here instead of in the read tables. A *finding* is a level with q <= 0.05. On null data
any finding is false: the share of seeds with one must be at most .05, but for the error of so many
seeds. Where effects are planted, the mean share of false findings among the findings must be.
Prints a table, and ends with 1 where a promise is not kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.statistics import benjamini_hochberg, lift
from bowtie_projections.stratified import fisher
from bowtie_projections.views.loop.bins import best_split
from bowtie_projections.views.loop.counts import Totals, TraitCounts
from bowtie_projections.views.loop.findings import (
    assess_traits,
    correct,
    findings,
    judge_traits,
)  # fmt: skip
from bowtie_projections.views.loop.pairs import PairCounts, Pairs, assess_pair, beam, pair_rows

Ints = NDArray[np.int64]
Random = np.random.Generator

QUARTERS = 8
_FORM = "{:58}{:>8}{:>10}{:>10}{:>9}"


@dataclass(frozen=True)
class People:
    """Customers: their acquisition quarter, and whether they are of high value."""

    quarter: Ints
    high: Ints

    @property
    def later(self) -> Ints:
        """Who belongs to the later cohorts."""
        return (self.quarter >= QUARTERS // 2).astype(np.int64)

    def count(self, *codes: tuple[Ints, int]) -> Ints:
        """Customers by each of some codes (with how many there are), quarter, part and high."""
        sizes = [size for _, size in codes] + [QUARTERS, 2, 2]
        at = np.ravel_multi_index(
            (*(code for code, _ in codes), self.quarter, self.later, self.high), sizes
        )
        return np.bincount(at, minlength=int(np.prod(sizes))).reshape(sizes).astype(np.int64)

    def totals(self) -> Totals:
        """All of them."""
        return Totals({(quarter, ""): quarter for quarter in range(QUARTERS)}, self.count(), 0)

    def trait(self, name: str, codes: Ints, *, split: bool = False) -> TraitCounts:
        """The counts of a trait, by its codes."""
        kinds = int(codes.max()) + 1
        return TraitCounts(
            name, [str(kind) for kind in range(kinds)], self.count((codes, kinds)),
            np.zeros(kinds, np.int64), kinds, len(codes), len(codes), 0, 0, split,
        )  # fmt: skip

    def split(self, name: str, numbers: NDArray[np.float64]) -> TraitCounts:
        """A numeric trait at the best split of the older half, as the view seeks it."""
        older = self.later == 0
        tried = np.unique(np.quantile(numbers[older], np.arange(1, 32) / 32))
        bins = np.searchsorted(tried, numbers, "right")
        training = People(self.quarter[older], self.high[older])
        counts = training.count((bins[older], len(tried) + 1)).sum(axis=2)
        above = numbers >= _cut(tried, best_split(counts))
        return self.trait(name, above.astype(np.int64), split=True)


def _cut(tried: NDArray[np.float64], best: int | None) -> float:
    if best is None:
        raise RuntimeError("no split leaves enough customers on both sides")
    return float(tried[best])


def judged(traits: list[TraitCounts], people: People) -> list[dict[str, Any]]:
    """The rows of the view."""
    totals = people.totals()
    return findings(judge_traits(traits, totals), totals)


def null_traits(rng: Random, people: People, count: int, *, alike: float = 0.0) -> list[Ints]:
    """Traits without meaning; every other is more usual among the older customers.

    Args:
        rng: of the seed.
        people: the customers.
        count: how many traits.
        alike: the share of customers whose values are those of the trait before.
    """
    size, found = len(people.quarter), list[Ints]()
    for number in range(count):
        kinds = 2 if number % 2 else 6
        codes = rng.integers(0, kinds, size)
        if number % 4 < 2:
            codes = np.where(rng.random(size) < 0.5 - 0.06 * people.quarter, 0, codes)
        if found:
            codes = np.where(rng.random(size) < alike, found[-1] % kinds, codes)
        found.append(codes)
    return found


def a_population(rng: Random, size: int, chance: Callable[[Ints], Any] | None = None) -> People:
    """Customers whose chance of high value falls from quarter to quarter."""
    quarter = rng.integers(0, QUARTERS, size)
    rate = 0.35 - 0.03 * quarter if chance is None else chance(quarter)
    return People(quarter, (rng.random(size) < rate).astype(np.int64))


Study = Callable[[Random], tuple[int, int, int]]


def nulls(size: int = 800, count: int = 20, alike: float = 0.0, rate: float | None = None) -> Study:
    """No trait means anything; the rate of high value is one, or falls from quarter to quarter."""

    def study(rng: Random) -> tuple[int, int, int]:
        people = a_population(rng, size, None if rate is None else lambda _: rate)
        codes = null_traits(rng, people, count, alike=alike)
        rows = judged([people.trait(f"t{n}", one) for n, one in enumerate(codes)], people)
        return _told(rows, set())

    return study


def null_splits(rng: Random) -> tuple[int, int, int]:
    """Ten numbers without meaning, each at its best split."""
    people = a_population(rng, 1600)
    return _told(
        judged([people.split(f"n{n}", rng.random(1600)) for n in range(10)], people), set()
    )


def split_on_all(rng: Random) -> tuple[int, int, int]:
    """The same, had the split been sought and tested among the same customers."""
    people = a_population(rng, 1600)
    traits = []
    for n in range(10):
        numbers = rng.random(1600)
        tried = np.quantile(numbers, np.arange(1, 32) / 32)
        counts = people.count((np.searchsorted(tried, numbers, "right"), 32))
        above = numbers >= _cut(tried, best_split(counts.sum(axis=2)))
        traits.append(people.trait(f"n{n}", above.astype(np.int64)))
    return _told(judged(traits, people), set())


def planted(size: int, effect: float, true: int = 5, count: int = 25) -> Study:
    """Some of many traits of two levels raise the chance of high value."""

    def study(rng: Random) -> tuple[int, int, int]:
        values = rng.integers(0, 2, (count, size))
        people = a_population(
            rng, size, lambda quarter: 0.1 + effect * values[:true].sum(axis=0) - 0.01 * quarter
        )
        rows = judged([people.trait(f"t{n}", values[n]) for n in range(count)], people)
        return _told(rows, {f"t{n}" for n in range(true)})

    return study


def planted_split(rng: Random) -> tuple[int, int, int]:
    """One number of ten has a step: 15% below, 30% above."""
    numbers = rng.random((10, 3000))
    people = a_population(rng, 3000, lambda quarter: 0.15 + 0.15 * (numbers[0] > 0.6) + 0 * quarter)
    rows = judged([people.split(f"n{n}", one) for n, one in enumerate(numbers)], people)
    return _told(rows, {"n0"})


def paired(size: int, together: float, alone: float = 0.0) -> Study:
    """Six traits of two levels; the first two raise the chance together, and each alone."""

    def study(rng: Random) -> tuple[int, int, int]:
        values = rng.integers(0, 2, (6, size))
        both = values[0] * values[1]
        people = a_population(
            rng, size,
            lambda quarter: 0.2 - 0.01 * quarter + alone * values[:2].sum(axis=0) + together * both,
        )  # fmt: skip
        totals = people.totals()
        tested = assess_traits([people.trait(f"t{n}", one) for n, one in enumerate(values)])
        best = sorted(beam([one.p for one in tested]))
        found = [
            assess_pair(
                PairCounts(
                    (f"t{a}", f"t{b}"), (["0", "1"], ["0", "1"]),
                    people.count((values[a], 2), (values[b], 2)),
                ),
                1.2,
            )
            for a, b in combinations(best, 2)
        ]  # fmt: skip
        pairs = Pairs(found, 0, 1.2)
        correct(tested, pairs, totals)
        rows = [
            {"trait": f"{row['trait']}+{row['trait_2']}", "q": row["q"]}
            for row in pair_rows(pairs, totals)
        ]
        return _told(rows, {"t0+t1"} if together or alone else set())

    return study


def _told(rows: list[dict[str, Any]], true: set[str]) -> tuple[int, int, int]:
    """How many traits are findings, and how many of them false and true."""
    found = {row["trait"] for row in rows if row["q"] is not None and row["q"] <= 0.05}
    return len(found), len(found - true), len(found & true)


#: What is asked, the study, and how many true traits there are.
STUDIES: dict[str, tuple[str, Study, int]] = {
    "null": ("no effect: 20 traits, 800 customers", nulls(), 0),
    "null-many": ("no effect: 100 traits, 800 customers", nulls(count=100), 0),
    "null-alike": ("no effect: 20 traits that hang together", nulls(alike=0.7), 0),
    "null-rare": ("no effect: 20 traits, 300 customers, 5% high", nulls(300, rate=0.05), 0),
    "null-rare-alike": (
        "the same, and traits that nearly are each other",
        nulls(300, alike=0.9, rate=0.05),
        0,
    ),
    "null-split": ("no effect: 10 numbers at their best split", null_splits, 0),
    "null-pairs": ("no effect: the 15 pairs of 6 traits", paired(3000, 0.0), 0),
    "5+9": ("5 of 25 traits add 9 points, 1,500 customers", planted(1500, 0.09), 5),
    "5+5": ("5 of 25 traits add 5 points, 1,500 customers", planted(1500, 0.05), 5),
    "5+5-6000": ("5 of 25 traits add 5 points, 6,000 customers", planted(6000, 0.05), 5),
    "split": ("1 of 10 numbers has a step of 15 points, 3,000 customers", planted_split, 1),
    "pair": ("1 of 15 pairs adds 15 points together, 3,000 customers", paired(3000, 0.15), 1),
    "pair-alone": ("the same, and each adds 5 alone", paired(3000, 0.15, 0.05), 1),
}


#: What no view does, to see what it would come to.
UNHEEDED: dict[str, tuple[str, Study, int]] = {
    "unheeded-split": ("not done: split sought and tested among the same", split_on_all, 0),
}


def run(seeds: int, only: str | None) -> bool:
    """Print the table; whether what is promised holds."""
    kept = True
    print(_FORM.format("what is there", "seeds", "any false", "false", "power"))
    for name, (what, study, true) in (STUDIES | UNHEEDED).items():
        if only is not None and name != only:
            continue
        told = np.array([study(np.random.default_rng([seed, len(name)])) for seed in range(seeds)])
        found, false, right = told.T
        any_false, share = float((false > 0).mean()), float((false / np.maximum(found, 1)).mean())
        power = f"{right.mean() / true:.2f}" if true else ""
        print(_FORM.format(what, seeds, f"{any_false:.3f}", f"{share:.3f}", power), flush=True)
        promised = share if true else any_false
        error = float((false / np.maximum(found, 1)).std() / seeds**0.5) if true else _error(seeds)
        kept &= name in UNHEEDED or promised <= 0.05 + 2 * error
    return kept


def _error(seeds: int) -> float:
    return float((0.05 * 0.95 / seeds) ** 0.5)


def null_forest(rng: Random, traits: int = 300, size: int = 800) -> dict[str, float]:
    """Many traits without meaning, looked at one by one, as tools that correct nothing do."""
    high = rng.random(size) < 0.2
    wins, losses = int(high.sum()), int((~high).sum())
    p, odds = [], []
    for _ in range(traits):
        has = rng.random(size) < rng.uniform(0.025, 0.13)
        s, f = int((has & high).sum()), int((has & ~high).sum())
        if s + f < max(25, 0.02 * size):
            continue
        odds.append((s + 1) * (losses - f + 1) / ((wins - s + 1) * (f + 1)))
        p.append(fisher(s, s + f, wins, size))
    ratios = np.array(odds)
    return {
        "traits": len(p),
        "odds ratio beyond 1.5": float((np.maximum(ratios, 1 / ratios) > 1.5).sum()),
        "p < .05": float((np.array(p) < 0.05).sum()),
        "q <= .05": float((benjamini_hochberg(p) <= 0.05).sum()),
        "mean odds ratio of the top ten": float(np.sort(ratios)[-10:].mean()),
    }


def ages(rng: Random, size: int = 20_000) -> dict[str, float]:
    """A trait without meaning that is usual among the young, by what value is counted over.

    Customers come over three years, and order at a rate of their own until they leave.
    """
    age = rng.uniform(0, 36, size)
    recent = rng.random(size) < 0.5 - 0.4 * (age - 18) / 18
    rate, life = rng.gamma(2.0, 50.0, size), rng.exponential(24.0, size)
    threshold = float(np.quantile(rate * np.minimum(12, life), 0.8))
    to_date, horizon = rate * np.minimum(age, life), rate * np.minimum(np.minimum(12, age), life)
    mature = age >= 12
    everybody = np.ones(size, bool)

    def of(high: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
        h, has = high[among], recent[among]
        table = ((h & has).sum(), has.sum(), (h & ~has).sum(), (~has).sum())
        return float(lift(*table).estimate)

    best = float(np.quantile(to_date, 0.8))
    return {
        "value to date": of(to_date >= best, everybody),
        "twelve months, the immature included": of(horizon >= threshold, everybody),
        "twelve months, the mature alone": of(horizon >= threshold, mature),
    }


def averages(study: Callable[[Random], dict[str, float]], seeds: int) -> Iterator[str]:
    """Each figure of a study, as the mean over seeds and its spread."""
    told = [study(np.random.default_rng(seed)) for seed in range(seeds)]
    for name in told[0]:
        values = np.array([one[name] for one in told])
        yield f"{name:58}{values.mean():>8.3f} (sd {values.std():.3f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--only", choices=[*STUDIES, *UNHEEDED])
    asked = parser.parse_args()
    held = run(asked.seeds, asked.only)
    if asked.only is None:
        print("\n300 traits without meaning, 800 customers, one in five of high value:")
        print(*averages(null_forest, 50), sep="\n")
        print("\nLift of a trait without meaning that is usual among the young:")
        print(*averages(ages, 50), sep="\n")
    sys.exit(0 if held else 1)
