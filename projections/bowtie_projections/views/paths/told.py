"""Paths as counted, told as rows: transitions step by step, moves at any step, whole sequences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.funnel.members import WORDS
from bowtie_projections.views.labels import OTHER, apart
from bowtie_projections.views.paths.names import LOST, MORE, OPEN, START
from bowtie_projections.views.paths.walks import Walks
from bowtie_projections.views.shares import FEWEST, cell_order

__all__ = ["Told", "in_cells"]

_Row = dict[str, Any]
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class _Path:
    """One path, from the first node told to what stands after the last; and what it is in SQL."""

    nodes: tuple[str, ...]
    key: tuple[int, bool, bool]
    customers: int
    committed: int
    micros: float | None


def in_cells(
    found: Sequence[Mapping[str, Any]], walks: Walks
) -> dict[tuple[str | None, ...], Told]:
    """What was found of each cell, in order; of one that has no name where nothing is asked by."""
    rows: dict[tuple[str | None, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in found:
        rows[tuple(_named(one, row[one.column], walks) for one in walks.dimensions)].append(row)
    return {cell: Told(rows[cell], walks) for cell in sorted(rows, key=cell_order)}


def _named(dimension: Dimension, value: str | None, walks: Walks) -> str | None:
    """A value as an answer names it: SQL does so only where it puts others together."""
    return value if value is None or dimension.name in walks.kept else apart(value, WORDS)


class Told:
    """What was found of the paths of a question.

    Args:
        found: the rows of :meth:`Walks.found`.
        walks: what was asked.
    """

    def __init__(self, found: Sequence[Mapping[str, Any]], walks: Walks) -> None:
        self._walks, self._names = walks, walks.names
        self._rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in found:
            self._rows[row["kind"]].append(row)
        self.paths = sorted(self._paths(), key=lambda path: (-path.customers, path.nodes))

    @property
    def customers(self) -> int:
        """How many paths there are."""
        return sum(path.customers for path in self.paths)

    def ending(self, node: str) -> int:
        """How many paths end so."""
        return sum(path.customers for path in self.paths if path.nodes[-1] == node)

    def passing(self, step: int, source: str, target: str) -> list[_Path]:
        """The paths that go from one node to another at a step."""
        return [
            path
            for path in self.paths
            if 0 <= step - self._first_step(path) < len(path.nodes) - 1
            and path.nodes[step - self._first_step(path) :][:2] == (source, target)
        ]

    def called(self, sequence: str, top: int) -> list[_Path]:
        """The path of a row of :meth:`sequences`, or all the rest."""
        rest = self.paths[top:] if sequence == OTHER else []
        return [path for path in self.paths[:top] if " > ".join(path.nodes) == sequence] or rest

    def steps(self) -> list[_Row]:
        """From each node at each step to the next: the links of a flow diagram."""
        days = {
            (self._step(row["path"]), self._name(row["source"]), self._name(row["target"])): row
            for row in self._rows["step"]
        }
        number: Counter[tuple[int, str, str]] = Counter()
        for path in self.paths:
            first = self._first_step(path)
            for place, pair in enumerate(pairwise(path.nodes)):
                number[first + place, *pair] += path.customers
        at_source: Counter[tuple[int, str]] = Counter()
        for (step, source, _), customers in number.items():
            at_source[step, source] += customers
        rows = [
            {
                "step": step,
                "source": source,
                "target": target,
                "customers": customers,
                "share": customers / at_source[step, source],
                "days_p50": _median(days.get((step, source, target))),
            }
            for (step, source, target), customers in number.items()
        ]
        return sorted(
            rows, key=lambda row: (row["step"], -row["customers"], row["source"], row["target"])
        )

    def moves(self) -> list[_Row]:
        """From each node to the next, wherever in the path; all of it, not the steps told alone."""
        found = self._rows["move"]
        leaving: Counter[int] = Counter()
        for row in found:
            leaving[row["source"]] += row["number"]
        rows = [
            {
                "source": self._name(row["source"]),
                "target": self._name(row["target"]),
                "moves": row["number"],
                "customers": row["part"],
                "share": row["number"] / leaving[row["source"]],
                "days_p50": _median(row),
            }
            for row in found
        ]
        return sorted(rows, key=lambda row: (-row["moves"], row["source"], row["target"]))

    def sequences(self, top: int) -> list[_Row]:
        """The most frequent paths, and all others together."""
        rows = [
            self._sequence(" > ".join(path.nodes), [path], path.micros) for path in self.paths[:top]
        ]
        if rest := self.paths[top:]:
            rows.append(self._sequence(OTHER, rest, None))
        return rows

    def _sequence(self, text: str, paths: Sequence[_Path], micros: float | None) -> _Row:
        customers = sum(path.customers for path in paths)
        return {
            "sequence": text,
            "customers": customers,
            "share": customers / self.customers,
            "committed": sum(path.committed for path in paths),
            "open": sum(path.customers for path in paths if path.nodes[-1] == OPEN),
            "days_p50": _days(micros, customers),
        }

    def _paths(self) -> Iterator[_Path]:
        rows = self._rows["path"]
        numbers = np.array([row["path"] for row in rows], dtype=np.int64)
        places = range(1, self._walks.steps + 1)
        digits: list[NDArray[np.int64]] = [self._names.digit(numbers, place) for place in places]
        for row, codes in zip(
            rows, zip(*(one.tolist() for one in digits), strict=True), strict=True
        ):
            nodes = [self._name(code) for code in codes if code]
            whole = self._with_ends(nodes, row)
            # one node takes no time
            micros = row["micros"][0] if len(nodes) > 1 else None
            key = row["path"], row["more"], row["lost"]
            yield _Path(whole, key, row["number"], row["part"], micros)

    def _with_ends(self, nodes: list[str], row: Mapping[str, Any]) -> tuple[str, ...]:
        if self._walks.backward:
            return (MORE if row["more"] else START, *reversed(nodes))
        start = [] if self._walks.starts else [START]
        if row["more"]:
            return (*start, *nodes, MORE)
        if self._walks.ends:
            return (*start, *nodes)
        return (*start, *nodes, LOST if row["lost"] else OPEN)

    def _first_step(self, path: _Path) -> int:
        """The step of a path's first transition: before the end, or after the start."""
        if self._walks.backward:
            return 1 - len(path.nodes)
        return 1 if self._walks.starts else 0

    def _step(self, place: int) -> int:
        return 1 - place if self._walks.backward else place

    def _name(self, code: int) -> str:
        return self._names.name(code)


def _median(row: Mapping[str, Any] | None) -> float | None:
    return None if row is None else _days(row["micros"][0], row["number"])


def _days(micros: float | None, number: int) -> float | None:
    return None if micros is None or number < FEWEST else micros / _DAY
