"""What all events share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from bowtie.lifting import Lift, check_lifts

__all__ = ["Costed", "Event", "out_of_order"]


class Event(BaseModel):
    """What all facts share: frozen, no field beyond the catalogue's, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    #: the name on the wire is ``bowtie.`` and this
    type_name: ClassVar[str] = ""
    #: the kind of stream it belongs to
    stream_kind: ClassVar[str] = "customer"
    #: what lifts version 1 to 2, 2 to 3, ...; see :mod:`bowtie.lifting`
    lifts: ClassVar[tuple[Lift, ...]] = ()
    #: the newest version of its fields; older ones, stored or sent, are lifted on the way in
    data_version: ClassVar[int] = 1

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.type_name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.data_version = len(cls.lifts) + 1
        check_lifts(cls)

    @staticmethod
    def problem(data: Any) -> str | None:  # noqa: ARG004  # what a model without such rules says
        """What its fields contradict each other in, or None; takes anything with the fields."""
        return None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problem = self.problem(self)
        if problem is not None:
            raise PydanticCustomError("contradiction", "{problem}", {"problem": problem})
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if value is not None:
                yield name, value


class Costed(Event):
    """An event that may name an amount of money."""

    @staticmethod
    def problem(data: Any) -> str | None:
        """An amount needs a currency."""
        if data.currency is None:
            for name in ("cost", "price", "value", "reward"):
                if getattr(data, name, None) is not None:
                    return f"name the currency of {name}"
        return None


def out_of_order(
    first: date | None, last: date | None, first_name: str, last_name: str
) -> str | None:
    """What is wrong with two days, of which the last lies before the first; else None."""
    if first is not None and last is not None and last < first:
        return f"{last_name} lies before {first_name}"
    return None
