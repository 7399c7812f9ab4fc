"""Events of several versions, for a test to have in the catalogue while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from bowtie.codec import codec_for
from bowtie.events import CATALOGUE, Event
from bowtie.fields import Day, MaybePersonal, Money, Number, ScalarMap, Text
from bowtie.lifting import Add, By, Drop, Remap, Rename, Scale
from bowtie.reader import _wire_types
from bowtie_projections import shapes, tables


class MeetingHeld(Event):
    """Of four versions, by every step that columns know.

    ==========  =====================================================================
    version 1   ``kind`` visit or call, ``cents?``, ``minutes``, ``date``, ``guest?``, ``room?``
    version 2   ``kind`` on_site or remote
    version 3   ``amount?`` instead of cents, ``hours`` instead of minutes; no ``room``
    version 4   ``held_on``, ``host?`` (both renamed), and ``place``
    ==========  =====================================================================
    """

    kind: Literal["on_site", "remote"]
    amount: Money | None = None
    hours: Number
    held_on: Day
    host: MaybePersonal = None
    place: Text

    lifts = (
        (Remap("kind", {"visit": "on_site", "call": "remote"}),),
        (
            Rename("cents", "amount"),
            Scale("amount", by="0.01", whole=True),
            Rename("minutes", "hours"),
            Scale("hours", by="0.016666666667"),
            Drop("room"),
        ),
        (Rename("date", "held_on"), Rename("guest", "host"), Add("place", "office")),
    )


def _room_is_a_property(data: dict[str, Any]) -> dict[str, Any]:
    data = dict(data)
    room = data.pop("room", None)
    kept = dict(data.pop("properties", {}))
    return data | {"properties": kept | ({"room": room} if room is not None else {})}


class RoomBooked(Event):
    """Of three versions, the second by a function: ``room`` became a property."""

    booking: Text
    properties: ScalarMap = {}  # noqa: RUF012 - pydantic copies it
    by: MaybePersonal = None

    lifts = ((By(_room_is_a_property),), (Rename("number", "booking"),))


@contextmanager
def in_catalogue(model: type[Event]) -> Iterator[None]:
    """The catalogue with one more event, or another version of one that it has."""
    name = model.type_name
    old_model, old_table = CATALOGUE.get(name), tables.facts.get(name)
    old_rows = shapes.NO_ROWS.get(name)
    if old_table is not None:
        tables.metadata.remove(old_table)
    CATALOGUE[name] = model
    tables.facts[name] = tables._fact_table(model)
    shapes.NO_ROWS[name] = shapes.arrow_schema(tables.facts[name]).empty_table()
    _forget()
    try:
        yield
    finally:
        tables.metadata.remove(tables.facts[name])
        _put_back(CATALOGUE, name, old_model)
        _put_back(tables.facts, name, old_table)
        _put_back(shapes.NO_ROWS, name, old_rows)
        if old_table is not None:
            tables.facts[name] = old_table.to_metadata(tables.metadata)
        _forget()


def _put_back(where: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        del where[name]
    else:
        where[name] = value


def _forget() -> None:
    codec_for.cache_clear()
    _wire_types.cache_clear()
    shapes.shape_of.cache_clear()
