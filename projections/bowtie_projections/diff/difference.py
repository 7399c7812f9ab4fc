"""The difference of two answers: figures that changed, whom they count otherwise, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bowtie.wording import counted
from bowtie_projections.diff.figures import Cell, Figure, figures_of, keys_of, verdicts_of
from bowtie_projections.diff.moved import Moved, moved_members
from bowtie_projections.diff.movers import movers
from bowtie_projections.diff.sides import DIFFERING, Side, when
from bowtie_projections.results import Result
from bowtie_projections.roster import Roster, Telling

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["difference"]

#: So many verdicts that changed are named.
_VERDICTS = 10


def difference(
    view: str,
    sides: tuple[Side, Side],
    given: tuple[Mapping[str, Any], Mapping[str, Any]],
    limit: int = 20,
) -> Result:
    """Every figure of a view that changed, the members behind each change, and their events.

    Args:
        view: the name of the view.
        sides: the question as it was asked before and after.
        given: what was said of each side.
        limit: how many members of each change are named; all of them, if it is 0.

    Returns:
        A row for each figure: the values that name its cell, the ``column`` it stands in,
        ``before``, ``after``, ``change``, and of a number of members how many ``joined`` and
        ``left`` it. The part ``customers`` names them with the columns that count each ``before``
        and ``after``; the part ``events`` has the events that count for them on one side alone.
    """
    keys = keys_of(sides)
    figures = list(figures_of(sides, keys))
    moved = moved_members(sides) if figures else []
    joined, left = _tallied(moved)
    named = _named(moved, figures, limit)
    table = movers(sides, sorted({one.member[0] for one in named}))
    after = sides[1]
    meta = after.answer.meta
    return Result(
        "diff",
        _figures_table(figures, keys, joined, left),
        sentence=_sentence(view, sides, given, figures, moved),
        notes=[*_notes(sides, moved, named, table, limit)],
        sql=after.reader.statements,
        meta={
            "definition": meta["definition"],
            "parameters": {
                **meta["parameters"],
                "view": view,
                "before": _said(sides[0]),
                "after": _said(after),
                "limit": limit,
            },
            "position": meta["position"],
            "as_of": meta["as_of"],
            "known_at": meta.get("known_at"),
            "figures": len(figures),
            "moved": len({one.member[0] for one in moved}),
        },
        parts={
            "customers": after.units.by_name(_members_table(named, keys, after.roster)),
            "events": after.units.by_name(table),
        },
    )


def _said(side: Side) -> dict[str, Any]:
    return {name: side.answer.meta.get(name) for name in DIFFERING}


def _tallied(moved: Sequence[Moved]) -> tuple[Counter[tuple[Cell, str]], Counter[tuple[Cell, str]]]:
    """How many joined and left each figure."""
    joined: Counter[tuple[Cell, str]] = Counter()
    left: Counter[tuple[Cell, str]] = Counter()
    for one in moved:
        joined.update((one.cell, column) for column in one.after if column not in one.before)
        left.update((one.cell, column) for column in one.before if column not in one.after)
    return joined, left


def _named(moved: Sequence[Moved], figures: Sequence[Figure], limit: int) -> list[Moved]:
    """Those that are named: of each change so many, in order."""
    if not limit:
        return list(moved)
    left = Counter({(one.cell, one.column): limit for one in figures})
    named = []
    for one in moved:
        changed = [(one.cell, column) for column in one.changed]
        if any(left[figure] > 0 for figure in changed):
            named.append(one)
            left.subtract(changed)
    return named


def _figures_table(
    figures: Sequence[Figure],
    keys: Sequence[str],
    joined: Mapping[tuple[Cell, str], int],
    left: Mapping[tuple[Cell, str], int],
) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {
        key: pa.array([one.cell[place] for one in figures]) for place, key in enumerate(keys)
    }
    columns = {name: values.cast(pa.string()) for name, values in columns.items()}
    columns["column"] = pa.array([one.column for one in figures], pa.string())
    for name in ("before", "after", "change"):
        values = [getattr(one, name) for one in figures]
        numbers = [None if value is None else float(value) for value in values]
        columns[name] = pa.array(numbers, pa.float64())
    for name, tally in (("joined", joined), ("left", left)):
        number = [tally[one.cell, one.column] if one.counts else None for one in figures]
        columns[name] = pa.array(number, pa.int64())
    return pa.table(columns)


def _members_table(named: Sequence[Moved], keys: Sequence[str], roster: Roster) -> pa.Table:
    import pyarrow as pa

    apart, sums = roster.apart, roster.sums
    columns: dict[str, Any] = {"customer": pa.array([one.member[0] for one in named], pa.string())}
    if apart is not None:
        kind = pa.int64() if apart == "cycle" else pa.string()
        columns[apart] = pa.array([one.member[1] for one in named], kind)
    for place, key in enumerate(keys):
        columns[key] = pa.array([one.cell[place] for one in named]).cast(pa.string())
    for place, side in enumerate(("before", "after")):
        texts = [_counted_by(getattr(one, side), one.amounts[place], sums) for one in named]
        columns[side] = pa.array(texts, pa.string())
    return pa.table(columns)


def _counted_by(
    columns: Sequence[str], amounts: Mapping[str, Any], sums: Mapping[str, Telling]
) -> str | None:
    """The columns that count a member, a sum with what the member adds to it."""
    told = [
        f"{name} {_amount(sums[name](amounts[name]))}" if name in amounts else name
        for name in columns
    ]
    return ", ".join(told) or None


def _amount(amount: Any) -> str:
    """An amount in full, without the zeros at its end."""
    return f"{amount.normalize():f}" if isinstance(amount, Decimal) else f"{amount:.6g}"


def _sentence(
    view: str,
    sides: tuple[Side, Side],
    given: tuple[Mapping[str, Any], Mapping[str, Any]],
    figures: Sequence[Figure],
    moved: Sequence[Moved],
) -> str:
    before, after = (side.named(said) for side, said in zip(sides, given, strict=True))
    where = f"between {before} and {after}"
    if not figures:
        return f"No figure of the {view} differs {where}."
    who = sides[1].units.count(len({one.member[0] for one in moved}))
    if sides[1].units.name == "cycle":
        who = counted(len({one.member for one in moved}), "cycle")
    differ = "differs" if len(figures) == 1 else "differ"
    return f"{counted(len(figures), 'figure')} of the {view} {differ} {where}: {who} moved."


def _verdicts(sides: tuple[Side, Side]) -> Iterator[str]:
    """What is judged otherwise."""
    changed = list(verdicts_of(sides, keys_of(sides)))
    told = [
        f"{' '.join('-' if one is None else str(one) for one in cell)} from {before} to {after}"
        for cell, before, after in changed[:_VERDICTS]
    ]
    if told:
        more = f", and {len(changed) - _VERDICTS:,} more" if len(changed) > _VERDICTS else ""
        yield f"{counted(len(changed), 'verdict')} changed: {'; '.join(told)}{more}."


def _notes(
    sides: tuple[Side, Side],
    moved: Sequence[Moved],
    named: Sequence[Moved],
    events: pa.Table,
    limit: int,
) -> Iterator[str]:
    before, after = sides
    yield f"Before: {before.answer.sentence}"
    yield f"After: {after.answer.sentence}"
    yield from _verdicts(sides)
    if before.moment != after.moment and before.moment and after.moment:
        yield (
            f"The answer before is as of {when(before.moment)}, the one after as of"
            f" {when(after.moment)}: what came of age between them changes figures too. With one"
            " as_of for both only what was learned does."
        )
    if len(named) < len(moved):
        members = counted(len(moved), "change of a member", "changes of members")
        yield f"{len(named):,} of {members} are named, {limit:,} of each figure: limit=0 names all."
    silent = {one.member[0] for one in named} - set(events.column("customer").to_pylist())
    if silent:
        yield (
            f"{after.units.count(len(silent))} moved without an event: by the passing of time, or"
            " by what the events of others decide, such as how long is too long."
        )
