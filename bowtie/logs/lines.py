"""Lines of a text file, in chunks, with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from bowtie.errors import FileError

__all__ = ["CHUNK_LINES", "MAX_LINE", "Chunk", "line_blocks", "line_chunks"]

#: About how many lines a chunk holds, which a store takes in one transaction. Ids are random: in a
#: large store each transaction rewrites much of their index, however few it adds.
CHUNK_LINES = 50_000
#: The longest line that is read, in bytes.
MAX_LINE = 64 << 20
_GATHER = 20 << 20


class Chunk(NamedTuple):
    """Some lines of a log, without their line ends, blank ones left out.

    ``numbers[i]`` is the number in the file of ``lines[i]``, counted from 1 (a range where no line
    was left out). ``problems`` says, by index, what is wrong with lines that can't be events.
    """

    first_line: int
    lines: list[bytes]
    numbers: Sequence[int]
    problems: Mapping[int, str] | None = None


def line_chunks(blocks: Iterator[bytes], name: str, max_line: int = MAX_LINE) -> Iterator[Chunk]:
    """The lines that are not blank.

    Raises:
        FileError: as :func:`line_blocks`; after the chunks before it.
    """
    for first, lines in line_blocks(blocks, name, max_line):
        size = ceil(len(lines) / max(1, round(len(lines) / CHUNK_LINES)))
        for start in range(0, len(lines), size):
            part = lines[start : start + size]
            numbers: Sequence[int] = range(first + start, first + start + len(part))
            if not all(map(bytes.strip, part)):
                kept = [index for index, line in enumerate(part) if line.strip()]
                part, numbers = [part[i] for i in kept], [numbers[i] for i in kept]
            if part:
                yield Chunk(numbers[0], part, numbers)


def line_blocks(
    blocks: Iterator[bytes], name: str, max_line: int = MAX_LINE
) -> Iterator[tuple[int, list[bytes]]]:
    """Runs of whole lines, blank ones included, each with the number of its first.

    Raises:
        FileError: damaged data (says how many lines were read), or a line that is too long; all
            whole lines before it were handed out.
    """
    number, size, ends = 1, 0, 0
    held: list[bytes] = []
    try:
        for block in blocks:
            held.append(block)
            size += len(block)
            ends += block.count(b"\n")
            if size < _GATHER and ends < CHUNK_LINES:
                continue
            lines = b"".join(held).split(b"\n")
            tail = lines.pop()
            held, size, ends = [tail], len(tail), 0
            if lines:
                yield number, lines
                number += len(lines)
            if size > max_line:
                raise _too_long(name, number, max_line)
    except FileError as error:
        if error.line is not None:
            raise
        lines = b"".join(held).split(b"\n")[:-1]  # the last is cut: it can't be trusted
        if lines:
            yield number, lines
            number += len(lines)
        read = number - 1
        raise FileError(
            name, f"{error.problem}; {read:,} line{'s were' if read != 1 else ' was'} read", number
        ) from None
    lines = b"".join(held).split(b"\n")
    if not lines[-1]:
        lines.pop()
    if lines:
        yield number, lines


def _too_long(name: str, number: int, max_line: int) -> FileError:
    return FileError(
        name,
        f"the line is longer than {max_line / (1 << 20):.0f} MiB: "
        "is it an event log, one object a line?",
        number,
    )
