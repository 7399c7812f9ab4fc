"""Paths: what customers pass through, in which order, and how long from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.fields import Stage
from bowtie.stages import STAGES, Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import dimensions, distinct_values
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.journey_source import Needs, journeys_at, settled_through
from bowtie_projections.views.paths.names import LOST, OPEN, Names
from bowtie_projections.views.paths.told import Told, in_cells
from bowtie_projections.views.paths.walks import Walks
from bowtie_projections.views.shares import standing, typed_table
from bowtie_projections.views.units import Units, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["paths", "taken_by", "walks_of"]

#: What nodes can be, beside the stages: the fields of touches.
_FIELDS = {
    "touchpoints": "touchpoint",
    "channels": "channel",
    "campaigns": "campaign",
    "media": "medium",
    "contents": "content",
}
_OF = ("stages", *_FIELDS)


def paths(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    of: str | Sequence[str] = "stages",
    by: str | Sequence[str] = (),
    steps: int = 4,
    starts: Stage | None = None,
    ends: Stage | None = None,
    collapse: bool = False,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    cycles: bool = False,
    from_: str | None = None,
    to: str | None = None,
    lost_after: str | timedelta | None = None,
    top: int = 10,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """What customers pass through, in which order, and how long from one to the next.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        of: what the nodes are: ``stages``; ``touchpoints``, ``channels``, ``campaigns``, ``media``
            or ``contents`` of touches; or the stages and one of the others.
        by: breakdowns, as known when a path begins; where ``ends`` is named, at its end.
        steps: how many nodes of a path are told; from the end, where only that is named.
        starts: look at paths from the entry of this stage on.
        ends: look at paths up to the entry of this stage, of those who entered it.
        collapse: a node that follows itself counts once.
        unit: whose paths: ``customer``, ``account``, ``opportunity`` or ``cycle``.
        look_back: touches of a member count for the account from so long before the membership.
        cycles: each cycle is a path, not the first of each customer only.
        from_: paths whose beginning (or whose end, where ``ends`` names it) is not before that
            period.
        to: and not after the end of that period.
        lost_after: silence so long is a loss.
        top: how many touchpoints stand apart, how many values of a breakdown, and how many
            sequences of each cell; the rest are ``other``.
        data_from: where the data begins; stands in the answer.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        personal_names: traits that are sealed.

    Returns:
        A row for each step from one node to the next, in each cell: ``share`` is of the paths of
        the cell that were at the source at this step. ``(start)`` stands before the first node;
        after the last ``(lost)``, ``(open)`` (the path may go on) or ``(more)`` (further nodes than
        were asked for). The part ``moves`` has the transitions at any step, the part ``sequences``
        the most frequent paths as wholes. Days are medians of those who made the move, null under
        20 of them.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that only later stages can carry, or that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    units, walks = walks_of(reader, cut, definition, asked)
    written = {"of": of if isinstance(of, str) else [*of], "steps": steps, "starts": starts}
    return _result(units, definition, walks, written | {"ends": ends, "collapse": collapse})


def walks_of(
    reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]
) -> tuple[Units, Walks]:
    """Whose paths are looked at, and which, by all parameters of :func:`paths`."""
    field, with_stages = _nodes(asked["of"])
    taken = (
        "unit", "look_back", "cycles", "from_", "to", "lost_after", "top", "tz", "by", "data_from",
        "data_through",
    )  # fmt: skip
    question = ask({name: asked[name] for name in taken})
    steps, starts, ends = asked["steps"], asked["starts"], asked["ends"]
    _check(steps, starts, ends)
    found = dimensions(
        reader, cut, question.by,
        cohort_stage=ends or starts, personal_names=asked["personal_names"],
    )  # fmt: skip
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    needs = Needs(activity=question.lost_after is not None)
    journeys = journeys_at(units.reader, cut, definition, needs, question.lost_after)
    walks = Walks(
        journeys, cut, question, field, with_stages, starts, ends, steps, bool(asked["collapse"]),
        Names((), with_stages), found,
    )  # fmt: skip
    return units, _named(units.reader, walks)


def _nodes(of: str | Sequence[str]) -> tuple[str | None, bool]:
    """The field of touches, and whether stages are nodes too."""
    asked = [of] if isinstance(of, str) else list(of)
    fields = [name for name in asked if name in _FIELDS]
    unknown = [name for name in asked if name not in _OF]
    if unknown or not asked or len(fields) > 1 or len(set(asked)) < len(asked):
        raise UsageError(
            f"of is {', '.join(map(repr, asked)) or 'empty'}; write stages, one of"
            f" {', '.join(_FIELDS)}, or stages and one of these"
        )
    return (_FIELDS[fields[0]] if fields else None), "stages" in asked


def _check(steps: Any, starts: str | None, ends: str | None) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise UsageError(f"steps is {steps!r}; write a whole number from 1")
    for name, stage in (("starts", starts), ("ends", ends)):
        if stage is not None and stage not in STAGES:
            raise UsageError(f"{name} is {stage!r}; write a stage: {', '.join(STAGES)}")
    if starts is not None and starts == ends:
        raise UsageError(f"starts and ends are both {starts}: name two stages")


def _named(reader: Reader, walks: Walks) -> Walks:
    values: list[str] = []
    if walks.of is not None:
        values = [str(value) for value in reader.fetch(walks.ranked()).column(0).to_pylist()]
    names = Names(values, walks.stages)
    names.check_length(walks.steps)
    walks = replace(walks, names=names)
    many = [
        one
        for one in walks.dimensions
        if distinct_values(reader, walks.cut, one) > walks.question.top
    ]
    kept = {
        one.name: [
            str(value) for value in reader.fetch(walks.ranked_cells(one)).column(0).to_pylist()
        ]
        for one in many
    }
    return replace(walks, kept=kept)


def _result(units: Units, definition: Definition, walks: Walks, asked: dict[str, Any]) -> Result:
    cells = in_cells(units.reader.fetch(walks.found()).to_pylist(), walks)
    top, written = walks.question.top, walks.question.written

    def part(rows_of: Callable[[Told], list[dict[str, Any]]], columns: Sequence[str]) -> pa.Table:
        named = zip(cells, (rows_of(told) for told in cells.values()), strict=True)
        rows = [
            dict(zip(walks.keys, cell, strict=True)) | row for cell, found in named for row in found
        ]
        return _table(rows, columns, walks, units)

    return Result(
        "paths",
        part(Told.steps, _STEPS),
        sentence=_sentence(list(cells.values()), walks, units),
        notes=_notes(cells, walks),
        sql=units.reader.statements,
        meta=standing(definition, {**asked, **written}, walks.cut, units),
        parts={
            "moves": part(Told.moves, _MOVES),
            "sequences": part(lambda told: told.sequences(top), _SEQUENCES),
        },
    )


_STEPS = ("step", "source", "target", "customers", "share", "days_p50")
_MOVES = ("source", "target", "moves", "customers", "share", "days_p50")
_SEQUENCES = ("sequence", "customers", "share", "committed", "open", "days_p50")
_TEXT, _RATES = {"source", "target", "sequence"}, {"share", "days_p50"}


def _table(
    rows: list[dict[str, Any]], columns: Sequence[str], walks: Walks, units: Units
) -> pa.Table:
    import pyarrow as pa

    def kind(name: str) -> pa.DataType:
        if name in _TEXT:
            return pa.string()
        return pa.float64() if name in _RATES else pa.int64()

    kinds = dict.fromkeys(walks.keys, pa.string()) | {name: kind(name) for name in columns}
    titles = {one.column: one.title(taken_by(units)) for one in walks.dimensions}
    return typed_table(rows, kinds, titles | {"customers": plural(units.name)})


def taken_by(units: Units) -> set[str]:
    """The columns that a breakdown can't be called like; one name in all parts."""
    return {*_STEPS, *_MOVES, *_SEQUENCES, plural(units.name)}


def _sentence(cells: Sequence[Told], walks: Walks, units: Units) -> str:
    if walks.cut.moment is None:
        return "There is no path in the log."
    number = sum(told.customers for told in cells)
    whose = (
        f"{number:,} {'cycle' if number == 1 else 'cycles'}"
        if walks.question.cycles
        else units.count(number)
    )
    what = "walked a path"
    if walks.starts or walks.ends:
        what = "entered " + " and then ".join(filter(None, (walks.starts, walks.ends)))
    said = f"{whose} {what}{_period(walks.question)} by {walks.cut.moment:%Y-%m-%d}"
    if walks.ends is not None:
        return f"{said}; who has not entered {walks.ends} by then is left out: they still may."
    going, lost = (sum(told.ending(end) for told in cells) for end in (OPEN, LOST))
    return (
        f"{said}; of those told to their end {lost:,} {'was' if lost == 1 else 'were'} lost and"
        f" {going:,} {'is' if going == 1 else 'are'} open: they may go on."
    )


def _period(question: Question) -> str:
    start, end = question.written["from"], question.written["to"]
    if start is not None and start == end:
        return f" in {start}"
    since = "" if start is None else f" from {start}"
    return since + ("" if end is None else f" to {end}")


def _notes(cells: Collection[Any], walks: Walks) -> list[str]:
    notes = []
    if cells:
        notes.append(
            "Days are those of who made the move already; who still waits is not in them: ask"
            " velocity or the funnel how long it takes."
        )
    if walks.question.lost_after is not None:
        notes.append("Losses are inferred from silence, not from an event.")
    notes += [
        f"{name}: the {len(kept)} values of the most paths stand apart, the rest are other."
        for name, kept in walks.kept.items()
    ]
    return notes
