"""Upcasting: what was stored or sent in an older form of an event, lifted to its newest form.

A model names in ``lifts``, for each version but the newest, the steps that make the next version of
it. From the same steps follows how columns of old states are lifted
(:mod:`bowtie_projections.lifting`), so that no one writes a lift twice.

>>> steps = (Rename("cents", "amount"), Scale("amount", by="0.01", whole=True))
>>> data = {"cents": 1250}
>>> for step in steps:
...     data = step(data)
>>> data
{'amount': '12.500000'}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any

from bowtie.fields import DECIMAL_PATTERN

if TYPE_CHECKING:
    from bowtie.events import Event

__all__ = [
    "Add",
    "By",
    "Drop",
    "Lift",
    "Remap",
    "Rename",
    "Scale",
    "Step",
    "Unliftable",
    "check_lifts",
    "lift",
    "newest_name",
    "older_names",
    "steps_from",
]

Data = dict[str, Any]

_DECIMAL = re.compile(DECIMAL_PATTERN)
#: More digits than any product of two amounts has.
_EXACT = Context(prec=80)
_SIX_DECIMALS = Decimal("0.000001")


class Unliftable(ValueError):
    """Data of an older version that can't be lifted; the message says why, without the value."""


@dataclass(frozen=True, slots=True)
class Rename:
    """A field has another name now."""

    old: str
    new: str

    def __call__(self, data: Data) -> Data:
        """Lift the data of one event."""
        if self.new in data:
            raise Unliftable(_no_such(self.new))
        return {self.new if name == self.old else name: value for name, value in data.items()}


@dataclass(frozen=True, slots=True)
class Add:
    """There is a field that there was not, with what the older ones meant by saying nothing.

    Args:
        name: the field.
        value: as JSON has it: a decimal or a day as text.
    """

    name: str
    value: str | bool | int

    def __call__(self, data: Data) -> Data:
        """Lift the data of one event."""
        if self.name in data:
            raise Unliftable(_no_such(self.name))
        return data | {self.name: self.value}


@dataclass(frozen=True, slots=True)
class Drop:
    """A field is no more."""

    name: str

    def __call__(self, data: Data) -> Data:
        """Lift the data of one event."""
        return {name: value for name, value in data.items() if name != self.name}


@dataclass(frozen=True, slots=True)
class Remap:
    """A word is written another way now; a word that is not named stays."""

    name: str
    words: Mapping[str, str]

    def __call__(self, data: Data) -> Data:
        """Lift the data of one event."""
        value = data.get(self.name)
        if not isinstance(value, str):
            return data
        return data | {self.name: self.words.get(value, value)}


@dataclass(frozen=True, slots=True)
class Scale:
    """A number is counted in another unit now: the old one times ``by``, rounded to 6 decimals.

    Args:
        name: the field, a decimal in the newer version.
        by: a decimal as text, such as ``"0.01"`` from cents.
        whole: the older version held a whole number, which JSON writes without quotes.
    """

    name: str
    by: str
    whole: bool = False

    def __call__(self, data: Data) -> Data:
        """Lift the data of one event."""
        value = data.get(self.name)
        if value is None:
            return data
        scaled = _EXACT.multiply(_number(self.name, value), Decimal(self.by))
        rounded = scaled.quantize(_SIX_DECIMALS, ROUND_HALF_EVEN, _EXACT)
        return data | {self.name: format(rounded, "f")}


@dataclass(frozen=True, slots=True)
class By:
    """What no other step can say: a function from the older data to the newer.

    It sees maps as maps, and nothing that is sealed, neither on the wire nor in the store. Columns
    of old states are lifted by the same function, event by event, so this is the slow step.
    """

    function: Callable[[Data], Data]

    def __call__(self, data: Data) -> Data:
        """Lift the data of one event."""
        try:
            return self.function(data)
        except Exception as error:  # what a function does with strange data is its own affair
            raise Unliftable(f"its lift failed ({type(error).__name__})") from error


Step = Rename | Add | Drop | Remap | Scale | By
#: What makes the next version of an event: steps, done in order.
Lift = tuple[Step, ...]


def _no_such(name: str) -> str:
    return f"{name}: that version has no such field; newer data says so in dataversion"


def _number(name: str, value: object) -> Decimal:
    """A number as the catalogue takes one: text, or a JSON number."""
    text = value
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = format(Decimal(repr(value)), "f")
    if not isinstance(text, str) or not _DECIMAL.match(text):
        raise Unliftable(f"{name}: must be a decimal")
    return Decimal(text)


def steps_from(model: type[Event], version: int) -> list[Step]:
    """The steps from a version to the newest, in order.

    Raises:
        Unliftable: there is no such version.
    """
    if not 1 <= version <= model.data_version:
        raise Unliftable(
            f"its data is of version {version}, this bowtie knows {model.data_version}"
        )
    return [step for steps in model.lifts[version - 1 :] for step in steps]


def lift(model: type[Event], version: int, data: Data) -> Data:
    """The data of an older version as the newest has it; not validated.

    Args:
        model: the event.
        version: of the data.
        data: as JSON has it, maps as maps, without what is sealed.

    Raises:
        Unliftable: there is no such version, or the data is none of it.
    """
    if version == model.data_version:
        return data
    for step in steps_from(model, version):
        data = step(data)
    return data


def newest_name(model: type[Event], version: int, name: str) -> str | None:
    """What a field of an older version is called now; None where it is no more."""
    for step in steps_from(model, version):
        if isinstance(step, Rename) and step.old == name:
            name = step.new
        elif isinstance(step, Drop) and step.name == name:
            return None
    return name


def older_names(model: type[Event], name: str) -> list[str]:
    """What a field was called in older versions, the latest name first."""
    names = [name]
    for step in reversed(steps_from(model, 1)):
        if isinstance(step, Rename) and step.new == names[-1]:
            names.append(step.old)
    return names[1:]


def check_lifts(model: type[Event]) -> None:
    """See that the steps lead to the model's fields.

    Raises:
        TypeError: one of them makes a field that the next version doesn't have.
    """
    names = set(model.model_fields)
    for step in reversed(steps_from(model, 1)):
        if isinstance(step, By):
            return  # what it makes of what, only it knows
        made = step.new if isinstance(step, Rename) else step.name
        if (made in names) == isinstance(step, Drop):
            raise TypeError(f"{model.__name__}: {step} doesn't lead to the fields that follow it")
        if isinstance(step, Rename | Add):
            names.remove(made)
        if isinstance(step, Rename | Drop):
            names.add(step.old if isinstance(step, Rename) else step.name)
