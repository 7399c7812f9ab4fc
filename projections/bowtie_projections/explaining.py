"""Explaining a figure: whom it counts, the exact facts behind each, and a hash to compare by."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from difflib import get_close_matches
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.errors import BowtieError, Refused, UnknownName, UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie.wording import are, counted
from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Figure, every_parameter
from bowtie_projections.explained import EVIDENCE, Explained
from bowtie_projections.factdata import data_of
from bowtie_projections.results import NONE, Result
from bowtie_projections.views.cut import Cut, Reader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["agreeing", "explanation"]


def explanation(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    view: str,
    cell: Mapping[str, Any],
    column: str,
    part: str | None = None,
    data: bool = False,
    personal_names: Collection[str] = PERSONAL_NAMES,
    **asked: Any,
) -> Result:
    """Whom a figure of a view counts, and the facts behind each.

    Args:
        reader: the read tables.
        cut: the position and the moment the view is asked as of.
        definition: what entering a stage means.
        view: the name of the view.
        cell: what names the row that the figure stands in, such as ``{"stage": "selection"}``;
            None (or ``(none)``) where a breakdown has no value.
        column: the column it stands in.
        part: the further table it stands in, if it is not in the view's first.
        data: add the fields of each fact, as JSON; what is sealed is not among them.
        personal_names: traits that are sealed.
        asked: the view's own parameters.

    Returns:
        A row for each fact of each member, by member and time. In ``meta`` the ``value`` that the
        view gives, how many ``members`` there are, and the ``hash``.

    Raises:
        UnknownName: there is no such view, part, row or column.
        UsageError: the cell is not one row, or no members stand behind such a column.
        Refused: the figure is empty.
    """
    explained = _known(view)
    asked = _filled(explained.view, asked, personal_names)
    answer = explained.view(reader, cut, definition, **asked)
    table = answer if part is None else answer.part(part)
    cell = {_column(table, name): value for name, value in cell.items()}
    column = _column(table, column)
    row = _row(table, cell, column)
    found = _evidence_of(explained, view, part)(Figure(reader, cut, definition, asked, row, column))
    figure = agreeing(found, row[column], column)
    facts = _facts(found)
    where = view if part is None else f"{view} {part}"
    named = {str(name): _word(value) for name, value in cell.items()}
    parameters = answer.to_dict()["parameters"]
    pinned = {
        "view": where,
        "cell": named,
        "column": column,
        "parameters": {name: said for name, said in parameters.items() if said is not None},
        "definition": definition.sha256,
    }
    digest = _hash(pinned, facts)
    return Result(
        "explain",
        _shown(found, facts, data=data),
        sentence=_sentence(pinned, row[column], figure, facts, found),
        notes=[*_notes(facts, digest), *found.notes],
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "definition_sha256": definition.sha256,
            "parameters": parameters,
            "position": cut.position,
            "as_of": found.cut.moment and found.cut.moment.replace(tzinfo=UTC),
            "known_at": None,
            "explained": where,
            "cell": named,
            "column": column,
            "value": row[column],
            "members": figure,
            "hash": digest,
        },
    )


def _known(view: str) -> Explained:
    if view not in EVIDENCE:
        raise UnknownName(f"{view!r} can't be explained; these can: {', '.join(EVIDENCE)}")
    return EVIDENCE[view]


def _filled(
    view: Callable[..., Result], asked: Mapping[str, Any], personal_names: Collection[str]
) -> dict[str, Any]:
    """All parameters of a view: those asked, and what the others are by default."""
    takes = inspect.signature(view).parameters
    given = dict(asked)
    if "personal_names" in takes:
        given["personal_names"] = personal_names
    if unknown := sorted(set(given) - set(takes)):
        raise UsageError(f"{view.__name__} has no parameter {unknown[0]!r}")
    return every_parameter(view, given)


def _word(value: Any) -> str:
    """A value as it is compared with what was written for it."""
    return NONE if value is None else str(value)


def _column(answer: Result, name: str) -> str:
    """A column by its name, or as it is printed."""
    known = {shown: own for own in answer.columns for shown in (own.replace("_", " "), own)}
    if name not in known:
        near = get_close_matches(name, answer.columns, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(answer.columns)}"
        raise UnknownName(f"{answer.view} has no column {name!r}; {hint}")
    return known[name]


def _evidence_of(explained: Explained, view: str, part: str | None) -> Callable[[Figure], Evidence]:
    """What finds the members of a figure of the view's first table, or of a part."""
    find = explained.evidence if part is None else explained.parts.get(part)
    if part is not None and part in explained.nobodys:
        raise UsageError(f"{view}: the part {part} has no members: {explained.nobodys[part]}")
    if find is None:
        known = ", ".join(explained.parts) or "none"
        raise UsageError(f"{view}: the part {part} can't be explained; these can: {known}")
    return find


def _row(answer: Result, cell: Mapping[str, Any], column: str) -> dict[str, Any]:
    """The one row that a cell names."""
    rows = answer.rows()
    for name, value in cell.items():
        left = [row for row in rows if _word(row[name]) == _word(value)]
        if not left:
            known = ", ".join(dict.fromkeys(_word(row[name]) for row in rows)) or "no rows"
            raise UnknownName(
                f"{answer.view} has no row where {name} is {_word(value)}; there is: {known}"
            )
        rows = left
    if len(rows) != 1:
        apart = [
            name
            for name in answer.columns
            if len({_word(row[name]) for row in rows}) > 1
            and all(row[name] is None or isinstance(row[name], str) for row in rows)
        ]
        said = " and ".join(apart) if apart else "more of its columns"
        what = "no row" if not rows else f"{len(rows)} rows"
        raise UsageError(f"the cell names {what} of {answer.view}: name one, by {said} too")
    _check_number(rows[0][column], column)
    return rows[0]


def _check_number(value: Any, column: str) -> None:
    if value is None:
        raise Refused(
            f"{column} is empty in that row, so there is no figure to explain; the notes of the"
            " view say why"
        )
    if isinstance(value, str | bool):
        raise UsageError(f"{column} names the row, it is no figure: name a column of numbers")


def agreeing(found: Evidence, value: Any, column: str) -> int:
    """How many members there are, if they make the figure that the view gave."""
    (told,) = found.units.reader.fetch(found.figure()).to_pylist()
    if found.mean and told["members"]:
        told["value"] = Fraction(told["value"]) / told["members"]
    if found.finish is not None:
        told["value"] = found.finish(told["value"])
    same = told["value"] == value
    if isinstance(value, float) and told["value"] is not None:
        same = math.isclose(told["value"], value, rel_tol=1e-9, abs_tol=1e-12)
    if not same or told["members"] != told["different"]:
        raise BowtieError(
            f"{column} is {value} in the view, and its {counted(told['members'], 'member')} make"
            f" {told['value']}: this is a fault of bowtie, please report it"
        )
    return int(told["members"])


def _facts(found: Evidence) -> pa.Table:
    """Each fact of each member, with what the log says of it, in order."""
    rows, table = found.facts().subquery("evidence"), tables.events
    e, c = rows.c, table.c
    # a fact may count for several accounts; one of another stream is nobody's
    own = sa.or_(c.position.is_(None), c.kind != "customer", c.subject == e.subject)
    retracted = sa.case((c.position.is_not(None), c.retracted_position.is_not(None)))
    statement = (
        sa.select(
            *(e[name] for name in ("customer", "cycle", "role", "position")),
            *(c[name] for name in ("source", "id", "type")),
            *(c[name] for name in ("occurred_at", "recorded_at", "known_from")),
            retracted.label("retracted"),
        )
        # by position alone: with an "or" in it a join compares all rows with all
        .select_from(rows.outerjoin(table, c.position == e.position))
        .where(own)
        .order_by(
            e.customer,
            *(c.nulls_last() for c in (e.cycle, table.c.occurred_at, e.position, e.place)),
        )
    )
    return found.units.reader.fetch(statement)


def _shown(found: Evidence, facts: pa.Table, *, data: bool) -> pa.Table:
    """The facts as they are answered."""
    import pyarrow as pa

    if data:
        types = {str(name) for name in facts.column("type").to_pylist() if name is not None}
        said = data_of(found.units.reader, found.facts(), types)
        positions: list[Any] = facts.column("position").to_pylist()
        texts = [said.get(position) for position in positions]
        facts = facts.append_column("data", pa.array(texts, pa.string()))
    return found.units.by_name(facts if found.has_cycles else facts.drop_columns(["cycle"]))


def _sentence(
    pinned: Mapping[str, Any], value: Any, members: int, facts: pa.Table, found: Evidence
) -> str:
    """Which figure it is, and how many are behind it."""
    cell = ", ".join(f"{name} {said}" for name, said in pinned["cell"].items())
    events = len(set(facts.column("position").to_pylist()) - {None})
    number = counted(members, found.called) if found.called else found.units.count(members)
    shown = f"{value:.6g}" if isinstance(value, float) else f"{value:,}"
    return (
        f"{pinned['column']} of {pinned['view']} is {shown}{f' ({cell})' if cell else ''}:"
        f" {number} and {counted(events, 'event')} are behind it."
    )


def _notes(facts: pa.Table, digest: str) -> list[str]:
    notes = [f"Hash {digest}: the same for whoever asks this of the same log."]
    roles: list[Any] = facts.column("role").to_pylist()
    if lapsed := sum(role == "contract ran out" for role in roles):
        notes.append(
            f"No event says that {counted(lapsed, 'contract')} ran out: the last day passed, and"
            " nothing renewed it. The event named is the one that had given that day."
        )
    later = sum(map(bool, facts.column("retracted").to_pylist()))
    if later:
        notes.append(f"{counted(later, 'event')} counted here {are(later)} retracted since.")
    if silent := sum(role is None for role in roles):
        notes.append(f"No event stands behind {counted(silent, 'member')} of it.")
    return notes


def _hash(pinned: Mapping[str, Any], facts: pa.Table) -> str:
    """SHA-256 of what is explained and of the events behind it, by source and id.

    No position and no time of recording is in it: another store with the same log has others.
    """
    names = ("customer", "cycle", "role", "source", "id")
    members: dict[tuple[str, int], list[list[str]]] = defaultdict(list)
    columns: list[list[Any]] = [facts.column(name).to_pylist() for name in names]
    for customer, cycle, role, source, id_ in zip(*columns, strict=True):
        own = members[customer, cycle or 0]
        if role is not None:
            own.append([role, source, id_])
    listed = [[*key, sorted(members[key])] for key in sorted(members)]
    whole = {**pinned, "members": listed}
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
