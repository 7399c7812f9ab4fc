"""Figures that are set beside those of a view: another period's, and the plan's.

A view answers one question; :func:`beside` makes a view of it that also takes ``compare`` and
``targets``, and works on answers alone, so that each view's SQL stays as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bowtie.errors import UnknownName, UsageError
from bowtie.stages import Definition
from bowtie_projections.results import Result
from bowtie_projections.views.answers import Shape
from bowtie_projections.views.breakdown import CONTRACT, SEGMENT, TOUCH, TRAIT, check_traits
from bowtie_projections.views.comparing import Comparison
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import oldest_fact
from bowtie_projections.views.targets import with_plan
from bowtie_projections.views.targets_file import Target, read_targets

__all__ = ["View", "beside"]

View = Callable[..., Result]


def beside(view: View, shape: Shape) -> View:
    """The view, with ``compare`` and ``targets`` among its parameters.

    Args:
        view: a view that takes ``from_``, ``to``, ``cohort``, ``tz`` and ``kept``.
        shape: of its answers.
    """

    @functools.wraps(view)
    def asked(
        reader: Reader,
        cut: Cut,
        definition: Definition,
        *,
        compare: str | None = None,
        targets: str | Path | None = None,
        **parameters: Any,
    ) -> Result:
        if compare is not None and not shape.rates:
            raise UsageError(
                f"{view.__name__} has no rates that could be compared with an interval: read its"
                " periods side by side, or give it targets="
            )
        question = Comparison.of(compare, shape, parameters) if compare is not None else None
        plan = None if targets is None else read_targets(Path(targets))
        if plan is not None:
            _check_breakdowns(reader, cut, plan)
        result = view(reader, cut, definition, **parameters)
        if question is not None:
            other = functools.partial(view, reader, cut, definition)
            result = question.answered(result, other, oldest_fact(reader, cut))
        return result if plan is None else with_plan(result, plan, shape, parameters)

    return asked


def _check_breakdowns(reader: Reader, cut: Cut, plan: Sequence[Target]) -> None:
    """Refuse targets by what nobody has: no answer would ever show them.

    Raises:
        FileError: with the line, and the names that come near.
    """
    first: dict[str, Target] = {}
    for target in plan:
        for name in target.breakdown:
            first.setdefault(name, target)
    for name, target in first.items():
        if name in {*TOUCH, *CONTRACT} or name.startswith(SEGMENT):
            continue
        try:
            check_traits(reader, cut, [name.removeprefix(TRAIT)])
        except UnknownName as error:
            raise target.error(f"breakdown {name!r}: {error}") from None
