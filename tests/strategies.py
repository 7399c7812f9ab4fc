"""Hypothesis strategies over the catalogue, and a log in memory that can be replayed.

Whoever adds a field of a new kind to the catalogue adds its strategy here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from bowtie.events import CATALOGUE, PERSONAL_NAMES, Event, OrderPlaced, personal_fields
from bowtie.fields import Currency
from bowtie.sealing import StoreKeys
from bowtie.stores.rows import StateBatch
from bowtie.times import to_micros
from bowtie_projections.tables import plain_type

SAFE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
#: any text that the catalogue takes
TEXTS = st.text(SAFE, min_size=1, max_size=12)
#: short names that meet again, so that journeys and contracts have a course
NAMES = st.sampled_from(["a", "b", "c", "d'e", "é"]) | TEXTS
DECIMALS = st.decimals(-10_000, 10_000, places=2) | st.decimals(
    Decimal(-(10**18) + 1), Decimal(10**18 - 1), places=6
)
DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))
MOMENTS = st.datetimes(
    datetime.fromisoformat("2023-01-01"),
    datetime.fromisoformat("2025-12-31"),
    timezones=st.just(UTC),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(SAFE, max_size=12)
)
_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: NAMES,
    Decimal: DECIMALS.map(lambda value: format(value, "f")),
    date: DAYS,
    bool: st.booleans(),
    int: st.integers(0, 2**53),
}


def scalar_maps(min_size: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Values for ``traits`` and ``properties``."""
    return st.dictionaries(NAMES, SCALARS, min_size=min_size, max_size=4)


def _field(name: str, hint: Any, *, required: bool) -> st.SearchStrategy[Any]:
    values: st.SearchStrategy[Any]
    choices = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
    if name in ("traits", "properties"):
        values = scalar_maps(min_size=1 if required else 0)
    elif choices:
        values = st.sampled_from(get_args(choices[0]))
    elif hint in (Currency, Currency | None):
        values = st.sampled_from(["EUR", "USD", "XXX"])
    else:
        values = _BY_TYPE[plain_type(hint)]
    return values if required or name == "properties" else st.none() | values


@st.composite
def events_of(draw: st.DrawFn, model: type[Event]) -> Event:
    """Any event of one type that the catalogue accepts."""
    hints = get_type_hints(model, include_extras=True)
    data = {
        name: draw(_field(name, hints[name], required=field.is_required()))
        for name, field in model.model_fields.items()
    }
    if "currency" in data:
        data["currency"] = data["currency"] or "EUR"
    if "sha256" in data:
        data["sha256"] = hashlib.sha256(data["body"].encode()).hexdigest()
    if model is OrderPlaced and data["kind"] == "return":
        data["amount"] = data["amount"].removeprefix("-")
    for start, end in (("starts_on", "ends_on"), ("from_on", "to_on")):
        if data.get(start) and data.get(end):
            data[start], data[end] = sorted([data[start], data[end]])
    return model.model_validate({name: value for name, value in data.items() if value is not None})


def catalogue_events(*types: str) -> st.SearchStrategy[Event]:
    """Any event of the catalogue, or of the types named."""
    return st.sampled_from(types or list(CATALOGUE)).flatmap(
        lambda name: events_of(CATALOGUE[name])
    )


@dataclass(frozen=True)
class Logged:
    """An event as a log holds it: its data, and the envelope that the read side sees."""

    data: Event
    key: str
    at: datetime
    source: str
    id: str
    kind: str = "customer"
    known: datetime | None = None
    recorded: datetime | None = None
    day: bool = False
    out_of_sequence: bool = False
    correlation: str | None = None
    causation: str | None = None

    def state(self) -> bytes:
        """What a store keeps of it."""
        envelope = {
            "_kind": None if self.kind == "customer" else self.kind,
            "_key": self.key,
            "_at": to_micros(self.at),
            "_known": None if self.known is None else to_micros(self.known),
            "_day": self.day or None,
            "_source": self.source,
            "_id": self.id,
            "_correlation": self.correlation,
            "_causation": self.causation,
            "_oos": self.out_of_sequence or None,
            "_alias": "ab12" if hasattr(self.data, "alias") else None,
        }
        hidden = personal_fields(type(self.data))
        own = {
            name: value
            for name, value in self.data.model_dump(mode="json").items()
            if name not in hidden
        }
        for name in ("traits", "properties"):
            if name in own:
                shown = {k: v for k, v in own[name].items() if k not in PERSONAL_NAMES}
                own[name] = msgspec.json.encode(shown, order="sorted").decode()
        whole = {**envelope, **own}
        return msgspec.json.encode({k: v for k, v in whole.items() if v is not None}) + b"\n"


class MemoryLog:
    """A log that can be replayed, from logged events or from raw (type, state) pairs.

    Args:
        gaps: positions are multiples of this.
    """

    def __init__(
        self,
        logged: Sequence[Logged | tuple[str, bytes]],
        store_id: str = "a store",
        gaps: int = 1,
    ) -> None:
        self.store_id, self.gaps = store_id, gaps
        self.logged = list(logged)
        self.rows = [
            row if isinstance(row, tuple) else (row.data.type_name, row.state()) for row in logged
        ]

    def upto(self, count: int) -> MemoryLog:
        """The same log when it had only so many events."""
        return MemoryLog(self.logged[:count], self.store_id, self.gaps)

    @property
    def secrets(self) -> StoreKeys:
        return StoreKeys(bytes(32))

    def head(self) -> int:
        return len(self.rows) * self.gaps

    def hash_at(self, position: int) -> str:
        if position == 0 or position > self.head():
            return ""
        return hashlib.sha256(self.rows[position // self.gaps - 1][1]).hexdigest()

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        start, end = after // self.gaps, upto // self.gaps
        for first in range(start, end, size):
            last = min(first + size, end)
            positions = range((first + 1) * self.gaps, last * self.gaps + 1, self.gaps)
            rows, logged = self.rows[first:last], self.logged[first:last]
            yield StateBatch(
                positions=positions if self.gaps == 1 else list(positions),
                topics="".join(f"{name}\n" for name, _ in rows).encode(),
                states=b"".join(state for _, state in rows),
                recorded=[
                    (
                        position,
                        None
                        if (when := getattr(row, "recorded", None)) is None
                        else to_micros(when),
                    )
                    for position, row in zip(positions, logged, strict=True)
                ],
            )


@st.composite
def logs(draw: st.DrawFn, max_size: int = 30) -> MemoryLog:
    """Logs of events that meet: few customers, contracts signed and changed, facts retracted."""
    size = draw(st.integers(0, max_size))
    customers = st.sampled_from(["ann", "bob", "cy'l"])
    recorded = datetime(2026, 1, 1, tzinfo=UTC)
    found: list[Logged] = []
    for number in range(size):
        if found and draw(st.integers(0, 4)) == 0:
            data: Event = CATALOGUE["retracted"].model_validate(
                {"of_source": "s", "of_id": str(draw(st.integers(0, size)))}
            )
        else:
            data = draw(catalogue_events() | catalogue_events(*_COMMON))
        recorded += draw(st.sampled_from([timedelta(0), timedelta(seconds=1)]))
        found.append(
            Logged(
                data=data,
                key=draw(customers),
                at=draw(MOMENTS),
                source="s",
                id=str(number),
                kind=type(data).stream_kind,
                known=draw(st.none() | MOMENTS),
                recorded=recorded,
                day=draw(st.booleans()),
                out_of_sequence=draw(st.booleans()),
                correlation=draw(st.none() | NAMES),
                causation=draw(st.none() | NAMES),
            )
        )
    return MemoryLog(found, gaps=draw(st.sampled_from([1, 3])))


_COMMON = (
    "touched",
    "noted",
    "traits_observed",
    "contract_signed",
    "contract_changed",
    "contract_ended",
    "usage_metered",
    "order_placed",
    "disqualified",
    "stage_entered",
)
