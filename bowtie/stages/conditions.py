"""One condition of a stage, read from its table and checked against the catalogue."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Literal, cast

from bowtie.durations import parse_duration
from bowtie.errors import UsageError
from bowtie.events import CATALOGUE, Event, personal_fields
from bowtie.fields import Stage
from bowtie.stages.definition import (
    STAGES,
    Comparison,
    Condition,
    DayTotal,
    Kind,
    Operator,
    Value,
    Within,
)
from bowtie.stages.document import Document
from bowtie.stages.fields import decimal_of, field_kind, near, value_of
from bowtie.stages.lines import Path

__all__ = ["read_condition"]

_KEYS = (
    "event",
    "where",
    "rises",
    "falls",
    "day_total",
    "nth",
    "counted_by",
    "each",
    "after",
    "within",
    "milestone",
)
_ORDERINGS = ("gt", "ge", "lt", "le")
_OPERATORS = (*_ORDERINGS, "ne")
#: Events whose fields are compared with the last value of the same contract.
_MOVING = ("contract_changed", "contract_renewed")
_MOVING_FIELDS = ("amount", "list_amount")


def read_condition(
    document: Document, path: Path, table: object, personal_names: Collection[str]
) -> Condition:
    """The condition of one ``[[stages.NAME]]`` table."""
    keys = document.table(path, table, '[[stages.awareness]] and under it event = "touched"')
    document.known_keys(path, keys, _KEYS)
    return _Reader(document, path, keys, personal_names).condition()


class _Reader:
    def __init__(
        self,
        document: Document,
        path: Path,
        keys: dict[str, Any],
        personal_names: Collection[str],
    ) -> None:
        self.document, self.path, self.keys = document, path, keys
        self.personal_names = {name.lower() for name in personal_names}
        self.model = self._event()

    def condition(self) -> Condition:
        """The condition, checked."""
        return Condition(
            event=self.model.type_name,
            where=self._where(),
            rises=self._moving("rises"),
            falls=self._moving("falls"),
            day_total=self._day_total(),
            nth=self._nth(),
            counted_by=self._counted_by(),
            each=self._each(),
            after=self._stage("after", (*self.path, "after"), self.keys.get("after")),
            within=self._within(),
            milestone=self._milestone(),
            line=self.document.lines.get(self.path),
        )

    def _event(self) -> type[Event]:
        known = [n for n, model in CATALOGUE.items() if model.stream_kind == "customer"]
        path = (*self.path, "event")
        name = self.keys.get("event")
        if name is None:
            self.document.fail(self.path, 'a condition without an event: write event = "touched"')
        if isinstance(name, str) and name in CATALOGUE and name not in known:
            kind = CATALOGUE[name].stream_kind
            self.document.fail(
                path, f'"{name}" belongs to a stream of kind {kind}, not to a customer'
            )
        if not isinstance(name, str) or name not in known:
            self.document.fail(path, f'unknown event "{name}": {near(str(name), known)}')
        return CATALOGUE[name]

    def _kind(self, field: str, path: Path) -> tuple[Kind, tuple[str, ...]]:
        """The kind of a field that may be asked for; dotted: of a value inside a map."""
        name, dot, key = field.partition(".")
        event = self.model.type_name
        if name not in self.model.model_fields:
            fields = list(self.model.model_fields)
            hint = near(name, fields) if fields else "it has no fields"
            self.document.fail(path, f'{event} has no field "{name}": {hint}')
        if name in personal_fields(self.model):
            self.document.fail(
                path, f'"{name}" is personal: it is sealed, so no condition can depend on it'
            )
        kind, literals = field_kind(self.model, name)
        if (kind == "map") != bool(dot and key):
            hint = f'"{name}.plan"' if kind == "map" else f'"{name}" alone'
            self.document.fail(
                path,
                f'"{field}" names no value, because "{name}" is'
                f" {'a map' if kind == 'map' else 'no map'}: write {hint}",
            )
        if key.lower() in self.personal_names:
            self.document.fail(
                path, f'"{key}" is a personal name: it is sealed, so no condition can depend on it'
            )
        return kind, literals

    def _where(self) -> tuple[Comparison, ...]:
        path = (*self.path, "where")
        table = self.document.table(
            path, self.keys.get("where", {}), 'where = { direction = "inbound" }'
        )
        comparisons: list[Comparison] = []
        for field, wanted in table.items():
            nested = (
                field in self.model.model_fields
                and field_kind(self.model, field)[0] == "map"
                and isinstance(wanted, dict)
            )
            # properties.plan = "x" without quotes is a table in a table to TOML
            for key, value in wanted.items() if nested else [("", wanted)]:
                place = (*path, field, key) if nested else (*path, field)
                comparisons += self._compare(f"{field}.{key}" if nested else field, value, place)
        return tuple(comparisons)

    def _compare(self, field: str, wanted: object, path: Path) -> list[Comparison]:
        kind, literals = self._kind(field, path)
        if not isinstance(wanted, dict):
            given = wanted if isinstance(wanted, list) else [wanted]
            if not given:
                self.document.fail(path, f'"{field}" is compared with an empty list: name a value')
            values = tuple(self._value(v, kind, field, literals, path) for v in given)
            return [Comparison(field, "in", values, kind)]
        if not wanted:
            self.document.fail(path, f'"{field}" has no comparison: write {{ gt = 0 }}')
        self.document.known_keys(path, wanted, _OPERATORS)
        found = []
        for op, given in wanted.items():
            place = (*path, op)
            value = self._value(given, kind, field, literals, place)
            self._check_ordering(op, field, kind, value, place)
            found.append(Comparison(field, cast(Operator, op), (value,), kind))
        return found

    def _value(
        self, given: object, kind: Kind, field: str, literals: tuple[str, ...], path: Path
    ) -> Value:
        try:
            return value_of(given, kind, field, literals)
        except ValueError as error:
            self.document.fail(path, str(error))

    def _check_ordering(self, op: str, field: str, kind: Kind, value: Value, path: Path) -> None:
        numeric = isinstance(value, Decimal) if kind == "map" else kind not in ("text", "flag")
        if op in _ORDERINGS and not numeric:
            what = "a number" if kind == "map" else "numbers and days"
            self.document.fail(
                path, f'"{op}" compares {what}: for "{field}" write a value, a list, or ne'
            )

    def _moving(self, key: str) -> str | None:
        field = self.keys.get(key)
        if field is None:
            return None
        path = (*self.path, key)
        if self.model.type_name not in _MOVING:
            self.document.fail(
                path, f'"{key}" compares a contract with its past: use it on {" or ".join(_MOVING)}'
            )
        if "rises" in self.keys and "falls" in self.keys:
            self.document.fail(path, '"rises" and "falls" exclude each other: keep one')
        return self.document.choice(path, field, _MOVING_FIELDS)

    def _day_total(self) -> DayTotal | None:
        given = self.keys.get("day_total")
        if given is None:
            return None
        path = (*self.path, "day_total")
        shape = 'day_total = { field = "amount", gt = "0" }'
        table = self.document.table(path, given, shape)
        self.document.known_keys(path, table, ("field", *_ORDERINGS))
        field, ops = table.get("field"), [op for op in _ORDERINGS if op in table]
        if not isinstance(field, str) or len(ops) != 1:
            self.document.fail(path, f"a total needs a field and one comparison: write {shape}")
        kind, _ = self._kind(field, (*path, "field"))
        if kind != "decimal":
            self.document.fail((*path, "field"), f'"{field}" is no number that adds up')
        try:
            value = decimal_of(table[ops[0]], field)
        except ValueError as error:
            self.document.fail((*path, ops[0]), str(error))
        return DayTotal(field, cast(Operator, ops[0]), value)

    def _nth(self) -> int:
        nth = self.keys.get("nth", 1)
        if not isinstance(nth, int) or isinstance(nth, bool) or nth < 1:
            self.document.fail((*self.path, "nth"), '"nth" is a whole number from 1: write nth = 2')
        for key in ("counted_by", "each"):
            if key in self.keys and nth == 1:
                self.document.fail(
                    (*self.path, key), f'"{key}" says what nth counts: write nth = 2 or more too'
                )
        return nth

    def _counted_by(self) -> Literal["event", "day", "quarter"]:
        given = self.keys.get("counted_by", "event")
        found = self.document.choice((*self.path, "counted_by"), given, ("event", "day", "quarter"))
        return cast('Literal["event", "day", "quarter"]', found)

    def _each(self) -> str | None:
        field = self.keys.get("each")
        if field is None:
            return None
        path = (*self.path, "each")
        if not isinstance(field, str):
            self.document.fail(path, '"each" names a field: write each = "metric"')
        self._kind(field, path)
        return field

    def _stage(self, key: str, path: Path, given: object) -> Stage | None:
        if given is None:
            return None
        if isinstance(given, str) and given not in STAGES:
            self.document.fail(path, f'"{key}" names no stage: {near(given, STAGES)}')
        return cast(Stage, self.document.choice(path, given, STAGES))

    def _milestone(self) -> str | None:
        given = self.keys.get("milestone")
        if given is not None and (not isinstance(given, str) or not given):
            path = (*self.path, "milestone")
            self.document.fail(path, '"milestone" is a name: write milestone = "sal"')
        return given

    def _within(self) -> Within | None:
        given = self.keys.get("within")
        if given is None:
            return None
        path = (*self.path, "within")
        shape = 'within = { of = "education", time = "30d" }'
        table = self.document.table(path, given, shape)
        self.document.known_keys(path, table, ("of", "time"))
        of = self._stage("of", (*path, "of"), table.get("of"))
        if of is None or "time" not in table:
            self.document.fail(path, f'"within" needs a stage and a time: write {shape}')
        try:
            return Within(of, parse_duration(str(table["time"])))
        except UsageError as error:
            self.document.fail((*path, "time"), f'"time": {error}')
