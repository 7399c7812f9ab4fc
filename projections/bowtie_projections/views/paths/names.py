"""The nodes of a path: what they are called, and the numbers that stand for them in SQL.

A path of a few nodes is one number there: the digits of a number system with as many digits as
there are nodes. So paths are counted as quickly as numbers are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.stages import STAGES
from bowtie_projections.views.labels import OTHER, apart

__all__ = ["LOST", "MORE", "OPEN", "START", "Names"]

#: Before the first node.
START = "(start)"
#: After the last: the cycle was lost; it is open, so that the path may go on; further nodes.
LOST, OPEN, MORE = "(lost)", "(open)", "(more)"
_NONE = "(none)"
#: What stands in an answer for no touchpoint of its own.
_WORDS = (OTHER, _NONE, START, LOST, OPEN, MORE)


@dataclass(frozen=True, slots=True)
class Names:
    """The nodes.

    Args:
        values: the touchpoints (or channels, ...) that stand apart.
        stages: whether stages are nodes too, so that a touchpoint called so is told apart.
    """

    values: Sequence[str]
    stages: bool

    @property
    def base(self) -> int:
        """How many digits there are: the nodes, and 0 for none."""
        return len(STAGES) + len(self.values) + 3

    def check_length(self, steps: int) -> None:
        """Refuse paths that are too long for one number.

        Raises:
            UsageError: fewer steps, or fewer touchpoints apart, can be asked for.
        """
        most = next(n for n in range(63, 0, -1) if self.base**n < 2**63)
        if steps > most:
            raise UsageError(
                f"steps is {steps}: with {len(self.values)} values apart up to {most} can be told;"
                " ask for fewer steps=, or a smaller top="
            )

    @staticmethod
    def stage_code(stage: str) -> int:
        """The number of a stage."""
        return STAGES.index(stage) + 1

    @property
    def other(self) -> int:
        """The number of the values that don't stand apart, together."""
        return self.base - 2

    @property
    def none(self) -> int:
        """The number of touches that name none."""
        return self.base - 1

    def codes(self) -> sa.FromClause:
        """The values that stand apart with their numbers: ``name``, ``code``."""
        columns = (sa.column("name", sa.String()), sa.column("code", sa.BigInteger()))
        first = len(STAGES) + 1
        rows = [(value, number) for number, value in enumerate(self.values, start=first)]
        # where nobody names any, a row that is met by none
        return sa.values(*columns, name="names").data(rows or [("", 0)])

    def code_of(self, value: ColumnElement[Any], codes: sa.FromClause) -> ColumnElement[Any]:
        """The number of a value, where the codes are joined to it by name."""
        missing = sa.case((value.is_(None), self.none), else_=self.other)
        return sa.func.coalesce(codes.c.code, missing)

    def name(self, code: int) -> str:
        """What a node is called in an answer."""
        if code <= len(STAGES):
            return STAGES[code - 1]
        place = code - len(STAGES) - 1
        if place < len(self.values):
            return apart(self.values[place], (*_WORDS, *STAGES) if self.stages else _WORDS)
        return OTHER if code == self.other else _NONE

    def power(self, place: ColumnElement[Any], steps: int) -> ColumnElement[Any]:
        """What the digit at a place counts from 1 is worth."""
        worth = {number: self.base ** (number - 1) for number in range(1, steps + 1)}
        return sa.case(
            *(
                (place == number, sa.literal_column(str(one), sa.BigInteger()))
                for number, one in worth.items()
            ),
            else_=0,
        )

    def digit(self, paths: NDArray[np.int64], place: int) -> NDArray[np.int64]:
        """The node at a place from 1 on, 0 where there is none."""
        return np.asarray(paths // self.base ** (place - 1) % self.base, dtype=np.int64)
