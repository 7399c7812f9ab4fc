"""One printer for all commands: a table to read, or the same figures in a machine's form.

Data goes to standard output (or ``-o FILE``), all else to standard error. In a form that has no
place for the sentence and the notes (CSV, JSON lines, Parquet), they go to standard error too.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, cast

import click

from bowtie_cli.session import Session
from bowtie_cli.tables import table_text
from bowtie_projections.cells import plain, text, visible

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Answer",
    "Answers",
    "Output",
    "open_output",
    "output_options",
    "output_options_with_parts",
    "plot_option",
]

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = ("table", "json", "jsonl", "csv", "tsv", "markdown", "parquet")
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
        _WRITERS[self.format](self, answer)
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


def _table(output: Output, answer: Answers) -> None:
    colour = output.file is None and _is_terminal() and "NO_COLOR" not in os.environ
    blocks = [visible(answer.sentence)] if answer.sentence else []
    if answer.columns:
        blocks.append(table_text(answer.columns, answer.rows(), terminal=colour))
    for name, part in answer.parts.items():
        title = name.replace("_", " ").capitalize()
        own = part.sentence if part.sentence != answer.sentence else ""
        blocks.append(f"{title}: {visible(own)}".rstrip())
        blocks.append(table_text(part.columns, part.rows(), terminal=colour))
    if answer.notes:
        blocks.append("\n".join(f"Note: {visible(note)}" for note in answer.notes))
    output.write_text("\n\n".join(blocks) + "\n")


def _markdown(output: Output, answer: Answers) -> None:
    blocks = [answer.sentence] if answer.sentence else []
    blocks.append(_markdown_table(answer.columns, answer.rows()))
    for name, part in answer.parts.items():
        blocks += [f"**{name.replace('_', ' ')}**", _markdown_table(part.columns, part.rows())]
    blocks += list(answer.notes)
    output.write_text("\n\n".join(blocks) + "\n")


def _markdown_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    def line(cells: Sequence[str]) -> str:
        inside = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        return f"| {' | '.join(inside)} |"

    body = [line([text(row[name]) for name in columns]) for row in rows]
    return "\n".join([line(columns), line(["---"] * len(columns)), *body])


def _json(output: Output, answer: Answers) -> None:
    output.write((json.dumps(answer.to_dict(), ensure_ascii=False, indent=2) + "\n").encode())


def _json_lines(output: Output, answer: Answers) -> None:
    output.tell(answer)
    lines = (
        json.dumps({name: plain(value) for name, value in row.items()}, ensure_ascii=False)
        for row in answer.rows()
    )
    output.write("".join(f"{line}\n" for line in lines).encode())


def _delimited(delimiter: str) -> Callable[[Output, Answers], None]:
    def write(output: Output, answer: Answers) -> None:
        output.tell(answer)
        lines = io.StringIO(newline="")
        writer = csv.writer(lines, delimiter=delimiter, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([text(value) for value in row.values()] for row in answer.rows())
        output.write(lines.getvalue().encode())

    return write


def _parquet(output: Output, answer: Answers) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if output.file is None and _is_terminal():
        raise click.UsageError("Parquet is no text: name a file with -o FILE, or use a pipe")
    output.tell(answer)
    sink = pa.BufferOutputStream()
    pq.write_table(answer.to_arrow(), sink, compression="zstd")
    output.write(sink.getvalue().to_pybytes())


_WRITERS: dict[str, Callable[[Output, Answers], None]] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "markdown": _markdown,
    "parquet": _parquet,
}


@contextmanager
def open_output(file: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is put in place when it is complete.

    Raises:
        FileError: the file can't be written; what stood there before still does.
    """
    if file is None:
        yield from _standard_output()
        return
    from bowtie.replacing import replacing

    with replacing(file) as stream:
        yield stream


def _standard_output() -> Iterator[BinaryIO]:
    from bowtie.errors import BowtieError, FileError

    if cast("object", sys.stdout) is None:  # so Python has it where it was closed
        raise FileError("standard output", "is closed: name a file with -o FILE")
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except (BowtieError, BrokenPipeError):
        raise
    except OSError as error:
        problem = f"can't be written: {error.strerror or error}"
        raise FileError("standard output", problem) from None


def _is_terminal() -> bool:
    """Whether a person sees what is printed."""
    return cast("object", sys.stdout) is not None and sys.stdout.isatty()


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
