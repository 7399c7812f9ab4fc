"""What views of who brought whom have in common: the customers, and what they were worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bowtie.errors import UsageError
from bowtie.stages import Definition
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.loop.money import check_currencies
from bowtie_projections.views.loop.tally import fitted
from bowtie_projections.views.value.view import worths_of
from bowtie_projections.views.value.words import judged
from bowtie_projections.views.value.worth import Worths

__all__ = ["Everybody", "check_most"]


def check_most(most: object) -> None:
    """How many rows are shown at most.

    Raises:
        UsageError: it is no whole number from 1.
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise UsageError(f"most is {most!r}; write a whole number from 1")


@dataclass(frozen=True, slots=True)
class Everybody:
    """All who have a time zero.

    Args:
        worths: the customers, and what they were worth.
        customers: how many there are.
        mature: of them, for how many the horizon is over.
        older: how many more may be older than the data.
        worth: what the mature were worth, times 365.
        currency: of their value.
    """

    worths: Worths
    customers: int
    mature: int
    older: int
    worth: Any
    currency: str | None

    @classmethod
    def of(
        cls, reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]
    ) -> Everybody:
        """Those of a question.

        Raises:
            UsageError: a value that can't be asked.
            Refused: amounts are in several currencies.
        """
        worths = worths_of(
            reader, cut, definition,
            {
                "by": (), "cohort": "all", "from_": None, "to": None, "most": 10,
                "time_zero": "commitment", "top": 0.2, "threshold": None, "since": None,
                "personal_names": (), **asked,
            },
        )  # fmt: skip
        if worths.members.cut.moment is None:
            return cls(worths, 0, 0, 0, 0, None)
        own = worths.members.units.reader
        fit = own.fetch(fitted(worths.population)).to_pylist()[0]
        check_currencies(own, worths.population, fit)
        known = cls._known(worths)
        c = known.c
        sums = sa.select(
            sa.func.count().label("customers"),
            sa.func.count(c.worth).label("mature"),
            sa.cast(sa.func.coalesce(sa.func.sum(c.worth), 0), MONEY).label("worth"),
        )
        [row] = own.fetch(sums.select_from(known)).to_pylist()
        [told] = own.fetch(worths.members.totals()).to_pylist()
        return cls(
            worths, row["customers"], row["mature"], told["older"] or 0, row["worth"],
            fit["currency_low"],
        )  # fmt: skip

    @staticmethod
    def _known(worths: Worths) -> sa.CTE:
        people, worth = worths.people, worths.population.worth()
        return (
            sa.select(people.c.customer, people.c.t0, worth.c.worth)
            .select_from(people.outerjoin(worth, worth.c.customer == people.c.customer))
            .cte("known")
        )

    def known(self) -> sa.CTE:
        """Each ``customer``, its ``t0``, and its ``worth`` times 365; null of the immature."""
        return self._known(self.worths)

    def said(self) -> str:
        """Who is counted, and what value is."""
        members, question = self.worths.members, self.worths.population.question
        if members.cut.moment is None:
            return "No facts at this position, so nobody is counted."
        who = f"{members.units.count(self.customers)} by {members.cut.moment:%Y-%m-%d}"
        said = judged(who, self.customers, self.mature, self.older, question)
        value = f"{question.measure} in {self.currency}" if self.currency else question.measure
        return f"{said}. Value is {value}."
