"""From the sums that SQL gives to the rows of recurring revenue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.cohorts import period as bounds_of
from bowtie_projections.views.revenue.levels import (
    ANNOUNCED,
    BRIEF,
    ENDED,
    LESS,
    MORE,
    MOVES,
    Levels,
)
from bowtie_projections.views.revenue.periods import EVERY, first_of
from bowtie_projections.views.shares import cell_order, covered_until, typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["AMOUNTS", "CHANGES", "COLUMNS", "CUSTOMERS", "Bridge", "in_months"]

#: The amounts of a row: what there was, what moved it, what there is.
AMOUNTS = ("start", *MOVES, "end")
CUSTOMERS = ("customers_start", "customers_new", "customers_lost", "customers_back",
             "customers_end")  # fmt: skip
_RATES = ("grr", "nrr", "lost_share")
_YEAR = ("start_12m", "grr_12m", "nrr_12m")
#: All columns of an answer after those of its cell.
COLUMNS = (
    "period", "currency", *AMOUNTS, "in_grace", *_RATES, *_YEAR, *CUSTOMERS, "complete",
)  # fmt: skip
#: The columns of what moved contracts, after those of a cell.
CHANGES = ("period", "currency", "because", "times", "more", "less")
#: Why a contract moved, in the order of the answer.
_BECAUSE = (
    "signed", "renewed", "quantity", "price", "plan", "discount", "contracted_step", ENDED,
)  # fmt: skip
_CENT = Decimal("0.000001")
_ZERO = Decimal(0)

_Cell = tuple[Any, ...]


def in_months(level: Decimal, moves: Sequence[Decimal]) -> tuple[Decimal, list[Decimal]]:
    """A year's amounts as those of a month, rounded so that they still add up.

    Args:
        level: what there was.
        moves: what moved it.

    Returns:
        Both by 12, with the 6 decimals of money. The sums are rounded, and of the movements those
        with the largest remainders take what is left over; one that is nothing stays nothing.

    >>> in_months(Decimal(100), [Decimal(1), Decimal(1), Decimal(0)])
    (Decimal('8.333333'), [Decimal('0.083334'), Decimal('0.083333'), Decimal('0.000000')])
    >>> _monthly(Decimal(102))
    Decimal('8.500000')
    """
    with localcontext(prec=60):
        start, end = _monthly(level), _monthly(level + sum(moves, _ZERO))
        exact = [move / 12 for move in moves]
        found = [one.quantize(_CENT, rounding=ROUND_FLOOR) for one in exact]
        left = int((end - start - sum(found, _ZERO)) / _CENT)
        rest = [one - floor for one, floor in zip(exact, found, strict=True)]
        for place in sorted(range(len(rest)), key=lambda place: -rest[place])[:left]:
            found[place] += _CENT
        return start, found


def _monthly(annual: Decimal) -> Decimal:
    # half up, so that whole cents more in the sum are as many more in what is rounded
    with localcontext(prec=60):
        return (annual / 12).quantize(_CENT, rounding=ROUND_HALF_UP)


@dataclass(slots=True)
class _Sum:
    amount: Decimal = _ZERO
    number: int = 0

    def add(self, amount: Decimal, number: int) -> None:
        """Count these too."""
        self.amount += amount
        self.number += number


@dataclass(slots=True)
class _Line:
    """One cell and currency: by what is told and its period, the sums."""

    told: defaultdict[tuple[str, int], _Sum] = field(default_factory=lambda: defaultdict(_Sum))

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of the levels."""
        self.told[row["what"], row["at"]].add(row["amount"], row["number"])

    def of(self, what: str, at: int) -> _Sum:
        """What is told in a period; nothing is 0."""
        return self.told.get((what, at), _Sum())


class Bridge:
    """The rows of one question.

    Args:
        levels: what was asked, of whom.
        counted: the rows of :meth:`Levels.counted`.
        per: ``month`` or ``year``: what the amounts are of.
        daily: whether the movements are those of each day.
    """

    def __init__(
        self, levels: Levels, counted: Iterable[Mapping[str, Any]], *, per: str, daily: bool
    ) -> None:
        self._levels, self._monthly = levels, per == "month"
        self._prefix = "daily " if daily else ""
        self._lines: dict[_Cell, _Line] = defaultdict(_Line)
        members = levels.members
        self.announced = self.brief = 0
        self.changes: list[dict[str, Any]] = []
        # the digits of the widest column, and some
        with localcontext(prec=60):
            for row in counted:
                if row["what"] == ANNOUNCED:
                    self.announced = row["number"]
                    continue
                cell = tuple(members.named(one, row[one.column]) for one in members.dimensions)
                self._lines[*cell, row["currency"]].add(row)
            self.rows = [row for cell in self._in_order() for row in self._line(cell)]

    def _in_order(self) -> list[_Cell]:
        """By cell and currency."""
        return sorted(self._lines, key=lambda cell: (cell_order(cell[:-1]), cell[-1]))

    def _line(self, cell: _Cell) -> Iterator[dict[str, Any]]:
        """A cell's rows, from the first period with revenue on."""
        levels, line = self._levels, self._lines[cell]
        begin = min((at for what, at in line.told if what in _BEGINS), default=None)
        if begin is None:
            return
        year, shown = EVERY[levels.every], levels.shown(begin)
        named = dict(zip(levels.keys, cell, strict=True))
        held = {name: _Sum() for name in ("kept", "still", "grace")}
        level, ends = _Sum(), {begin: _Sum()}
        for at in range(begin, levels.current + 1):
            moves = {what: line.of(self._prefix + what, at) for what in MOVES}
            net = {what: line.of(what, at) for what in MOVES}
            end = _Sum(level.amount, level.number)
            end.add(sum((one.amount for one in net.values()), _ZERO), _change(net))
            ends[at + 1] = end
            for name, so_far in held.items():
                border = line.of(name, at + 1)
                so_far.add(border.amount, border.number)
            if at in shown:
                then = ends.get(at + 1 - year, _Sum())
                row = named | {"period": cohort_label(first_of(at, levels.every), levels.every)}
                row |= self._amounts(level, moves, held["grace"].amount)
                row |= _customers(level, moves, end)
                row |= self._rates(at, level, net, then, held)
                yield row
                self.brief += line.of(BRIEF, at).number
                of_row = {name: row[name] for name in (*named, "period")}
                self.changes += self._changed(line, at, level.amount, of_row)
            level = end

    def _amounts(
        self, level: _Sum, moves: Mapping[str, _Sum], grace: Decimal
    ) -> dict[str, Decimal]:
        start, moved = level.amount, [moves[what].amount for what in MOVES]
        if self._monthly:
            start, moved = in_months(start, moved)
            grace = _monthly(grace)
        end = start + sum(moved, _ZERO)
        return dict(zip(AMOUNTS, (start, *moved, end), strict=True)) | {"in_grace": grace}

    def _changed(
        self, line: _Line, at: int, level: Decimal, of_row: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """What moved contracts in a period, by why; rounded together, as the movements are."""
        found = {why: [line.of(f"{side} {why}", at) for side in (MORE, LESS)] for why in _BECAUSE}
        amounts = [one.amount for pair in found.values() for one in pair]
        if self._monthly:
            amounts = in_months(level, amounts)[1]
        sides = iter(amounts)
        for why, pair in found.items():
            more, less = next(sides), next(sides)
            if number := sum(one.number for one in pair):
                told = {"because": why, "times": number, "more": more, "less": less}
                yield {**of_row, **told}

    def complete(self, at: int) -> bool:
        """Whether all of a period is over and covered."""
        levels = self._levels
        question, cut = levels.members.question, levels.members.cut
        label = cohort_label(first_of(at, levels.every), levels.every)
        begin, end = bounds_of(label, question.tz)
        until = covered_until(cut, levels.members.moment, question.data_through)
        return end <= until and (question.data_from is None or begin >= question.data_from)

    def _rates(
        self,
        at: int,
        level: _Sum,
        net: Mapping[str, _Sum],
        then: _Sum,
        held: Mapping[str, _Sum],
    ) -> dict[str, Any]:
        """What is kept of the start, and of what there was a year before the end."""
        found: dict[str, Any] = dict.fromkeys((*_RATES, *_YEAR))
        complete = self.complete(at)
        found["complete"] = complete
        if complete and level.amount > 0:
            kept = level.amount + net["contraction"].amount + net["churned"].amount
            found["grr"] = float(kept / level.amount)
            found["nrr"] = float((kept + net["expansion"].amount) / level.amount)
            found["lost_share"] = net["churned"].number / level.number
        if complete and then.amount > 0 and self._covers_a_year(at):
            found["start_12m"] = _monthly(then.amount) if self._monthly else then.amount
            found["grr_12m"] = float(held["kept"].amount / then.amount)
            found["nrr_12m"] = float(held["still"].amount / then.amount)
        return found

    def _covers_a_year(self, at: int) -> bool:
        """Whether the data reaches back to a year before the end of a period."""
        question = self._levels.members.question
        since = question.data_from
        day = first_of(at + 1 - EVERY[self._levels.every], self._levels.every)
        return since is None or bounds_of(day, question.tz)[0] >= since

    def table(self) -> pa.Table:
        """The rows, as Arrow."""
        import pyarrow as pa

        dimensions = self._levels.members.dimensions
        kinds: dict[str, Any] = {one.column: pa.string() for one in dimensions}
        for name in COLUMNS:
            if name in {"period", "currency"}:
                kinds[name] = pa.string()
            elif name in CUSTOMERS:
                kinds[name] = pa.int64()
            elif name in {*AMOUNTS, "in_grace", "start_12m"}:
                kinds[name] = pa.decimal128(38, 6)
            else:
                kinds[name] = pa.bool_() if name == "complete" else pa.float64()
        titles = {one.column: one.title(COLUMNS) for one in dimensions}
        return typed_table(self.rows, kinds, titles)

    def changes_table(self) -> pa.Table:
        """What moved contracts, as Arrow."""
        import pyarrow as pa

        dimensions = self._levels.members.dimensions
        kinds: dict[str, Any] = {one.column: pa.string() for one in dimensions}
        kinds |= dict.fromkeys(CHANGES[:3], pa.string()) | {"times": pa.int64()}
        kinds |= dict.fromkeys(CHANGES[4:], pa.decimal128(38, 6))
        titles = {one.column: one.title(COLUMNS) for one in dimensions}
        return typed_table(self.changes, kinds, titles)


#: With one of these a cell's revenue begins.
_BEGINS = ("new", BRIEF)


def _change(moves: Mapping[str, _Sum]) -> int:
    return moves["new"].number + moves["reactivated"].number - moves["churned"].number


def _customers(level: _Sum, moves: Mapping[str, _Sum], end: _Sum) -> dict[str, int]:
    numbers = (
        level.number,
        moves["new"].number,
        moves["churned"].number,
        moves["reactivated"].number,
        end.number,
    )
    return dict(zip(CUSTOMERS, numbers, strict=True))
