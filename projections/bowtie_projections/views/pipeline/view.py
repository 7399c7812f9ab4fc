"""The pipeline: open opportunities, their amount and age, and what may come of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie.times import zone
from bowtie_projections.expressions import micros_between
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import Dimension, dimensions
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import QUANTILES, WORDS
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.journey_source import Needs, journeys_at, settled_through
from bowtie_projections.views.labels import OTHER, apart
from bowtie_projections.views.opportunities import ages, open_ones
from bowtie_projections.views.pipeline.chances import History
from bowtie_projections.views.shares import cell_order, standing, typed_table
from bowtie_projections.views.stock.places import PLACES
from bowtie_projections.views.stock.standing import Standing
from bowtie_projections.views.units import Units, check_unit, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "counts_of", "history_of", "owners_of", "pipeline", "placed_ones", "values_apart",
]  # fmt: skip

_Row = dict[str, Any]
_DAY = 86_400_000_000
_CENT = Decimal("0.000001")
_ALL, _OVERDUE = "all", "overdue"
#: Who can own an opportunity.
_OWNERS = ("customer", "account")


def pipeline(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    lost_after: str | timedelta | None = None,
    top: int = 10,
    opportunities: str | None = None,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """The open opportunities: how many, worth what, how old, and what may come of them.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means: an opportunity stands where its customer does.
        unit: whose the opportunities are: ``customer``, or ``account`` for those that members
            named too.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns of their customers, as known at that moment.
        lost_after: silence so long is a loss of the customer's cycle, and a stage is not.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        opportunities: ``all``, ``overdue`` or a stage: instead of sums, the single ones.
        data_from: where the data begins; stands in the answer.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days: one is overdue when the day it was to close on is over there.
        personal_names: traits that are sealed.

    Returns:
        A row for each stage and currency, in each cell. ``amount`` is what was last said,
        ``expected`` that times the chance to be won, given the age; ``judged`` is of how many of
        the ``valued`` that chance is known. Where no amount is on record there is no currency.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed.
    """
    listed = _which(opportunities)
    given: dict[str, Any] = {"unit": unit, "look_back": look_back, "lost_after": lost_after}
    given |= {"top": top, "tz": tz, "by": by, "data_from": data_from, "data_through": data_through}
    units, customers = owners_of(reader, cut, definition, given, personal_names)
    cut, question, found = customers.cut, customers.question, customers.dimensions
    rows, history = _found(units, customers)
    _name_values(rows, found, question.top)
    shown = rows if listed in {None, _ALL} else [row for row in rows if _is(row, str(listed))]
    table = _summed(shown, found) if listed is None else _listed(shown, found, units)
    return Result(
        "pipeline",
        table,
        sentence=_sentence(rows, history, cut, units) + _which_of_them(shown, listed),
        notes=_notes(shown, history),
        sql=units.reader.statements,
        meta=standing(definition, {**question.written, "opportunities": opportunities}, cut, units),
    )


def owners_of(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    given: Mapping[str, Any],
    personal_names: Collection[str],
) -> tuple[Units, Standing]:
    """Whose opportunities they are, and where everybody stands at the settled cut."""
    check_unit(given["unit"], _OWNERS)
    question = ask(given)
    # as of the moment asked, so that a contract's values, where there is one, are no later ones
    found = dimensions(
        reader, cut, question.by, cohort_stage=STAGES[-1], personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    needs = Needs(activity=question.lost_after is not None)
    journeys = journeys_at(units.reader, cut, definition, needs, question.lost_after)
    return units, Standing(journeys, cut, question, found)


def _which(written: str | None) -> str | None:
    if written is not None and written not in {_ALL, _OVERDUE, *PLACES}:
        raise UsageError(
            f"opportunities is {written!r}; write {_ALL}, {_OVERDUE} or a stage:"
            f" {', '.join(PLACES)}"
        )
    return written


def _is(row: _Row, asked: str) -> bool:
    return bool(row["overdue"]) if asked == _OVERDUE else row["stage"] == asked


def _found(units: Units, customers: Standing) -> tuple[list[_Row], History]:
    """The open opportunities, each with its chance; and what became of all."""
    history = history_of(units, customers)
    if customers.cut.moment is None:
        return [], history
    rows: list[_Row] = units.reader.fetch(placed_ones(customers)).to_pylist()
    due = today(customers)
    chances = history.chances(np.array([row["micros"] for row in rows], dtype=np.int64))
    for row, chance in zip(rows, chances, strict=True):
        _complete(row, chance, due)
    return rows, history


def history_of(units: Units, customers: Standing) -> History:
    """What became of all opportunities."""
    if customers.cut.moment is None:
        nobody = np.zeros(0, dtype=np.int64)
        return History(nobody, nobody)
    past = units.reader.fetch(ages(customers.cut))
    return History(*(np.asarray(past.column(name), np.int64) for name in ("age", "end")))


def counts_of(c: Any, customers: Standing, history: History) -> dict[str, ColumnElement[bool]]:
    """Which of :func:`placed_ones` each count counts."""
    known = c.micros < sa.literal_column(str(history.known_before), sa.BigInteger())
    return {
        "opportunities": sa.true(),
        "valued": c.amount.is_not(None),
        "judged": sa.and_(c.amount.is_not(None), known),
        "overdue": c.close_on < sa.literal(today(customers)),
    }


def today(customers: Standing) -> date:
    """The day it is, where days are told."""
    moment = customers.cut.moment
    assert moment is not None  # noqa: S101 - for the type checker
    return moment.replace(tzinfo=UTC).astimezone(zone(customers.question.tz)).date()


def placed_ones(customers: Standing) -> sa.Select[Any]:
    """The open opportunities, with the place and the values of their customers."""
    rows = open_ones(customers.cut).cte("open_ones").prefix_with("MATERIALIZED")
    owners = sa.select(rows.c.customer).distinct().subquery("owners")
    placed = replace(customers, among=owners).placed().subquery("placed")
    c, p = rows.c, placed.c
    keys = [p[one.column] for one in customers.dimensions]
    age = micros_between(c.opened_at, sa.literal(customers.cut.moment, sa.DateTime()))
    return (
        sa.select(*c, *keys, p.place, age.label("micros"))
        .select_from(rows.join(placed, p.customer == c.customer))
        .order_by(c.customer, c.opportunity)
    )


def _complete(row: _Row, chance: float | None, on: date) -> None:
    amount, due = row["amount"], row["close_on"]
    row["stage"] = PLACES[row.pop("place")]
    row["days"] = row.pop("micros") / _DAY
    row["overdue"] = None if due is None else due < on
    row["chance"] = chance
    known = amount is not None and chance is not None
    row["expected"] = (amount * Decimal(repr(chance))).quantize(_CENT) if known else None


def _name_values(rows: list[_Row], found: Sequence[Dimension], top: int) -> None:
    """The values of the breakdowns as an answer names them; those beyond the top ones as other."""
    for one in found:
        names = {value: apart(value, WORDS) for value in _ranked(rows, one)[:top]}
        for row in rows:
            value = row[one.column]
            row[one.column] = None if value is None else names.get(value, OTHER)


def _ranked(rows: list[_Row], dimension: Dimension) -> list[str]:
    """The values of a breakdown, those of the most opportunities first."""
    number = Counter(row[dimension.column] for row in rows if row[dimension.column] is not None)
    return sorted(number, key=lambda value: (-number[value], value))


def values_apart(units: Units, customers: Standing) -> dict[str, list[str]]:
    """Of each breakdown with too many values, those that stand apart."""
    rows = units.reader.fetch(placed_ones(customers)).to_pylist()
    ranked = {one.name: _ranked(rows, one) for one in customers.dimensions}
    top = customers.question.top
    return {name: values[:top] for name, values in ranked.items() if len(values) > top}


def _kinds(
    found: Sequence[Dimension], own: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    import pyarrow as pa

    titles = {one.column: one.title(own) for one in found}
    return {one.column: pa.string() for one in found} | own, titles


def _summed(rows: list[_Row], found: Sequence[Dimension]) -> pa.Table:
    """A row for each cell, stage and currency."""
    import pyarrow as pa

    keys = [one.column for one in found]
    money, count, days = pa.decimal128(38, 6), pa.int64(), pa.float64()
    own = {"stage": pa.string(), "currency": pa.string(), "opportunities": count}
    own |= {"valued": count, "amount": money, "judged": count, "expected": money}
    own |= {"overdue": count, "overdue_amount": money, **dict.fromkeys(QUANTILES, days)}
    cells: dict[tuple[Any, ...], list[_Row]] = defaultdict(list)
    for row in rows:
        cells[*(row[key] for key in keys), row["stage"], row["currency"]].append(row)

    def order(cell: tuple[Any, ...]) -> tuple[Any, ...]:
        *values, stage, currency = cell
        return (cell_order(values), PLACES.index(stage), currency is None, currency)

    made = [
        dict(zip((*keys, "stage", "currency"), cell, strict=True)) | _sums(cells[cell])
        for cell in sorted(cells, key=order)
    ]
    return typed_table(made, *_kinds(found, own))


def _sums(rows: list[_Row]) -> _Row:
    valued = [row["amount"] for row in rows if row["amount"] is not None]
    judged = [row["expected"] for row in rows if row["expected"] is not None]
    overdue = [row["amount"] for row in rows if row["overdue"]]
    late = [amount for amount in overdue if amount is not None]
    days = np.quantile([row["days"] for row in rows], tuple(QUANTILES.values()))
    return {
        "opportunities": len(rows),
        "valued": len(valued),
        "amount": sum(valued) if valued else None,
        "judged": len(judged),
        "expected": sum(judged) if judged else None,
        "overdue": len(overdue),
        "overdue_amount": sum(late) if late else None,
        **dict(zip(QUANTILES, days.tolist(), strict=True)),
    }


def _listed(rows: list[_Row], found: Sequence[Dimension], units: Units) -> pa.Table:
    """The single opportunities, those that may bring most first."""
    import pyarrow as pa

    text, money, days = pa.string(), pa.decimal128(38, 6), pa.float64()
    own = {"stage": text, "opened_at": pa.timestamp("us", "UTC"), "days": days, "currency": text}
    own |= {"amount": money, "close_on": pa.date32(), "overdue": pa.bool_()}
    own |= {"win_rate": days, "expected": money}
    kinds, titles = _kinds(found, own)
    kinds = {"customer": text, "opportunity": text} | kinds
    for row in rows:
        row["win_rate"] = row["chance"]
        row["opened_at"] = row["opened_at"].replace(tzinfo=UTC)
    ordered = sorted(
        rows,
        key=lambda row: (
            *((row[name] is None, -(row[name] or 0)) for name in ("expected", "amount")),
            -row["days"],
        ),
    )
    return units.by_name(typed_table(ordered, kinds, titles))


def _sentence(rows: list[_Row], history: History, cut: Cut, units: Units) -> str:
    if cut.moment is None:
        return "There is no opportunity in the log."
    owners = units.count(len({row["customer"] for row in rows}))
    return (
        f"{_number(len(rows))} of {owners} {_are(len(rows))} open on {cut.moment:%Y-%m-%d};"
        f" of {_number(history.ages.size)} in the log {history.won:,} were won and"
        f" {history.lost:,} lost."
    )


def _which_of_them(shown: list[_Row], listed: str | None) -> str:
    if listed in {None, _ALL}:
        return ""
    what = listed if listed == _OVERDUE else f"in {listed}"
    return f" {len(shown):,} of the open {_are(len(shown))} {what}."


def _notes(rows: list[_Row], history: History) -> list[str]:
    notes = []
    without = sum(row["amount"] is None for row in rows)
    if without:
        notes.append(
            f"{_number(without)} {_have(without)} no amount on record: no currency, no sum."
        )
    unjudged = sum(row["amount"] is not None and row["expected"] is None for row in rows)
    if unjudged:
        why = history.why_not or "fewer than 20 were open longer"
        notes.append(f"expected leaves out {_number(unjudged)}: {why}.")
    if any(row["expected"] is not None for row in rows):
        notes.append(
            "expected is the amount times the share won later of all opportunities that were open"
            " at that age (Aalen-Johansen): what is usual, not what is known of this one."
        )
    return notes


def _number(number: int) -> str:
    return f"{number:,} {'opportunity' if number == 1 else plural('opportunity')}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"
