"""What a mapping must know of the catalogue's events: their fields, and what those hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from bowtie.events import CATALOGUE, Event
from bowtie.fields import ScalarMap
from bowtie.logs.mapping_values import Field, Kind
from bowtie.stages.fields import field_kind

__all__ = ["MAPS", "fields_of", "map_value", "model_named"]

#: The fields that hold names and values of the sender's own.
MAPS = ("traits", "properties")


def model_named(type_name: str) -> type[Event] | None:
    """The event of that name, with or without ``bowtie.`` before it."""
    return CATALOGUE.get(type_name.removeprefix("bowtie."))


@cache
def fields_of(model: type[Event]) -> dict[str, Field]:
    """An event's fields, but for its maps."""
    return {
        name: Field(name, _kind(model, name), info.is_required(), problem=_problem(info))
        for name, info in model.model_fields.items()
        if name not in MAPS
    }


def map_value(name: str) -> Field:
    """A trait or a property: of any kind."""
    return Field(name, "found", scalar=True, problem=_checks(ScalarMap, lambda v: {"value": v}))


def _kind(model: type[Event], name: str) -> Kind:
    kind, _ = field_kind(model, name)
    return "number" if kind == "decimal" else cast(Kind, kind)


def _problem(info: FieldInfo) -> Callable[[Any], str | None]:
    return _checks(info.rebuild_annotation(), lambda value: value)


def _checks(hint: Any, shape: Callable[[Any], Any]) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        try:
            TypeAdapter(hint).validate_python(shape(value))
        except ValidationError as error:
            return error.errors(include_url=False)[0]["msg"]
        return None

    return problem
