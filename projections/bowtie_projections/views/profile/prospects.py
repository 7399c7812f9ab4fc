"""Who is to be assigned by a profile now: open prospects that fit it, with their score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.profiles import Profile
from bowtie.stages import Definition
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.profile.people import open_prospects
from bowtie_projections.views.profile.question import Asked, profile_at
from bowtie_projections.views.profile.scoring import scored
from bowtie_projections.views.shares import typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["profile_prospects"]


def profile_prospects(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    profile: str | Path | Profile,
    tz: str = "UTC",
) -> Result:
    """The prospects that a profile is to assign at a moment, and the arm of each.

    Args:
        reader: the read tables.
        cut: the position and the moment of assignment.
        definition: what the entry of a stage is.
        profile: the name of one that was published, a file, its text, or one at hand.
        tz: the zone of the profile's days.

    Returns:
        A row for each prospect, by key: ``customer``, ``score``, ``market`` (the level it is drawn
        by) and ``arm``. Nobody outside of the profile's days, nobody who was assigned before. The
        metadata count ``open`` prospects, those ``assigned`` before, and the ``undrawn``: who fits,
        but has no level to be drawn by.

    Raises:
        UnknownName: there is no such profile.
        DefinitionError: the profile is wrong.
    """
    found = profile_at(reader, cut, profile)
    asked = Asked.of(reader, cut, definition, found, tz=tz)
    before = _number(asked, asked.assigned().distinct())
    if asked.cut.moment is None or not asked.starts <= asked.moment < asked.ends:
        return _result(asked, [], 0, before)
    people = scored(asked, open_prospects(asked))
    c = people.c
    chosen = sa.select(c.customer, c.score, c.market).where(c.fits == 1).order_by(c.customer)
    rows = asked.reader.fetch(chosen).to_pylist()
    number = _number(asked, sa.select(people))
    return _result(asked, rows, number, before)


def _number(asked: Asked, rows: sa.Select[Any]) -> int:
    number = sa.select(sa.func.count()).select_from(rows.subquery("counted"))
    return int(asked.reader.fetch(number).column(0)[0].as_py())


def _result(asked: Asked, rows: list[dict[str, Any]], number: int, before: int) -> Result:
    profile = asked.profile
    drawn = [row for row in rows if profile.by is None or row["market"] is not None]
    for row in drawn:
        row["arm"] = profile.arm(row["customer"] if profile.by is None else row["market"])
    undrawn = len(rows) - len(drawn)
    notes = []
    if undrawn:
        notes.append(
            f"{undrawn:,} more fit, and can't be drawn: their {profile.by} is not known. They are"
            " assigned once it is."
        )
    return Result(
        "profile_prospects",
        _table(drawn),
        sentence=_sentence(asked, len(drawn), number, before),
        notes=[*notes, f"{profile.label}: {profile}."],
        sql=asked.reader.statements,
        meta=asked.meta() | {"open": number, "assigned": before, "undrawn": undrawn},
    )


def _sentence(asked: Asked, fit: int, number: int, before: int) -> str:
    profile = asked.profile
    if asked.cut.moment is None:
        return "There is no prospect in the log."
    when = f"{asked.moment:%Y-%m-%d}"
    if not asked.starts <= asked.moment < asked.ends:
        return (
            f"{profile.label} assigns nobody on {when}: it runs from {profile.starts_on} through"
            f" {profile.ends_on}. It has assigned {before:,}."
        )
    came = f" who came from {profile.starts_on} on" if profile.prospects == "new" else ""
    return (
        f"{number:,} prospects{came} stand open on {when} and were not assigned before; {fit:,}"
        f" fit {profile.label}. {before:,} were assigned before."
    )


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys(("customer", "score", "market", "arm"), pa.string())
    return typed_table(rows, kinds | {"score": pa.decimal128(9, 3)}, {})
