"""The share that reaches the next stage by an age, of all who entered: those still waiting too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from bowtie.stages import STAGES
from bowtie_projections.survival import Incidence
from bowtie_projections.views.cut import Reader
from bowtie_projections.views.funnel.horizons import Estimating
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.table import FEWEST
from bowtie_projections.views.funnel.watched import Cell, Watched, by_cell, counted_and_watched

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["ESTIMATES", "Estimates", "counted_and_estimated"]

#: The columns that an estimate adds to the funnel.
ESTIMATES = (
    "conversion_estimate", "estimate_low", "estimate_high", "estimator", "at_risk", "days_to_half",
)  # fmt: skip
_CURVE = ("days", "estimate", "low", "high", "at_risk")
_NAMES = {"aalen-johansen": "Aalen-Johansen", "kaplan-meier": "Kaplan-Meier"}
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_NOBODY: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Estimates:
    """The estimates of a question.

    Args:
        members: of the question.
        asked: what is asked of the estimates.
        estimator: the name of the estimate.
        cells: those with any member, by the values of the cell, as an answer names them, and the
            stage.
        rows: the rows of their cells, as SQL names them.
    """

    members: Members
    asked: Estimating
    estimator: str
    cells: dict[Cell, Watched]
    rows: pa.Table

    def with_cells(self, counted: pa.Table) -> pa.Table:
        """The counts, and nobody in cells that only those older than the data are in."""
        import pyarrow as pa

        if not self.asked.entry_age:
            return counted
        number = self.rows.num_rows
        nobody: dict[str, list[Any]] = {"members": [0] * number, "imputed": [False] * number}
        named = {*self.members.key_names, "stage"}

        def column(field: Any) -> Any:
            if field.name in named:
                return self.rows.column(field.name).cast(field.type)
            return pa.array(nobody.get(field.name, [None] * number), field.type)

        rows = pa.table([column(field) for field in counted.schema], schema=counted.schema)
        return pa.concat_tables([counted, rows])

    def beside(self, table: pa.Table) -> pa.Table:
        """The funnel with the estimates beside its rates."""
        import pyarrow as pa

        kinds: dict[str, pa.DataType] = {"estimator": pa.string(), "at_risk": pa.int64()}
        rows = [self._columns(cell) for cell in self._cells_of(table)]
        place = table.column_names.index("conversion_so_far") + 1
        for number, name in enumerate(ESTIMATES):
            kind: pa.DataType = kinds.get(name, pa.float64())
            values: Any = pa.array([row[name] for row in rows], kind)
            table = table.add_column(place + number, name, values)
        keys = len(self.members.key_names)
        others = table.column_names[keys:]
        return table.rename_columns([*self.members.titles(others), *others])

    def _cells_of(self, table: pa.Table) -> list[Cell]:
        columns: list[Any] = [*table.columns[: len(self.members.key_names)], table.column("stage")]
        return list(zip(*(column.to_pylist() for column in columns), strict=True))

    def _columns(self, cell: Cell) -> dict[str, Any]:
        """What stands in a row of the funnel; nulls where there is nobody, and no next stage."""
        stage = cell[-1]
        if stage == STAGES[-1]:
            return dict.fromkeys(ESTIMATES)
        found = self.cells.get(cell)
        if found is None:
            return dict.fromkeys(ESTIMATES) | {"estimator": self.estimator, "at_risk": 0}
        at = found.incidence.at([self.members.question.window(stage) // _MICROSECOND])
        half = None if found.untimed else found.incidence.age_at(0.5)
        values = (
            float(at.share[0]), float(at.low[0]), float(at.high[0]), self.estimator,
            int(at.at_risk[0]), None if half is None else half * _MICROSECOND / _DAY,
        )  # fmt: skip
        return dict(zip(ESTIMATES, values, strict=True))

    def parts(self, table: pa.Table) -> dict[str, pa.Table]:
        """The curve, where it was asked for.

        Args:
            table: from :meth:`beside`.
        """
        return {"curve": self._curve(table)} if self.asked.has_curve else {}

    def _curve(self, table: pa.Table) -> pa.Table:
        """The estimates at the horizons asked for, of each row of the funnel that has a next."""
        import pyarrow as pa

        titles = table.column_names[: len(self.members.key_names)]
        names = [*titles, "stage", *_CURVE]
        pieces: dict[str, list[Any]] = {name: [] for name in names}
        for cell in self._cells_of(table):
            if cell[-1] == STAGES[-1]:
                continue
            ages = self.asked.ages(self.members.question.window(cell[-1]))
            for title, value in zip([*titles, "stage"], cell, strict=True):
                pieces[title] += [value] * len(ages)
            found = self.cells.get(cell)
            incidence = Incidence(_NOBODY) if found is None else found.incidence
            at = incidence.at([age // _MICROSECOND for age in ages])
            pieces["days"] += [age / _DAY for age in ages]
            for name, values in zip(
                _CURVE[1:], (at.share, at.low, at.high, at.at_risk), strict=True
            ):
                pieces[name] += values.tolist()
        kinds: dict[str, pa.DataType] = dict.fromkeys(_CURVE, pa.float64())
        kinds["at_risk"] = pa.int64()
        schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in pieces])
        return pa.table(pieces, schema)

    def notes(self, table: pa.Table) -> list[str]:
        """What to bear in mind.

        Args:
            table: from :meth:`beside`.
        """
        if not any(one.incidence.number for one in self.cells.values()):
            return []
        rows = [row for row in table.to_pylist() if row["stage"] != STAGES[-1]]
        said = (
            f"conversion_estimate ({_NAMES[self.estimator]}) counts who still waits, each up to the"
            " age they have: it holds where newer entries go on as older ones did."
        )
        if self.estimator == "kaplan-meier":
            said += " No loss can be seen here: who left in silence counts as still waiting."
        notes = [said]
        entered = sum(row["entered"] for row in rows)
        known = [bool(np.isfinite(row["conversion_estimate"] or 0.0)) for row in rows]
        empty = sum(row["entered"] > 0 and not one for row, one in zip(rows, known, strict=True))
        if empty:
            notes.append(
                f"{_estimates(empty)} empty: before the window's end nobody is left at risk, though"
                " some still wait; ask with a shorter within=."
            )
        few = sum(
            one and row["pending"] > 0 and row["mature"] < FEWEST
            for row, one in zip(rows, known, strict=True)
        )
        if few:
            notes.append(
                f"{_estimates(few)} of cells with fewer than {FEWEST} who are old enough for the"
                " window: what they say of its last days is a matter of few."
            )
        if self.asked.entry_age:
            older = sum(one.incidence.number for one in self.cells.values()) - entered
            ended = sum(one.ended_before for one in self.cells.values())
            notes.append(
                f"{older:,} entries of those older than the data take part in the estimates alone,"
                f" each from its age when the data began; {ended:,} more had reached the next stage"
                " or been lost before, and are left out."
            )
        if any(one.untimed for one in self.cells.values()):
            notes.append(
                "days_to_half is empty where a skipped stage has the time of the next one."
            )
        return notes


def _estimates(number: int) -> str:
    return f"{number} of these estimates {'is' if number == 1 else 'are'}"


def counted_and_estimated(
    reader: Reader, members: Members, *, sees_losses: bool
) -> tuple[pa.Table, Estimates | None]:
    """The counts of a question, and its estimates where they are asked for.

    Args:
        reader: the read tables.
        members: of the question.
        sees_losses: whether a loss can be seen at all.
    """
    asked = members.question.estimating
    if asked is None:
        return reader.fetch(members.counted()), None
    counted, watched = counted_and_watched(reader, members)
    name = "aalen-johansen" if sees_losses else "kaplan-meier"
    cells = by_cell(watched, members, competing=sees_losses)
    estimates = Estimates(members, asked, name, cells, watched)
    return estimates.with_cells(counted), estimates
