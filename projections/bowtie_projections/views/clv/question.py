"""What can be asked of the models of lifetime value, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie_projections.clv.buying import MODELS
from bowtie_projections.localtime import check_zone
from bowtie_projections.views.cohorts import ALL, PERIODS
from bowtie_projections.views.firsts import cells_asked, refuse_contracts
from bowtie_projections.views.funnel.question import Question as Cells
from bowtie_projections.views.given import currency_code, length, one_of, span
from bowtie_projections.views.units import UNITS, check_look_back, check_unit

__all__ = ["TERMS", "Question", "ask"]

#: The terms of contracts, in days; a year accrues over 365 of them.
TERMS = {"month": 365 / 12, "quarter": 365 / 4, "year": 365.0}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked.

    Args:
        of: ``orders`` or ``contracts``; None is contracts where there are any.
        model: of :data:`~bowtie_projections.clv.buying.MODELS`.
        horizon: whole days from the moment asked of on.
        discount: the rate by the year at which what is to come is brought to that moment.
        holdout: whole days to judge the model by; None leaves them to the data.
        term: from one renewal to the next; None is the commonest.
        cohort: one of the periods, or ``all``.
        who: customers, not cohorts.
        currency: the only one that may occur, where it was given.
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches count for an account from so long before a membership's start.
        tz: the zone of days.
        cells: by what they are broken down.
    """

    of: str | None
    model: str
    horizon: timedelta
    discount: Decimal | None
    holdout: timedelta | None
    term: str | None
    cohort: str
    who: bool
    currency: str | None
    unit: str
    look_back: timedelta
    tz: str
    cells: Cells

    @property
    def days(self) -> int:
        """The horizon in whole days."""
        return self.horizon // _DAY

    def parameters(self) -> dict[str, Any]:
        """What stands in the answer as its parameters."""
        return {
            "of": self.of,
            "model": self.model,
            "horizon": format_duration(self.horizon),
            "discount": self.discount,
            "holdout": None if self.holdout is None else format_duration(self.holdout),
            "term": self.term,
            "cohort": self.cohort,
            "by": list(self.cells.by),
            "top": self.cells.top,
            "who": self.who,
            "currency": self.currency,
            "unit": self.unit,
            "look_back": format_duration(self.look_back),
            "tz": self.tz,
        }


def ask(asked: Mapping[str, Any]) -> Question:
    """The question, from the keywords of :func:`~bowtie_projections.views.clv.clv`.

    Raises:
        UsageError: a value that can't be asked; the message says which can.
    """
    of, term = asked["of"], asked["term"]
    if of is not None:
        of = one_of("of", of, ("orders", "contracts"))
    if term is not None:
        term = one_of("term", term, tuple(TERMS))
        if of == "orders":
            raise UsageError("term is of contracts: leave it out, or ask with of=contracts")
    model = one_of("model", asked["model"], tuple(MODELS))
    horizon = span("horizon", asked["horizon"])
    holdout = length("holdout", asked["holdout"])
    for name, given in (("horizon", horizon), ("holdout", holdout)):
        if given is not None and given % _DAY:
            raise UsageError(f"{name} is a number of whole days, such as 365d")
    if horizon > 3650 * _DAY:
        raise UsageError(
            f"horizon is {format_duration(horizon)}: ten years (3650d) is the longest, and longer"
            " than most data can speak of"
        )
    cells = cells_asked(asked)
    if of == "orders":
        refuse_contracts(cells.by)
    return Question(
        of=of,
        model=model,
        horizon=horizon,
        discount=_rate(asked["discount"]),
        holdout=holdout,
        term=term,
        cohort=one_of("cohort", asked["cohort"], (*PERIODS, ALL)),
        who=bool(asked["who"]),
        currency=currency_code(asked["currency"]),
        unit=check_unit(asked["unit"], UNITS[:-1]),
        look_back=check_look_back(asked["look_back"]),
        tz=check_zone(asked["tz"]),
        cells=cells,
    )


def _rate(value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        rate = Decimal(str(value))
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or not 0 < rate <= 1:
        raise UsageError(f"discount is {value!r}; write a rate by the year, such as 0.10")
    return rate
