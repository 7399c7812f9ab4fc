"""The stock: who stands in which stage now, since when, and who is stuck there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import Dimension, dimensions, distinct_values
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import QUANTILES
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.funnel.view import seen_since
from bowtie_projections.views.journey_source import Needs, journeys_at, settled_through
from bowtie_projections.views.shares import cell_order, standing, typed_table
from bowtie_projections.views.stock.places import LOST, NO_STAGE, PLACES
from bowtie_projections.views.stock.standing import Standing
from bowtie_projections.views.stock.waiting import DAY, Waiting, waiting
from bowtie_projections.views.units import Units, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["everybody_of", "stock"]

_Row = dict[str, Any]


def stock(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    within: str | timedelta | None = None,
    lost_after: str | timedelta | None = None,
    top: int = 10,
    customers: str | None = None,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How many customers stand in each stage: the furthest of their open cycle; and since when.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        unit: what is counted: ``customer``, ``account``, ``opportunity``, or ``cycle``: then each
            pass stands where it is, or was lost.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known at that moment.
        within: how long the next stage is waited for, when it is judged from whom ``stuck`` is
            learnt; 90d left of the knot and 180d right of it.
        lost_after: silence so long is a loss.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        customers: ``STAGE`` or ``STAGE:stuck``: instead of counts, who stands there.
        data_from: where the data begins: who came soon after may be older, and nobody learns from
            them.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of the days given.
        personal_names: traits that are sealed.

    Returns:
        A row for each stage, and for ``lost`` (the last cycle ended) and ``no stage`` (in the log,
        but nothing that happened entered one), in each cell. ``days_p50`` to ``days_p90`` are
        quantiles of the days in the stage so far. ``stuck`` are those still there after
        ``stuck_after_days`` (by then 90% of the mature who moved on had moved) whose chance to
        move in the next 30 days is less than half of that of who just came; null where fewer than
        20 tell. The part ``waiting`` has what they are judged by.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed.
    """
    given: dict[str, Any] = {
        "unit": unit,
        "look_back": look_back,
        "within": within,
        "lost_after": lost_after,
    }
    given |= {"top": top, "tz": tz, "by": by, "data_from": data_from, "data_through": data_through}
    question, listed = ask(given), _who(customers)
    # nobody's conversion is judged here, so a contract's values may stand beside none
    found = dimensions(
        reader, cut, question.by, cohort_stage=STAGES[-1], personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    everybody = everybody_of(units, cut, definition, question, found)
    if listed is None:
        table, sentence, notes = _counted(units, everybody)
        parts = {"waiting": _waiting(everybody.waits)}
    else:
        table, sentence, notes = _listed(units, everybody, stage=listed[0], stuck=listed[1])
        parts = {}
    parameters = {**question.written, "customers": customers}
    return Result(
        "stock",
        table,
        sentence=sentence,
        notes=notes,
        sql=units.reader.statements,
        meta=standing(definition, parameters, cut, units),
        parts=parts,
    )


def everybody_of(
    units: Units,
    cut: Cut,
    definition: Definition,
    question: Question,
    found: Sequence[Dimension],
) -> Standing:
    """Where everybody stands, for the counts and for who asks whom they count.

    Args:
        units: what is counted, with the reader of their facts.
        cut: settled.
        definition: what entering a stage means.
        question: what was asked.
        found: the breakdowns.
    """
    reader = units.reader
    since = seen_since(reader, cut, definition, question)
    needs = Needs(activity=since is not None or question.lost_after is not None)
    journeys = journeys_at(reader, cut, definition, needs, question.lost_after)
    waits: Mapping[str, Waiting] = {}
    if cut.moment is not None:
        waits = waiting(reader, journeys, cut.moment, question, since)
    everybody = Standing(journeys, cut, question, found, waits)
    many = [one for one in found if distinct_values(reader, cut, one) > question.top]
    kept = {
        one.name: [
            str(value) for value in reader.fetch(everybody.ranked(one)).column(0).to_pylist()
        ]
        for one in many
    }
    return replace(everybody, kept=kept)


def _who(customers: str | None) -> tuple[str, bool] | None:
    """The stage of which somebody wants to know who stands there, and whether only the stuck."""
    if customers is None:
        return None
    stage, colon, what = str(customers).partition(":")
    if stage not in STAGES or (colon and what != "stuck"):
        raise UsageError(
            f"customers is {customers!r}; write STAGE or STAGE:stuck with a stage of"
            f" {', '.join(STAGES)}"
        )
    return stage, bool(colon)


def _counted(units: Units, everybody: Standing) -> tuple[pa.Table, str, list[str]]:
    import pyarrow as pa

    rows = _rows(units.reader.fetch(everybody.counted()).to_pylist(), everybody)
    counted, by = plural(units.name), everybody.dimensions
    kinds: dict[str, Any] = {one.column: pa.string() for one in by} | {"stage": pa.string()}
    kinds |= {"customers": pa.int64(), **dict.fromkeys(QUANTILES, pa.float64())}
    kinds |= {"stuck_after_days": pa.float64(), "stuck": pa.int64()}
    names = [name for name in kinds if not name.startswith("key_")]
    titles = {one.column: one.title([*names, counted]) for one in by} | {"customers": counted}
    notes = [
        f"stuck is empty for {stage}: {wait.why_not}."
        for stage, wait in everybody.waits.items()
        if wait.why_not and any(row["stage"] == stage and row["customers"] for row in rows)
    ]
    return typed_table(rows, kinds, titles), _sentence(rows, everybody.cut, units), notes


def _rows(found: list[_Row], everybody: Standing) -> list[_Row]:
    """A row for each place of each cell, in order."""
    keys = [one.column for one in everybody.dimensions]
    cells: dict[tuple[Any, ...], dict[int, _Row]] = {} if keys else {(): {}}
    for group in found:
        cells.setdefault(everybody.cell(group), {})[group["place"]] = group
    return [
        dict(zip(keys, cell, strict=True)) | _row(name, cells[cell].get(place), everybody)
        for cell in sorted(cells, key=cell_order)
        for place, name in enumerate(PLACES)
    ]


def _row(name: str, group: _Row | None, everybody: Standing) -> _Row:
    wait = everybody.waits.get(name)
    told = wait is not None and wait.why_not is None
    waited = (group["waited"] if group else None) or [None] * len(QUANTILES)
    days = [None if value is None else value / DAY for value in waited]
    return {
        "stage": name,
        "customers": group["customers"] if group else 0,
        **dict(zip(QUANTILES, days, strict=True)),
        "stuck_after_days": wait.after_days if wait is not None and told else None,
        "stuck": (group["stuck"] if group else 0) if told else None,
    }


def _waiting(waits: Mapping[str, Waiting]) -> pa.Table:
    """By what the stages are judged."""
    import pyarrow as pa

    kinds: dict[str, Any] = {"stage": pa.string(), "mature": pa.int64(), "moved": pa.int64()}
    kinds |= dict.fromkeys(("moved_days_p90", "fresh_rate", "later_rate"), pa.float64())
    kinds["reason"] = pa.string()
    rows = [
        {
            "stage": stage,
            "mature": wait.mature,
            "moved": wait.moved,
            "moved_days_p90": wait.after_days,
            "fresh_rate": wait.chance_fresh,
            "later_rate": wait.chance_after,
            "reason": wait.why_not,
        }
        for stage, wait in waits.items()
    ]
    return typed_table(rows, kinds, {})


def _listed(
    units: Units, everybody: Standing, *, stage: str, stuck: bool
) -> tuple[pa.Table, str, list[str]]:
    import pyarrow as pa

    found = units.reader.fetch(everybody.listed(stage, stuck=stuck))
    micros_of: list[Any] = found.column("micros").to_pylist()
    days = [float(micros) / DAY for micros in micros_of]
    place = found.column_names.index("micros")
    found = found.set_column(place, "days", pa.array(days, pa.float64()))
    for one in everybody.dimensions:
        values = [everybody.named(one, value) for value in found.column(one.column).to_pylist()]
        column = pa.array(values, pa.string())
        found = found.set_column(found.column_names.index(one.column), one.column, column)
    others = [name for name in found.column_names if not name.startswith("key_")]
    titles = {one.column: one.title(others) for one in everybody.dimensions}
    named = found.rename_columns([titles.get(name, name) for name in found.column_names])
    wait = everybody.waits.get(stage)
    notes = [f"stuck is empty: {wait.why_not}."] if wait is not None and wait.why_not else []
    if stuck and wait is None:
        notes.append(f"{stage} has no next stage: nobody in it is stuck.")
    verb = "stands" if found.num_rows == 1 else "stand"
    sentence = f"{units.count(found.num_rows)} {verb} in {stage}{_on(everybody.cut)}"
    if stuck and wait is not None and wait.after_days is not None:
        sentence = (
            f"{units.count(found.num_rows)} {'is' if found.num_rows == 1 else 'are'} stuck in"
            f" {stage}{_on(everybody.cut)}: still there after {wait.after_days:,.1f} days, with"
            " less than half the chance to move in the next 30 days of who just came"
        )
    return units.by_name(named), sentence + ".", notes


def _on(cut: Cut) -> str:
    return "" if cut.moment is None else f" on {cut.moment:%Y-%m-%d}"


def _sentence(rows: list[_Row], cut: Cut, units: Units) -> str:
    def total(*places: str) -> int:
        return sum(row["customers"] for row in rows if row["stage"] in places)

    if cut.moment is None:
        return f"There is no {units.name} in the log."
    return (
        f"{total(*STAGES):,} of {total(*PLACES):,} {plural(units.name)} stand in a stage on"
        f" {cut.moment:%Y-%m-%d}; {total(LOST):,} are lost and {total(NO_STAGE):,} never entered"
        " a stage."
    )
