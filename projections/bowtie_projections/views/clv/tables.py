"""The answer of a forecast as tables: by cohort and cell, by customer, the holdout, the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.views.clv.forecast import Forecast, cents
from bowtie_projections.views.clv.question import Question
from bowtie_projections.views.cohorts import ALL, cohort_label, first_day
from bowtie_projections.views.firsts import cells_of
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.shares import cell_order, typed_table
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "Rows", "holdout", "models"]

Ints = NDArray[np.int64]

_FIGURES = (
    "purchases", "recency_days", "age_days", "alive", "expected_purchases", "predicted_value",
)  # fmt: skip
COLUMNS = ("cohort", "customers", *_FIGURES, "predicted_mean")
_OF_CUSTOMERS = ("customer", "cohort", "first_on", *_FIGURES)


@dataclass(frozen=True, slots=True)
class Rows:
    """The customers of a forecast by cell and cohort.

    Args:
        found: what is expected of them.
        members: their cells; None where nobody asked for any.
        cells: the keys of each row, as an answer names them, in its order.
        place: of each customer the place of their row among these.
    """

    found: Forecast
    members: Members | None
    cells: Sequence[Mapping[str, str | None]]
    place: Ints

    @classmethod
    def of(cls, found: Forecast, question: Question, members: Members | None) -> Rows:
        """Those of a question."""
        labels, codes = _cohorts(found, question.cohort)
        keys: list[dict[str, str | None]] = [{"cohort": label} for label in labels]
        if members is not None:
            named, own = _cells(found, members)
            codes = own * len(labels) + codes
            keys = [cell | key for cell in named for key in keys]
        there, place = np.unique(codes, return_inverse=True)
        cells = [keys[code] for code in there]
        order = sorted(range(len(cells)), key=lambda at: cell_order(tuple(cells[at].values())))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return cls(found, members, [cells[at] for at in order], rank[place.reshape(-1)])

    def names(self, columns: Sequence[str]) -> dict[str, str]:
        """What the columns of cells are called in an answer, by their names in SQL."""
        dimensions = () if self.members is None else self.members.dimensions
        return {one.column: one.title(columns) for one in dimensions}

    def of_cell(self, row: Mapping[str, Any]) -> NDArray[np.bool_]:
        """The customers whom a row of the answer counts."""
        titles = self.names(COLUMNS)
        for place, cell in enumerate(self.cells):
            if all(row[titles.get(name, name)] == value for name, value in cell.items()):
                return np.asarray(self.place == place)
        return np.zeros(len(self.place), bool)

    def table(self) -> pa.Table:
        """A row for each cell and cohort with anybody in it."""
        import pyarrow as pa

        titles = self.names(COLUMNS)
        kinds: dict[str, Any] = dict.fromkeys((*titles, "cohort"), pa.string())
        kinds |= {"customers": pa.int64()} | _kinds() | {"predicted_mean": pa.decimal128(38, 6)}
        return typed_table(self._summed(), kinds, titles)

    def _summed(self) -> list[dict[str, Any]]:
        found, size = self.found, len(self.cells)

        def summed(values: Any) -> Any:
            return np.bincount(self.place, weights=values, minlength=size)

        number = np.bincount(self.place, minlength=size)
        value = summed(cents(found.value))
        figures = {
            "purchases": summed(found.purchases),
            "age_days": summed(found.age) / number,
            "alive": summed(found.alive) / number,
            "expected_purchases": summed(found.expected),
        }
        recency = None if found.recency is None else summed(found.recency) / number
        rows = []
        for at, cell in enumerate(self.cells):
            total = Decimal(round(value[at])) / 100
            rows.append(
                {
                    **cell,
                    **{name: float(values[at]) for name, values in figures.items()},
                    "customers": int(number[at]),
                    "purchases": round(figures["purchases"][at]),
                    "recency_days": None if recency is None else float(recency[at]),
                    "predicted_value": total,
                    "predicted_mean": round(total / int(number[at]), 6),
                }
            )
        return rows

    def of_customers(self, units: Units, cohort: str) -> pa.Table:
        """A row for each customer."""
        import pyarrow as pa

        titles = self.names(_OF_CUSTOMERS)
        kinds: dict[str, Any] = dict.fromkeys(("customer", *titles, "cohort"), pa.string())
        table = typed_table(self._each(), kinds | {"first_on": pa.date32()} | _kinds(), titles)
        return units.by_name(table.drop_columns(["cohort"]) if cohort == ALL else table)

    def _each(self) -> list[dict[str, Any]]:
        found, size = self.found, len(self.place)
        columns = {
            "customer": found.customers.to_pylist(),
            "first_on": found.first.astype(object),
            "purchases": found.purchases.tolist(),
            "recency_days": [None] * size if found.recency is None else found.recency.tolist(),
            "age_days": found.age.tolist(),
            "alive": found.alive.tolist(),
            "expected_purchases": found.expected.tolist(),
            "predicted_value": [Decimal(worth) / 100 for worth in cents(found.value).tolist()],
        }
        rows = zip(*columns.values(), strict=True)
        return [
            {**self.cells[place], **dict(zip(columns, row, strict=True))}
            for place, row in zip(self.place.tolist(), rows, strict=True)
        ]


def _kinds() -> dict[str, Any]:
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys(_FIGURES, pa.float64())
    return kinds | {"purchases": pa.int64(), "predicted_value": pa.decimal128(38, 6)}


def _cohorts(found: Forecast, cohort: str) -> tuple[list[str], Ints]:
    """The cohorts that there are, and the place of each customer's."""
    if cohort == ALL:
        return [ALL], np.zeros(len(found.first), np.int64)
    days, place = np.unique(found.first, return_inverse=True)
    named = [cohort_label(first_day(day, cohort), cohort) for day in days.astype(object)]
    labels = sorted(set(named))
    codes = np.array([labels.index(one) for one in named], np.int64)
    return labels, codes[place.reshape(-1)] if len(codes) else np.zeros(0, np.int64)


def _cells(found: Forecast, members: Members) -> tuple[list[dict[str, str | None]], Ints]:
    """The cells that there are, and the place of each customer's."""
    import pyarrow.compute as pc

    reader, rows = members.units.reader, cells_of(members)
    table = reader.fetch(rows.select())
    at: Any = pc.index_in(found.customers, value_set=table.column("customer"))
    codes = np.zeros(len(found.customers), np.int64)
    cells: list[dict[str, str | None]] = [{}]
    for one in members.dimensions:
        values = table.column(one.column).take(at).combine_chunks().dictionary_encode()
        levels = [
            *(members.named(one, str(level)) for level in values.dictionary.to_pylist()),
            None,
        ]
        own = np.asarray(values.indices.fill_null(len(levels) - 1).to_numpy(), np.int64)
        codes = codes * len(levels) + own
        cells = [cell | {one.column: level} for cell in cells for level in levels]
    return cells, codes


def holdout(found: Forecast) -> pa.Table:
    """What was expected of the days held out, beside what came."""
    import pyarrow as pa

    before = "purchases_before" if found.of == "orders" else "renewals_before"
    kinds = {"before": pa.string(), "customers": pa.int64()}
    kinds |= dict.fromkeys(("expected", "observed"), pa.float64())
    money = ("expected_value", "observed_value")
    rows: list[dict[str, Any]] = [
        row | {name: None if row[name] is None else round(Decimal(row[name]), 2) for name in money}
        for row in found.judged.rows
    ]
    kinds |= dict.fromkeys(money, pa.decimal128(38, 6))
    return typed_table(rows, kinds, {"before": before})


def models(found: Forecast) -> pa.Table:
    """The parameters that were fitted, and how the search went."""
    import pyarrow as pa

    kinds = {
        "model": pa.string(), "parameter": pa.string(), "fitted": pa.float64(),
        "customers": pa.int64(), "log_likelihood": pa.float64(), "converged": pa.bool_(),
        "at_border": pa.bool_(),
        "starts_agreed": pa.int64(), "starts": pa.int64(), "time": pa.string(),
    }  # fmt: skip
    rows = [
        {
            "model": one.name, "parameter": name, "fitted": value,
            "customers": int(one.fit.customers), "log_likelihood": one.fit.log_likelihood,
            "converged": one.fit.converged, "at_border": one.fit.at_border,
            "starts_agreed": one.fit.agreed, "starts": one.fit.starts,
            "time": None if one.name == "gamma-gamma" else found.unit_of_time,
        }
        for one in found.models
        for name, value in one.named().items()
    ]  # fmt: skip
    return typed_table(rows, kinds, {})
