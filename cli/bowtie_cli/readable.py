"""Figures of several kinds in one column, each shown in the way of its own kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bowtie_cli.output import Answers, Output

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["readable"]

#: How the figure of a row that stands in a column is shown.
Shown = Callable[[Mapping[str, Any], str], str]


def readable(output: Output, answer: Answers, columns: Sequence[str], shown: Shown) -> Answers:
    """The answer, its figures as text where a person reads it, and as numbers elsewhere."""
    tables = output.format in {"table", "markdown"} and output.part is None
    return _Readable(answer, columns, shown) if tables else answer


class _Readable:
    """An answer with figures as text."""

    def __init__(self, answer: Answers, numbers: Sequence[str], shown: Shown) -> None:
        self.answer, self._numbers, self._shown = answer, numbers, shown
        self.sentence, self.notes = answer.sentence, answer.notes

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.answer.columns

    @property
    def parts(self) -> Mapping[str, Answers]:
        """Further tables, as they are."""
        return self.answer.parts

    def rows(self) -> list[dict[str, Any]]:
        """The rows, figures as text that stands flush right."""
        found = self.answer.rows()
        rows = [row | {name: self._shown(row, name) for name in self._numbers} for row in found]
        for name in self._numbers:
            width = max((len(row[name]) for row in rows), default=0)
            for row in rows:
                row[name] = row[name].rjust(width)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """All of it, as one JSON object."""
        return self.answer.to_dict()

    def to_arrow(self) -> pa.Table:
        """The rows, as Arrow."""
        return self.answer.to_arrow()
