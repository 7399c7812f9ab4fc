"""One printer for all commands: a table to read, or the same figures in a machine's form.

Data goes to standard output (or ``-o FILE``), all else to standard error. In a form that has no
place for the sentence and the notes (CSV, JSON lines, Parquet), they go to standard error too.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import click

from bowtie_cli.files import open_output
from bowtie_cli.forms import WRITERS
from bowtie_cli.session import Session
from bowtie_projections.cells import visible

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Answer",
    "Answers",
    "Output",
    "output_options",
    "output_options_with_parts",
    "plot_option",
]

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = tuple(WRITERS)
_PICTURES = (".svg", ".png", ".html")
_SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "markdown",
    ".parquet": "parquet",
}


class Answers(Protocol):
    """What can be printed; the results of the views can."""

    sentence: str
    notes: list[str]

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""

    @property
    def parts(self) -> Mapping[str, Answers]:
        """Further tables."""

    def rows(self) -> list[dict[str, Any]]:
        """The rows."""

    def to_dict(self) -> dict[str, Any]:
        """All of it, as one JSON object."""

    def to_arrow(self) -> pa.Table:
        """The rows, as Arrow."""


class Drawable(Protocol):
    """What can be drawn; the results of most views can."""

    def chart(self) -> Any:
        """The chart."""


@dataclass(slots=True)
class Answer:
    """Rows that no view made.

    Args:
        columns: their names.
        data: the rows; what a row lacks is null.
        whole: what stands for all of it as one JSON object.
        sentence: what to read first.
        notes: what to read after.
        parts: further tables.
    """

    columns: list[str]
    data: list[dict[str, Any]]
    whole: dict[str, Any]
    sentence: str = ""
    notes: list[str] = field(default_factory=list)
    parts: Mapping[str, Answers] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """The rows."""
        return [{name: row.get(name) for name in self.columns} for row in self.data]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as one JSON object."""
        return self.whole

    def to_arrow(self) -> pa.Table:
        """The rows, as Arrow."""
        import pyarrow as pa

        rows = self.rows()
        return pa.table({name: [row[name] for row in rows] for name in self.columns})


@dataclass(frozen=True, slots=True)
class Output:
    """How and where to print."""

    session: Session
    format: str = "table"
    file: Path | None = None
    part: str | None = None
    plot: Path | None = None

    def show(self, answer: Answers) -> None:
        """Print an answer, or the part of it that was asked for."""
        if self.part is not None:
            if self.part not in answer.parts:
                known = ", ".join(answer.parts) or "none"
                raise click.UsageError(f"the answer has no part {self.part!r}; it has: {known}")
            answer = answer.parts[self.part]
        WRITERS[self.format](self, answer)
        if self.plot is not None:
            self._draw(cast("Drawable", answer), self.plot)

    def _draw(self, answer: Drawable, file: Path) -> None:
        """Write the chart of an answer to a file."""
        chart = answer.chart()
        from bowtie_projections.charts import written

        with open_output(file) as stream:
            stream.write(written(chart, file.suffix[1:].lower()))
        self.session.say(f"Chart written to {file}")

    def write(self, content: bytes) -> None:
        """Write data where the user wants it."""
        with open_output(self.file) as stream:
            stream.write(content)

    def write_text(self, content: str) -> None:
        """Write text for a person; what a terminal can't show becomes a question mark."""
        encoding = getattr(sys.stdout, "encoding", None) if self.file is None else None
        self.write(content.encode(encoding or "utf-8", "replace"))

    def tell(self, answer: Answers) -> None:
        """Sentence and notes, beside the data."""
        for line in filter(None, [answer.sentence, *answer.notes]):
            self.session.say(visible(line))
        if answer.parts:
            names = ", ".join(answer.parts)
            self.session.say(f"This form holds the main table only; by --part: {names}")


def output_options(command: F) -> F:
    """Give a command ``--format``, ``--json`` and ``-o``, and hand it an :class:`Output`.

    The command is called with the keyword ``output`` instead of the three.
    """

    @click.option(
        "--format",
        type=click.Choice(FORMATS),
        help="The form of the data (table; with -o, as the file is called).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
    @click.option(
        "-o",
        "--output",
        "output_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write the data to a file.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        format: str | None,
        as_json: bool,
        output_file: Path | None,
        part: str | None = None,
        plot: Path | None = None,
        **kwargs: Any,
    ) -> Any:
        session = click.get_current_context().find_object(Session) or Session()
        if as_json and format not in (None, "json"):
            raise click.UsageError(f"--json and --format {format} are two different forms")
        chosen = "json" if as_json else format or _format_of(output_file)
        target = None if str(output_file) == "-" else output_file
        return command(*args, output=Output(session, chosen, target, part, plot), **kwargs)

    return wrapped  # type: ignore[return-value]  # the same command, called with less


def _format_of(file: Path | None) -> str:
    """The form that a file's name asks for."""
    suffix = "" if file is None else file.suffix.lower()
    if suffix in {"", ".txt"}:
        return "table"
    if suffix not in _SUFFIXES:
        raise click.UsageError(
            f"{file}: no form of data is known by {suffix}: name the file {', '.join(_SUFFIXES)} or"
            f" .txt, or say --format"
        )
    return _SUFFIXES[suffix]


def plot_option(command: F) -> F:
    """Give a command of an answer that can be drawn ``--plot``: above the options of its output."""
    option = click.option(
        "--plot",
        metavar="FILE",
        type=click.Path(path_type=Path),
        callback=_picture,
        help=f"Draw it, too: {', '.join(_PICTURES)}.",
    )
    return option(command)


def _picture(context: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Told before anything is computed: what can't be written to."""
    del context, option
    if file is not None and file.suffix.lower() not in _PICTURES:
        raise click.BadParameter(f"{file}: name a file that ends in {', '.join(_PICTURES)}")
    return file


def output_options_with_parts(command: F) -> F:
    """The same, for an answer of several tables: ``--part`` prints one of them."""
    option = click.option("--part", metavar="NAME", help="Only this table of the answer.")
    return option(output_options(command))
