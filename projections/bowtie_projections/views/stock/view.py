"""The stock: who stands in which stage now, since when, and who is stuck there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import Dimension, dimensions
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.shares import standing
from bowtie_projections.views.stock.series import Series, check_every, moments_of, series_of
from bowtie_projections.views.stock.standing import Standing, everybody_of
from bowtie_projections.views.stock.table import (
    on,
    rows_of,
    sentence_of,
    stock_table,
    waiting_table,
    why_not,
)
from bowtie_projections.views.stock.waiting import DAY
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["stock"]


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
    every: str | None = None,
    from_: Any = None,
    to: Any = None,
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
        customers: ``STAGE`` or ``STAGE:stuck``: instead of counts, who stands there, with
            their last contact and what their open opportunities are worth.
        every: ``day``, ``week``, ``month``, ``quarter`` or ``year``: a stock at the end of each,
            every one as asked as of that moment.
        from_, to: from and up to which of these periods; by default from the first fact on.
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
        20 tell. The part ``waiting`` has what they are judged by. With ``every`` each row has
        its ``period``, the moment it is ``as_of``, and whether the period is ``complete``.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed, or more than 400 periods.
    """
    question = ask(
        {
            "unit": unit, "look_back": look_back, "within": within, "lost_after": lost_after,
            "top": top, "tz": tz, "by": by, "data_from": data_from, "data_through": data_through,
            "from_": from_, "to": to,
        }
    )  # fmt: skip
    listed, length = _who(customers), check_every(every, question)
    if length is not None and listed is not None:
        raise UsageError("customers lists who stands in a stage at one moment: leave every= out")
    # nobody's conversion is judged here, so a contract's values may stand beside none
    found = dimensions(
        reader, cut, question.by, cohort_stage=STAGES[-1], personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.data_through)
    told = (
        _at_the_moment(reader, cut, definition, question, found, listed=listed)
        if length is None
        else _over_time(reader, cut, definition, question, found, length=length)
    )
    parameters = {**question.written, "customers": customers, "every": every}
    return Result(
        "stock",
        told.table,
        sentence=told.sentence,
        notes=told.notes,
        sql=told.units.reader.statements,
        meta=standing(definition, parameters, cut, told.units),
        parts=told.parts,
    )


class _Told(NamedTuple):
    """What an answer is made of."""

    units: Units
    table: pa.Table
    sentence: str
    notes: list[str]
    parts: dict[str, pa.Table]


def _at_the_moment(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    question: Question,
    found: Sequence[Dimension],
    *,
    listed: tuple[str, bool] | None,
) -> _Told:
    """The stock of the cut; or who stands in a stage."""
    units = Units.of(reader, cut, question.unit, question.look_back)
    everybody = everybody_of(units, cut, definition, question, found)
    if listed is not None:
        stage, stuck = listed
        return _Told(units, *_listed(units, everybody, stage=stage, stuck=stuck), {})
    waiting = waiting_table([({}, everybody.waits)])
    return _Told(units, *_counted(units, everybody), {"waiting": waiting})


def _over_time(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    question: Question,
    found: Sequence[Dimension],
    *,
    length: str,
) -> _Told:
    """The stocks at the ends of periods."""
    moments = moments_of(reader, cut, question, length)
    if not moments:
        units = Units.of(reader, cut, question.unit, question.look_back)
        table = stock_table([], units, found, in_periods=True)
        return _Told(units, table, "Nothing is in the log in the time asked for.", [], {})
    units, series = series_of(reader, definition, question, found, moments)
    waiting = waiting_table(series.waits)
    return _Told(units, *_in_series(units, series, length), {"waiting": waiting})


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
    rows = rows_of(units.reader.fetch(everybody.counted()).to_pylist(), everybody)
    notes = [
        f"stuck is empty for {stage}: {reason}."
        for stage, reason in why_not(rows, everybody.waits).items()
    ]
    table = stock_table(rows, units, everybody.dimensions)
    return table, sentence_of(rows, everybody.cut, units), notes


def _in_series(units: Units, series: Series, every: str) -> tuple[pa.Table, str, list[str]]:
    moments = series.moments
    first, last = moments[0].label, moments[-1].label
    when = first if first == last else f"{first} to {last}"
    sentence = (
        f"Where everybody stood at the end of each {every}, {when}. At the last:"
        f" {sentence_of(series.of_last, series.last.cut, units)}"
    )
    notes = []
    if len(moments) > 1:
        notes.append(
            "Each is the stock as asked of that moment: what happened later is not in it, what was"
            " recorded later is."
        )
    if not moments[-1].complete:
        notes.append(f"{last} is not over: it is as of {moments[-1].cut.moment:%Y-%m-%d %H:%M}.")
    empty = {
        stage
        for moment, waits in series.waits
        for stage in why_not(
            [row for row in series.rows if row["period"] == moment["period"]], waits
        )
    }
    if empty:
        stages = ", ".join(stage for stage in STAGES if stage in empty)
        notes.append(
            f"stuck is empty at some of these moments, where too few told: for {stages} (the part"
            " waiting says why)."
        )
    notes += [
        f"{name}: the {len(kept)} values of the most customers at the last moment stand apart, at"
        " every moment; the rest are other."
        for name, kept in series.last.kept.items()
    ]
    table = stock_table(series.rows, units, series.last.dimensions, in_periods=True)
    return table, sentence, notes


def _listed(
    units: Units, everybody: Standing, *, stage: str, stuck: bool
) -> tuple[pa.Table, str, list[str]]:
    import pyarrow as pa

    found = units.reader.fetch(everybody.listed(stage, stuck=stuck))
    micros_of: list[Any] = found.column("micros").to_pylist()
    days = [float(micros) / DAY for micros in micros_of]
    place = found.column_names.index("micros")
    found = found.set_column(place, "days", pa.array(days, pa.float64()))
    # one kind in each database, though nothing be open
    sums: list[Any] = found.column("amount").to_pylist()
    amounts = [None if one is None else Decimal(one) for one in sums]
    place = found.column_names.index("amount")
    found = found.set_column(place, "amount", pa.array(amounts, pa.decimal128(38, 6)))
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
    sentence = f"{units.count(found.num_rows)} {verb} in {stage}{on(everybody.cut)}"
    if stuck and wait is not None and wait.after_days is not None:
        sentence = (
            f"{units.count(found.num_rows)} {'is' if found.num_rows == 1 else 'are'} stuck in"
            f" {stage}{on(everybody.cut)}: still there after {wait.after_days:,.1f} days, with"
            " less than half the chance to move in the next 30 days of who just came"
        )
    return units.by_name(named), sentence + ".", notes
