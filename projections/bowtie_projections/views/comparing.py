"""The same question of an earlier period: its figures beside each row's, and the difference.

Both sides are asked at the same position and as of the same moment, so that the earlier one has
had more time, never less. A difference is given only where both are over: where somebody's window
is not, more may still convert, and the younger side would look worse than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from bowtie.errors import Refused, UsageError
from bowtie_projections.results import Result
from bowtie_projections.statistics import Interval, difference
from bowtie_projections.views.answers import Shape, keys_of, listed, with_columns
from bowtie_projections.views.cohorts import days_of, period
from bowtie_projections.views.earlier import check_compare, earlier, earlier_cohort
from bowtie_projections.views.labels import OTHER, unapart

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Comparison"]

_Row = dict[str, Any]
_Key = tuple[Any, ...]
#: What stands for values in an answer.
_WORDS = (OTHER, "(none)")
_BOUNDS = ("_low", "_high")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared with what.

    Args:
        compare: ``previous`` or ``year``.
        shape: of the view's answers.
        asked: the parameters of the view.
        before: the period to compare with; none where each cohort has its own.
    """

    compare: str
    shape: Shape
    asked: Mapping[str, Any]
    before: tuple[Any, Any] | None = None
    #: cohorts to compare with, and which cohort is compared with each
    cohorts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, compare: str, shape: Shape, asked: Mapping[str, Any]) -> Comparison:
        """The comparison, checked before anything runs.

        Raises:
            UsageError: there is nothing of that kind to compare with, or no period to start from.
        """
        check_compare(compare)
        if asked.get("customers") is not None:
            raise UsageError("customers lists who is behind a cell: there is nothing to compare")
        if shape.cohort_of(asked) is not None:
            return cls(compare, shape, asked)
        first, last = asked.get("from_"), asked.get("to")
        if first is None or last is None:
            raise UsageError(
                "compare needs a period that begins and ends: give from_= and to=, such as 2026-Q1"
                " and 2026-Q1, or cohort=, and each is compared with an earlier one"
            )
        return cls(compare, shape, asked, earlier(compare, first, last))

    def answered(
        self, result: Result, view: Callable[..., Result], begin: datetime | None
    ) -> Result:
        """The answer, with the other side's figures and the differences.

        Args:
            result: the view's answer to what was asked.
            view: asks it another question.
            begin: when the first fact happened.

        Raises:
            Refused: no row can be compared yet.
        """
        self._check_over(result)
        span = self.before if self.before is not None else self._cohorts_before(result)
        if span is None:
            return self._joined(result, None, [])
        kept = self._kept(result)
        asked = dict(self.asked) | {"from_": span[0], "to": span[1], "kept": kept}
        other = view(**asked)
        notes = [f"Before: {note}" for note in other.notes if note not in result.notes]
        if self.asked.get("data_from") is not None:
            begin = period(self.asked["data_from"], self._tz)[0]
        # a period before all data is empty for want of data, not of customers
        if begin is not None and period(span[0], self._tz)[0] < begin:
            notes.append(
                f"The data begins {begin:%Y-%m-%d}, later than what is compared with"
                f" ({_named(span)}): its counts are of a part of it."
            )
        return self._joined(result, other, notes)

    @property
    def _tz(self) -> str:
        return str(self.asked.get("tz", "UTC"))

    def _check_over(self, result: Result) -> None:
        """A period that goes on is compared with nothing."""
        as_of = result.meta["as_of"]
        if self.before is None or as_of is None:
            return
        end = period(self.asked["to"], self._tz)[1].replace(tzinfo=UTC)
        if end > as_of:
            raise Refused(
                f"the period asked of goes on to the end of {_last_day(self.asked['to'])}, and"
                f" this is asked as of {as_of:%Y-%m-%d %H:%M}: it can't be compared with one that"
                " is over. Ask of a period that is, with an earlier to=; or, where the data is"
                " complete up to there, with a later as_of="
            )

    def _cohorts_before(self, result: Result) -> tuple[str, str] | None:
        """From which to which cohort is compared with."""
        cohort = str(self.shape.cohort_of(self.asked))
        labels = {row["cohort"] for row in result.rows()} - {None}
        for label in labels:
            found = earlier_cohort(self.compare, label, cohort)
            if found is not None:
                self.cohorts[found] = label
        if not self.cohorts:
            return None
        ordered = sorted(self.cohorts, key=lambda label: days_of(label)[0])
        return ordered[0], ordered[-1]

    def _kept(self, result: Result) -> dict[str, list[str]]:
        """The values that stand apart on this side, where others are put together.

        The other side has the same ones apart, else ``other`` would be others there.
        """
        by = listed(self.asked.get("by", ()))
        kept = {}
        for title, name in zip(keys_of(result, self.shape), by, strict=False):
            values = {row[title] for row in result.rows()}
            real = sorted(unapart(v, _WORDS) for v in values if v is not None and v != OTHER)
            kept[name] = real
        return kept

    def _joined(self, result: Result, other: Result | None, notes: list[str]) -> Result:
        import pyarrow as pa

        keys = keys_of(result, self.shape)
        rows = {tuple(row[key] for key in keys): row for row in result.rows()}
        before = {} if other is None else self._by_key(other, keys)
        for key in before.keys() - rows.keys():
            rows[key] = self._nobody(result, dict(zip(keys, key, strict=True)))
        parts = self.shape.parts([*rows.values(), *(other.rows() if other else ())])
        ordered = [rows[key] for key in sorted(rows, key=self._sorting(keys, parts))]
        pairs = []
        for row in ordered:
            row["before"] = self._named_before(row)
            key = tuple(row[key] for key in keys)
            pairs.append((row, before.get(key) or self._none_before(row)))
        self._add(pairs, result)
        _check_any([row for row, _ in pairs], self.shape)
        added = self._added(result.to_arrow().schema)
        schema = pa.schema([*result.to_arrow().schema, *added])
        table = pa.Table.from_pylist(ordered, schema)
        compared = with_columns(result, table, *notes, *self._said(ordered))
        if other is not None:
            compared.sentence += f" Compared with: {other.sentence}"
            compared.sql = list(other.sql)
        compared.meta["parameters"] = dict(result.meta["parameters"]) | {"compare": self.compare}
        compared.meta["compared_with"] = self._place(result, other)
        return compared

    def _place(self, result: Result, other: Result | None) -> dict[str, Any] | None:
        """The other side's period, and where it was asked: where this one was."""
        if other is None:
            return None
        written = other.meta["parameters"]
        return {
            "from": written["from"],
            "to": written["to"],
            "as_of": other.meta["as_of"],
            "position": result.meta["position"],
        }

    def _by_key(self, other: Result, keys: list[str]) -> dict[_Key, _Row]:
        """The other side's rows, under the keys of the rows they are compared with."""
        found = {}
        for row in other.rows():
            label = row.get("cohort")
            if self.before is None:
                if label not in self.cohorts:
                    continue
                row["cohort"] = self.cohorts[label]
            found[tuple(row[key] for key in keys)] = row
        return found

    def _none_before(self, row: _Row) -> _Row:
        """What stands for the other side where nobody is there: nobody, if there is such a period.

        The last part has no rates, and so no counts of whom it has a rate of.
        """
        none: _Row = dict.fromkeys((*self.shape.counts, *self._rate_columns()))
        if row["before"] is not None:
            none |= {name: 0 for name in self.shape.counts if row[name] is not None}
        return none

    def _rate_columns(self) -> list[str]:
        return [rate + end for rate in self.shape.rates for end in ("", *_BOUNDS)]

    def _nobody(self, result: Result, key: Mapping[str, Any]) -> _Row:
        """The row of a cell that has members only on the other side.

        Its counts are 0; those that can't be known are null, as in the other rows of its part.
        """
        import pyarrow as pa

        part = self.shape.part
        alike = [row for row in result.rows() if part is None or row[part] == key[part]]
        row = dict.fromkeys(result.columns) | dict(key)
        for one in result.to_arrow().schema:
            known = any(other[one.name] is not None for other in alike) or not alike
            if pa.types.is_integer(one.type) and known:
                row[one.name] = 0
        return row

    def _sorting(self, keys: list[str], parts: tuple[str, ...]) -> Callable[[_Key], Any]:
        """By value; then all others together, then those without one; parts in their order."""

        def place(name: str, value: Any) -> tuple[int, Any]:
            if name == self.shape.part:
                return 0, parts.index(value)
            return (2, "") if value is None else (1, "") if value == OTHER else (0, value)

        return lambda key: [place(name, value) for name, value in zip(keys, key, strict=True)]

    def _add(self, pairs: list[tuple[_Row, Any]], result: Result) -> None:
        """The other side's figures, and the difference or the reason why there is none."""
        for row, other in pairs:
            row |= {f"{name}_before": other[name] for name in self.shape.counts}
            row["not_compared"] = self._reason(row, other, result.meta["as_of"])
            for rate in self.shape.rates:
                row[f"{rate}_before"] = other[rate]
                for end in _BOUNDS:
                    row[f"{rate}_before{end}"] = other[rate + end]
                ends = ("", *_BOUNDS)
                row.update(dict.fromkeys(f"{rate}_difference{end}" for end in ends))
                if row["not_compared"] is None and None not in {row[rate], other[rate]}:
                    gap = difference(*(_interval(one, rate) for one in (row, other)))
                    for end, bound in zip(ends, (gap.estimate, gap.low, gap.high), strict=True):
                        row[f"{rate}_difference{end}"] = float(bound)

    def _named_before(self, row: _Row) -> str | None:
        if self.before is not None:
            return _named(self.before)
        cohort = str(self.shape.cohort_of(self.asked))
        return earlier_cohort(self.compare, row["cohort"], cohort)

    def _reason(self, row: _Row, other: Mapping[str, Any], as_of: datetime | None) -> str | None:
        """Why there is no difference; none where there is one, or nothing converts."""
        shape = self.shape
        if self.before is None:
            end = period(row["cohort"], self._tz)[1].replace(tzinfo=UTC)
            if as_of is None or end > as_of:
                return f"{row['cohort']} is not over"
            if row["before"] is None:
                return "there is no such period a year earlier"
        if shape.part and row[shape.part] == shape.last:
            return None
        sides = ((row, ""), (other, " before"))
        for one, when in sides:
            if not one[shape.entered]:
                return f"nobody entered{when}"
        for one, when in sides:
            young = one[shape.entered] - one[shape.mature]
            if young:
                return f"{young:,} of {one[shape.entered]:,} too young{when}"
        return None

    def _added(self, schema: pa.Schema) -> list[pa.Field[Any]]:
        import pyarrow as pa

        names: list[pa.Field[Any]] = [pa.field("before", pa.string())]
        names += [schema.field(name).with_name(f"{name}_before") for name in self.shape.counts]
        for rate in self.shape.rates:
            for what in ("before", "difference"):
                names += [pa.field(f"{rate}_{what}{end}", pa.float64()) for end in ("", *_BOUNDS)]
        return [*names, pa.field("not_compared", pa.string())]

    def _said(self, rows: list[_Row]) -> Iterable[str]:
        """What is to bear in mind of the differences, and why some are missing."""
        yield (
            "Both sides are asked as of the same moment; a difference is this side's less the"
            " earlier one's, with Newcombe's interval, which takes the two for independent. It says"
            " that they differ, not why."
        )
        without = [row for row in rows if row["not_compared"] is not None]
        if without:
            young = sum(_is_young(row["not_compared"]) for row in without)
            yield (
                f"{len(without):,} of {len(rows):,} rows have no difference, {young:,} of them for"
                " want of time: somebody's window is not over, so more may still convert"
                " (not_compared says why)."
            )


def _interval(row: Mapping[str, Any], rate: str) -> Interval:
    return Interval(*(np.asarray(row[rate + end], np.float64) for end in ("", *_BOUNDS)))


def _is_young(reason: str) -> bool:
    return "too young" in reason or reason.endswith("is not over")


def _check_any(rows: list[_Row], shape: Shape) -> None:
    """Where time alone stands in the way of every difference, there is nothing to show."""
    reasons = [row["not_compared"] for row in rows if row["not_compared"] is not None]
    judged = [row for row in rows if row[f"{shape.rates[0]}_difference"] is not None]
    young = [reason for reason in reasons if _is_young(reason)]
    if young and not judged:
        raise Refused(
            f"nothing can be compared yet: {young[0]}, and so it is of each row that has members on"
            " both sides; the windows of the younger side are not over, and more may still"
            " convert. Ask of an earlier period, or with a shorter within="
        )


def _last_day(written: Any) -> str:
    if isinstance(written, datetime):
        return f"{written:%Y-%m-%d %H:%M}"
    return (days_of(written)[1] - timedelta(days=1)).isoformat()


def _named(period: tuple[Any, Any]) -> str:
    """A period in words."""
    first, last = (
        f"{end:%Y-%m-%d %H:%M}" if isinstance(end, datetime) else str(end) for end in period
    )
    return first if first == last else f"{first} to {last}"
