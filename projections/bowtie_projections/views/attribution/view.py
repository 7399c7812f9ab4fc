"""Attribution: the credit of each source for commitments and their worth, model beside model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bowtie.durations import format_duration
from bowtie.errors import Refused, UsageError
from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie.wording import are
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.value import money
from bowtie_projections.views.attribution.credits import (
    Credit,
    Credits,
    decay_credits,
    markov_credits,
    rule_credits,
    totals,
    untouched,
)
from bowtie_projections.views.attribution.paths import Paths
from bowtie_projections.views.attribution.rows import Spend, attribution_table, model_rows
from bowtie_projections.views.attribution.rules import READS, RULES
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.given import one_of, span
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop import sources as spending
from bowtie_projections.views.loop.money import check_currencies
from bowtie_projections.views.loop.numbers import amount
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.question import Question, ask
from bowtie_projections.views.loop.tally import fitted
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MODELS", "Answer", "asked_of", "attribution"]

#: All models, in the order of an answer.
MODELS = (
    "first", "last", "linear", "position", "position_lead", "w", "full_path", "j", "inverse_j",
    "time_decay", "shapley", "markov",
)  # fmt: skip
#: Those of an answer that names none: one of each kind.
_USUAL = ("first", "last", "linear", "w", "time_decay", "shapley", "markov")
_SOURCES = ("channel", "campaign", "medium", "touchpoint", "content")
_DIRECTIONS = {"any": ("inbound", "outbound"), "inbound": ("inbound",), "outbound": ("outbound",)}
_ORDERS = (1, 2, 3)
_CONVENTIONS = (
    "The models are conventions, not measurements: where they differ, the data does not say which"
    " is right. To know what a source brings, hold it out."
)


def attribution(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    models: str | Sequence[str] = _USUAL,
    by: str = "channel",
    window: str | timedelta = "90d",
    half_life: str | timedelta = "7d",
    order: int = 1,
    direction: str = "any",
    horizon: str | timedelta = "365d",
    top: float | Decimal | str = 0.2,
    threshold: Decimal | int | str | None = None,
    value: str = "revenue",
    currency: str | None = None,
    data_from: Any = None,
    data_through: Any = None,
    include_truncated: bool = False,
    tz: str = "UTC",
    policy: Policy | None = None,
) -> Result:
    """Which sources are given the credit for commitments, and for what these were worth.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        unit: whose touches make a path: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        models: some of :data:`MODELS`, or ``all``.
        by: what a source is: ``channel``, ``campaign``, ``medium``, ``touchpoint`` or ``content``.
        window: how long before the commitment a touch counts.
        half_life: after which a touch counts half, in ``time_decay``.
        order: how many sources the Markov chain remembers: 1, 2 or 3.
        direction: touches that count: ``any``, ``inbound`` or ``outbound``.
        horizon: whole days from the commitment over which value counts.
        top: the share of the older half's paying customers that sets the threshold of high value.
        threshold: the value from which on it is high; then ``top`` is not used.
        value: ``revenue``, or ``contribution``: less the costs of onboarding and serving.
        currency: refuse all others.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when it is complete, if not up to the moment asked of.
        include_truncated: count customers who may be older than the data.
        tz: the zone of days and months.
        policy: a value policy, whose horizon, value and high then hold.

    Returns:
        A row for each source under each model. ``wins`` are of all commitments; ``value`` and
        ``high`` of those old enough for the horizon. Credits of one model sum to the whole, value
        to the cent.

    Raises:
        UsageError: a value that can't be asked.
        Refused: amounts are in several currencies, or there is nothing to fit a threshold on.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    answer = asked_of(reader, cut, definition, asked)
    return answer.nobody() if answer.cut.moment is None else answer.somebody()


def asked_of(reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]) -> Answer:
    """What is asked and where, by all parameters of :func:`attribution`."""
    own = ("models", "by", "window", "half_life", "order", "direction")
    of_loop = {name: given for name, given in asked.items() if name not in own} | {
        "time_zero": "commitment", "costs_complete": True, "backfill_gap": "7d",
        "strict_known": False,
    }  # fmt: skip
    question = ask(definition, of_loop)
    wanted = _Wanted.of(**{name: asked[name] for name in own})
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    return Answer(units, cut, definition, question, wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked beside what the loop is asked."""

    models: tuple[str, ...]
    by: str
    window: timedelta
    half_life: timedelta
    order: int
    direction: str

    @classmethod
    def of(cls, *, models: Any, order: Any, **asked: Any) -> _Wanted:
        """What was asked, checked; the models in the order of their table, each once."""
        names = [models] if isinstance(models, str) else list(models)
        names = list(MODELS) if names == ["all"] else names
        for name in names:
            one_of("models", name, (*MODELS, "all"))
        if order not in _ORDERS:
            raise UsageError(f"order is {order!r}; a chain remembers 1, 2 or 3 sources")
        return cls(
            tuple(name for name in MODELS if name in set(names)),
            one_of("by", asked["by"], _SOURCES),
            span("window", asked["window"]),
            span("half_life", asked["half_life"]),
            order,
            one_of("direction", asked["direction"], tuple(_DIRECTIONS)),
        )

    def parameters(self) -> dict[str, Any]:
        """What stands in the answer."""
        return {
            "models": list(self.models),
            "by": self.by,
            "window": format_duration(self.window),
            "half_life": format_duration(self.half_life),
            "order": self.order,
            "direction": self.direction,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, and where it is asked."""

    units: Units
    cut: Cut
    definition: Definition
    question: Question
    wanted: _Wanted

    def nobody(self) -> Result:
        """The answer of a log without facts."""
        return self._result(attribution_table([], self.wanted.by), "Nobody has committed.", [], {})

    def somebody(self) -> Result:
        """The answer of all who committed."""
        reader, paths = self.units.reader, self.paths()
        population = paths.population
        fit = reader.fetch(fitted(population)).to_pylist()[0]
        self._check_currencies(population, fit)
        # linear tells the whole, and the months of models that know none
        models = {"linear", *self.wanted.models} & RULES.keys()
        counted = reader.fetch(paths.counted({one for m in models for one in READS[m]})).to_pylist()
        linear, alone = rule_credits("linear", counted), untouched(counted)
        arrivals = reader.fetch(population.arrivals()).to_pylist()
        spend = self._spend(population, arrivals, fit["currency_low"])
        rows = [
            row
            for model, credit in self._credits(paths, counted, linear).items()
            for row in model_rows(model, credit, alone, spend)
        ]
        table = attribution_table(rows, self.wanted.by)
        young = self._young(paths)
        sentence = self._sentence(totals(linear), totals(alone), arrivals)
        return self._result(table, sentence, self._notes(young, fit), fit)

    def paths(self) -> Paths:
        """The touches before each commitment; there are facts."""
        wanted = self.wanted
        return Paths(
            Population.of(self.units, self.cut, self.definition, self.question),
            wanted.by, wanted.window, wanted.half_life, _DIRECTIONS[wanted.direction],
            self.definition.lead,
        )  # fmt: skip

    def _credits(
        self, paths: Paths, counted: list[dict[str, Any]], linear: Credits
    ) -> dict[str, Credits]:
        reader, wanted = self.units.reader, self.wanted
        found: dict[str, Credits] = {}
        for model in wanted.models:
            if model in RULES:
                found[model] = rule_credits(model, counted)
            elif model == "time_decay":
                found[model] = decay_credits(reader.fetch(paths.decayed()).to_pylist(), linear)
            else:
                steps = reader.fetch(paths.transitions(wanted.order)).to_pylist()
                found[model] = markov_credits(steps, wanted.order, linear)
        return found

    def _spend(
        self, population: Population, arrivals: Sequence[Mapping[str, Any]], currency: str | None
    ) -> Spend | None:
        """What each source cost, where sources are what spend is kept by."""
        kept = [row for row in arrivals if self.question.include_truncated or not row["truncated"]]
        if self.wanted.by not in {"channel", "campaign"} or not kept:
            return None
        first = min(row["first"] for row in kept)
        span = spending.Span.of(self.question, first, population.end)
        ledgers, _ = spending.read_spend(
            self.units.reader, self.cut, self.question, span, self.wanted.by
        )
        return Spend(ledgers, self.question.days, currency)

    def _check_currencies(self, population: Population, fit: Mapping[str, Any]) -> None:
        check_currencies(self.units.reader, population, fit)
        if fit["paying"] == 0 and self.question.threshold is None and fit["median"] is not None:
            raise Refused(
                "no customer of the older half was worth anything within the horizon, so there is"
                " no top share to take: ask with threshold="
            )

    def _young(self, paths: Paths) -> int | None:
        if "markov" not in self.wanted.models:
            return None
        return int(self.units.reader.fetch(paths.young()).column(0)[0].as_py())

    def _sentence(
        self, touched: Credit, alone: Credit, arrivals: Sequence[Mapping[str, Any]]
    ) -> str:
        wins, mature = int(touched.wins + alone.wins), int(touched.mature + alone.mature)
        without = int(alone.wins)
        window = format_duration(self.wanted.window)
        horizon = format_duration(self.question.horizon)
        older = sum(row["customers"] for row in arrivals if row["truncated"])
        left = ""
        if older and not self.question.include_truncated:
            left = f"; {older:,} more may be older than the data and {are(older)} left out"
        return (
            f"{self.units.count(wins)} committed by {self.cut.moment:%Y-%m-%d}; {without:,} had no"
            f" touch with a {self.wanted.by} in the {window} before{left}. Value and high value are"
            f" of the {mature:,} who are old enough for {horizon}."
        )

    def _notes(self, young: int | None, fit: Mapping[str, Any]) -> list[str]:
        notes = [_CONVENTIONS]
        if young:
            notes.append(
                f"{self.units.count(young)} without a commitment were touched within the last"
                f" {format_duration(self.wanted.window)}: they may still commit, and are no paths"
                " of the Markov chain yet."
            )
        if self.question.threshold is None and fit["fitted_worth"] is not None:
            reached = amount(money(fit["fitted_worth"], down=True), fit["currency_low"])
            notes.append(f"High value is {reached} or more of {self.question.measure}.")
        return notes

    def _result(
        self, table: pa.Table, sentence: str, notes: Sequence[str], fit: Mapping[str, Any]
    ) -> Result:
        asked = self.question.parameters()
        for name in ("time_zero", "costs_complete", "backfill_gap", "strict_known"):
            asked.pop(name)
        return Result(
            "attribution",
            table,
            sentence=sentence,
            notes=notes,
            sql=self.units.reader.statements,
            meta={
                "definition": self.definition.label,
                "parameters": asked | self.wanted.parameters(),
                "position": self.cut.position,
                "as_of": self.cut.as_of,
                "known_at": None,
                "currency": fit.get("currency_low"),
            },
        )
