"""How each trait stands in an answer of the closed loop: tested, or why not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bowtie.wording import counted
from bowtie_projections.known import Observed
from bowtie_projections.traits import TOUCH_TRAITS, TraitRule, rule_of
from bowtie_projections.views.labels import OTHER
from bowtie_projections.views.loop.bins import Bins
from bowtie_projections.views.loop.counts import MISSING, TraitCounts
from bowtie_projections.views.loop.findings import Judged
from bowtie_projections.views.loop.tally import MOST_LEVELS

__all__ = ["Standing", "is_leak", "looks_like_identifier", "standings", "untested"]

#: Below this share of the customers who ever have a trait, it is learnt after time zero.
KNOWN_IN_TIME = 0.5
#: From this share of own values on, a trait names the customer.
OWN_VALUES = 0.9
#: Fewer numbers may well be levels.
_MANY_NUMBERS = 10
_HINT = (
    "its values are numbers, and each is a level: declare in a traits file how to cut them (bins ="
    " 4, bins = [10, 50] or split = true)"
)
_NUMBER = re.compile(r"[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Standing:
    """One trait: what it was declared, what became of it, and its test.

    Args:
        trait: its name.
        kind: as declared in the traits file; ``first touch``; None where undeclared.
        timeless: as declared.
        use: ``tested``, ``insufficient``, ``leak``, ``identifier-like``, ``refused``, ``not seen``.
        reason: why it was not tested, or what to know of it.
        levels: how many it has.
        known: mature customers of whom a value was known by time zero.
        ever: mature customers of whom one is known by now.
        assumed: values known by time zero only as history loaded later.
        undated: customers whose values carry no time of recording.
        test: which test it was.
        p: stratified by acquisition quarter and motion.
        p_crude: of all strata thrown together.
        q: corrected over all tests.
        by_default: refused for its name alone.
    """

    trait: str
    kind: str | None
    timeless: bool
    use: str
    reason: str | None = None
    levels: int | None = None
    known: int | None = None
    ever: int | None = None
    assumed: int = 0
    undated: int = 0
    test: str | None = None
    p: float | None = None
    p_crude: float | None = None
    q: float | None = None
    by_default: bool = False


def is_leak(trait: TraitCounts, rules: Mapping[str, TraitRule]) -> bool:
    """Whether fewer than half of the customers who ever have the trait had it by time zero."""
    timeless = rule_of(trait.name, rules).timeless
    return not timeless and trait.known < KNOWN_IN_TIME * trait.ever


def looks_like_identifier(trait: TraitCounts) -> bool:
    """Whether nearly every customer has a value of their own."""
    sizes = zip(trait.levels, trait.sizes.tolist(), strict=True)
    said = sum(size for level, size in sizes if level != MISSING)
    return trait.distinct > MOST_LEVELS and trait.distinct >= OWN_VALUES * said


def untested(trait: TraitCounts, rules: Mapping[str, TraitRule]) -> str | None:
    """Why a trait is not tested, in a word; None if it is."""
    if is_leak(trait, rules):
        return "leak"
    return "identifier-like" if looks_like_identifier(trait) else None


def standings(
    counts: Sequence[TraitCounts],
    tested: Sequence[Judged],
    observed: Observed,
    bins: Mapping[str, Bins],
) -> list[Standing]:
    """How each trait stands, those that were refused or are not on record included.

    Args:
        counts: of all traits that may be asked.
        tested: those that were.
        observed: the traits on record, and the rules of the traits file.
        bins: how the numeric ones are cut.
    """
    rules, tests = observed.rules, {one.trait.name: one for one in tested}
    found = [
        _standing(trait, tests.get(trait.name), rules, bins.get(trait.name)) for trait in counts
    ]
    names = {trait.name for trait in counts}
    for name in sorted(rules.keys() | set(observed.refused)):
        rule = rule_of(name, rules)
        if rule.refusal is not None:
            default = rules.get(name, TraitRule()).kind is None
            found.append(
                Standing(
                    name, rule.kind, rule.timeless, "refused", rule.refusal, by_default=default
                )
            )
        elif name not in names:
            unseen = "no mature customer has it on record: is the name right?"
            found.append(Standing(name, rule.kind, rule.timeless, "not seen", unseen))
    return sorted(found, key=lambda one: (one.q is None, one.q or 0.0, one.trait))


def _standing(
    trait: TraitCounts, tested: Judged | None, rules: Mapping[str, TraitRule], bins: Bins | None
) -> Standing:
    rule = rule_of(trait.name, rules)
    kind = rule.kind or ("first touch" if trait.name in TOUCH_TRAITS else None)
    use, reason = _use(trait, tested, rule, bins)
    test = tested or Judged(trait)
    return Standing(
        trait=trait.name,
        kind=kind,
        timeless=rule.timeless,
        use=use,
        reason=reason,
        levels=trait.distinct,
        known=trait.known,
        ever=trait.ever,
        assumed=trait.assumed,
        undated=trait.undated,
        test=test.test,
        p=test.p,
        p_crude=test.p_crude,
        q=test.q,
    )


def _use(
    trait: TraitCounts, tested: Judged | None, rule: TraitRule, bins: Bins | None
) -> tuple[str, str | None]:
    if tested is None:
        if looks_like_identifier(trait) and not is_leak(trait, {trait.name: rule}):
            own = f"{trait.distinct:,} different values: nearly every customer has its own"
            return "identifier-like", own
        return "leak", (
            f"{trait.known:,} of the {counted(trait.ever, 'customer')} who have it had it by time"
            " zero: it is learnt later, and says what became of them, not who will (if it can't"
            " have changed, declare it timeless)"
        )
    if tested.test is None:
        few = "no two levels of 30 customers to compare"
        if bins is not None:
            few = f"{_cut(bins)}: {few}"
        return "insufficient", f"{few}; {_HINT}" if _looks_numeric(trait, bins) else few
    if rule.timeless and trait.known < KNOWN_IN_TIME * trait.ever:
        return "tested", (
            "timeless, but mostly learnt after time zero: its missing level tells who was looked"
            " up later"
        )
    if bins is not None:
        return "tested", _cut(bins)
    if _looks_numeric(trait, bins):
        return "tested", _HINT
    return "tested", None


def _cut(bins: Bins) -> str:
    """How a numeric trait was cut, in words."""
    cuts = ", ".join(format(cut, ".15g") for cut in bins.cuts)
    if not bins.split:
        return f"cut at {cuts}" if cuts else "not cut, as too few numbers are known"
    if not cuts:
        return "no split leaves 30 customers of the older half on both sides"
    return f"split at {cuts}, sought in the older half and tested in the newer alone"


def _looks_numeric(trait: TraitCounts, bins: Bins | None) -> bool:
    """Whether a trait is not cut and has many levels, and all that are named are numbers."""
    if bins is not None:
        return False
    named = [level for level in trait.levels if level not in {MISSING, OTHER}]
    return len(named) >= _MANY_NUMBERS and all(_NUMBER.fullmatch(level) for level in named)
