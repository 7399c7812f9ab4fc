"""``bowtie record``: one event, typed by hand or by a script."""

from __future__ import annotations

import difflib
import json
import re
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import click

from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie.events import Event
    from bowtie.expecting import Expected

__all__ = ["event_of", "record"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_JSON = re.compile(r'-?\d+(\.\d+)?|true|false|null|".*"', re.DOTALL)


@click.command(cls=Command)
@click.argument("customer")
@click.argument("type")
@click.argument("fields", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--at", metavar="T", help="When it happened (now); a day is precise to the day.")
@click.option("--id", metavar="ID", help="Its id at the source: sent twice, recorded once.")
@click.option("--source", metavar="NAME", help="The system that says so (bowtie).")
@click.option("--known-from", metavar="T", help="When the source knew it.")
@click.option(
    "--expected",
    metavar="N|any|no-stream|stream-exists",
    callback=lambda _context, _option, text: _expected(text),
    help="The version that the customer must be at (any).",
)
@click.option("--kind", metavar="KIND", help="The kind of stream, if CUSTOMER names no customer.")
@output_options
@pass_session
def record(
    session: Session,
    *,
    customer: str,
    type: str,
    fields: tuple[str, ...],
    at: str | None,
    known_from: str | None,
    output: Output,
    **envelope: Any,
) -> None:
    r"""Append one event to the store.

    Maps take traits.NAME=VALUE and properties.NAME=VALUE; null unsets a trait.

    \b
    Example:
      bowtie record acme touched channel=webinar direction=inbound --at 2026-01-05T10:00:00Z
      bowtie record acme traits_observed traits.employees=120 --at 2026-01-05
      bowtie record acme onboarded --expected 2
    """
    from bowtie.times import moment

    event = event_of(type, fields)
    with session.engine(create=True) as engine:
        (recorded,) = engine.record(
            customer,
            event,
            occurred_at=moment(at) if at else None,
            day_only=bool(at and _DAY.fullmatch(at)),
            known_from=moment(known_from) if known_from else None,
            **envelope,
        )
    whole = recorded.to_cloudevent()
    said = {name: whole[name] for name in ("sequence", "time", "type", "subject", "source", "id")}
    sentence = f"Recorded at position {recorded.position}."
    output.show(Answer([*said, "data"], [said | {"data": whole["data"]}], whole, sentence))


def _expected(text: str | None) -> Expected:
    from bowtie.expecting import ANY, Expectation

    if text is None:
        return ANY
    if re.fullmatch(r"\d{1,18}", text):
        return int(text)
    try:
        return Expectation(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} can't be expected: write a version (0, 1, ...), any, no-stream or"
            " stream-exists"
        ) from None


def event_of(type_name: str, fields: tuple[str, ...]) -> Event:
    """The event that a type and KEY=VALUE texts name.

    >>> event_of("touched", ("channel=webinar", "direction=inbound"))
    Touched(channel='webinar', direction='inbound')

    Raises:
        UnknownName: the catalogue has no such type.
        EventRejected: a field is missing, unknown, or not what it must be.
    """
    from pydantic import ValidationError

    from bowtie.errors import EventRejected
    from bowtie.reader import explain

    model = _model(type_name)
    data: dict[str, Any] = {}
    for one in fields:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.UsageError(f"{one!r} is no KEY=VALUE: write such as channel=webinar")
        outer, dot, inner = name.partition(".")
        if dot:
            data.setdefault(outer, {})[inner] = _scalar(value)
        else:
            data[name] = _typed(model, name, value)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise EventRejected("invalid", f"{model.type_name}: {explain(error, model)}") from None


def _model(type_name: str) -> type[Event]:
    from bowtie.errors import UnknownName
    from bowtie.events import CATALOGUE

    name = type_name.removeprefix("bowtie.")
    by_class = {model.__name__: label for label, model in CATALOGUE.items()}
    name = by_class.get(name, name)
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = difflib.get_close_matches(name.lower(), CATALOGUE, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see: bowtie schema"
    raise UnknownName(f"{type_name!r} is no event of the catalogue: {hint}")


def _typed(model: type[Event], name: str, value: str) -> Any:
    """The value as the field's type takes it; what it can't be stays text, for the model to say."""
    field = model.model_fields.get(name)
    if field is None:
        return value
    kinds = _plain_types(field.annotation)
    if bool in kinds and value in {"true", "false"}:
        return value == "true"
    if int in kinds and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value


def _plain_types(annotation: Any) -> set[Any]:
    """The types behind an annotation, without ``Annotated`` and ``None``."""
    inside = get_args(annotation)
    if get_origin(annotation) is Annotated:
        inside = inside[:1]
    elif not isinstance(annotation, UnionType) and get_origin(annotation) is not Union:
        return {annotation}
    return set().union(*(_plain_types(one) for one in inside)) - {NoneType}


def _scalar(value: str) -> Any:
    """A value of a map: a number, true, false or null as JSON writes it, else text."""
    return json.loads(value) if _JSON.fullmatch(value) else value
