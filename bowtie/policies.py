"""Value policies: what a customer's value is, written down once, under a name and a version.

>>> policy = load_policy('''
... name = "worth"
... version = 1
... horizon = "180d"
... value = "contribution"
... threshold = "5000"
... ''')
>>> policy.label, policy.asked()["horizon"], policy.asked()["threshold"]
('worth/1', '180d', Decimal('5000'))
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from bowtie.currencies import ISO_4217
from bowtie.durations import format_duration, parse_duration
from bowtie.errors import UsageError
from bowtie.finding import find_text, publish_text
from bowtie.stages.document import Document as Toml
from bowtie.stages.fields import decimal_of

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.documents import Document

__all__ = ["Policy", "PolicyTier", "load_policy", "publish_policy"]

_KEYS = (
    "name", "version", "title", "horizon", "value", "basis", "costs", "costs_complete", "discount",
    "top", "threshold", "currency", "tiers",
)  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_COSTS = ("onboard", "serve")
_ADVICE = 'write text in quotes, a tier as [[tiers]], key = "value" on one line'
_LARGEST = Decimal(10) ** 20
_LONGEST_DISCOUNTED = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class PolicyTier:
    """A tier of value: from an amount on, or up to a share of all value, or all others."""

    name: str
    least: Decimal | None = None
    share: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a customer's value is, and from which value on it is high.

    Args:
        name, version, title: of the document.
        horizon: whole days over which value counts.
        value: ``revenue``, or ``contribution``: less the costs.
        basis: ``realised``: what came within the horizon from time zero on; or ``predicted``: what
            a model expects of the horizon ahead.
        costs: the activities whose costs count: ``onboard``, ``serve``.
        costs_complete: a customer without a cost on record had none.
        discount: the rate by the year at which amounts are brought to the horizon's beginning:
            what comes k days after it counts for ``(1 + discount) ** (-k / 365)`` of itself.
            None is not at all.
        top: the share of the older half's paying customers that sets the threshold.
        threshold: the value from which on it is high, where that is given instead.
        currency: the only one that may occur, where it is given.
        tiers: the best first; none where the policy leaves them to the view.
        text, sha256: of the document.
    """

    name: str
    version: int
    title: str
    horizon: timedelta
    value: str
    basis: str
    costs: tuple[str, ...]
    costs_complete: bool
    discount: Decimal | None
    top: Decimal
    threshold: Decimal | None
    currency: str | None
    tiers: tuple[PolicyTier, ...]
    text: str
    sha256: str

    @property
    def label(self) -> str:
        """Name and version, such as ``worth/1``."""
        return f"{self.name}/{self.version}"

    def asked(self) -> dict[str, Any]:
        """The parameters of a view that the policy says."""
        return {
            "horizon": format_duration(self.horizon),
            "value": self.value,
            "top": self.top,
            "threshold": self.threshold,
            "currency": self.currency,
            "costs_complete": self.costs_complete,
        }

    def __str__(self) -> str:
        what = self.value
        if what == "contribution":
            what += f" (less the costs of: {', '.join(self.costs)})"
        if self.basis == "predicted":
            what = f"predicted {what}"
        money = f"{self.threshold} {self.currency}" if self.currency else f"{self.threshold}"
        high = f"the top {self.top}" if self.threshold is None else f"{money} or more"
        over = f"{what} over {format_duration(self.horizon)}"
        if self.discount is not None:
            over += f", discounted by {_percent(self.discount)} a year"
        return f"{over}, high is {high}"


def load_policy(
    source: str | PathLike[str] | Policy, published: Mapping[str, str] | None = None
) -> Policy:
    """The policy that a name, a path or a TOML text names.

    Args:
        source: ``worth`` (the newest version) or ``worth/2`` for one that was published; the path
            of a TOML file; or, if it has a line break in it, the TOML itself.
        published: the TOML of those published, by name and version.

    Raises:
        DefinitionError: the policy is wrong; the message names the line.
        UnknownName: no policy of that name was published, and no such file is there.
        FileError: the file can't be read.
    """
    if isinstance(source, Policy):
        return source
    return _Reader(*find_text("policy", fspath(source), published or {})).policy()


def publish_policy(engine: Bowtie, source: str | PathLike[str]) -> Document:
    """Publish a policy, so that every view of this store knows it by name and version.

    One that is published already is left as it is.

    Args:
        engine: the store.
        source: the path of a TOML file, or the TOML itself.

    Raises:
        DefinitionError: the policy is wrong.
        EventRejected: its name and version are published with another text.
    """
    found = load_policy(source)
    document = (found.name, found.version, found.text, found.sha256)
    return publish_text(engine, "policy", document)


class _Reader:
    """From a text to a policy; everything in it is checked."""

    def __init__(self, name: str, text: str) -> None:
        self.toml = Toml(name, text, advice=_ADVICE)
        self.content = self.toml.content

    def policy(self) -> Policy:
        """The whole document."""
        content, toml = self.content, self.toml
        toml.known_keys((), content, _KEYS)
        name, version = self._head()
        value = toml.choice(("value",), content.get("value", "revenue"), _VALUES)
        basis = toml.choice(("basis",), content.get("basis", "realised"), _BASES)
        if basis == "predicted" and value != "revenue":
            toml.fail(
                ("basis",), 'costs to come are not predicted: write value = "revenue" beside it'
            )
        if "costs" in content and value == "revenue":
            toml.fail(("costs",), 'costs are of contribution: write value = "contribution"')
        if "top" in content and "threshold" in content:
            toml.fail(("threshold",), "high is told by top or by threshold: write one of them")
        top = self._number(("top",), content.get("top", Decimal("0.2")))
        if not Decimal("0.000001") <= top < 1:
            toml.fail(("top",), '"top" is a share between 0 and 1: write top = "0.2"')
        threshold = None
        if "threshold" in content:
            threshold = self._amount(("threshold",), content["threshold"])
            if threshold < 0:
                toml.fail(("threshold",), '"threshold" is not under 0')
        currency = content.get("currency")
        if currency is not None and not (isinstance(currency, str) and currency in ISO_4217):
            toml.fail(("currency",), '"currency" is an ISO 4217 code: write currency = "EUR"')
        complete = content.get("costs_complete", False)
        if not isinstance(complete, bool):
            toml.fail(("costs_complete",), '"costs_complete" is true or false')
        sha256 = hashlib.sha256(toml.text.encode()).hexdigest()
        horizon = self._horizon()
        return Policy(
            name, version, self._title(), horizon, value, basis, self._costs(), complete,
            self._discount(horizon), top, threshold, currency, self._tiers(), toml.text, sha256,
        )  # fmt: skip

    def _head(self) -> tuple[str, int]:
        name, version = self.content.get("name"), self.content.get("version")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.toml.fail(
                ("name",),
                'a policy has a name of small letters, digits, - and _: write name = "worth"',
            )
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            self.toml.fail(
                ("version",), "a policy has a version, a whole number from 1: write version = 1"
            )
        return name, version

    def _title(self) -> str:
        title = self.content.get("title", "")
        if not isinstance(title, str):
            self.toml.fail(("title",), '"title" is a text: write title = "What it is for"')
        return title

    def _horizon(self) -> timedelta:
        given = self.content.get("horizon")
        try:
            horizon = parse_duration(given) if isinstance(given, str) else timedelta(0)
        except UsageError as error:
            self.toml.fail(("horizon",), str(error))
        if horizon < timedelta(days=1) or horizon % timedelta(days=1):
            self.toml.fail(
                ("horizon",), 'a policy has a horizon of whole days: write horizon = "365d"'
            )
        return horizon

    def _discount(self, horizon: timedelta) -> Decimal | None:
        if "discount" not in self.content:
            return None
        rate = self._number(("discount",), self.content["discount"])
        if not 0 < rate <= 1 or rate != round(rate, 6):
            self.toml.fail(
                ("discount",),
                '"discount" is a rate by the year, over 0 and up to 1: write discount = "0.10"',
            )
        if horizon > _LONGEST_DISCOUNTED:
            self.toml.fail(("discount",), "a horizon of at most 3650d can be discounted")
        return rate

    def _costs(self) -> tuple[str, ...]:
        costs = self.content.get("costs", list(_COSTS))
        if not isinstance(costs, list) or not costs:
            self.toml.fail(("costs",), '"costs" is a list: write costs = ["onboard", "serve"]')
        return tuple(
            sorted({self.toml.choice(("costs", n), one, _COSTS) for n, one in enumerate(costs)})
        )

    def _tiers(self) -> tuple[PolicyTier, ...]:
        given = self.content.get("tiers", [])
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            self.toml.fail(("tiers",), "tiers are tables: write each as [[tiers]]")
        tiers = tuple(self._tier(n, one) for n, one in enumerate(given))
        names = [tier.name for tier in tiers]
        for n, name in enumerate(names):
            if name in names[:n]:
                self.toml.fail(("tiers", n, "name"), f'two tiers are called "{name}"')
        self._check_falling(tiers)
        return tiers

    def _tier(self, number: int, given: dict[str, Any]) -> PolicyTier:
        path = ("tiers", number)
        self.toml.known_keys(path, given, ("name", "least", "share"))
        name = given.get("name")
        if not isinstance(name, str) or not name.strip():
            self.toml.fail(path, 'a tier has a name: write name = "gold"')
        if "least" in given and "share" in given:
            self.toml.fail(path, 'a tier has a "least" value or a "share" of all, not both')
        least = self._amount((*path, "least"), given["least"]) if "least" in given else None
        share = self._number((*path, "share"), given["share"]) if "share" in given else None
        if share is not None and not Decimal(0) < share <= 1:
            self.toml.fail((*path, "share"), '"share" is over 0 and up to 1: write share = "0.8"')
        return PolicyTier(name, least, share)

    def _check_falling(self, tiers: tuple[PolicyTier, ...]) -> None:
        """Each can have members, and everybody is in one: the last is of all others."""
        if not tiers:
            return
        rest = [n for n, tier in enumerate(tiers) if tier.least is None and tier.share is None]
        last = len(tiers) - 1
        if rest != [last]:
            self.toml.fail(
                ("tiers", rest[0] if rest else last),
                'the last tier, and no other, is of all others: give it a name and no "least"',
            )
        for n, (before, tier) in enumerate(pairwise(tiers[:-1]), start=1):
            if (before.least is None) != (tier.least is None):
                self.toml.fail(("tiers", n), 'tiers go by "least" or by "share", all alike')
            if tier.least is not None and before.least is not None and tier.least >= before.least:
                self.toml.fail(("tiers", n, "least"), "the best tier comes first, then lower ones")
            if tier.share is not None and before.share is not None and tier.share <= before.share:
                self.toml.fail(("tiers", n, "share"), "shares rise from tier to tier, up to 1")

    def _number(self, path: tuple[str | int, ...], given: object) -> Decimal:
        try:
            return decimal_of(given, str(path[-1]))
        except ValueError as error:
            self.toml.fail(path, str(error))

    def _amount(self, path: tuple[str | int, ...], given: object) -> Decimal:
        amount = self._number(path, given)
        if abs(amount) >= _LARGEST:
            self.toml.fail(path, f'"{path[-1]}" is more money than there is')
        return amount


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"


_VALUES = ("revenue", "contribution")
_BASES = ("realised", "predicted")
