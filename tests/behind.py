"""Who is behind a figure, counted against it, without the words of an explanation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from bowtie.stages import Definition
from bowtie_projections.evidence import Figure, every_parameter
from bowtie_projections.explained import EVIDENCE
from bowtie_projections.explaining import agreeing
from bowtie_projections.views.cut import Cut
from tests.read_tables import FilledTables

__all__ = ["Named", "behind"]

#: Of each member, by role, the positions of the events that are named.
Named = Mapping[str, Mapping[str, set[int]]]


def behind(  # noqa: PLR0917 - what names a figure
    tables: FilledTables,
    cut: Cut,
    definition: Definition,
    view: str,
    row: Mapping[str, Any],
    column: str,
    part: str | None = None,
    **asked: Any,
) -> Named:
    """The members of a figure and their events.

    Args:
        tables: the read tables.
        cut: where the view was asked.
        definition: what entering a stage means.
        view: its name.
        row: of its answer, or of the part.
        column: the figure's; its members must make it.
        part: the further table that it stands in.
        asked: the parameters of the view.
    """
    explained = EVIDENCE[view]
    find = explained.evidence if part is None else explained.parts[part]
    parameters = every_parameter(explained.view, asked)
    found = find(Figure(tables, cut, definition, parameters, row, column))
    number = agreeing(found, row[column], column)
    named: defaultdict[str, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for fact in tables.fetch(found.facts()).to_pylist():
        own = named[fact["customer"]]
        if fact["role"] is not None:
            own[fact["role"]].add(fact["position"])
    assert len(named) == number
    return named
