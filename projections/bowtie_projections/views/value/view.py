"""What customers were worth over a fixed time of their own, by cohort and breakdown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal, localcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused, UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie_projections.localtime import check_zone
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.value import money
from bowtie_projections.views.breakdown import dimensions
from bowtie_projections.views.cohorts import ALL, check_cohort, last_moment
from bowtie_projections.views.cut import NEVER, Cut, Reader
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.funnel.question import ask as ask_cells
from bowtie_projections.views.funnel.view import members_of
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.numbers import amount, percent
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.question import Question, ask
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.moves import earlier_cut
from bowtie_projections.views.shares import standing, typed_table
from bowtie_projections.views.units import Units
from bowtie_projections.views.value.movement import movement
from bowtie_projections.views.value.predicted import predicted_value
from bowtie_projections.views.value.tiers import Tier
from bowtie_projections.views.value.words import judged
from bowtie_projections.views.value.worth import QUANTILES, TOPS, Worths, arrived

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "TIERS", "asked_of", "value", "worths_of"]

COLUMNS = (
    "cohort", "customers", "mature", "paying", "high", "value", "value_mean", "value_median",
    "value_p90", "top10_share", "top20_share", "realised", "age_days",
)  # fmt: skip
_MONEY = ("value", "value_mean", "value_median", "value_p90")
TIERS = ("cohort", "tier", "condition", "customers", "customers_share", "value", "value_share")
_DAY_MICROS = 86_400_000_000
#: The share of customers of a cell who need a cost on record before contributions are told.
_COVERED = 0.95


def value(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    cohort: str = ALL,
    from_: Any = None,
    to: Any = None,
    most: int = 10,
    time_zero: str = "commitment",
    horizon: str | timedelta = "365d",
    value: str = "revenue",
    top: float | Decimal | str = 0.2,
    threshold: Decimal | int | str | None = None,
    currency: str | None = None,
    costs_complete: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    include_truncated: bool = False,
    tz: str = "UTC",
    policy: Policy | None = None,
    since: Any = None,
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """What customers were worth over a fixed time from their time zero on.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the entry of a stage is.
        unit: what is counted: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known at time zero.
        cohort: a row for each ``day``, ``week``, ``month``, ``quarter`` or ``year`` of time zero,
            or ``all`` of them together.
        from_: time zero from the start of that period on.
        to: time zero up to the end of that period, inclusive.
        most: how many values of a breakdown stand apart; the rest are ``other``.
        time_zero: ``commitment``, or ``lead``: the definition's lead stage, with all leads.
        horizon: whole days from time zero over which value counts.
        value: ``revenue``, or ``contribution``: less the costs of onboarding and serving.
        top: the share of the older half's paying customers that sets the threshold of high value.
        threshold: the value from which on it is high; then ``top`` is not used.
        currency: refuse all others.
        costs_complete: a customer without a cost on record had none.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when it is complete, if not up to the moment asked of.
        include_truncated: count customers who may be older than the data.
        tz: the zone of days and cohorts.
        policy: a value policy, whose horizon, value, high and tiers then hold. One of predicted
            value is answered by :func:`~bowtie_projections.views.value.predicted.predicted_value`.
        since: an earlier day: the part ``movement`` says who of the mature was in which tier then.
        personal_names: traits that are sealed.

    Returns:
        A row for each cohort of each cell: ``customers``; of the ``mature`` how many were
        ``paying`` and of ``high`` value, the sum, mean, median and 90th percentile of their
        ``value``, and the share of it that the top 10% and 20% bring; of all customers what they
        have ``realised`` to date, at their mean ``age_days``. Mean and quantiles are rounded to the
        6 decimals of money. The part ``tiers`` counts the mature by tier of value.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed; several currencies; costs that are missing.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    if policy is not None and policy.basis == "predicted":
        # the customers and their cells are those that a policy of realised value tells
        if since is not None:
            raise UsageError("since tells who moved between tiers of what came: leave it out here")
        beside = asked | {"policy": replace(policy, basis="realised")}
        worths = worths_of(reader, cut, definition, beside)
        return predicted_value(definition, policy, asked, worths)
    then = last_moment(since, check_zone(tz))
    worths = worths_of(reader, cut, definition, asked)
    answer = _Answer(worths, definition, str(asked["cohort"]), asked["by"])
    if then is not None:
        earlier = earlier_cut(reader, worths.members.cut, then)
        answer.moved = movement(worths_of(reader, earlier, definition, asked), worths)
        answer.since = str(since)
    return answer.nobody() if worths.members.cut.moment is None else answer.somebody()


def asked_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of the loop's population, by the parameters of :func:`value`."""
    beside = {"by", "cohort", "from_", "to", "most", "since", "personal_names"}
    return {name: given for name, given in asked.items() if name not in beside} | {
        "backfill_gap": "7d",
        "strict_known": False,
    }


def worths_of(reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]) -> Worths:
    """Whose worth is asked for, by all parameters of :func:`value`."""
    most = asked["most"]
    cohort = check_cohort(asked["cohort"])
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise UsageError(f"most is {most!r}; write a whole number from 1")
    question = ask(definition, asked_of(asked))
    shared = ("by", "from_", "to", "look_back", "data_from", "data_through", "tz", "unit")
    cells = ask_cells(
        {name: asked[name] for name in shared}
        | {"cohort": cohort, "top": most}
        | {"include_truncated": asked["include_truncated"]}
    )
    cells = replace(cells, cohort_stage=question.stage)
    found = dimensions(
        reader, cut, cells.by, cohort_stage=question.stage,
        personal_names=asked["personal_names"],
    )  # fmt: skip
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    dated = cut if cut.moment is not None else replace(cut, as_of=NEVER)
    population = Population.of(units, dated, definition, question)
    source = partial(arrived, population)
    return Worths(population, members_of(units, cut, definition, cells, found, journeys_of=source))


@dataclass(slots=True)
class _Answer:
    """One question, and what is known of its answer so far."""

    worths: Worths
    definition: Definition
    cohort: str
    by: str | Sequence[str]
    fit: Mapping[str, Any] = field(default_factory=dict)
    threshold: Decimal | None = None
    unfitted: str = ""
    tiers: Sequence[Tier] = ()
    older: int = 0
    moved: pa.Table | None = None
    since: str | None = None

    @property
    def members(self) -> Members:
        """Whose worth is asked for."""
        return self.worths.members

    @property
    def question(self) -> Question:
        """What was asked of the population."""
        return self.worths.population.question

    def nobody(self) -> Result:
        """The answer of a log without facts."""
        return self._result([], [], "No facts at this position, so nobody is counted.")

    def somebody(self) -> Result:
        """The answer of all who have a time zero."""
        reader, bounds = self.members.units.reader, self.worths.bounds()
        self.fit, self.threshold = bounds.fit, bounds.threshold
        self.unfitted, self.tiers = bounds.unfitted, bounds.tiers
        arrivals = reader.fetch(self.worths.realised()).to_pylist()
        arrivals = [row for row in arrivals if row["customers"]]
        self._check_to_date(arrivals)
        spread = reader.fetch(self.worths.spread(self.threshold, self.tiers)).to_pylist()
        spread = [row for row in spread if row["customers"]]
        cells = {self._key(row): row for row in spread if row["tier"] is None}
        if self.question.value == "contribution" and not self.question.costs_complete:
            self._check_costs(list(cells.values()))
        self.older = int(reader.fetch(self.members.totals()).to_pylist()[0]["older"])
        arrivals.sort(key=self.worths.order)
        rows = [self._row(one, cells.get(self._key(one))) for one in arrivals]
        by_tier = {(self._key(row), row["tier"]): row for row in spread if row["tier"] is not None}
        tiers = [
            self._tier(cells[self._key(one)], place, by_tier.get((self._key(one), place)))
            for one in arrivals
            if self._key(one) in cells
            for place in range(len(self.tiers))
        ]
        return self._result(rows, tiers, self._sentence(rows))

    def _key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.members.key_names)

    def _row(self, arrivals: Mapping[str, Any], worth: Mapping[str, Any] | None) -> dict[str, Any]:
        number = arrivals["customers"]
        row: dict[str, Any] = self.worths.named(arrivals) | dict.fromkeys(COLUMNS[2:])
        row |= {
            "customers": number,
            "mature": 0 if worth is None else worth["customers"],
            "realised": money(arrivals["realised"]),
            "age_days": arrivals["age"] / number / _DAY_MICROS,
        }
        if worth is None:
            return row
        row |= {name: worth[name] for name in ("paying", "high")}
        row["value"] = money(worth["worth"])
        with localcontext(prec=60):
            row["value_mean"] = money(worth["worth"] / worth["customers"])
        for name, tenths in QUANTILES.items():
            row[f"value_{name}"] = _between(worth, name, tenths)
        if worth["worth"] > 0:
            row |= {f"{name}_share": float(worth[name] / worth["worth"]) for name in TOPS}
        return row

    def _tier(
        self, cell: Mapping[str, Any], place: int, found: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        tier, number = self.tiers[place], 0 if found is None else found["customers"]
        worth = Decimal(0) if found is None else found["worth"]
        return self.worths.named(cell) | {
            "tier": tier.name,
            "condition": tier.words(self.fit["currency_low"]),
            "customers": number,
            "customers_share": number / cell["customers"],
            "value": money(worth),
            "value_share": float(worth / cell["worth"]) if cell["worth"] > 0 else None,
        }

    def _check_to_date(self, arrivals: Sequence[Mapping[str, Any]]) -> None:
        """The immature may have brought money of another currency than the mature."""
        names = ["currency_low", "currency_high"]
        if self.question.value == "contribution":
            names += ["cost_currency_low", "cost_currency_high"]
        found = sorted({row[name] for row in arrivals for name in names} - {None})
        wanted = self.question.currency
        if len(found) > 1 or (wanted is not None and found not in ([], [wanted])):
            refuse_currencies(found, wanted)

    def _check_costs(self, cells: Sequence[Mapping[str, Any]]) -> None:
        for cell in cells:
            size, costed = cell["customers"], cell["costed"]
            if costed < _COVERED * size:
                named = ", ".join(str(one) for one in self.worths.named(cell).values())
                raise Refused(
                    "contribution needs a cost of onboarding or serving on record for 95% of the"
                    f" mature of each row; {named} has one for {costed:,} of {size:,}"
                    f' ({costed / size:.0%}). Ask for value="revenue", or with'
                    " costs_complete=True if a customer without a cost had none"
                )

    def _sentence(self, rows: Sequence[Mapping[str, Any]]) -> str:
        number = sum(row["customers"] for row in rows)
        mature = sum(row["mature"] for row in rows)
        who = f"{self.members.units.count(number)} by {self.members.moment:%Y-%m-%d}"
        if self.question.time_zero == "lead":
            who += f" (entered {self.question.stage})"
        said = judged(who, number, mature, self.older, self.question)
        currency = self.fit["currency_low"]
        measure, discounted = self.question.measure, self.question.discount is not None
        value = f"{measure} in {currency}" if currency else measure
        realised = "realised is of all, at the age beside it"
        if discounted:
            realised += ", as it came"
        return f"{said}. Value is {value}; {realised}."

    def _notes(self) -> list[str]:
        notes: list[str] = []
        fit, members = self.fit, self.members
        if not fit:
            return notes
        if self.threshold is not None:
            reached = amount(self.threshold, fit["currency_low"])
            said = f"High value is {reached} or more"
            if self.question.threshold is None:
                said += f", which the top {percent(self.question.top)} of the older half's paying"
                said += f" reach (time zero up to {fit['median']:%Y-%m-%d})"
            notes.append(f"{said}.")
        elif fit["median"] is not None:
            notes.append(f"Nobody is said to be of high value: {self.unfitted}.")
        if fit["twice"]:
            notes.append(
                f"{members.units.count(fit['twice'])} had both orders and invoices within the"
                " horizon, and both count: if the invoices bill the orders, their value is counted"
                " twice."
            )
        if self.older and self.question.include_truncated:
            notes.append(
                f"{members.units.count(self.older)} first seen so early that they may be older than"
                " the data are counted: their time zero may be none."
            )
        return [*notes, *members.folded_notes]

    def _result(
        self, rows: Sequence[Mapping[str, Any]], tiers: Sequence[Mapping[str, Any]], sentence: str
    ) -> Result:
        asked = self.question.parameters()
        for name in ("backfill_gap", "strict_known"):
            asked.pop(name)
        written = self.members.question.written
        asked |= {name: written[name] for name in ("by", "from", "to")}
        asked |= {"cohort": self.cohort, "most": self.members.question.top}
        asked["since"] = self.since
        meta = standing(self.definition, asked, self.members.cut, self.members.units)
        meta |= {"threshold": self.threshold, "currency": self.fit.get("currency_low")}
        return Result(
            "value",
            self._table(rows, COLUMNS),
            sentence=sentence,
            notes=self._notes(),
            sql=self.members.units.reader.statements,
            meta=meta,
            parts={"tiers": self._table(tiers, TIERS)}
            | ({} if self.moved is None else {"movement": self.moved}),
        )

    def _table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        texts = ("tier", "condition")
        kinds: dict[str, Any] = {one.column: pa.string() for one in self.members.dimensions}
        kinds[COHORT] = pa.string()
        for name in columns[1:]:
            if name in texts:
                kinds[name] = pa.string()
            elif name in {*_MONEY, "realised"}:
                kinds[name] = pa.decimal128(38, 6)
            else:
                shares = name.endswith("_share") or name == "age_days"
                kinds[name] = pa.float64() if shares else pa.int64()
        titles = {one.column: one.title(columns) for one in self.members.dimensions}
        return typed_table(rows, kinds, titles | {COHORT: "cohort"})


def _between(worth: Mapping[str, Any], name: str, tenths: int) -> Decimal:
    """The quantile, between the two nearest values, from 365 times these."""
    low, high = worth[f"{name}_low"], worth[f"{name}_high"]
    rest = (worth["customers"] - 1) * tenths % 10
    with localcontext(prec=60):
        return money(low + (high - low) * rest / 10 if rest else low)
