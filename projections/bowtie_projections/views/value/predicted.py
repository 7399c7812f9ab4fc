"""Value by a policy of predicted value: what a model expects of customers ahead, by cell and tier.

It is told apart from what came: no column of it holds any money that was earned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bowtie.durations import format_duration
from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie.wording import are
from bowtie_projections.results import Result
from bowtie_projections.views.clv.forecast import Forecast, cents
from bowtie_projections.views.clv.question import ask as ask_models
from bowtie_projections.views.clv.view import Predicting
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.loop.numbers import amount, percent
from bowtie_projections.views.shares import standing, typed_table
from bowtie_projections.views.value.tiers import Tier, tiers_of
from bowtie_projections.views.value.worth import Worths

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "TIERS", "Expected", "People", "predicted_value"]

COLUMNS = (
    "cohort", "customers", "predicted", "expected_alive", "high", "predicted_value",
    "predicted_mean", "predicted_median", "predicted_p90", "top10_share", "top20_share",
)  # fmt: skip
TIERS = (
    "cohort", "tier", "condition", "customers", "customers_share", "predicted_value",
    "predicted_share",
)  # fmt: skip
_CENT = Decimal("0.01")


def predicted_value(
    definition: Definition, policy: Policy, asked: Mapping[str, Any], worths: Worths
) -> Result:
    """What is expected of the customers of each cell, by a policy.

    Args:
        definition: what the entry of a stage is.
        policy: of predicted value.
        asked: all parameters of :func:`~bowtie_projections.views.value.value`.
        worths: the customers and their cells.

    Raises:
        Refused: too little is known; several currencies.
    """
    members = worths.members
    told = Expected(worths, policy, asked)
    if members.cut.moment is None:
        nothing = "No facts at this position, so nothing is expected."
        return told.result(definition, [], [], nothing, [])
    predicting, found, people = told.people()
    currency = predicting.currency(found.of)
    rows, tiers = told.rows(people), told.tiers(people, currency)
    number, known = len(people.value), int(people.there.sum())
    model = " and ".join(one.name for one in found.models)
    sentence = (
        f"{members.units.count(number)} by {predicting.today}; of {known:,} it is told by {model}"
        f" what to expect over the {format_duration(policy.horizon)} from then on. Predicted value"
        f"{f' in {currency}' if currency else ''} is a model's, and no money that came."
    )
    notes = [told.threshold_note(people, currency), *predicting.notes(found)]
    if missing := number - known:
        notes.insert(
            0,
            f"Of {missing:,} nothing is expected, for the model knows no {found.of} of theirs: they"
            f" {are(missing)} in customers alone.",
        )
    return told.result(definition, rows, tiers, sentence, notes, currency)


@dataclass(frozen=True, slots=True)
class People:
    """The customers of the cells, and what is expected of each, in whole cents.

    Args:
        customers: their keys.
        keys: the cells, each as SQL tells it.
        cell: the place of each customer's cell among them.
        there: of whom something is expected.
        value: in cents; 0 where nothing is known.
        alive: the probability that each still buys.
    """

    customers: Sequence[str]
    keys: Sequence[Mapping[str, Any]]
    cell: NDArray[np.int64]
    there: NDArray[np.bool_]
    value: NDArray[np.int64]
    alive: NDArray[np.float64]

    @classmethod
    def of(cls, members: Members, people: sa.CTE, found: Forecast) -> People:
        """Those of the cells, each with what is expected."""
        asked = sa.select(*people.c).order_by(people.c.customer)
        rows = members.units.reader.fetch(asked).to_pylist()
        places = {name: place for place, name in enumerate(found.customers.to_pylist())}
        place = np.array([places.get(row["customer"], -1) for row in rows], np.int64)
        cells: dict[tuple[Any, ...], int] = {}
        cell = [
            cells.setdefault(tuple(row[name] for name in members.key_names), len(cells))
            for row in rows
        ]
        there = place >= 0
        value, alive = np.zeros(len(rows), np.int64), np.zeros(len(rows))
        value[there], alive[there] = cents(found.value)[place[there]], found.alive[place[there]]
        keys = [dict(zip(members.key_names, one, strict=True)) for one in cells]
        customers = [str(row["customer"]) for row in rows]
        return cls(customers, keys, np.array(cell, np.int64), there, value, alive)

    def known(self, cell: int | None = None) -> NDArray[np.int64]:
        """The values of a cell, or of all, from the least up."""
        own = self.there if cell is None else self.there & (self.cell == cell)
        return np.sort(self.value[own])


@dataclass(frozen=True, slots=True)
class Expected:
    """One question, and how its answer is told.

    Args:
        worths: the customers and their cells.
        policy: of predicted value.
        asked: all parameters of :func:`~bowtie_projections.views.value.value`.
    """

    worths: Worths
    policy: Policy
    asked: Mapping[str, Any]

    @property
    def members(self) -> Members:
        """Whose value is asked for."""
        return self.worths.members

    def people(self) -> tuple[Predicting, Forecast, People]:
        """The forecast, and what it says of the customers of the cells."""
        policy, members = self.policy, self.members
        question = ask_models(
            {
                "of": None, "model": "bg/nbd", "term": None, "holdout": None, "cohort": "all",
                "who": False, "horizon": policy.horizon, "discount": policy.discount,
                "currency": policy.currency, "by": (), "top": 10, "data_from": None,
                "data_through": None,
            }
            | {name: self.asked[name] for name in ("unit", "look_back", "tz")}
        )  # fmt: skip
        predicting = Predicting(members.units, members.cut, question)
        found = predicting.forecast()
        return predicting, found, People.of(members, self.worths.people, found)

    def threshold(self, people: People) -> Decimal | None:
        """From which predicted value on it is high."""
        if self.policy.threshold is not None:
            return self.policy.threshold
        paying = people.known()
        paying = paying[paying > 0]
        if not len(paying):
            return None
        place = -(-int(self.policy.top * 1_000_000) * len(paying) // 1_000_000)
        return Decimal(int(paying[-max(1, place)])) / 100

    def threshold_note(self, people: People, currency: str | None) -> str:
        """What is high."""
        least = self.threshold(people)
        if least is None:
            return "Nobody is of high value: nothing is expected of anybody."
        said = f"High predicted value is {amount(least, currency)} or more"
        if self.policy.threshold is None:
            said += f", which the top {percent(self.policy.top)} of those reach of whom any is"
        return f"{said}{'' if self.policy.threshold is not None else ' expected'}."

    def rows(self, people: People) -> list[dict[str, Any]]:
        """A row for each cell."""
        least = self.threshold(people)
        found = []
        for place in self._ordered(people):
            own = people.cell == place
            known = people.known(place)
            row = self.worths.named(people.keys[place])
            row |= dict.fromkeys(COLUMNS[1:]) | {
                "customers": int(own.sum()), "predicted": len(known),
                "expected_alive": float(people.alive[own].sum()),
            }  # fmt: skip
            if len(known):
                row |= _spread(known)
                if least is not None:
                    row["high"] = int((own & self.high(people)).sum())
            found.append(row)
        return found

    def high(self, people: People) -> NDArray[np.bool_]:
        """Who is of high predicted value; nobody where that can't be said."""
        least = self.threshold(people)
        if least is None:
            return np.zeros(len(people.value), bool)
        return people.there & (people.value >= ceil(least * 100)) & (people.value > 0)

    def tiers(self, people: People, currency: str | None) -> list[dict[str, Any]]:
        """A row for each tier of each cell; every customer of whom something is known is in one."""
        tiers, among = self.placed(people)
        found = []
        for place in self._ordered(people):
            cell = people.there & (people.cell == place)
            size, total = int(cell.sum()), int(people.value[cell].sum())
            if not size:
                continue
            for number, tier in enumerate(tiers):
                own = cell & (among == number)
                value = int(people.value[own].sum())
                found.append(
                    self.worths.named(people.keys[place])
                    | {
                        "tier": tier.name,
                        "condition": tier.words(currency),
                        "customers": int(own.sum()),
                        "customers_share": int(own.sum()) / size,
                        "predicted_value": Decimal(value) / 100,
                        "predicted_share": value / total if total > 0 else None,
                    }
                )
        return found

    def placed(self, people: People) -> tuple[Sequence[Tier], NDArray[np.int64]]:
        """The tiers, and the place of each one's; -1 of whom nothing is expected."""
        question = replace(self.worths.population.question, policy=self.policy)
        tiers = tiers_of(question, self.threshold(people))
        return tiers, _tier_of(people, tiers)

    def _ordered(self, people: People) -> list[int]:
        """The cells as an answer lists them."""
        return sorted(
            range(len(people.keys)), key=lambda place: self.worths.order(people.keys[place])
        )

    def result(  # noqa: PLR0917 - what an answer is made of
        self,
        definition: Definition,
        rows: Sequence[Mapping[str, Any]],
        tiers: Sequence[Mapping[str, Any]],
        sentence: str,
        notes: Sequence[str],
        currency: str | None = None,
    ) -> Result:
        """The answer."""
        members, asked = self.members, self.worths.population.question.parameters()
        for name in ("backfill_gap", "strict_known", "costs_complete", "value"):
            asked.pop(name)
        written = members.question.written
        asked |= {name: written[name] for name in ("by", "from", "to")}
        asked |= {"cohort": self.asked["cohort"], "most": members.question.top}
        asked["basis"] = "predicted"
        return Result(
            "value",
            self._table(rows, COLUMNS),
            sentence=sentence,
            notes=list(notes),
            sql=members.units.reader.statements,
            meta=standing(definition, asked, members.cut, members.units)
            | {"currency": currency, "basis": "predicted"},
            parts={"tiers": self._table(tiers, TIERS)},
        )

    def _table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        money, dimensions = pa.decimal128(38, 6), self.members.dimensions
        kinds: dict[str, Any] = {one.column: pa.string() for one in dimensions}
        kinds[COHORT] = pa.string()
        for name in columns[1:]:
            if name in {"tier", "condition"}:
                kinds[name] = pa.string()
            elif name.endswith("_share") or name == "expected_alive":
                kinds[name] = pa.float64()
            else:
                kinds[name] = money if name.startswith("predicted_") else pa.int64()
        titles = {one.column: one.title(columns) for one in dimensions}
        return typed_table(rows, kinds, titles | {COHORT: "cohort"})


def _spread(known: NDArray[np.int64]) -> dict[str, Any]:
    """Sum, mean, quantiles and the share of the top, of values in cents from the least up."""
    total, size = int(known.sum()), len(known)
    middle, high = (np.quantile(known, share) for share in (0.5, 0.9))
    found: dict[str, Any] = {
        "predicted_value": Decimal(total) / 100,
        "predicted_mean": _money(total / size),
        "predicted_median": _money(middle),
        "predicted_p90": _money(high),
    }
    if total > 0:
        for name, share in (("top10_share", 10), ("top20_share", 20)):
            top = -(-size * share // 100)
            found[name] = int(known[-top:].sum()) / total
    return found


def _money(of_cents: Any) -> Decimal:
    return (Decimal(float(of_cents)) / 100).quantize(_CENT)


def _tier_of(people: People, tiers: Sequence[Tier]) -> NDArray[np.int64]:
    """The tier of each, the first whose condition is met; -1 of whom nothing is expected."""
    value = people.value
    gained = np.where(people.there, np.maximum(value, 0), 0)
    order = np.argsort(-gained, kind="stable")
    falling = np.cumsum(gained[order])
    # those of one value are on one side of each border: what those worth more bring
    first = np.searchsorted(-gained[order], -gained, side="left")
    before = np.where(first > 0, falling[first - 1], 0)
    total = int(gained.sum())
    found = np.full(len(value), -1, np.int64)
    for place, tier in enumerate(tiers):
        if tier.least is not None:
            met = value >= ceil(tier.least * 100)
        elif tier.share is not None:
            met = (value > 0) & (before * 1_000_000.0 < total * float(tier.share * 1_000_000))
        else:
            met = np.ones(len(value), bool)
        found = np.where((found < 0) & people.there & met, place, found)
    return found
