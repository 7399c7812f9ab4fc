"""What can be asked of the closed loop, checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from bowtie.durations import format_duration, parse_duration
from bowtie.errors import Refused, UsageError
from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie_projections.localtime import check_zone
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.views.cohorts import first_moment, last_moment
from bowtie_projections.views.given import currency_code, one_of
from bowtie_projections.views.loop.numbers import percent
from bowtie_projections.views.units import UNITS, check_look_back, check_unit

__all__ = ["TARGETS", "Question", "ask"]

#: Whom the loop can look for.
TARGETS = ("high", "low", "unprofitable")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, in the types it is answered with.

    Args:
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches count for an account from so long before a membership's start.
        time_zero: ``commitment`` or ``lead``.
        stage: the stage whose first entry is time zero.
        horizon: how long from time zero value is counted; whole days.
        top: the share of the paying customers of the training part that shall be high.
        threshold: the value from which on a customer is high, where it was given.
        value: ``revenue`` or ``contribution``.
        currency: the only currency that may occur, where it was given.
        costs_complete: a customer without a cost on record had none.
        gap: a fact recorded so much later than it happened is history loaded later.
        strict_known: refuse to take facts for history loaded later.
        data_from: the day from which on the data is complete, where it was given.
        data_through: the moment up to which the data is complete, where it was given.
        include_truncated: count customers who may be older than the data.
        tz: the zone of days, months and quarters.
        policy: where horizon, value and high were taken from, if from one.
        target: whose marks are sought: those of ``high`` or ``low`` value, or ``unprofitable``.
        pairs: whether pairs of traits are tested too.
        least_gain: the factor by which a pair's rate passes those of both its levels.
        rank: rows of one verdict come by the bound of ``lift``, or by the ``shrunk`` rate.
    """

    unit: str
    look_back: timedelta
    time_zero: str
    stage: str
    horizon: timedelta
    top: Decimal
    threshold: Decimal | None
    value: str
    currency: str | None
    costs_complete: bool
    gap: timedelta
    strict_known: bool
    data_from: datetime | None
    data_through: datetime | None
    include_truncated: bool
    tz: str
    policy: Policy | None = None
    target: str = "high"
    pairs: bool = False
    least_gain: Decimal = Decimal("1.2")
    rank: str = "lift"

    @property
    def days(self) -> int:
        """The horizon in whole days."""
        return self.horizon // DAY

    @property
    def costs(self) -> tuple[str, ...]:
        """The activities whose costs are taken off a contribution."""
        return ("onboard", "serve") if self.policy is None else self.policy.costs

    @property
    def discount(self) -> Decimal | None:
        """The rate by the year at which amounts are brought to time zero; None is not at all."""
        return None if self.policy is None else self.policy.discount

    @property
    def measure(self) -> str:
        """What value is, in words."""
        if self.discount is None:
            return self.value
        return f"{self.value} (discounted by {percent(self.discount)} a year)"

    def day_of(self, when: datetime) -> date:
        """The day of a moment (UTC, without a zone) in the zone asked for."""
        return when.replace(tzinfo=UTC).astimezone(ZoneInfo(self.tz)).date()

    def parameters(self) -> dict[str, Any]:
        """What stands in the answer as its parameters."""
        return {
            "unit": self.unit,
            "look_back": format_duration(self.look_back),
            "time_zero": self.time_zero,
            "horizon": format_duration(self.horizon),
            "top": None if self.threshold is not None else float(self.top),
            "threshold": self.threshold,
            "value": self.value,
            "currency": self.currency,
            "costs_complete": self.costs_complete,
            "backfill_gap": format_duration(self.gap),
            "strict_known": self.strict_known,
            "data_from": self.data_from,
            "data_through": self.data_through,
            "include_truncated": self.include_truncated,
            "tz": self.tz,
            "policy": None if self.policy is None else self.policy.label,
            "target": self.target,
            "pairs": self.pairs,
            "least_gain": float(self.least_gain) if self.pairs else None,
            "rank": self.rank,
        }


def ask(definition: Definition, asked: dict[str, Any]) -> Question:
    """The question, from the keywords of :func:`~bowtie_projections.views.loop.loop`.

    Raises:
        UsageError: a value that can't be asked; the message says which can.
        Refused: the policy is of predicted value.
    """
    policy: Policy | None = asked.get("policy")
    if policy is not None:
        if policy.basis == "predicted":
            raise Refused(
                f"the policy {policy.label} is of predicted value, which is a model's: what would"
                " be found in it is what the model was told. Ask by a policy of realised value"
            )
        asked = asked | policy.asked()
    time_zero = one_of("time_zero", asked["time_zero"], ("commitment", "lead"))
    horizon = _span("horizon", asked["horizon"])
    if horizon % DAY or horizon < DAY:
        raise UsageError("horizon is a number of whole days, such as 365d: contracts accrue by day")
    tz = check_zone(asked["tz"])
    value = one_of("value", asked["value"], ("revenue", "contribution"))
    target = one_of("target", asked.get("target", "high"), TARGETS)
    if target == "unprofitable" and asked["threshold"] is not None and policy is None:
        raise UsageError(
            "unprofitable is a contribution under 0, and has no other threshold: ask without"
            ' threshold, or with target="low"'
        )
    return Question(
        unit=_unit(asked.get("unit", "customer")),
        look_back=check_look_back(asked.get("look_back", LOOK_BACK)),
        time_zero=time_zero,
        stage=definition.lead if time_zero == "lead" else "commitment",
        horizon=horizon,
        top=_share(asked["top"]),
        threshold=_threshold(asked["threshold"]),
        value="contribution" if target == "unprofitable" else value,
        currency=currency_code(asked["currency"]),
        costs_complete=bool(asked["costs_complete"]),
        gap=_span("backfill_gap", asked["backfill_gap"]),
        strict_known=bool(asked["strict_known"]),
        data_from=first_moment(asked["data_from"], tz),
        data_through=last_moment(asked["data_through"], tz),
        include_truncated=bool(asked["include_truncated"]),
        tz=tz,
        policy=policy,
        target=target,
        pairs=bool(asked.get("pairs", False)),
        least_gain=_gain(asked.get("least_gain", "1.2")),
        rank=one_of("rank", asked.get("rank", "lift"), ("lift", "shrunk")),
    )


def _unit(value: object) -> str:
    if value == "cycle":
        raise UsageError(
            "a cycle has no value of its own, for what follows one may be of the next: ask the loop"
            ' with unit="customer", account or opportunity'
        )
    return check_unit(value, UNITS[:-1])


def _span(name: str, value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return parse_duration(str(value))
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _number(name: str, value: object) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise UsageError(f"{name} is {value!r}; write a number") from None
    if not number.is_finite():
        raise UsageError(f"{name} is {value!r}; write a number")
    return number


def _share(value: object) -> Decimal:
    share = _number("top", value)
    if not Decimal("0.000001") <= share < 1:
        raise UsageError(f"top is {value}; write a share between 0 and 1, such as 0.2")
    return share


def _gain(value: object) -> Decimal:
    gain = _number("least_gain", value)
    if not 1 <= gain <= 100:
        raise UsageError(f"least_gain is {value}; write a factor from 1 on, such as 1.2")
    return gain


def _threshold(value: object) -> Decimal | None:
    if value is None:
        return None
    amount = _number("threshold", value)
    if not 0 <= amount < Decimal(10) ** 20 or amount != round(amount, 6):
        raise UsageError(f"threshold is {value}; write an amount of money, at most 6 decimals")
    return amount
