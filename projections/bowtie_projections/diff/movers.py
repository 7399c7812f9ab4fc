"""The events behind a difference: those that count on one side alone, of the customers who moved.

An event is read by the rules of a stage, by those of a loss, by a breakdown, or because it says
whose other events are. One that is read on one side alone has moved the customer where what it is
read for came out otherwise: the entries of that stage, the losses, the value. Why it is read there
alone is said too: it was recorded late, or retracted; a link gave it to another customer; it
happened between the two moments; or only one of the two definitions has a rule for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.stages import STAGES
from bowtie_projections import tables
from bowtie_projections.diff.reads import Counted, passed, read
from bowtie_projections.diff.sides import Side
from bowtie_projections.views.cut import Reader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["movers"]

_COLUMNS = (
    "position", "type", "occurred_at", "recorded_at", "retracted_position", "source", "id",
    "causation_id",
)  # fmt: skip
#: Positions that are named in one statement.
_AT_ONCE = 2_000

_Row = dict[str, Any]


def movers(sides: tuple[Side, Side], customers: Collection[str]) -> pa.Table:
    """The events that moved some customers from one side to the other.

    Args:
        sides: before and after.
        customers: who moved; the keys of whatever unit is counted.

    Returns:
        By customer and position: ``customer``, ``position``, ``event``, ``occurred_at``,
        ``recorded_at``, ``source``, ``id``, ``counts_for`` (what reads it) and ``why``.
    """
    import pyarrow as pa

    rows = sorted(_rows(sides, customers), key=lambda row: (row["customer"], row["position"]))
    times = pa.timestamp("us")
    kinds = {"position": pa.int64(), "occurred_at": times, "recorded_at": times}
    names = (
        "customer", "position", "event", "occurred_at", "recorded_at", "source", "id",
        "counts_for", "why",
    )  # fmt: skip
    schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in names])
    return pa.Table.from_pylist(rows, schema=schema)


def _rows(sides: tuple[Side, Side], customers: Collection[str]) -> Iterator[_Row]:
    if not customers:
        return
    reads = [read(side, customers) for side in sides]
    ways = [passed(side, customers) for side in sides]
    links = _links(sides, customers)
    moved = {}
    for place in {*reads[0], *reads[1]}:
        apart = reads[0].get(place, frozenset()) ^ reads[1].get(place, frozenset())
        before, after = (one[place[0]] for one in ways)
        if uses := [use for use in apart if before.differs(after, use)]:
            moved[place] = sorted(uses, key=_order)
    known = _events(sides[0].reader, {position for _, position in {*moved, *links}})
    everywhere = [{position for _, position in one} for one in reads]
    for (customer, position), uses in moved.items():
        here = [(customer, position) in one for one in reads]
        anywhere = all(position in one for one in everywhere)
        why = _why(known[position], sides, here, anywhere=anywhere)
        yield _told(customer, known[position], uses, why)
    for customer, position in links:
        why = "linked" if known[position]["type"] == "identity_linked" else "unlinked"
        yield _told(customer, known[position], ["identity"], why)


def _told(customer: str, event: _Row, uses: Sequence[str], why: str) -> _Row:
    own = ("position", "occurred_at", "recorded_at", "source", "id")
    return {
        "customer": customer,
        "event": event["type"],
        **{name: event[name] for name in own},
        "counts_for": ", ".join(uses),
        "why": why,
    }


def _order(use: str) -> tuple[int, str]:
    return (STAGES.index(use) if use in STAGES else len(STAGES), use)


def _why(event: _Row, sides: tuple[Side, Side], here: Sequence[bool], *, anywhere: bool) -> str:
    """Why an event counts otherwise on the two sides.

    Args:
        event: as the log has it.
        sides: before and after.
        here: on which sides it is read for this customer.
        anywhere: whether it is read on both, for this customer or another.
    """
    on_both = [_counts(event, side) for side in sides]
    if all(on_both):
        if here[0] != here[1] and anywhere:
            return "counts for another customer"
        if sides[0].definition == sides[1].definition:
            return "by other events"
        if here[0] and here[1]:
            return f"read otherwise by {sides[1].definition.label}"
        return f"read by {sides[0 if here[0] else 1].definition.label} alone"
    # told from the side on which it counts
    own, other = sides if on_both[0] else (sides[1], sides[0])
    later = own is sides[1]
    if event["position"] > other.cut.position:
        return _recorded(event, other) if later else "not yet recorded"
    retracted = event["retracted_position"]
    if retracted is not None and retracted <= other.cut.position:
        return "not yet retracted" if later else "retracted"
    return "happened since" if later else "not yet happened"


def _recorded(event: _Row, before: Side) -> str:
    """How an event came that the side before did not know."""
    if event["causation_id"] == f"{event['id']}.r":
        return "corrected"
    moment = before.settled.moment
    return "recorded late" if moment and event["occurred_at"] <= moment else "new"


def _counts(event: _Row, side: Side) -> bool:
    """Whether an event counts on a side, whoever reads it."""
    retracted, moment = event["retracted_position"], side.settled.moment
    return bool(
        event["position"] <= side.cut.position
        and (retracted is None or retracted > side.cut.position)
        and (moment is None or event["occurred_at"] <= moment)
    )


def _links(sides: tuple[Side, Side], customers: Collection[str]) -> set[Counted]:
    """The words on links between the two positions, for the customers whose keys they joined."""
    low, high = sorted(side.cut.position for side in sides)
    reader, c = sides[0].reader, tables.identities.c
    if low == high or not reader.has_links:
        return set()
    found = set()
    for place in (c.from_position, c.to_position):
        asked = sa.select(c.customer, c.canonical, place.label("position"))
        asked = asked.where(place > low, place <= high).distinct()
        for row in reader.fetch(asked).to_pylist():
            found |= {(row[key], row["position"]) for key in ("customer", "canonical")}
    wanted = set(customers)
    return {(customer, position) for customer, position in found if customer in wanted}


def _events(reader: Reader, positions: Collection[int]) -> Mapping[int, _Row]:
    """The events at some positions, as the log has them."""
    table, wanted = tables.events, sorted(positions)
    found: dict[int, _Row] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        asked = sa.select(*(table.c[name] for name in _COLUMNS)).where(table.c.position.in_(some))
        found |= {row["position"]: row for row in reader.fetch(asked).to_pylist()}
    return found
