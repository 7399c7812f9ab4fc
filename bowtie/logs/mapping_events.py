"""One ``[[events]]`` of a mapping, compiled: when it applies to a row, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from bowtie.errors import EventRejected, MappingError
from bowtie.events import CATALOGUE, Event, stream_kinds
from bowtie.logs.mapping_catalogue import MAPS, fields_of, map_value, model_named
from bowtie.logs.mapping_columns import Columns
from bowtie.logs.mapping_conditions import Applies, compile_when
from bowtie.logs.mapping_document import Table
from bowtie.logs.mapping_keys import TakeKey, compile_customer
from bowtie.logs.mapping_times import TakeTime, compile_time
from bowtie.logs.mapping_values import Field, Take, ValueCompiler, constant
from bowtie.stages.fields import near

__all__ = ["EventPlan", "Who", "compile_event", "compile_who"]

_ENVELOPE_TEXTS = ("correlationid", "causationid", "authid")
_KEYS = (
    "type",
    "when",
    "customer",
    "time",
    "recordedtime",
    "suffix",
    *_ENVELOPE_TEXTS,
    "streamkind",
    "const",
    "columns",
    *MAPS,
    "only_changes",
)
_Pairs = list[tuple[str, Take]]
T = TypeVar("T")


@dataclass(slots=True)
class EventPlan:
    """How one kind of event is made of a row."""

    type: str
    suffix: str
    applies: Applies | None
    customer: TakeKey
    time: TakeTime
    known: TakeTime | None
    envelope: _Pairs
    kind: str | None
    constants: dict[str, Any]
    fields: _Pairs
    maps: list[tuple[str, _Pairs]]
    only_changes: bool

    def data(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """The data of the event; None where the row says nothing (no trait has a value)."""
        data = self.constants.copy()
        for name, take in self.fields:
            value = take(row)
            if value is not None:
                data[name] = value
        for name, takes in self.maps:
            values: dict[str, Any] = {}
            for key, take in takes:
                value = take(row)
                if value is not None:
                    values[key] = value
            if values:
                data[name] = values
            elif name == "traits":
                return None
        return data

    def wire(
        self, row: dict[str, Any], id: str, source: str, subject: str | None, data: dict[str, Any]
    ) -> dict[str, Any]:
        """The event as a CloudEvents object; without ``subject`` where no customer is named."""
        wire: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"{id}:{self.suffix}" if self.suffix else id,
            "source": source,
            "type": self.type,
        }
        if subject is not None:
            wire["subject"] = subject
        moment = self.time(row)
        if moment is None:
            raise EventRejected("invalid", "time: its column is empty")
        wire["time"] = moment[0]
        if moment[1]:
            wire["timeprecision"] = "day"
        if self.known is not None and (known := self.known(row)) is not None:
            wire["recordedtime"] = known[0]
        if self.kind is not None:
            wire["streamkind"] = self.kind
        for name, take in self.envelope:
            value = take(row)
            if value is not None:
                wire[name] = value
        wire["data"] = data
        return wire


@dataclass(frozen=True, slots=True)
class Who:
    """Whose an event is, and when: of a mapping, or of one of its events."""

    customer: TakeKey | None
    time: TakeTime | None
    known: TakeTime | None


def compile_who(table: Table, columns: Columns) -> Who:
    """What a table says of the customer and the times; None where it is silent."""

    def taken(key: str, *, end_of_day: bool = False) -> TakeTime | None:
        if key not in table.values:
            return None
        return compile_time(table, key, columns, end_of_day=end_of_day)

    customer = compile_customer(table, columns) if "customer" in table.values else None
    # the envelope can't say that only the day of recording is known, so it is the day's end:
    # nobody can tell that it was known before
    return Who(customer, taken("time"), taken("recordedtime", end_of_day=True))


def compile_event(event: Table, defaults: Who, values: ValueCompiler) -> EventPlan:
    """Compile one event; what it doesn't say of customer and times, the mapping says.

    Raises:
        MappingError: names the line.
    """
    event.only(_KEYS)
    model = _model(event)
    own = compile_who(event, values.columns)
    constants, fields = _fields(event, model, values)
    return EventPlan(
        type=f"bowtie.{model.type_name}",
        suffix=event.text("suffix", "") if "suffix" in event.values else model.type_name,
        applies=compile_when(event, values.columns),
        customer=_needed(event, "customer", own.customer or defaults.customer),
        time=_needed(event, "time", own.time or defaults.time),
        known=own.known or defaults.known,
        envelope=[
            (key, values.compile(event, key, Field(key, "text")))
            for key in _ENVELOPE_TEXTS
            if key in event.values
        ],
        kind=_stream_kind(event, model),
        constants=constants,
        fields=fields,
        maps=_maps(event, model, values),
        only_changes=event.flag("only_changes"),
    )


def _needed(event: Table, key: str, found: T | None) -> T:
    if found is None:
        raise event.error(f'`{key}` is missing: write {key} = "COLUMN" here or at the top')
    return found


def _model(event: Table) -> type[Event]:
    name = event.text("type")
    model = model_named(name)
    if model is None:
        raise event.error(
            f"`type` {name!r} is not in the event catalogue: {near(name, CATALOGUE)}", "type"
        )
    return model


def _stream_kind(event: Table, model: type[Event]) -> str | None:
    kind = event.text("streamkind", model.stream_kind)
    kinds = sorted(stream_kinds(model))
    if kind not in kinds:
        raise event.error(
            f"{model.type_name} belongs to a stream of kind {' or '.join(kinds)}", "streamkind"
        )
    return None if kind == "customer" else kind


def _fields(
    event: Table, model: type[Event], values: ValueCompiler
) -> tuple[dict[str, Any], _Pairs]:
    """The constants and the columns of an event's own fields; every required one must be there."""
    known = fields_of(model)
    const, columns = event.table("const"), event.table("columns")
    for table in (const, columns):
        for name in table.values:
            if name not in known:
                raise _no_field(table, model, name)
    for name in const.values:
        if name in columns.values:
            raise const.error(f"`{name}` is both a constant and a column: keep one", name)
    for name, field in known.items():
        if field.required and name not in const.values and name not in columns.values:
            raise event.error(
                f"{model.type_name} needs `{name}`: say its column, or a constant", "type"
            )
    constants = {name: constant(const, name, known[name]) for name in const.values}
    return constants, [
        (name, values.compile(columns, name, known[name])) for name in columns.values
    ]


def _no_field(table: Table, model: type[Event], name: str) -> MappingError:
    if name in MAPS and name in model.model_fields:
        return table.error(f"write `{name}` as a table of its own: [events.{name}]", name)
    return table.error(
        f"{model.type_name} has no field `{name}`: {near(name, fields_of(model))}", name
    )


def _maps(event: Table, model: type[Event], values: ValueCompiler) -> list[tuple[str, _Pairs]]:
    """Traits and properties, by name."""
    maps = []
    for name in MAPS:
        if name not in event.values:
            if name == "traits" and name in model.model_fields:
                raise event.error(f'{model.type_name} needs [events.traits]: name = "COLUMN"')
            continue
        if name not in model.model_fields:
            raise event.error(f"{model.type_name} has no {name}", name)
        table = event.table(name)
        takes = [(key, values.compile(table, key, map_value(key))) for key in table.values]
        maps.append((name, takes))
    return maps
