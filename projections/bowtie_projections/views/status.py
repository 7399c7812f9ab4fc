"""The status: what is in the log, as the read tables know it, and what can be asked of it."""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.durations import format_duration
from bowtie.errors import Refused, UsageError
from bowtie.stages import Definition
from bowtie.times import zone
from bowtie_projections import tables
from bowtie_projections.localtime import local_day
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.scope import scope_of
from bowtie_projections.skipping import skipped_count
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.journey_source import Needs, journeys_at, settled
from bowtie_projections.views.status_counts import log_counts
from bowtie_projections.views.units import UNITS, Units, check_look_back, check_unit, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COVERED", "month_of", "status"]

#: What a customer's worth and traits are read from, and the tables that hold it.
COVERED = {
    "touches": ("touched",),
    "traits": ("traits_observed",),
    "costs": ("cost_incurred",),
    "contracts": ("contract_signed",),
    "orders": ("order_placed",),
    "invoices": ("invoiced",),
}
_VALUES = ("contract_signed", "order_placed", "invoiced")


def status(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    tz: str = "UTC",
) -> Result:
    """What is in the log up to the cut's position.

    Args:
        reader: the read tables.
        cut: only its position counts.
        definition: the one stages are read by.
        unit: of what the coverage is said: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        tz: the zone of days and months.

    Returns:
        A row for each type of event; the parts ``sources``, ``months``, ``coverage``, ``units``
        (how many there are of each, or what is missing to count them), ``tables`` (their rows as
        they stand, at ``tables_position``) and ``views`` (which can be answered at the cut by the
        definition, and what is missing for the rest).
    """
    cut, raw, span = Cut(cut.position), reader, check_look_back(look_back)
    here = zone(tz)
    units = Units.of(reader, cut, _unit(unit), span)
    reader = Units.of(reader, cut, "customer").reader
    counted = log_counts(reader, cut, tz)
    overview, types = counted.total, counted.types
    entered = _entered(reader, cut, definition)
    numbers = {"customer": overview["customers"]} | _numbers(raw, cut, span)
    numbers["cycle"] = entered["opened"]
    parts = {
        "sources": counted.sources,
        "months": counted.months,
        "coverage": _coverage(units, cut, numbers[unit] or 0),
        "units": _units(numbers),
        "tables": reader.fetch(_sizes()),
        "views": _answerable(reader, cut, entered, types),
    }
    return Result(
        "status",
        types,
        sentence=_sentence(overview, numbers, reader, cut, here),
        notes=_notes(overview),
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "parameters": {"unit": unit, "look_back": format_duration(span), "tz": tz},
            "position": cut.position,
            "as_of": None,
            "known_at": None,
            **{plural(name): number for name, number in numbers.items()},
            "events": overview["events"],
            "first_at": overview["first_at"],
            "last_at": overview["last_at"],
            "out_of_sequence": overview["out_of_sequence"],
            "skipped": skipped_count(reader),
            "tables_position": reader.position,
            "tables_definition": reader.definition,
        },
        parts=parts,
    )


def month_of(tz: str) -> sa.ColumnElement[Any]:
    """The month in which an event happened, such as 2026-03."""
    day = sa.cast(local_day(tables.events.c.occurred_at, tz), sa.String())
    return sa.func.substr(day, 1, 7)


def _unit(value: object) -> str:
    if value == "cycle":
        raise UsageError(
            "a fact is a customer's, whichever cycle it falls into: ask the status with"
            ' unit="customer", account or opportunity'
        )
    return check_unit(value, UNITS[:-1])


def _numbers(reader: Reader, cut: Cut, look_back: timedelta) -> dict[str, int | None]:
    """How many accounts and opportunities there are; None where none are told of."""
    numbers: dict[str, int | None] = {}
    for name in UNITS[1:-1]:
        try:
            units = Units.of(reader, cut, name, look_back)
        except Refused:
            numbers[name] = None
        else:
            number = _number_of(units, cut, narrowed=scope_of(reader) is not None)
            numbers[name] = int(units.reader.fetch(number).column(0)[0].as_py())
    return numbers


def _number_of(units: Units, cut: Cut, *, narrowed: bool) -> sa.Select[Any]:
    """How many units there are."""
    if units.accounts is not None and not narrowed:
        # whose each is tells it in less time than the events of each
        return sa.select(sa.func.count()).select_from(units.accounts)
    c = tables.events.c
    key = sa.case((c.kind == "customer", c.subject))
    return sa.select(sa.func.count(key.distinct())).where(c.position <= cut.position)


def _units(numbers: dict[str, int | None]) -> pa.Table:
    import pyarrow as pa

    missing = {"account": "memberships", "opportunity": "events that name an opportunity"}
    return pa.table(
        {
            "unit": pa.array(UNITS, pa.string()),
            "number": pa.array([numbers[name] for name in UNITS], pa.int64()),
            "missing": pa.array(
                [missing[name] if numbers[name] is None else None for name in UNITS], pa.string()
            ),
        }
    )


def _coverage(units: Units, cut: Cut, number: int) -> pa.Table:
    """How many units have at least one fact of a kind, and their share."""
    branches = []
    for place, (what, names) in enumerate(COVERED.items()):
        (table,) = (tables.facts[name] for name in names)
        branches.append(
            sa.select(
                sa.literal_column(str(place), sa.Integer()).label("place"),
                sa.literal_column(f"'{what}'", sa.String()).label("what"),
                sa.func.count(table.c.customer.distinct()).label("customers"),
            ).where(counts(table, cut))
        )
    rows = sa.union_all(*branches).subquery("covered")
    share = sa.cast(rows.c.customers, sa.Double()) / sa.literal_column(str(max(number, 1)))
    return units.reader.fetch(
        sa.select(
            rows.c.what,
            rows.c.customers.label(plural(units.name)),
            sa.literal_column(str(number), sa.BigInteger()).label("of"),
            share.label("coverage"),
        ).order_by(rows.c.place)
    )


def _sizes() -> sa.Select[Any]:
    """The tables that hold any row."""
    branches = [
        sa.select(
            sa.literal_column(f"'{table.name}'", sa.String()).label("table"),
            sa.func.count().label("rows"),
        ).select_from(table)
        for table in tables.metadata.sorted_tables
        if table is not tables.position_table
    ]
    sizes = sa.union_all(*branches).subquery("sizes")
    return sa.select(sizes).where(sizes.c.rows > 0).order_by(sizes.c.table)


def _entered(reader: Reader, cut: Cut, definition: Definition) -> dict[str, int]:
    """How many cycles have opened at the cut by the definition, and how many have committed."""
    journeys = journeys_at(reader, settled(reader, cut), definition, Needs())
    found: dict[str, int] = reader.fetch(
        sa.select(
            sa.func.count(journeys.c.opened_at).label("opened"),
            sa.func.count(journeys.c.commitment_at).label("committed"),
        )
    ).to_pylist()[0]
    return found


def _answerable(reader: Reader, cut: Cut, entered: dict[str, int], types: pa.Table) -> pa.Table:
    import pyarrow as pa

    # a type whose every fact is retracted gives a view nothing
    held = {row["type"] for row in types.to_pylist() if row["events"] > row["retracted"]}
    missing: dict[str, list[str]] = {"funnel": [], "stock": [], "loop": []}
    if not entered["opened"]:
        missing["funnel"] = missing["stock"] = ["an event that enters a stage by the definition"]
    if not entered["committed"]:
        missing["loop"].append("commitments")
    if not held & set(_VALUES):
        missing["loop"].append("values (contracts, orders or invoices)")
    if not held & {"traits_observed", "touched"}:
        missing["loop"].append("traits or touches")
    missing["loop sources"] = [*missing["loop"]]
    if "spend_recorded" not in held and not _costed_touches(reader, cut):
        missing["loop sources"].append("spend (spend_recorded, or the cost of touches)")
    return pa.table(
        {
            "view": pa.array(list(missing), pa.string()),
            "answerable": pa.array([not wanting for wanting in missing.values()], pa.bool_()),
            "missing": pa.array(
                [", ".join(wanting) or None for wanting in missing.values()], pa.string()
            ),
        }
    )


def _costed_touches(reader: Reader, cut: Cut) -> bool:
    table = tables.facts["touched"]
    number = sa.select(sa.func.count(table.c.cost)).where(counts(table, cut))
    return bool(reader.fetch(number).column(0)[0].as_py())


def _sentence(
    overview: dict[str, Any],
    numbers: dict[str, int | None],
    reader: Reader,
    cut: Cut,
    here: tzinfo,
) -> str:
    if not overview["events"]:
        return "The log is empty."
    first, last = (
        overview[name].replace(tzinfo=UTC).astimezone(here) for name in ("first_at", "last_at")
    )
    counted = [
        f"{number:,} {name if number == 1 else plural(name)}"
        for name, number in numbers.items()
        if number is not None and name != "cycle"
    ]
    return (
        f"{', '.join(counted)} and {overview['events']:,} events from"
        f" {first:%Y-%m-%d} to {last:%Y-%m-%d}, up to position"
        f" {cut.position:,}; the tables stand at {reader.position:,} and follow"
        f" {reader.definition}."
    )


def _notes(overview: dict[str, Any]) -> list[str]:
    notes = []
    if overview["out_of_sequence"]:
        notes.append(
            f"{overview['out_of_sequence']:,} events came out of sequence: they count, and are"
            " marked."
        )
    if overview["retracted"]:
        notes.append(f"{overview['retracted']:,} events were retracted and don't count in views.")
    return notes
