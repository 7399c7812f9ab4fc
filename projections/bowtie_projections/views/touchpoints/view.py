"""Touchpoints: how much happens at each, with whom, at what cost, and how it is judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused, UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import TOUCH, dimensions
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.journey_source import Needs, journeys_at, settled_through
from bowtie_projections.views.shares import cell_order, standing, typed_table
from bowtie_projections.views.stock.places import PLACES
from bowtie_projections.views.touchpoints.touches import VALUE, Touches
from bowtie_projections.views.units import UNITS, Units, check_unit, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "touches_of", "touchpoints"]

_Row = dict[str, Any]
_INSTRUMENTS = ("nps", "csat", "ces")
#: The columns after the breakdowns and the touchpoint.
COLUMNS = (
    *("stage", "touches", "inbound", "outbound", "customers"),
    *("no_cost_share", "currency", "cost", "cost_per_touch"),
    *(name for one in _INSTRUMENTS for name in (one, f"{one}_answers")),
)
_MICRO = Decimal("0.000001")
#: A cycle is no one who can be reached.
_UNITS = tuple(unit for unit in UNITS if unit != "cycle")


def touchpoints(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    of: str = "touchpoint",
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    from_: str | None = None,
    to: str | None = None,
    no_stages: bool = False,
    top: int = 10,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How much happens at each touchpoint, with whom, at what cost, and how it is judged.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        of: by which field of touches: ``touchpoint``, ``channel``, ``campaign``, ``medium`` or
            ``content``. Scores name a touchpoint only.
        unit: who is reached: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known at the touch.
        from_: count touches from the start of that period.
        to: count touches up to the end of that period, inclusive.
        no_stages: one row for all the places in which customers stood at the touch.
        top: how many touchpoints, and values of a breakdown, stand apart; the rest are ``other``.
        data_from: where the data begins; stands in the answer.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        personal_names: traits that are sealed.

    Returns:
        A row for each touchpoint and place in each cell: where the customer stood, what the touch
        did included. ``no_cost_share`` is the share of touches with no cost on record, and
        ``cost_per_touch`` is of the others. Both costs are empty where there are several
        currencies, which are never added: the part ``costs`` has them apart, by direction too.
        ``nps`` is the share of promoters (9, 10) less that of detractors (0 to 6), from -100 to
        100; ``csat`` and ``ces`` are means. The part ``scores`` has their counts.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed, or that only a contract can carry.
    """
    given = {
        name: value
        for name, value in locals().items()
        if name not in {"reader", "cut", "definition"}
    }
    units, touches = touches_of(reader, cut, definition, given)
    return _result(units, definition, touches)


def touches_of(
    reader: Reader, cut: Cut, definition: Definition, given: Mapping[str, Any]
) -> tuple[Units, Touches]:
    """The touches that a question is about, and who is reached by them.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        given: the parameters of :func:`touchpoints`.
    """
    asked = dict(given)
    of, no_stages = asked.pop("of"), asked.pop("no_stages")
    personal_names = asked.pop("personal_names")
    if of not in TOUCH:
        raise UsageError(f"of is {of!r}; write {', '.join(TOUCH[:-1])} or {TOUCH[-1]}")
    check_unit(asked["unit"], _UNITS)
    question = ask(asked)
    found = dimensions(
        reader, cut, question.by, cohort_stage=STAGES[-1], personal_names=personal_names
    )
    if late := [one.name for one in found if one.kind == "contract"]:
        raise Refused(
            f"{late[0]} is known of signed contracts, and most touches come before any: break down"
            " by a trait or by the first touch"
        )
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    journeys = journeys_at(units.reader, cut, definition, Needs())
    touches = Touches(journeys, cut, question, of, found, by_stage=not no_stages)
    return units, _with_others(units.reader, touches)


def _with_others(reader: Reader, touches: Touches) -> Touches:
    """With the values that stand apart, where there are too many."""
    top, kept = touches.question.top, {}
    ranked = {VALUE: touches.ranked()}
    ranked |= {one.column: touches.ranked_values(one) for one in touches.dimensions}
    for column, statement in ranked.items():
        values = [str(value) for value in reader.fetch(statement).column(0).to_pylist()]
        if len(values) > top:
            kept[column] = values[:top]
    return replace(touches, kept=kept)


def _result(units: Units, definition: Definition, touches: Touches) -> Result:
    reader = units.reader
    counted = _by_cell(reader.fetch(touches.counted()).to_pylist(), touches)
    costs = _by_cell(reader.fetch(touches.costs()).to_pylist(), touches)
    scores = {}
    if touches.scored:
        scores = _by_cell(reader.fetch(touches.scores()).to_pylist(), touches)
    totals = reader.fetch(touches.totals()).to_pylist()[0]
    cells = sorted(counted.keys() | scores.keys(), key=_order)
    rows = [
        _named(cell, touches)
        | _volume(counted.get(cell, []))
        | _cost(counted.get(cell, []), costs.get(cell, []))
        | _judged(scores.get(cell, []))
        for cell in cells
    ]
    said = {"of": touches.of, "no_stages": not touches.by_stage, **touches.question.written}
    return Result(
        "touchpoints",
        _table(rows, touches, units),
        sentence=_sentence(totals, touches, units),
        notes=_notes(costs, scores, touches),
        sql=reader.statements,
        meta=standing(definition, said, touches.cut, units),
        parts=_parts(costs, scores, touches, units),
    )


_Cells = dict[tuple[Any, ...], list[_Row]]


def _by_cell(rows: list[_Row], touches: Touches) -> _Cells:
    found: _Cells = defaultdict(list)
    for row in rows:
        *values, place = (row[name] for name in touches.keys)
        named = (
            touches.named(name, value)
            for name, value in zip(touches.keys[:-1], values, strict=True)
        )
        found[*named, place].append(row)
    return dict(found)


def _order(cell: tuple[Any, ...]) -> tuple[Any, ...]:
    *values, place = cell
    return (cell_order(values), -1 if place is None else place)


def _named(cell: tuple[Any, ...], touches: Touches) -> _Row:
    row: _Row = dict(zip(touches.keys, cell, strict=True))
    place = row.pop("place")
    return row | {"stage": None if place is None else PLACES[place]}


def _volume(found: list[_Row]) -> _Row:
    """Touches and whom they reached; nought where there are only scores."""
    row = found[0] if found else {"touches": 0, "inbound": 0, "customers": 0}
    return {
        "touches": row["touches"],
        "inbound": row["inbound"],
        "outbound": row["touches"] - row["inbound"],
        "customers": row["customers"],
    }


def _cost(counted: list[_Row], costs: list[_Row]) -> _Row:
    touches = counted[0]["touches"] if counted else 0
    said = sum(row["touches"] for row in costs)
    currencies = {row["currency"] for row in costs}
    one = len(currencies) == 1
    cost = sum(row["cost"] for row in costs) if one else None
    return {
        "no_cost_share": (touches - said) / touches if touches else None,
        "currency": currencies.pop() if one else None,
        "cost": cost,
        "cost_per_touch": _per(cost, said),
    }


def _per(cost: Decimal | None, touches: int) -> Decimal | None:
    return None if cost is None else (cost / touches).quantize(_MICRO)


def _judged(scores: list[_Row]) -> _Row:
    found: _Row = {}
    by_name = {row["instrument"]: row for row in scores}
    for name in _INSTRUMENTS:
        row = by_name.get(name)
        answers = row["answers"] if row else 0
        found[f"{name}_answers"] = answers or None
        found[name] = None
        if row and answers:
            found[name] = _nps(row) if name == "nps" else float(row["total"]) / answers
    return found


def _nps(row: _Row) -> float:
    more = int(row["promoters"]) - int(row["detractors"])
    return 100 * more / int(row["answers"])


def _typed(rows: list[_Row], touches: Touches, units: Units, own: dict[str, Any]) -> pa.Table:
    """Rows with the columns of their cell before their own."""
    import pyarrow as pa

    names = (*own, *COLUMNS, touches.of, plural(units.name))
    titles = {one.column: one.title(names) for one in touches.dimensions}
    titles |= {VALUE: touches.of, "customers": plural(units.name)}
    cell = [*touches.keys[:-1], *(["stage"] if touches.by_stage else [])]
    kinds = dict.fromkeys(cell, pa.string()) | own
    return typed_table(rows, kinds, titles)


def _table(rows: list[_Row], touches: Touches, units: Units) -> pa.Table:
    import pyarrow as pa

    count, rate, money = pa.int64(), pa.float64(), pa.decimal128(38, 6)
    own: dict[str, Any] = dict.fromkeys(("touches", "inbound", "outbound", "customers"), count)
    own |= {"no_cost_share": rate, "currency": pa.string()}
    own |= {"cost": money, "cost_per_touch": money}
    for name in _INSTRUMENTS:
        own |= {name: rate, f"{name}_answers": count}
    return _typed(rows, touches, units, own)


def _parts(costs: _Cells, scores: _Cells, touches: Touches, units: Units) -> dict[str, pa.Table]:
    import pyarrow as pa

    count, rate, money = pa.int64(), pa.float64(), pa.decimal128(38, 6)
    text = pa.string()
    found = {}
    if costs:
        own = {"direction": text, "currency": text, "touches": count}
        own |= {"cost": money, "cost_per_touch": money}
        rows = [
            _named(cell, touches) | row | {"cost_per_touch": _per(row["cost"], row["touches"])}
            for cell in sorted(costs, key=_order)
            for row in sorted(costs[cell], key=lambda row: (row["direction"], row["currency"]))
        ]
        found["costs"] = _typed(rows, touches, units, own)
    if scores:
        own = {"instrument": text, "answers": count, "customers": count, "mean": rate}
        own |= dict.fromkeys(("promoters", "passives", "detractors", "out_of_scale"), count)
        own["nps"] = rate
        rows = [
            _named(cell, touches) | _score(row)
            for cell in sorted(scores, key=_order)
            for row in sorted(scores[cell], key=lambda row: _INSTRUMENTS.index(row["instrument"]))
        ]
        found["scores"] = _typed(rows, touches, units, own)
    return found


def _score(row: _Row) -> _Row:
    answers, is_nps = row["answers"], row["instrument"] == "nps"
    promoters, detractors = row["promoters"], row["detractors"]
    return {
        **{name: row[name] for name in ("instrument", "answers", "customers", "out_of_scale")},
        "mean": float(row["total"]) / answers if answers else None,
        "promoters": promoters if is_nps else None,
        "passives": answers - promoters - detractors if is_nps else None,
        "detractors": detractors if is_nps else None,
        "nps": _nps(row) if is_nps and answers else None,
    }


def _sentence(totals: _Row, touches: Touches, units: Units) -> str:
    cut = touches.cut
    if cut.moment is None:
        return "There is no touch in the log."
    number, reached = totals["touches"], units.count(totals["customers"])
    costed = totals["costed"]
    return (
        f"{number:,} {'touch' if number == 1 else 'touches'} of {reached}"
        f"{_period(touches.question)} by {cut.moment:%Y-%m-%d}: {totals['inbound']:,} inbound,"
        f" {number - totals['inbound']:,} outbound; {number - costed:,} of them say no cost."
    )


def _period(question: Question) -> str:
    start, end = question.written["from"], question.written["to"]
    if start is not None and start == end:
        return f" in {start}"
    since = "" if start is None else f" from {start}"
    return since + ("" if end is None else f" to {end}")


def _notes(costs: _Cells, scores: _Cells, touches: Touches) -> list[str]:
    notes = []
    if len({row["currency"] for rows in costs.values() for row in rows}) > 1:
        notes.append(
            "There are costs in several currencies, which are never added: where a row has more"
            " than one its cost is empty, and the part costs has each."
        )
    if outside := sum(row["out_of_scale"] for rows in scores.values() for row in rows):
        answers = "answer is" if outside == 1 else "answers are"
        notes.append(f"{outside:,} {answers} no NPS: outside of 0 to 10, and left out.")
    if touches.by_stage:
        notes.append(
            "Customers reached at several stages or touchpoints are in each of their rows: these"
            " don't add up to the customers reached."
        )
    return notes
