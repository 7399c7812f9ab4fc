"""The plan beside the figures: a file of targets, by month, measure and breakdown.

A file of targets is CSV with a header, or TOML with a table ``[[target]]`` for each::

    month,measure,breakdown,value
    2026-01,selection.entered,,120
    2026-01,selection.conversion,channel=ads,35%
    2026-Q1,selection.entered,channel=ads;industry=retail,40

``month`` is a period that the answer has: a cohort, or the period asked of. ``measure`` is a column
of figures, after the stage where rows are of stages. ``breakdown`` is empty for rows without one;
else a pair NAME=VALUE for each breakdown asked for, or a JSON object of them. ``(none)`` is those
without a value, ``other`` those put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from bowtie.errors import UsageError
from bowtie.wording import counted
from bowtie_projections.results import NONE, Result
from bowtie_projections.views.answers import Shape, keys_of, listed, with_columns
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.targets_file import Target

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["with_plan"]

_Row = dict[str, Any]
#: How many are named where many are meant.
_NAMED = 5


def with_plan(
    result: Result, targets: Sequence[Target], shape: Shape, asked: Mapping[str, Any]
) -> Result:
    """The answer with ``MEASURE_plan`` and ``MEASURE_gap`` beside each measure that has targets.

    The gap is the figure less the plan: above 0 where there is more than planned. It is null while
    the figure is not final, because the period goes on or somebody's window is not over.

    Args:
        result: the answer of a view.
        targets: from :func:`~bowtie_projections.views.targets_file.read_targets`.
        shape: of the answer.
        asked: the parameters it was asked with.

    Raises:
        FileError: a target names a measure or a value that the answer doesn't have, or the same
            figure as another one; the message names the line.
        UsageError: the answer is of no period that could have a target.
    """
    return _Plan(result, shape, asked).applied(targets)


@dataclass(frozen=True, slots=True)
class _Plan:
    result: Result
    shape: Shape
    asked: Mapping[str, Any]

    @property
    def _tz(self) -> str:
        return str(self.asked.get("tz", "UTC"))

    @property
    def _names(self) -> list[str]:
        """The columns of breakdowns."""
        return keys_of(self.result, self.shape)[: len(listed(self.asked.get("by", ())))]

    @property
    def _cohort(self) -> str | None:
        return self.shape.cohort_of(self.asked)

    @property
    def _parts(self) -> tuple[str, ...]:
        return self.shape.parts(self.result.rows())

    def applied(self, targets: Sequence[Target]) -> Result:
        """The answer with plan and gap beside its figures, and what could not be placed."""
        rows = self.result.rows()
        places = self._places(rows)
        spans = {span for span, *_ in places}
        measures: dict[str, list[Target]] = {}
        missed: dict[str, list[Target]] = {"month": [], "breakdown": [], "row": []}
        for target in targets:
            part, column = self._measure(target)
            span = period(target.month, self._tz)
            if span not in spans:
                missed["month"].append(target)
            elif set(target.breakdown) != set(self._names):
                missed["breakdown"].append(target)
            elif (row := places.get((span, part, self._cell(target, rows)))) is None:
                missed["row"].append(target)
            else:
                self._put(row, column, target)
                measures.setdefault(column, []).append(target)
        table, unfinished = self._table(rows, measures)
        notes = [*self._missed(missed), *_unfinished(unfinished), *self._none(measures)]
        planned = with_columns(self.result, table, *notes)
        planned.meta["parameters"] = dict(planned.meta["parameters"]) | {
            "targets": targets[0].file if targets else None
        }
        return planned

    def _places(self, rows: Sequence[_Row]) -> dict[tuple[Any, ...], _Row]:
        """The rows by the period, part and cell that targets name."""
        whole = None if self._cohort else self._asked_period()
        return {
            (
                whole or period(row[self.shape.period], self._tz),
                row[self.shape.part] if self.shape.part else None,
                tuple(row[name] for name in self._names),
            ): row
            for row in rows
        }

    def _asked_period(self) -> tuple[datetime, datetime]:
        first, last = self.asked.get("from_"), self.asked.get("to")
        if first is None or last is None:
            raise UsageError(
                "targets are by month: ask with cohort=month, or with from_= and to=, such as"
                " 2026-01 and 2026-01, for the targets of that period"
            )
        return period(first, self._tz)[0], period(last, self._tz)[1]

    def _measure(self, target: Target) -> tuple[str | None, str]:
        """The part and the column that a target names."""
        part, _, column = target.measure.rpartition(".")
        if not self.shape.part:
            part, column = "", target.measure
        figures = self._figures()
        if self.shape.part and part not in self._parts:
            example = ".".join((*self._parts[-2:][:1], self.shape.entered))
            raise target.error(
                f"measure {target.measure!r} names no {self.shape.part}; write it as {example},"
                f" with one of {', '.join(self._parts)}"
            )
        if column not in figures:
            near = get_close_matches(column, figures, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(figures)}"
            raise target.error(f"{self.result.view} has no measure {column!r}; {hint}")
        if self._is_share(column) and not 0 <= target.value <= 1:
            raise target.error(f"{column} is a share: write {target.written!r} as 0.35 or 35%")
        return part or None, column

    def _figures(self) -> list[str]:
        import pyarrow.types as kinds

        first = self.result.columns.index(self.shape.figures)
        return [
            field.name
            for field in list(self.result.to_arrow().schema)[first:]
            if kinds.is_integer(field.type)
            or kinds.is_floating(field.type)
            or kinds.is_decimal(field.type)
        ]

    def _is_share(self, column: str) -> bool:
        return any(column == rate or column.startswith(f"{rate}_") for rate in self.shape.rates)

    def _cell(self, target: Target, rows: Sequence[_Row]) -> tuple[str | None, ...]:
        """The values a target names, each of which the answer must know."""
        cell = []
        for name in self._names:
            written = target.breakdown[name]
            value = None if written == NONE else written
            known = {row[name] for row in rows}
            if value not in known:
                near = get_close_matches(written, [str(one) for one in known if one], n=1)
                hint = f"did you mean {near[0]}?" if near else _listed(known)
                raise target.error(
                    f"no row has {name} {written!r}; {hint} Values among other can have no target"
                    " of their own"
                )
            cell.append(value)
        return tuple(cell)

    def _put(self, row: _Row, column: str, target: Target) -> None:
        plan = f"{column}_plan"
        if (earlier := row.get(plan)) is not None:
            raise target.error(f"is planned twice: line {earlier.line} names the same figure")
        row[plan] = target

    def _table(
        self, rows: list[_Row], measures: Mapping[str, list[Target]]
    ) -> tuple[pa.Table, int]:
        """The rows with plan and gap, and how many gaps are left out because more may come."""
        import pyarrow as pa

        table, unfinished = self.result.to_arrow(), 0
        for column in (name for name in self._figures() if name in measures):
            kind = self._kind(table.schema.field(column).type, measures[column])
            plans, gaps = [], []
            for row in rows:
                target: Target | None = row.get(f"{column}_plan")
                plans.append(None if target is None else _as(kind, target.value))
                final = target is None or self._is_final(row, column)
                unfinished += not final
                gap = None
                if final and target is not None and row[column] is not None:
                    gap = _as(kind, Decimal(str(row[column])) - target.value)
                gaps.append(gap)
            table = table.append_column(f"{column}_plan", pa.array(plans, kind))
            table = table.append_column(f"{column}_gap", pa.array(gaps, kind))
        return table, unfinished

    def _kind(self, kind: pa.DataType, targets: Sequence[Target]) -> pa.DataType:
        """Counts are planned in whole numbers, unless some plan is none."""
        import pyarrow as pa

        whole = all(target.value == target.value.to_integral_value() for target in targets)
        return pa.float64() if pa.types.is_integer(kind) and not whole else kind

    def _is_final(self, row: _Row, column: str) -> bool:
        """Whether nothing that is still to come changes the figure."""
        if self.shape.final is not None:
            return bool(row[self.shape.final])
        as_of = self.result.meta["as_of"]
        whole = period(row["cohort"], self._tz) if self._cohort else self._asked_period()
        if as_of is None or whole[1].replace(tzinfo=UTC) > as_of:
            return False
        at_once = column == self.shape.entered or row[self.shape.mature] is None
        return at_once or row[self.shape.mature] == row[self.shape.entered]

    def _missed(self, missed: Mapping[str, list[Target]]) -> Iterator[str]:
        """What is said of targets that no row shows."""
        if found := missed["month"]:
            months = sorted({target.month for target in found})
            yield (
                f"{counted(len(found), 'target')} of periods that are not in this answer:"
                f" {_some(months)}."
            )
        if found := missed["breakdown"]:
            by = sorted({", ".join(target.breakdown) or "no breakdown" for target in found})
            yield (
                f"{counted(len(found), 'target')} by something else than this answer: {_some(by)};"
                " ask so to see them."
            )
        if found := missed["row"]:
            lines = [f"line {target.line}" for target in found]
            yield (
                f"{counted(len(found), 'target')} of cells that nobody entered in their period:"
                f" {_some(lines)}."
            )

    def _none(self, measures: Mapping[str, Any]) -> Iterator[str]:
        if not measures:
            yield "No row of this answer has a target."


def _unfinished(number: int) -> Iterator[str]:
    if number:
        yield (
            f"{counted(number, 'plan')} without a gap: the period is not over, or somebody's window"
            " is not, so the figure is not final."
        )


def _as(kind: pa.DataType, value: Decimal) -> Any:
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return value
    return int(value) if pa.types.is_integer(kind) else float(value)


def _some(words: Sequence[str]) -> str:
    rest = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _listed(values: set[str | None]) -> str:
    named = sorted(NONE if one is None else one for one in values)
    return f"there are: {_some(named)}." if named else "nobody is in the answer."
