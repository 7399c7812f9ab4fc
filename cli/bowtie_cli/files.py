"""Where output goes: standard output, or a file that is put in place when it is complete."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["is_terminal", "open_output"]


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


def is_terminal() -> bool:
    """Whether a person sees what is printed."""
    return cast("object", sys.stdout) is not None and sys.stdout.isatty()
