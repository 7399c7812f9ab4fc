"""What was known of each lead when it was looked at: from SQL to arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import first_touch
from bowtie_projections.expressions import known_since, micros_between, packed_field, packed_max
from bowtie_projections.known import Observed, called
from bowtie_projections.traits import TOUCH_TRAITS, rule_of
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.journey_source import Needs, journeys_at
from bowtie_projections.views.opportunities import open_ones
from bowtie_projections.views.stock.places import furthest, since

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COUNTS", "Known", "known", "stood_open"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAY_MICROS = 86_400_000_000
#: What leads do and what is done with them, counted: the column, and the words for it.
COUNTS = {
    "inbound": "inbound touches", "outbound": "outbound touches", "noted": "things noted",
    "impacts": "impacts sought",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """The leads that were open prospects when they were looked at, in the order of their keys.

    Args:
        customer: whose look it is, as Arrow.
        account: of each, their own key where they are of none, as Arrow.
        number: of the look, 0 for a prospect now.
        t0: when they became leads, in microseconds.
        left: how long after the look it is now, in microseconds.
        won: whether they were won in time; of a prospect now nobody knows.
        place: the number of the stage they stood in.
        days: since they became leads, entered the stage, and were heard of; NaN for never.
        counts: by the names of :data:`COUNTS`.
        amount: what their open opportunities were last valued at, as Arrow; null where no amount
            is known.
        currency: of each amount, as Arrow.
        targeted: the profile that chose them last, its version and the arm, as Arrow.
        traits: of each trait its levels, and the place of each one's level in them, -1 for none.
    """

    customer: pa.ChunkedArray[Any]
    account: pa.ChunkedArray[Any]
    number: Ints
    t0: Ints
    left: Ints
    won: NDArray[np.bool_]
    place: Ints
    days: dict[str, Floats]
    counts: dict[str, Ints]
    amount: pa.ChunkedArray[Any]
    currency: pa.ChunkedArray[Any]
    targeted: pa.ChunkedArray[Any]
    traits: dict[str, tuple[list[str], Ints]]

    @property
    def currencies(self) -> list[str]:
        """Of all amounts, in order."""
        return sorted(str(one) for one in self.currency.unique().drop_null().to_pylist())

    @property
    def now(self) -> NDArray[np.bool_]:
        """The prospects of now."""
        found: NDArray[np.bool_] = self.number == 0
        return found


def known(
    reader: Reader, cut: Cut, definition: Definition, traits: Observed, taken: sa.FromClause
) -> Known:
    """What was known of each look at an open prospect.

    Args:
        reader: the read tables, under the keys of looks.
        cut: the facts that count.
        definition: what entering a stage means.
        traits: those that may be asked.
        taken: the looks, as in :func:`~bowtie_projections.views.prospects.looks.looks`.
    """
    rows = reader.fetch(_stood(reader, cut, definition, taken))
    told = reader.fetch(_traits(cut, traits, taken))
    row_of = _rows_of(_whole(rows, "look"), _whole(told, "look"))
    days = {
        name: _float(rows, name) / _DAY_MICROS for name in ("lead_for", "in_stage", "quiet_for")
    }
    return Known(
        customer=rows.column("customer"),
        account=rows.column("account"),
        number=_whole(rows, "number"),
        t0=_whole(rows, "t0"),
        left=_whole(rows, "left_over"),
        won=_whole(rows, "won") == 1,
        place=_whole(rows, "place"),
        days=days,
        counts={name: _whole(rows, name) for name in COUNTS},
        amount=rows.column("amount"),
        currency=rows.column("currency"),
        targeted=rows.column("targeted"),
        traits=_by_name(told, row_of, len(rows)),
    )


def _stood(
    reader: Reader, cut: Cut, definition: Definition, taken: sa.FromClause
) -> sa.Select[Any]:
    """The looks at open prospects, with all that is known of them but their traits."""
    stands = stood_open(journeys_at(reader, cut, definition, Needs()), definition.lead, taken)
    beside = [
        _touches(cut), _told(cut, "noted", "noted"), _told(cut, "impact_sought", "impacts"),
        _amounts(cut), _targeted(cut),
    ]  # fmt: skip
    k, s = taken.c, stands.c
    joined = taken.join(stands, s.customer == k.key)
    for one in beside:
        joined = joined.outerjoin(one, one.c.customer == k.key)
    touched, noted, sought, valued, targeted = (one.c for one in beside)
    heard = sa.func.greatest(touched.heard, noted.heard, sought.heard)
    now = sa.literal(cut.moment, sa.DateTime())
    nobody = sa.literal_column("0", sa.Integer())
    return (
        sa.select(
            k.look, k.customer, k.account, k.number, k.won, s.place,
            micros_between(_EPOCH, k.t0).label("t0"),
            micros_between(k.at, now).label("left_over"),
            micros_between(s.lead_at, k.at).label("lead_for"),
            micros_between(s.since, k.at).label("in_stage"),
            micros_between(heard, k.at).label("quiet_for"),
            *(
                sa.func.coalesce(of[name], nobody).label(name)
                for name, of in zip(COUNTS, (touched, touched, noted, sought), strict=True)
            ),
            valued.amount,
            valued.currency,
            targeted.targeted,
        )
        .select_from(joined)
        .order_by(k.look)
    )  # fmt: skip


_EPOCH: ColumnElement[Any] = sa.literal_column("TIMESTAMP '1970-01-01'", sa.DateTime())


def stood_open(journeys: sa.FromClause, lead: str, taken: sa.FromClause) -> sa.Subquery:
    """Who was a lead, never won and not lost, with the stage they stood in.

    Args:
        journeys: of those who are looked at.
        lead: the stage that makes a lead.
        taken: the looks, with their ``key`` and ``at``.

    Returns:
        ``customer``, ``lead_at``, the number of the stage (``place``) and ``since`` when.
    """
    c, latest = journeys.c, sa.func.max
    # an end that is agreed may still lie ahead
    is_open = sa.or_(c.lost_at.is_(None), c.lost_at > taken.c.at)
    rows = (
        sa.select(
            c.customer,
            sa.func.min(c[f"{lead}_at"]).label("lead_at"),
            sa.func.count(c.commitment_at).label("wins"),
            latest(furthest(journeys)).filter(is_open).label("place"),
            latest(since(journeys)).filter(is_open).label("since"),
        )
        .select_from(journeys.join(taken, taken.c.key == c.customer))
        .group_by(c.customer)
        .subquery("stood")
    )
    r = rows.c
    asked = (r.lead_at.is_not(None), r.wins == 0, r.place.is_not(None))
    return sa.select(*r).where(*asked).subquery("open_then")


def _touches(cut: Cut) -> sa.Subquery:
    table = tables.facts["touched"]
    c = table.c
    return (
        sa.select(
            c.customer,
            *(
                sa.func.count(sa.case((c.direction == name, c.position))).label(name)
                for name in ("inbound", "outbound")
            ),
            sa.func.max(sa.case((c.direction == "inbound", c.occurred_at))).label("heard"),
        )
        .where(counts(table, cut))
        .group_by(c.customer)
        .subquery("touches_then")
    )


def _told(cut: Cut, event: str, name: str) -> sa.Subquery:
    """How many facts of an event there were, and when the last one was."""
    table = tables.facts[event]
    c = table.c
    heard = sa.func.max(c.occurred_at).label("heard")
    rows = sa.select(c.customer, sa.func.count().label(name), heard).where(counts(table, cut))
    return rows.group_by(c.customer).subquery(f"{name}_then")


def _amounts(cut: Cut) -> sa.Subquery:
    """What the open opportunities were valued at; nothing where that is in several currencies."""
    rows = open_ones(cut).subquery("valued_then")
    c = rows.c
    low, high = sa.func.min(c.currency), sa.func.max(c.currency)
    amount = sa.case((low == high, sa.func.sum(c.amount)))
    return (
        sa.select(
            c.customer,
            sa.cast(amount, MONEY).label("amount"),
            sa.case((low == high, low)).label("currency"),
        )
        .group_by(c.customer)
        .subquery("amounts_then")
    )


def _targeted(cut: Cut) -> sa.Subquery:
    """The last time a target profile chose them, or held them out."""
    table = tables.facts["targeted"]
    c = table.c
    said = c.profile + "/" + c.version + " " + c.arm
    last = packed_max(c.occurred_at, c.position, said).label("last")
    rows = sa.select(c.customer, last).where(counts(table, cut)).group_by(c.customer).subquery()
    targeted = packed_field(rows.c.last, 2, sa.String()).label("targeted")
    return sa.select(rows.c.customer, targeted).subquery("targeted_then")


def _traits(cut: Cut, traits: Observed, taken: sa.FromClause) -> sa.Select[Any]:
    """Each trait that was known of a look: ``look``, ``name``, ``value``.

    What was told last holds. A timeless trait of which nothing was told by then is what was told
    later.
    """
    k, table = taken.c, tables.facts["traits_observed"]
    c = table.c
    by_then = sa.case((known_since(c, traits.gap) <= k.known_by, 1), else_=0)
    last = packed_max(by_then, c.occurred_at, c.position, c.value).label("last")
    told = (
        sa.select(k.look, c.name, last)
        .select_from(taken.join(table, c.customer == k.key))
        .where(counts(table, cut), c.name.in_(traits.names))
        .group_by(k.look, c.name)
        .subquery("told_then")
    )
    value = packed_field(told.c.last, 3, sa.String()).label("value")
    parts = [sa.select(told.c.look, told.c.name, sa.false().label("of_touch"), value)]
    touch = first_touch(Facts(cut)).cte("touch_then").prefix_with("MATERIALIZED")
    for field in TOUCH_TRAITS:
        if rule_of(field, traits.rules).refusal is None:
            own = sa.literal_column(f"'{field}'", sa.String())
            joined = taken.join(touch, touch.c.customer == k.key)
            found = sa.select(k.look, own, sa.true(), touch.c[f"first_touch_{field}"])
            parts.append(found.select_from(joined))
    t = sa.union_all(*parts).subquery("traits_then").c
    return sa.select(t.look, t.name, t.of_touch, t.value).where(t.value.is_not(None))


def _rows_of(looks: Ints, told: Ints) -> Ints:
    """The row that each thing told is of, by the numbers of looks; -1 where there is none."""
    place: Ints = np.full(1 + max(looks.max(initial=-1), told.max(initial=-1)), -1, np.int64)
    place[looks] = np.arange(looks.size)
    return place[told]


def _by_name(told: pa.Table, at: Ints, size: int) -> dict[str, tuple[list[str], Ints]]:
    """Each trait's levels, in order, and the place of each row's level among them."""
    found: dict[str, tuple[list[str], Ints]] = {}
    names = told.column("name").combine_chunks().dictionary_encode()
    which = np.asarray(names.indices.to_numpy(), np.int64)
    of_touch = told.column("of_touch").to_numpy()
    for place, name in enumerate(names.dictionary.to_pylist()):
        for is_touch in (True, False):
            chosen = (which == place) & (of_touch == is_touch) & (at >= 0)
            if chosen.any():
                own = str(name) if is_touch else called(str(name))
                found[own] = _coded(told.column("value").filter(chosen), at[chosen], size)
    return dict(sorted(found.items()))


def _coded(values: pa.ChunkedArray[Any], at: Ints, size: int) -> tuple[list[str], Ints]:
    """The levels among some values, and by row the place of its level; -1 where there is none."""
    encoded = values.combine_chunks().dictionary_encode()
    levels = [str(level) for level in encoded.dictionary.to_pylist()]
    order = sorted(range(len(levels)), key=levels.__getitem__)
    rank = np.empty(len(levels), np.int64)
    rank[order] = np.arange(len(levels))
    codes: Ints = np.full(size, -1, np.int64)
    codes[at] = rank[encoded.indices.to_numpy()]
    return [levels[one] for one in order], codes


def _whole(rows: pa.Table, name: str) -> Ints:
    return np.asarray(rows.column(name).to_numpy(), np.int64)


def _float(rows: pa.Table, name: str) -> Floats:
    return np.asarray(rows.column(name).to_numpy(zero_copy_only=False), np.float64)
