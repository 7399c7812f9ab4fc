"""Whatever goes wrong, as one line on standard error and an exit code."""

from __future__ import annotations

import sys
import traceback

import click

from bowtie_projections.cells import visible

__all__ = ["Failure", "failure_of"]


class Failure(click.ClickException):
    """The end of a command that did not work: ``Error: MESSAGE``, and an exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click's own classes have one code each


def failure_of(error: Exception, *, debug: bool) -> click.ClickException:
    """The failure that stands for an error.

    Args:
        debug: print where in the code it arose, first.
    """
    from bowtie.errors import BowtieError

    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, BowtieError):
        return Failure(_one_line(str(error)), error.exit_code)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return Failure(f"{where}{error.strerror}")
    return Failure(
        f"{type(error).__name__}: {_one_line(str(error))}"
        + ("" if debug else " (a fault of bowtie itself: --debug shows where)")
    )


def _one_line(text: str) -> str:
    """The first paragraph of a message on one line, such that a terminal can show it."""
    return visible(" ".join(text.strip().split("\n\n")[0].split()))
