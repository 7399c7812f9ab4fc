"""What the closed loop's answer says: who is counted, and what to know before believing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Never

from bowtie.durations import format_duration
from bowtie.errors import Refused
from bowtie.wording import are, counted
from bowtie_projections.views.loop.counts import Totals, TraitCounts
from bowtie_projections.views.loop.numbers import amount, percent
from bowtie_projections.views.loop.pairs import Pairs
from bowtie_projections.views.loop.population import Arrived
from bowtie_projections.views.loop.question import Question
from bowtie_projections.views.loop.sources import Unnamed
from bowtie_projections.views.loop.traits import Standing
from bowtie_projections.views.units import plural

__all__ = ["ENOUGH", "Said", "assumed_values", "refuse_currencies"]

#: With fewer mature customers the answer names the longest horizon that leaves so many.
ENOUGH = 100
_BAD = {"low": "low value", "unprofitable": "a loss"}
ASSOCIATION = "Every finding is an association, not a cause."


def refuse_currencies(found: Sequence[str], wanted: str | None) -> Never:
    """Refuse to add amounts of several currencies.

    Raises:
        Refused: always; it says which currencies there are and what to do.
    """
    names = " and ".join(found)
    if wanted is None:
        raise Refused(
            f"amounts are in {names}, which can't be added without dated rates; where all but one"
            " are mistakes, correct them and name the one with currency="
        )
    raise Refused(
        f'currency="{wanted}" was asked, but amounts are in {names}: to bring them to {wanted}'
        " dated rates are needed"
    )


def assumed_values(traits: Sequence[TraitCounts]) -> tuple[int, int]:
    """How many values known at time zero rest on being history loaded later, and of how many."""
    return sum(one.assumed for one in traits), sum(one.known for one in traits)


@dataclass(frozen=True, slots=True)
class Said:
    """Everything the sentences speak of."""

    question: Question
    arrived: Arrived
    end: datetime | None
    longest: int | None
    fitted: Mapping[str, Any]
    threshold: Decimal | None
    totals: Totals | None
    traits: Sequence[Standing]
    unnamed: Unnamed | None = None
    effect: float | None = None
    pairs: Pairs | None = None
    values: Sequence[Mapping[str, Any]] = ()

    @property
    def tests(self) -> int:
        """How many tests are corrected together; pairs that were left out count too."""
        run = sum(one.p is not None for one in self.traits)
        if self.pairs is not None:
            run += sum(one.p is not None for one in self.pairs.tested) + self.pairs.left_out
        return run

    def sentence(self) -> str:
        """Who is counted, who is left out, and what high means."""
        if self.end is None:
            return f"No facts at this position, so nobody is counted. {ASSOCIATION}"
        horizon = format_duration(self.question.horizon)
        kept, mature = self.arrived.kept, self.arrived.mature
        who = f"{self._count(kept)} by {self.end:%Y-%m-%d}"
        if self.question.time_zero == "lead":
            who += f" (entered {self.question.stage})"
        parts = [f"{who}: {mature:,} {are(mature)} counted, each over the first {horizon}"]
        young = kept - mature
        if young:
            verb = are(young)
            parts.append(f"{young:,} {verb} too young for {horizon} and {verb} left out")
        older = self.arrived.truncated
        if older and not self.question.include_truncated:
            parts.append(f"{older:,} more may be older than the data and {are(older)} left out")
        return "; ".join(parts) + "." + self._high() + f" {ASSOCIATION}"

    def _count(self, number: int) -> str:
        unit = self.question.unit
        if unit == "customer" and self.question.time_zero == "lead":
            unit = "lead"
        return counted(number, unit, plural(unit))

    def _high(self) -> str:
        if self.totals is None or self.threshold is None:
            return ""
        target, measure = self.question.target, self.question.measure
        many = f"{self.totals.high:,} of them."
        if target == "unprofitable":
            return f" Unprofitable is less than 0 of {measure}: {many}"
        reached = amount(self.threshold, self.fitted.get("currency_low"))
        if target == "low":
            return f" Low value is {reached} or less of {measure}: {many}"
        least = "more than 0" if self.threshold == 0 else f"{reached} or more"
        return f" High value is {least} of {measure}: {many}"

    def notes(self) -> list[str]:
        """What to know before believing the figures."""
        return [note for part in self._parts() for note in part]

    def _parts(self) -> Iterator[Iterator[str]]:
        if self.end is None:
            return
        yield self._on_maturity()
        if self.totals is not None:
            yield self._on_threshold()
            yield self._on_tests()
            yield self._on_accounts()
            yield self._on_traits()
            yield self._on_knowledge()
            yield self._on_spend()

    def _on_maturity(self) -> Iterator[str]:
        mature, horizon = self.arrived.mature, format_duration(self.question.horizon)
        kept = self.arrived.kept
        if mature < ENOUGH:
            few = f"Only {mature} {are(mature)} old enough for {horizon}, fewer than {ENOUGH}"
            if self.longest is not None:
                yield f"{few}. Ask with horizon={self.longest}d, the longest that leaves {ENOUGH}."
            elif kept < ENOUGH:
                yield f"{few}; no horizon leaves {ENOUGH}, for there {are(kept)} only {kept}."
            else:
                yield f"{few}; no horizon of a day or more leaves {ENOUGH} yet."
        older = self.arrived.truncated
        if older and self.question.include_truncated:
            unit = self.question.unit
            who = f"{unit} was" if older == 1 else f"{plural(unit)} were"
            yield (
                f"{older:,} {who} first seen so soon after the data begin that they may be older"
                " than the data; they are counted because include_truncated asks for it."
            )

    def _on_threshold(self) -> Iterator[str]:
        target = self.question.target
        if target != "high":
            yield f"A mark goes with {_BAD[target]} here: it says whom not to acquire."
        if target == "unprofitable":
            yield (
                "Contribution is what is left after the costs of onboarding and serving; what"
                " acquiring and selling cost is beside it, in the sources."
            )
        elif self.question.threshold is None and self.threshold is not None:
            reached = amount(self.threshold, self.fitted.get("currency_low"))
            share = "is not passed by the lowest" if target == "low" else "is reached by the top"
            yield (
                f"The threshold of {reached} {share} {percent(self.question.top)} of"
                f" the {self._paying()} of the older half (time"
                f" zero up to {self.fitted['median']:%Y-%m-%d})."
            )
        unit, twice = self.question.unit, self.fitted.get("twice", 0)
        if twice:
            yield (
                f"{counted(twice, f'{unit} has', f'{plural(unit)} have')} both orders and invoices"
                " within the horizon, and both count: if the invoices bill the orders, their value"
                " is counted twice."
            )

    def _paying(self) -> str:
        unit = self.question.unit
        return counted(self.fitted["paying"], f"paying {unit}", f"paying {plural(unit)}")

    def _on_accounts(self) -> Iterator[str]:
        if self.effect is not None:
            yield (
                f"Several {plural(self.question.unit)} of one account tell less than as many of"
                f" different ones: intervals and tests are clustered by account, so that"
                f" {self.effect:.2f} count for one (Rao and Scott 1992)."
            )

    def _on_tests(self) -> Iterator[str]:
        if self.totals is None:
            return
        m, traits = self.tests, sum(one.p is not None for one in self.traits)
        if not m:
            units = plural(self.question.unit)
            yield f"No test was run: no trait has two levels of 30 {units} to compare."
            return
        quarters = len({quarter for quarter, _ in self.totals.strata})
        motions = len({motion for _, motion in self.totals.strata})
        within = "acquisition quarter" + (" and motion" if motions > 1 else "")
        of_each = "one for each trait"
        if self.pairs is not None:
            of_each = f"{counted(traits, 'trait')} and {counted(m - traits, 'pair')}"
        run = "1 test was run" if m == 1 else f"{m:,} tests were run, {of_each}"
        together = "with no other to correct it for" if m == 1 else "and corrected together"
        yield (
            f"{run}, within {within} ({counted(quarters, 'quarter')}), {together}"
            f" (Benjamini-Hochberg, m = {m}); a finding has q <= 0.05 and is replicated in the"
            " newer half."
        )
        yield from self._on_pairs()
        yield from self._on_whales()

    def _on_pairs(self) -> Iterator[str]:
        if self.pairs is None:
            return
        passed = percent(self.pairs.least_gain - 1)
        left = ""
        if self.pairs.left_out:
            left = (
                f" {self.pairs.left_out:,} pairs of traits with a larger p were not looked at, and"
                " count as tests that found nothing."
            )
        yield (
            "Pairs are tested against both their levels: one is in the part pairs if its rate"
            f" passes both by {passed} at least, and q <= 0.05.{left}"
        )

    def _on_whales(self) -> Iterator[str]:
        lone = [
            f"{row['trait']} = {row['level']}"
            for row in self.values
            if row["difference"] is not None
            and row["difference_without_one"] is not None
            and abs(row["difference_without_one"]) < abs(row["difference"]) / 2
        ]
        if lone:
            verb = "hangs" if len(lone) == 1 else "hang"
            yield (
                f"The mean value of {_listed(lone)} {verb} on one customer: without the largest the"
                " difference is less than half (see the part values)."
            )

    def _on_traits(self) -> Iterator[str]:
        for use, words in (
            ("leak", "mostly learnt after time zero, so listed but not used"),
            ("identifier-like", "left out, since nearly every customer has a value of its own"),
            ("not seen", "in the traits file, but on record for no mature customer"),
        ):
            names = [one.trait for one in self.traits if one.use == use]
            if names:
                yield f"{_listed(names)}: {words} (see the part traits)."
        refused = [one for one in self.traits if one.use == "refused"]
        declared = [one.trait for one in refused if not one.by_default]
        if declared:
            yield f"{_listed(declared)}: refused by the traits file (see the part traits)."
        if len(declared) < len(refused):
            names = [one.trait for one in refused if one.by_default]
            verb = "it is" if len(names) == 1 else "they are"
            yield (
                f"{_listed(names)}: refused, for {verb} protected by default (see the part traits)."
            )
        undeclared = [one.trait for one in self.traits if one.use == "tested" and one.kind is None]
        if undeclared:
            yield (
                f"{_listed(undeclared)}: used, though no traits file says what kind they are; a"
                " trait that follows from the sale would look like a mark."
            )

    def _on_knowledge(self) -> Iterator[str]:
        resting = sum(one.assumed for one in self.traits)
        known = sum(one.known or 0 for one in self.traits)
        if resting:
            verb = "was" if resting == 1 else "were"
            yield (
                f"{resting:,} of {counted(known, 'trait value')} known at time zero"
                f" ({resting / known:.0%}) {verb} recorded more than"
                f" {format_duration(self.question.gap)} after the fact, and {are(resting)} taken"
                " as history loaded later: the time it happened counts."
            )
        if any(one.undated for one in self.traits):
            yield (
                "These tables don't say when facts were recorded, so a trait counts as known from"
                " its recordedtime where the sender gave one, else from when it happened."
            )

    def _on_spend(self) -> Iterator[str]:
        if self.unnamed is None:
            return
        sums = [amount(sum_, currency) for currency, sum_ in sorted(self.unnamed.sums.items())]
        if sums:
            first, last = self.unnamed.span.first, self.unnamed.span.last
            yield (
                f"{' and '.join(sums)} of acquiring and selling from {first} to {last} name no"
                " channel, and are in no row of the sources."
            )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"
