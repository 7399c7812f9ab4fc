"""Partners' share: the customers and value that partners brought, or took part in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.value import MONEY, money
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.referrals.worth import Everybody, check_most
from bowtie_projections.views.shares import standing, typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ANY", "NONE", "involvements", "partners"]

#: The customers of all partners together, each once; and all others.
ANY, NONE = "(any partner)", "(no partner)"
_SIDES = ("sourced", "influenced")


def partners(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    most: int = 20,
    horizon: str | timedelta = "365d",
    value: str = "revenue",
    currency: str | None = None,
    costs_complete: bool = True,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    data_from: Any = None,
    data_through: Any = None,
    include_truncated: bool = False,
    tz: str = "UTC",
    policy: Policy | None = None,
) -> Result:
    """Which customers partners brought, or had a part in, and what those were worth.

    A customer is *sourced* by the partner who was involved first in the role ``source``, and
    *influenced* by each who was involved in any role or is named by a paid contract: by the
    customer's commitment, not later.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the entry of a stage is.
        most: how many partners are told, those who sourced most value first.
        horizon: whole days from commitment over which value counts.
        value: ``revenue``, or ``contribution``: less the costs of onboarding and serving.
        currency: refuse all others.
        costs_complete: a customer without a cost on record had none.
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when it is complete, if not up to the moment asked of.
        include_truncated: count customers who may be older than the data.
        tz: the zone of days.
        policy: a value policy, whose horizon and value then hold.

    Returns:
        A row for each partner: the customers ``sourced``, the mature among them and their value;
        the same of those ``influenced``; each with its share of all customers, or of all value.
        What is sourced adds up over partners; what is influenced does not, for several may have a
        part in one customer. Then ``(any partner)``, each customer once, and ``(no partner)``.

    Raises:
        UsageError: a value that can't be asked.
        Refused: amounts are in several currencies; the policy is of predicted value.
    """
    check_most(most)
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition", "most"}
    }  # fmt: skip
    everybody = Everybody.of(reader, cut, definition, asked)
    members = everybody.worths.members
    found: list[dict[str, Any]] = []
    if members.cut.moment is not None:
        found = members.units.reader.fetch(_shares(everybody, members.cut)).to_pylist()
    parameters = everybody.worths.population.question.parameters()
    for name in ("top", "threshold", "backfill_gap", "strict_known", "time_zero"):
        parameters.pop(name)
    own = [row for row in found if row["partner"] is not None]
    own.sort(key=lambda row: (-row["value_sourced"], -row["sourced"], row["partner"]))
    notes = []
    if len(own) > most:
        notes.append(f"Of {len(own):,} partners, the first {most} are shown.")
    if own:
        notes.append(
            "What is influenced is no sum over partners: several may have a part in one customer."
        )
    rows = [_row(row, row["partner"], everybody) for row in own[:most]]
    if members.cut.moment is not None:
        rows += _totals(found, everybody)
    return Result(
        "partners",
        _table(rows),
        sentence=_sentence(everybody, rows, len(own)),
        notes=notes,
        sql=members.units.reader.statements,
        meta=standing(definition, parameters | {"most": most}, members.cut, members.units)
        | {"currency": everybody.currency},
    )


def involvements(known: sa.CTE, cut: Cut) -> sa.Subquery:
    """Each time a partner took part in one of the customers, by the customer's commitment.

    Columns ``customer``, ``partner``, ``position`` of the fact, ``named`` (1 where a contract names
    the partner), ``sources`` (1 where it is the one that sourced the customer) and the customer's
    ``worth`` times 365.
    """
    involved, signed = tables.facts["partner_involved"], tables.facts["contract_signed"]
    nothing, one = sa.literal_column("0", sa.Integer()), sa.literal_column("1", sa.Integer())
    source = sa.case((involved.c.role == "source", one), else_=nothing)
    said = sa.union_all(
        sa.select(*_who(involved), source.label("source"), nothing.label("named")).where(
            counts(involved, cut)
        ),
        sa.select(*_who(signed), nothing.label("source"), one.label("named")).where(
            counts(signed, cut), signed.c.kind == "paid", signed.c.partner.is_not(None)
        ),
    ).subquery("said")
    s = said.c
    place = sa.func.row_number().over(
        partition_by=s.customer, order_by=(s.source.desc(), s.occurred_at, s.position)
    )
    ranked = (
        sa.select(s.customer, s.partner, s.position, s.source, s.named, known.c.worth)
        .add_columns(place.label("place"))
        .select_from(said.join(known, known.c.customer == s.customer))
        .where(s.occurred_at <= known.c.t0)
        .subquery("ranked")
    ).c
    sources = sa.case((sa.and_(ranked.source == one, ranked.place == one), one), else_=nothing)
    return sa.select(
        ranked.customer, ranked.partner, ranked.position, ranked.named,
        sources.label("sources"), ranked.worth,
    ).subquery("involvements")  # fmt: skip


def _who(table: sa.Table) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in ("customer", "partner", "occurred_at", "position")]


def _shares(everybody: Everybody, cut: Cut) -> sa.Select[Any]:
    """By partner what they sourced and influenced; and, without a name, of all of them."""
    c = involvements(everybody.known(), cut).c
    each = [sa.func.max(c.sources).label("sourced"), sa.func.max(c.worth).label("worth")]
    pairs = sa.select(c.customer, c.partner, *each).group_by(c.customer, c.partner).cte("pairs")
    nobody = sa.cast(sa.null(), sa.String()).label("partner")
    alone = sa.select(c.customer, nobody, *each).group_by(c.customer).cte("alone")
    return sa.select(
        sa.union_all(
            sa.select(pairs.c.partner, *_sums(pairs.c)).group_by(pairs.c.partner),
            sa.select(alone.c.partner, *_sums(alone.c)).group_by(alone.c.partner),
        ).subquery("shares")
    )


def _sums(c: Any) -> list[ColumnElement[Any]]:
    nothing = sa.literal_column("0", sa.Integer())
    found: list[ColumnElement[Any]] = []
    for side, own in (("sourced", c.sourced == 1), ("influenced", sa.true())):
        judged = sa.and_(own, c.worth.is_not(None))
        number = sa.cast(sa.func.sum(sa.case((own, 1), else_=nothing)), sa.BigInteger())
        mature = sa.cast(sa.func.sum(sa.case((judged, 1), else_=nothing)), sa.BigInteger())
        worth = sa.cast(sa.func.sum(sa.case((judged, c.worth), else_=nothing)), MONEY)
        found += [number.label(side), mature.label(f"mature_{side}"), worth.label(f"value_{side}")]
    return found


def _row(found: Mapping[str, Any], name: str, everybody: Everybody) -> dict[str, Any]:
    row: dict[str, Any] = {"partner": name}
    for side in _SIDES:
        number, worth = found[side], found[f"value_{side}"]
        row |= {
            side: number,
            f"{side}_share": number / everybody.customers if everybody.customers else None,
            f"mature_{side}": found[f"mature_{side}"],
            f"value_{side}": money(worth),
            f"value_{side}_share": float(worth / everybody.worth) if everybody.worth > 0 else None,
        }
    return row


def _totals(found: Sequence[Mapping[str, Any]], everybody: Everybody) -> list[dict[str, Any]]:
    """Of any partner, and of none: together all customers."""
    names = [f"{prefix}{side}" for side in _SIDES for prefix in ("", "mature_", "value_")]
    whole = {"": everybody.customers, "mature_": everybody.mature, "value_": everybody.worth}
    some = next((row for row in found if row["partner"] is None), dict.fromkeys(names, 0))
    rest = {
        f"{prefix}{side}": whole[prefix] - some[f"{prefix}{side}"]
        for side in _SIDES
        for prefix in whole
    }
    return [_row(some, ANY, everybody), _row(rest, NONE, everybody)]


def _sentence(everybody: Everybody, rows: Sequence[Mapping[str, Any]], number: int) -> str:
    if not number:
        return f"{everybody.said()} No partner had a part in them."
    some = next(row for row in rows if row["partner"] == ANY)
    return (
        f"{everybody.said()} Partners sourced {some['sourced']:,} of them"
        f" ({some['sourced_share']:.1%}) and influenced {some['influenced']:,}"
        f" ({some['influenced_share']:.1%})."
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, Any] = {"partner": pa.string()}
    for side in _SIDES:
        kinds |= {side: pa.int64(), f"{side}_share": pa.float64(), f"mature_{side}": pa.int64()}
        kinds |= {f"value_{side}": pa.decimal128(38, 6), f"value_{side}_share": pa.float64()}
    return typed_table(rows, kinds, {})
