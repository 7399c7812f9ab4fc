"""The forms of an answer: tables for people, lines and files for machines."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.files import is_terminal
from bowtie_cli.tables import table_text
from bowtie_projections.cells import plain, text, visible

if TYPE_CHECKING:
    from bowtie_cli.output import Answers, Output

__all__ = ["WRITERS"]


def _table(output: Output, answer: Answers) -> None:
    colour = output.file is None and is_terminal() and "NO_COLOR" not in os.environ
    blocks = [visible(answer.sentence)] if answer.sentence else []
    if answer.columns:
        blocks.append(table_text(answer.columns, answer.rows(), terminal=colour))
    for name, part in answer.parts.items():
        title = name.replace("_", " ").capitalize()
        own = visible(part.sentence) if part.sentence != answer.sentence else ""
        rows = part.rows()
        blocks.append(f"{title}: {own or ('' if rows else 'none')}".rstrip())
        if rows:
            blocks.append(table_text(part.columns, rows, terminal=colour))
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

    if output.file is None and is_terminal():
        raise click.UsageError("Parquet is no text: name a file with -o FILE, or use a pipe")
    output.tell(answer)
    sink = pa.BufferOutputStream()
    pq.write_table(answer.to_arrow(), sink, compression="zstd")
    output.write(sink.getvalue().to_pybytes())


WRITERS: dict[str, Callable[[Output, Answers], None]] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "markdown": _markdown,
    "parquet": _parquet,
}
