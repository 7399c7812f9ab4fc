"""What a view answers with: rows, the sentence that says who is counted, and where they come from.

>>> import pyarrow as pa
>>> table = pa.table({"stage": ["awareness", "education"], "entered": [412, 133]})
>>> answer = Result("funnel", table, sentence="412 customers entered awareness.")
>>> answer.rows()[1]
{'stage': 'education', 'entered': 133}
>>> answer
<funnel: 2 rows; 412 customers entered awareness.>
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from bowtie.errors import UnknownName, UsageError
from bowtie.extras import need
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["Result"]

#: shown where a breakdown has no value
NONE = "(none)"


class Result:
    """The answer of a view.

    Args:
        view: the view's name.
        table: the rows, as Arrow. Times without a zone are taken as UTC; NaN becomes null.
        sentence: who is counted and who is left out.
        notes: what the reader must know before believing the figures.
        sql: the statements that ran.
        meta: ``definition``, ``parameters``, ``position``, ``as_of``, ``known_at``, ...
        parts: further tables of the same answer, by name.
    """

    def __init__(
        self,
        view: str,
        table: pa.Table,
        *,
        sentence: str = "",
        notes: Sequence[str] = (),
        sql: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
        parts: Mapping[str, pa.Table] | None = None,
    ) -> None:
        self.view = view
        self.sentence = sentence
        self.notes: list[str] = list(notes)
        self.sql: list[str] = list(sql)
        self.meta: dict[str, Any] = dict(meta or {})
        self._table = _clean(table)
        self._parts = {name: _clean(part) for name, part in (parts or {}).items()}
        #: explains a figure of this answer, where its view can
        self.explained_by: Callable[..., Result] | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self._table.column_names)

    @property
    def parts(self) -> dict[str, Result]:
        """The further tables of this answer, each a result of its own."""
        return {name: self.part(name) for name in self._parts}

    def part(self, name: str) -> Result:
        """One of the further tables, such as the ``sources`` of the loop.

        It opens with the sentence of the whole answer: the same are counted.
        """
        if name not in self._parts:
            known = ", ".join(self._parts) or "none"
            raise UnknownName(f"{self.view} has no part {name!r}; it has: {known}")
        found = Result(
            f"{self.view}.{name}",
            self._parts[name],
            sentence=self.sentence,
            sql=self.sql,
            meta=self.meta,
        )
        if self.explained_by is not None:
            found.explained_by = partial(self.explained_by, part=name)
        return found

    def explain(self, row: int | Mapping[str, Any], column: str, *, data: bool = False) -> Result:
        """Whom a figure of this answer counts, and the events behind each of them.

        The view is asked again, at the same position: see
        :meth:`bowtie_projections.Views.explain`.

        Args:
            row: its number, from 0; or the row itself.
            column: the figure's column.
            data: add the fields of each event, as JSON.

        Raises:
            UsageError: there is no such row; nobody stands behind the column; or the figures of
                such an answer can't be explained.
        """
        if self.explained_by is None:
            raise UsageError(f"the figures of {self.view} can't be explained from here")
        if isinstance(row, int):
            if not 0 <= row < len(self):
                raise UsageError(f"{self.view} has no row {row}: it has {len(self)}, from 0 on")
            row = self.rows()[row]
        kinds = self._table.schema
        cell = {name: row[name] for name in self.columns if str(kinds.field(name).type) == "string"}
        # whole numbers name a row too, such as an age: as many as tell it from the others
        for name in self.columns:
            if self._are_several(cell) and str(kinds.field(name).type) == "int64":
                cell[name] = row[name]
        return self.explained_by(cell=cell, column=column, data=data)

    def _are_several(self, cell: Mapping[str, Any]) -> bool:
        """Whether more than one row has these values."""
        same = [row for row in self.rows() if all(row[name] == cell[name] for name in cell)]
        return len(same) > 1

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dictionaries of Decimal, datetime (UTC), float, int, str and None."""
        return _rows(self._table)

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame (extra ``pandas``)."""
        need("pandas")
        return self._table.to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The rows as a polars frame (extra ``polars``)."""
        need("polars")
        import polars as pl

        return pl.DataFrame(self._table)

    def chart(self) -> Any:
        """The answer as an Altair chart (extra ``charts``): ``.save("funnel.svg")`` writes it.

        Raises:
            Refused: such an answer has no chart.
        """
        need("altair", "charts")
        from bowtie_projections.charts import draw

        return draw(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole answer as JSON-ready values: decimals as strings, times as ISO 8601 in UTC."""
        meta = {name: plain(value) for name, value in self.meta.items()}
        fixed = ("definition", "parameters", "position", "as_of", "known_at")
        answer: dict[str, Any] = {"view": self.view}
        answer |= {name: meta.pop(name, None) for name in fixed}
        answer |= meta
        answer |= {"sentence": self.sentence, "notes": self.notes}
        answer |= _plain_table(self._table)
        if self._parts:
            answer["parts"] = {name: _plain_table(part) for name, part in self._parts.items()}
        return answer

    def to_json(self, indent: int | None = None) -> str:
        """The whole answer as one JSON object; never NaN."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())

    def __repr__(self) -> str:
        return f"<{self.view}: {len(self)} rows; {self.sentence}>"

    def _repr_html_(self) -> str:
        parts = [_html_paragraph(self.sentence, "font-weight:bold") if self.sentence else ""]
        parts.append(_html_table(self._table))
        for name, table in self._parts.items():
            parts += [_html_paragraph(name, "font-weight:bold"), _html_table(table)]
        parts += [_html_paragraph(note, "font-size:smaller") for note in self.notes]
        return "<div>" + "".join(parts) + "</div>"


def _clean(table: pa.Table) -> pa.Table:
    """Times carry their zone, floats no NaN: what a reader can't misread."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_timestamp(field.type):
            kind = pa.timestamp("us", tz="UTC")
            if field.type != kind:
                table = table.set_column(index, field.name, column.cast(kind))
        elif pa.types.is_floating(field.type):
            finite = pc.is_finite(column)
            if not (pc.all(finite, min_count=0).as_py()):
                null = pa.scalar(None, type=field.type)
                table = table.set_column(index, field.name, pc.if_else(finite, column, null))
    return table


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    # Arrow names the zone by a tzinfo of its own choice; callers get the standard library's.
    columns = []
    for column in table.columns:
        values = column.to_pylist()
        if str(column.type).startswith("timestamp"):
            values = [None if value is None else value.astimezone(UTC) for value in values]
        columns.append(values)
    names = table.column_names
    if not columns:
        return []
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain_table(table: pa.Table) -> dict[str, Any]:
    rows = [{name: plain(value) for name, value in row.items()} for row in _rows(table)]
    return {"columns": list(table.column_names), "rows": rows}


def _html_paragraph(text: str, style: str) -> str:
    return f'<p style="{style}">{escape(text)}</p>'


def _html_table(table: pa.Table) -> str:
    import pyarrow as pa

    def is_number(kind: pa.DataType) -> bool:
        return bool(
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        )

    aligned = ["right" if is_number(field.type) else "left" for field in table.schema]
    head = "".join(
        f'<th style="text-align:{side}">{escape(name)}</th>'
        for name, side in zip(table.column_names, aligned, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{side}">{escape(_shown(value))}</td>'
            for value, side in zip(row.values(), aligned, strict=True)
        )
        + "</tr>"
        for row in _rows(table)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
    return str(value)
