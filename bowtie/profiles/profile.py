"""A target profile: whom to look for, how that will be judged, and which arm a prospect is in.

All that decides about a prospect stands here, in plain Python: the weights of its traits, what
excludes it, and the draw of its arm. The views say the same in SQL, and are held against this.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from bowtie.policies import Policy

__all__ = ["MISSING", "Exclusion", "Profile", "Wanted", "arm_of", "draw", "weight_of"]

#: The level of those of whom a trait is not known.
MISSING = "(missing)"
#: Weights are kept to so many places, so that Python and SQL add up the same.
_PLACES = Decimal("0.001")
_HEAVIEST = Decimal(5)
_OF_ALL = 1 << 64


def weight_of(lift: float) -> Decimal:
    """The weight of a level: the logarithm of its lift, from -5 to 5, to three places.

    Weights add up as lifts multiply: a prospect whose weights come to more than 0 belongs to those
    among whom high value is more frequent than among all. Levels of traits that go together count
    twice that way, as in a naive Bayes classifier; the arms show whether that matters.

    >>> weight_of(2.0), weight_of(0.5), weight_of(0.0)
    (Decimal('0.693'), Decimal('-0.693'), Decimal('-5'))
    """
    if lift <= 0:
        return -_HEAVIEST
    weight = Decimal(str(math.log(lift))).quantize(_PLACES)
    return max(-_HEAVIEST, min(_HEAVIEST, weight))


def draw(salt: str, key: str) -> float:
    """A number from 0 to under 1 that is the key's own for ever: the hash of salt and key.

    It depends on nothing else, so the same prospect is drawn alike by whoever asks, whenever, and
    in whatever order; over many keys the numbers lie evenly.

    >>> round(draw("lookalike/1", "acme"), 6), draw("lookalike/1", "acme") == draw("other", "acme")
    (0.154385, False)
    """
    digest = hashlib.sha256(f"{salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _OF_ALL


def arm_of(salt: str, key: str, holdout: Decimal) -> str:
    """``holdout`` for that share of all keys, else ``targeted``.

    >>> arm_of("lookalike/1", "acme", Decimal("0.5")), arm_of("lookalike/1", "acme", Decimal(0))
    ('holdout', 'targeted')
    """
    return "holdout" if draw(salt, key) < holdout else "targeted"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A level of a trait that speaks for a prospect, or against it.

    Args:
        trait, level: as the closed loop names them; ``(missing)`` is where nothing is known.
        weight: over 0 for it, under 0 against it.
        evidence: what was found: ``verdict``, ``lift`` and the like.
    """

    trait: str
    level: str
    weight: Decimal
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A level of a trait that no prospect may have, whatever else speaks for it."""

    trait: str
    level: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A target profile, as it is published.

    Args:
        name, version, title: of the document.
        starts_on, ends_on: the days on which prospects are assigned, the last one too.
        prospects: ``new``: who was first seen from ``starts_on`` on; or ``open``: all who have not
            committed and are not lost.
        traits: what speaks for a prospect and against it.
        exclusions: whom it is never for.
        least: a prospect fits whose weights add up to more than this.
        policy: what a prospect's value is, and over which time.
        policy_published: whether the policy is one of the log, under its own name.
        holdout: the share of the fitting that is held out.
        by: the trait whose levels are drawn instead of single prospects, such as a market.
        salt: what the draw depends on beside the key.
        evidence: of which answer the traits are, so that it can be asked again.
        detectable: the smallest difference that may be seen, and how that was found.
        text, sha256: of the document.
    """

    name: str
    version: int
    title: str
    starts_on: date
    ends_on: date
    prospects: str
    traits: Sequence[Wanted]
    exclusions: Sequence[Exclusion]
    least: Decimal
    policy: Policy
    policy_published: bool
    holdout: Decimal
    by: str | None
    salt: str
    evidence: Mapping[str, Any] | None = None
    detectable: Mapping[str, Any] | None = None
    text: str = ""
    sha256: str = ""

    @property
    def label(self) -> str:
        """Name and version, such as ``lookalike/2``."""
        return f"{self.name}/{self.version}"

    @property
    def names(self) -> tuple[str, ...]:
        """The traits that decide who fits."""
        asked = [one.trait for one in self.traits] + [one.trait for one in self.exclusions]
        return tuple(dict.fromkeys(asked))

    def score(self, traits: Mapping[str, str | None]) -> Decimal | None:
        """What a prospect's weights add up to; None for one that is excluded.

        Args:
            traits: what is known of it; what is not there, or null, is not known.
        """

        def has(one: Wanted | Exclusion) -> bool:
            known = traits.get(one.trait)
            return (MISSING if known is None else known) == one.level

        if any(map(has, self.exclusions)):
            return None
        return sum((one.weight for one in self.traits if has(one)), Decimal(0))

    def fits(self, traits: Mapping[str, str | None]) -> bool:
        """Whether it is a profile of such a prospect."""
        score = self.score(traits)
        return score is not None and score > self.least

    def arm(self, key: str) -> str:
        """The arm of a prospect's key; or, where it is drawn by a trait, of that trait's level."""
        return arm_of(self.salt, key, self.holdout)

    def chance(self, arm: str) -> Decimal:
        """How likely a prospect is in an arm."""
        return self.holdout if arm == "holdout" else 1 - self.holdout

    def content(self) -> dict[str, Any]:
        """All that the document says, as JSON holds it."""
        said: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "title": self.title,
            "starts_on": self.starts_on.isoformat(),
            "ends_on": self.ends_on.isoformat(),
            "prospects": self.prospects,
            "traits": [
                {"trait": one.trait, "level": one.level, "weight": str(one.weight), **one.evidence}
                for one in self.traits
            ],
            "exclusions": [
                {"trait": one.trait, "level": one.level, "reason": one.reason}
                for one in self.exclusions
            ],
            "least": str(self.least),
            "policy": {
                "name": self.policy.label if self.policy_published else None,
                "sha256": self.policy.sha256,
                "text": self.policy.text,
            },
            "holdout": str(self.holdout),
            "by": self.by,
            "salt": self.salt,
            "evidence": None if self.evidence is None else dict(self.evidence),
            "detectable": None if self.detectable is None else dict(self.detectable),
        }
        return said

    def body(self) -> str:
        """The document: its content as JSON, for a person to read too."""
        return json.dumps(self.content(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def __str__(self) -> str:
        wanted = [f"{one.trait} {one.level}" for one in self.traits if one.weight > 0]
        against = [f"{one.trait} {one.level}" for one in self.traits if one.weight < 0]
        never = [f"{one.trait} {one.level}" for one in self.exclusions]
        parts = [f"{word} {', '.join(levels)}" for word, levels in (
            ("for", wanted), ("against", against), ("never", never)
        ) if levels]  # fmt: skip
        drawn = "" if self.by is None else f" of the levels of {self.by}"
        held = f"{float(self.holdout) * 100:.6g}%"
        return (
            f"{'; '.join(parts)}; {self.prospects} prospects from {self.starts_on} through"
            f" {self.ends_on}, {held}{drawn} held out, judged by {self.policy.value} over"
            f" {self.policy.horizon.days}d"
        )
