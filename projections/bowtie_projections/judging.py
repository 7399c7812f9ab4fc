"""As of which moment customers are judged, where each has one of their own.

A segment is asked of all customers as of one moment, or of each as of their entry into a stage, or
into a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from bowtie.errors import UsageError
from bowtie.stages import STAGES, Definition
from bowtie_projections.results import Result
from bowtie_projections.scope import Entry
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.given import one_of

__all__ = ["OF_TRIALS", "entry_named", "judged_at"]

#: Each customer is judged as of their own entry.
ENTRY = "entry"
#: Views of entries into stages, of which one may be told; and those of who committed.
_OF_STAGES, _OF_COMMITMENTS = ("funnel", "velocity"), ("retention", "value")
#: Views of a trial, where each is judged as of their assignment, for what came later may be its
#: work; and those of several.
OF_TRIALS, _OF_SEVERAL = {"profile_evaluation"}, {"profile_history"}
#: What that moment is called.
ASSIGNMENT = "assignment"


def judged_at(
    view: Callable[..., Result], as_of: Any, asked: Mapping[str, Any], definition: Definition
) -> str | None:
    """The moment of each customer's own at which they are judged; none where it is one for all.

    Args:
        view: the view that is asked.
        as_of: ``entry``, a moment, or None where nothing is said.
        asked: the view's own parameters; ``view`` is the one that is explained or compared.
        definition: what makes a lead.

    Returns:
        The stage whose entry it is, or ``assignment``.

    Raises:
        UsageError: the view looks at no one entry of each customer, or at nothing else.
    """
    name = asked.get("view") or view.__name__
    if name in _OF_SEVERAL:
        raise UsageError(f"{name} takes no segment: ask profile_evaluation of each version")
    if name in OF_TRIALS:
        if as_of not in {None, ENTRY}:
            raise UsageError(
                f"segment_as_of is {as_of}: in a trial each is judged as of their assignment, for"
                " what came later may be what the trial did: leave it out"
            )
        return ASSIGNMENT
    if as_of != ENTRY:
        return None
    if asked.get("cycles") or asked.get("unit") == "cycle" or asked.get("skipped") == "impute":
        raise UsageError(
            f"segment_as_of={ENTRY} judges each customer once, at the entry of the first cycle:"
            " ask without cycles, and with skipped stages absent"
        )
    if name in _OF_STAGES:
        stage = asked.get("cohort_stage")
        if stage is None:
            raise UsageError(
                f"segment_as_of={ENTRY} judges each customer at one entry, and {name} looks at"
                " those of all stages: say of which, as in cohort_stage=selection"
            )
        return one_of("cohort_stage", stage, STAGES)
    if name in _OF_COMMITMENTS:
        return definition.lead if asked.get("time_zero") == "lead" else "commitment"
    known = ", ".join((*_OF_STAGES, *_OF_COMMITMENTS))
    raise UsageError(
        f"{name} looks at no one entry of each customer: write a day for segment_as_of; {ENTRY}"
        f" goes with {known}"
    )


def entry_named(
    name: str | None, asked: Mapping[str, Any], reader: Reader, cut: Cut
) -> Entry | None:
    """The moment of each customer's own that :func:`judged_at` names; None where it names none.

    Args:
        name: a stage, or ``assignment``.
        asked: the view's own parameters, of which ``profile`` says whose assignment.
        reader: the read tables, as documents are read from them.
        cut: what of these is known.
    """
    if name is None:
        return None
    if name != ASSIGNMENT:
        return Entry.into(name)

    def rows(_: Reader, at: Cut, __: Definition) -> sa.Select[Any]:
        from bowtie_projections.views.profile.people import assignments
        from bowtie_projections.views.profile.question import profile_at

        return assignments(profile_at(reader, cut, asked["profile"]), at)

    return Entry(ASSIGNMENT, ASSIGNMENT, rows, alone=True)
