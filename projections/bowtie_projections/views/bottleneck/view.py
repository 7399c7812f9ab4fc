"""The bottleneck: which conversion or wait, were it as good as it has been, adds most revenue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from bowtie.errors import Refused
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.bottleneck.cells import Cells
from bowtie_projections.views.bottleneck.counts import Counting
from bowtie_projections.views.bottleneck.question import ask
from bowtie_projections.views.bottleneck.table import bottleneck_table
from bowtie_projections.views.bottleneck.words import Said
from bowtie_projections.views.breakdown import CONTRACT, dimensions
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.view import members_of, motions
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.shares import standing
from bowtie_projections.views.units import Units

__all__ = ["bottleneck"]


def bottleneck(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    within: str | timedelta | None = None,
    cohort: str = "quarter",
    from_: Any = None,
    to: Any = None,
    horizon: str | timedelta = "365d",
    benchmark: str | Path | None = None,
    currency: str | None = None,
    skipped: str = "absent",
    lost_after: str | timedelta | None = None,
    top: int = 10,
    include_truncated: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """Which conversion or wait, lifted to its benchmark, adds most revenue.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        unit: what is counted: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known when the stage was entered; each cell has its own benchmarks.
        within: how long the next stage is waited for; 90d left of the knot and 180d right of it.
        cohort: the cohorts that are compared with each other.
        from_: entries from the start of that period on; two years before ``to``, if not given.
        to: entries up to the end of that period; the newest cohort whose windows are all over, if
            not given.
        horizon: whole days from a customer's commitment over which revenue counts.
        benchmark: a file of benchmarks (see ``benchmarks.py``); without one it is the upper
            quartile of the cohorts of 100 or more members, each drawn to their mean.
        currency: refuse all others.
        skipped: ``absent``, or ``impute``: a skipped stage takes the time of the next one.
        lost_after: silence so long is a loss.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        include_truncated: count customers who may be older than the data.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and cohorts.
        personal_names: traits that are sealed.

    Returns:
        A row for the conversion and one for the wait of each stage and cell, that which adds most
        first.

    Raises:
        UsageError: a value that can't be asked.
        FileError: the file of benchmarks is wrong; the message names the line.
        UnknownName: a breakdown that is not there.
        Refused: revenue is in several currencies, or a breakdown can't be asked.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition", "personal_names"}
    }  # fmt: skip
    question = ask(asked)
    _refuse_contracts(question.funnel.by)
    found = dimensions(
        reader, cut, question.funnel.by, cohort_stage=None, personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.funnel.data_through)
    question = question.at(cut)
    units = Units.of(reader, cut, question.funnel.unit, question.funnel.look_back)
    reader = units.reader
    members = members_of(units, cut, definition, question.funnel, found)
    counting = Counting(members, question)
    cells = _cells(reader, counting)
    table = bottleneck_table(cells, question)
    totals = reader.fetch(members.totals()).to_pylist()[0]
    blended = motions(reader, members) > 1
    said = Said(members, question, cells, totals, table, blended=blended)
    meta = standing(definition, question.parameters(benchmark), cut, units)
    return Result(
        "bottleneck",
        table,
        sentence=said.sentence(),
        notes=said.notes(),
        sql=reader.statements,
        meta=meta | {"currency": cells.currency},
    )


def _refuse_contracts(by: Sequence[str]) -> None:
    for name in by:
        if name in CONTRACT:
            raise Refused(
                f"{name} is known only of those who signed, and most of what is counted here comes"
                f" before: ask by trait.{name} if it is a trait, or look at those who signed alone"
                " with the funnel"
            )


def _cells(reader: Reader, counting: Counting) -> Cells:
    """The counts of all cells: two statements, and one for the waits that could be shorter."""
    question = counting.question
    if counting.members.cut.moment is None:  # there is no fact
        return Cells(counting.members, question, [], [], [])
    counted = reader.fetch(counting.counted()).to_pylist()
    cells = Cells(
        counting.members,
        question,
        # without any member there is a row of all together still: of nobody
        [row for row in counted if not row["together"]],
        [row for row in counted if row["together"] and row["entered"]],
        reader.fetch(counting.worth()).to_pylist(),
    )
    _check_currencies(reader, counting, cells)
    windows = cells.longer_windows()
    if windows:
        cells.sooner = reader.fetch(counting.sooner(windows)).to_pylist()
    return cells


def _check_currencies(reader: Reader, counting: Counting, cells: Cells) -> None:
    wanted, found = counting.question.currency, cells.currencies
    if len(found) > 1 or (wanted is not None and found - {wanted}):
        names = reader.fetch(counting.currencies()).column(0).to_pylist()
        refuse_currencies([str(name) for name in names], wanted)
