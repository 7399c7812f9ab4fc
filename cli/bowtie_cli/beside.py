"""The options of views that set other figures beside their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["beside_options", "compare_option", "targets_option"]

F = TypeVar("F", bound=Callable[..., Any])
#: ``--compare``, for a view that is set beside an earlier period alone.
compare_option = click.option(
    "--compare",
    type=click.Choice(["previous", "year"]),
    help="With the period before, or a year earlier.",
)
#: ``--targets``, for a view whose figures have a plan and no interval.
targets_option = click.option(
    "--targets",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A plan: month, measure, breakdown, value.",
)


def beside_options(command: F) -> F:
    """Give a command ``--compare`` and ``--targets``."""
    return compare_option(targets_option(command))
