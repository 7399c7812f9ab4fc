"""The chart of an answer, and the file it is written to."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused
from bowtie_projections.cells import visible
from bowtie_projections.charts.views import DRAWN
from bowtie_projections.results import Result

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["draw", "written"]


def draw(result: Result) -> Any:
    """The chart of an answer.

    Raises:
        Refused: such an answer has no chart; the message says which have one.
    """
    if result.view not in DRAWN:
        known = ", ".join(DRAWN)
        raise Refused(
            f"there is no chart of {result.view}; there is one of {known}. Its rows can be drawn"
            " with any library: to_pandas(), to_polars(), to_arrow()"
        )
    if not len(result):
        raise Refused(f"there is nothing to draw: the answer of {result.view} has no rows")
    return DRAWN[result.view](_printable(result))


def _printable(result: Result) -> Result:
    """The answer with texts that can be drawn.

    What XML can't hold, such as a control character in a value that somebody sent, would end the
    renderer, and this process with it.
    """
    return Result(
        result.view,
        _visible(result.to_arrow()),
        sentence=visible(result.sentence),
        meta=result.meta,
        parts={name: _visible(part.to_arrow()) for name, part in result.parts.items()},
    )


def _visible(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    table = table.rename_columns([visible(name) for name in table.column_names])
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = [text and visible(text) for text in table.column(index).to_pylist()]
            table = table.set_column(index, field, pa.chunked_array([texts], pa.string()))
    return table


def written(chart: Any, kind: str) -> bytes:
    """A chart as the content of a file.

    Args:
        chart: from :func:`draw`.
        kind: ``svg``, ``png``, or ``html``: a page that needs no network.
    """
    if kind == "png":
        picture = io.BytesIO()
        chart.save(picture, format=kind, scale_factor=2)
        return picture.getvalue()
    text = io.StringIO()
    chart.save(text, format=kind, inline=kind == "html")
    return text.getvalue().encode()
