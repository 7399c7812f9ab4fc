"""The JSON Schema of the wire: one line of an event log.

>>> wire_schema("touched")["properties"]["type"]
{'const': 'bowtie.touched'}
"""

from __future__ import annotations

import difflib
from typing import Any, get_args, get_type_hints

from bowtie.currencies import ISO_4217
from bowtie.errors import UnknownName
from bowtie.events import CATALOGUE, Event, stream_kinds
from bowtie.fields import DECIMAL_PATTERN, Currency, Money, Number

__all__ = ["DIALECT", "wire_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "minLength": 1}
_TIME = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339 with a zone, such as 2026-01-05T10:00:00Z",
}
_DECIMAL = {"type": "string", "pattern": DECIMAL_PATTERN}
#: What stands in place of pydantic's own words for a type, which say less than bowtie checks.
_FIELDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (Money, _DECIMAL),
    (Number, {"anyOf": [_DECIMAL, {"type": "number"}]}),
    (Currency, {"type": "string", "enum": sorted(ISO_4217)}),
)
_ENVELOPE: dict[str, Any] = {
    "specversion": {"const": "1.0"},
    "id": _TEXT | {"description": "with the source, the name of the event"},
    "source": _TEXT | {"description": "the system that says so"},
    "subject": _TEXT | {"description": "the customer's key, a pseudonym"},
    "time": _TIME,
    "recordedtime": _TIME | {"description": "when the sender's system knew it"},
    "storedtime": _TIME | {"description": "when a store recorded it; in exports"},
    "correlationid": _TEXT,
    "causationid": _TEXT,
    "authid": _TEXT | {"description": "who did it; sealed"},
    "timeprecision": {"enum": ["exact", "day"]},
    "dataversion": {"enum": [1, "1"]},
    "sequence": {"type": "string", "description": "its position; in exports"},
    "outofsequence": {"type": "boolean", "description": "in exports"},
}
_REQUIRED = ["specversion", "id", "source", "type", "subject", "time"]
_SCALAR = {"type": ["string", "number", "boolean", "null"]}


def wire_schema(type_name: str | None = None) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a line of an event log.

    Args:
        type_name: of one type of event only, such as ``touched``; all of the catalogue if None.

    Raises:
        UnknownName: the catalogue has no such type.
    """
    if type_name is not None:
        return {"$schema": DIALECT, **_event_schema(_model(type_name))}
    return {
        "$schema": DIALECT,
        "title": "An event of a bowtie log",
        "description": "One line: a CloudEvents 1.0 object.",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": [f"bowtie.{name}" for name in CATALOGUE]}},
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in CATALOGUE],
        "$defs": {name: _event_schema(model) for name, model in CATALOGUE.items()},
    }


def _model(type_name: str) -> type[Event]:
    name = type_name.removeprefix("bowtie.")
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = difflib.get_close_matches(name, CATALOGUE, 3, 0.5) or list(CATALOGUE)
    raise UnknownName(f"{type_name!r} is not in the catalogue: did you mean {' or '.join(near)}?")


def _event_schema(model: type[Event]) -> dict[str, Any]:
    says_something = any(field.is_required() for field in model.model_fields.values())
    newest = model.data_version
    # a line that says nothing is of the first version
    version = {"dataversion": {"enum": [newest, str(newest)]}} if newest > 1 else {}
    return {
        "title": model.__name__,
        "type": "object",
        "required": [*_REQUIRED, *version, *(["data"] if says_something else [])],
        "properties": {
            "type": {"const": f"bowtie.{model.type_name}"},
            **_ENVELOPE,
            **version,
            "streamkind": {"enum": sorted(stream_kinds(model))},
            "data": _data_schema(model),
        },
        # unknown extensions are kept, if each is a single value
        "additionalProperties": _SCALAR,
    }


def _data_schema(model: type[Event]) -> dict[str, Any]:
    """The schema of the data, as pydantic has it, with what pydantic can't see."""
    schema = model.model_json_schema()
    hints = get_type_hints(model, include_extras=True)
    for name, own in schema.get("properties", {}).items():
        optional = not model.model_fields[name].is_required()
        for kind, words in _FIELDS:
            if kind == hints[name] or kind in get_args(hints[name]):
                kept = {key: own[key] for key in ("title",) if key in own}
                plain = {"anyOf": [words, {"type": "null"}]} if optional else words
                schema["properties"][name] = kept | plain
    return schema
