"""The metrics of a named edition: volumes, conversions and days by milestone, and money."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition, Milestone
from bowtie_projections import tables
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import members_of
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.metrics.editions import EDITIONS, Later, check_edition, numbered
from bowtie_projections.views.metrics.pairs import pair_of
from bowtie_projections.views.units import Units, plural
from bowtie_projections.views.velocity import velocity

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["metrics"]

_Row = dict[str, Any]
_COLUMNS = ("number", "metric", "unit", "value", "low", "high", "of", "currency", "reason")
#: What all call the fourth step, from the last milestone to the win.
_NAMES = {"CR4": "win_rate", "dt4": "sales_cycle_days"}
_MONTHS = {"month": 12, "quarter": 4, "year": 1}


def metrics(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    edition: str = "wbd-2026",
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    within: str | timedelta | None = None,
    from_: Any = None,
    to: Any = None,
    lost_after: str | timedelta | None = None,
    include_truncated: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """The metrics of an edition, each by what it means, with its number there.

    Left of the knot: how many reached each milestone of the definition, which share of the mature
    went on to the next, and in how many days half of those did; all of it from the funnel. Right of
    the knot: what was committed, and whatever else can be told. What can't is empty, with the
    reason.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means, and which milestones there are.
        edition: ``wbd-2022`` or ``wbd-2026``.
        unit, look_back, within, from_, to, lost_after, include_truncated: as for the funnel.
        data_from, data_through, tz, personal_names: as for the funnel.

    Returns:
        A row for each metric: ``number`` (empty where the edition has none), ``metric``, ``unit``,
        ``value``, of a share its interval and ``of`` how many it is, of money its ``currency``, and
        the ``reason`` where there is no value.

    Raises:
        UsageError: a value that can't be asked.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition", "edition"}
    }  # fmt: skip
    telling = _Telling(reader, cut, definition, asked)
    rows = [*telling.left(), *telling.right(EDITIONS[check_edition(edition)])]
    whole = telling.funnel(definition)
    return Result(
        "metrics",
        _table(rows),
        sentence=f"{edition}: {whole.sentence}",
        notes=whole.notes,
        sql=reader.statements,
        meta={**whole.meta, "parameters": {**whole.meta["parameters"], "edition": edition}},
    )


@dataclass(frozen=True, slots=True)
class _Telling:
    """The figures of one question."""

    reader: Reader
    cut: Cut
    definition: Definition
    asked: Mapping[str, Any]

    @property
    def counted(self) -> str:
        """What is counted, several of them."""
        return plural(str(self.asked["unit"]))

    def funnel(self, definition: Definition) -> Result:
        """The stage funnel by a definition."""
        return funnel(self.reader, self.cut, definition, **self.asked)

    def left(self) -> Iterator[_Row]:
        """Volumes, conversions and days, in the order of the milestones."""
        order = numbered(self.definition)
        own = {one.name: one for one in self.definition.milestones}
        volumes: dict[str, int] = {}
        steps: list[tuple[str, str, _Row]] = []
        told: dict[str, dict[str, _Row]] = {}
        for first, second in pairwise(self.definition.milestones):
            found = self._step(first, second, told)
            steps.append((first.name, second.name, found))
            volumes |= found.get("volumes", {})
        for place, name in enumerate(order, start=1):
            missing = "" if name in own else self._missing(name)
            value = volumes.get(name)
            reason = missing or ("" if value is not None else "it can't be told apart")
            yield _row(f"VM{place}", f"{name}s", self.counted, value=value, reason=reason)
        for name in own:
            if name not in order:
                yield _row("", f"{name}s", self.counted, value=volumes.get(name))
        yield from self._between(order, steps, "CR")
        yield from self._between(order, steps, "dt")

    def _missing(self, name: str) -> str:
        return f"{self.definition.label} names no milestone {name}: give it one in [milestones]"

    def _step(self, first: Milestone, second: Milestone, told: dict[str, dict[str, _Row]]) -> _Row:
        """The funnel's figures from one milestone to the next."""
        pair = pair_of(self.definition, first, second)
        if not isinstance(pair, str) and pair[0] != self.definition and self._said():
            pair = (
                "the log says itself that a stage left of the knot was entered (stage_entered), and"
                " not which milestone"
            )
        if isinstance(pair, str):
            return {"reason": pair}
        dealt, start, end = pair
        if dealt.sha256 not in told:
            told[dealt.sha256] = {row["stage"]: row for row in self.funnel(dealt).rows()}
        rows = told[dealt.sha256]
        entered = {first.name: rows[start]["entered"], second.name: rows[end]["entered"]}
        return {**rows[start], "volumes": entered, "reason": ""}

    def _said(self) -> bool:
        """Whether any event says that a stage left of the knot was entered, whatever the rules."""
        table = tables.facts["stage_entered"]
        left = STAGES[: STAGES.index("commitment")]
        said = sa.select(sa.func.count()).where(counts(table, self.cut), table.c.stage.in_(left))
        return bool(self.reader.fetch(said).column(0)[0].as_py())

    def _between(
        self, order: list[str], steps: list[tuple[str, str, _Row]], kind: str
    ) -> Iterator[_Row]:
        """The conversions, or the days, from each milestone to the next; numbered ones first."""
        found = {(first, second): row for first, second, row in steps}
        for place, (first, second) in enumerate(pairwise(order), start=1):
            row = found.pop((first, second), None)
            if row is None:
                lacking = [name for name in (first, second) if not self._has(name)]
                reason = self._missing(lacking[0]) if lacking else "another milestone lies between"
                row = {"reason": reason}
            yield _step(kind, f"{kind}{place}", (first, second), row)
        for pair, row in found.items():
            yield _step(kind, "", pair, row)

    def _has(self, name: str) -> bool:
        return any(one.name == name for one in self.definition.milestones)

    def right(self, later: tuple[Later, ...]) -> Iterator[_Row]:
        """What the edition tells right of the knot."""
        committed = self._committed()
        for one in later:
            match one.metric:
                case "revenue_committed":
                    yield from _revenue(one, committed)
                case "discount_rate":
                    yield from _discount(one, committed)
                case "commitment_to_first_impact":
                    yield self._first_impact(one)
                case "active" | "live":
                    yield self._entered(one)
                case _:
                    yield _row(one.number, one.metric, one.unit, reason=one.reason)

    def _entered(self, one: Later) -> _Row:
        """Customers who went on: active once onboarding, live once in use."""
        stage = "onboarding" if one.metric == "active" else "utilization"
        rows = {row["stage"]: row for row in self.funnel(self.definition).rows()}
        return _row(one.number, one.metric, self.counted, value=rows[stage]["entered"])

    def _first_impact(self, one: Later) -> _Row:
        """The days from the commitment to first impact, of velocity."""
        taken = ("unit", "look_back", "within", "from_", "to", "include_truncated",
                 "data_from", "data_through", "tz", "personal_names")  # fmt: skip
        own = {name: self.asked[name] for name in taken} | {"cohort": "all"}
        rows = velocity(self.reader, self.cut, self.definition, **own).rows()
        found = [row for row in rows if row["step"] == one.metric]
        if not found:
            return _row(one.number, one.metric, one.unit, reason="nobody reached both")
        return _days(one.number, one.metric, found[0])

    def _committed(self) -> list[_Row]:
        """By currency, what the contracts that made the commitments cost a year, and would have."""
        own = {name: value for name, value in self.asked.items() if name != "personal_names"}
        question = ask({**own, "by": ()})
        cut = settled_through(self.reader, self.cut, question.data_through)
        units = Units.of(self.reader, cut, question.unit, question.look_back)
        rows = members_of(units, cut, self.definition, question, ()).entered("commitment")
        signed = tables.facts["contract_signed"]
        c, annual = signed.c, sa.case(_MONTHS, value=signed.c.per)
        same = sa.and_(c.customer == rows.c.customer, c.occurred_at == rows.c.at)
        listed = c.list_amount.is_not(None)
        asked = (
            sa.select(
                c.currency,
                sa.func.sum(c.amount * annual).label("annual"),
                sa.func.count(c.customer.distinct()).label("customers"),
                sa.func.sum(sa.case((listed, c.amount * annual))).label("sold"),
                sa.func.sum(c.list_amount * annual).label("listed"),
                sa.func.count(c.customer.distinct()).filter(listed).label("with_list"),
            )
            .select_from(rows.join(signed, same))
            .where(counts(signed, cut), c.kind == "paid")
            .group_by(c.currency)
            .order_by(c.currency)
        )
        return units.reader.fetch(asked).to_pylist()


def _row(number: str, metric: str, unit: str, **more: Any) -> _Row:
    row = dict.fromkeys(_COLUMNS) | {"number": number or None, "metric": metric, "unit": unit}
    row |= {name: value for name, value in more.items() if value != ""}
    return row


def _step(kind: str, number: str, pair: tuple[str, str], row: _Row) -> _Row:
    """From one milestone to the next: the share that went on, or the days."""
    name = _NAMES.get(number, "_to_".join(pair) + ("" if kind == "CR" else "_days"))
    if row["reason"]:
        return _row(number, name, "share" if kind == "CR" else "days", reason=row["reason"])
    if kind == "dt":
        return _days(number, name, row)
    if not row["mature"]:
        return _row(number, name, "share", of=0, reason="nobody who entered is old enough")
    low, high = row["conversion_low"], row["conversion_high"]
    return _row(
        number, name, "share", value=row["conversion"], low=low, high=high, of=row["mature"]
    )


def _days(number: str, metric: str, row: _Row) -> _Row:
    """The median of the days of those who went on in time."""
    reason = "" if row["days_p50"] is not None else "fewer than 20 of the mature went on in time"
    return _row(number, metric, "days", value=row["days_p50"], reason=reason)


def _revenue(one: Later, committed: list[_Row]) -> Iterator[_Row]:
    if not committed:
        yield _row(one.number, one.metric, one.unit, reason="no contract made a commitment")
    for row in committed:
        value = float(row["annual"] / 12)
        said = {"value": value, "of": row["customers"], "currency": row["currency"]}
        yield _row(one.number, one.metric, one.unit, **said)


def _discount(one: Later, committed: list[_Row]) -> Iterator[_Row]:
    known = [row for row in committed if row["listed"]]
    if not known:
        reason = "no contract that made a commitment has a list price (list_amount)"
        yield _row(one.number, one.metric, one.unit, reason=reason)
    for row in known:
        value = float(1 - row["sold"] / row["listed"])
        said = {"value": value, "of": row["with_list"], "currency": row["currency"]}
        yield _row(one.number, one.metric, one.unit, **said)


def _table(rows: list[_Row]) -> pa.Table:
    import pyarrow as pa

    kinds = {"of": pa.int64(), **dict.fromkeys(("value", "low", "high"), pa.float64())}
    schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in _COLUMNS])
    return pa.Table.from_pylist(rows, schema=schema)
