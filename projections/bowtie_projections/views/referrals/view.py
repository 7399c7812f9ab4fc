"""Referrals: the customers and the value that each customer brought, through chains too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie.wording import counted
from bowtie_projections import tables
from bowtie_projections.results import Result
from bowtie_projections.shadowing import Links
from bowtie_projections.value import money
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.referrals.brought import Brought
from bowtie_projections.views.referrals.worth import Everybody, check_most
from bowtie_projections.views.shares import standing, typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NOBODY", "Referring", "referrals"]

#: Who was brought by nobody.
NOBODY = "nobody"


def referrals(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    most: int = 20,
    horizon: str | timedelta = "365d",
    value: str = "revenue",
    currency: str | None = None,
    costs_complete: bool = True,
    data_from: Any = None,
    data_through: Any = None,
    include_truncated: bool = False,
    look_back: str | timedelta = "90d",
    tz: str = "UTC",
    policy: Policy | None = None,
) -> Result:
    """Who brought whom, and what those were worth.

    A customer is brought by the one who referred them first, if that was no later than their own
    commitment. Chains go on from there; a referral that would close a circle counts for nothing.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the entry of a stage is.
        most: how many of those who brought others are told, those who brought most value first.
        horizon: whole days from commitment over which value counts.
        value: ``revenue``, or ``contribution``: less the costs of onboarding and serving.
        currency: refuse all others.
        costs_complete: a customer without a cost on record had none.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when it is complete, if not up to the moment asked of.
        include_truncated: count customers who may be older than the data.
        look_back: how far touches count back from a membership.
        tz: the zone of days.
        policy: a value policy, whose horizon and value then hold.

    Returns:
        A row for each customer who referred anybody: their ``referrals``, how many prospects they
        ``brought``, of these the ``customers``, the ``mature``, and the ``value`` of those; the
        same ``chain_customers`` and ``chain_value`` of all whom these brought in turn, and so on;
        and the ``rewards`` paid. The part ``depth``: all customers by how many referrals lie before
        them, which part the whole.

    Raises:
        UsageError: a value that can't be asked.
        Refused: amounts are in several currencies; the policy is of predicted value.
    """
    check_most(most)
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    answer = Referring.asked(reader, cut, definition, asked)
    everybody, members = answer.everybody, answer.everybody.worths.members
    parameters = everybody.worths.population.question.parameters()
    for name in ("top", "threshold", "backfill_gap", "strict_known", "unit", "time_zero"):
        parameters.pop(name)
    return Result(
        "referrals",
        _table(answer.rows()[:most]),
        sentence=answer.sentence(),
        notes=answer.notes(most),
        sql=members.units.reader.statements,
        meta=standing(definition, parameters | {"most": most}, members.cut, members.units)
        | {"currency": everybody.currency},
        parts={"depth": _depths(answer.depths())},
    )


@dataclass(frozen=True, slots=True)
class _One:
    """One who was referred and is a customer: when since, and what they were worth times 365."""

    t0: Any
    worth: Decimal | None


class Referring:
    """Who referred whom.

    Args:
        everybody: all customers.
        said: the referrals, in the order they happened.
        came: those referred who are customers.
    """

    def __init__(
        self, everybody: Everybody, said: Sequence[Mapping[str, Any]], came: Mapping[str, _One]
    ) -> None:
        self.everybody, self.said, self.came = everybody, said, came
        self.brought = Brought.of(said, {key: one.t0 for key, one in came.items()})

    @classmethod
    def asked(
        cls, reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]
    ) -> Referring:
        """Those of a question, by all parameters of :func:`referrals`.

        Raises:
            UsageError: a value that can't be asked.
            Refused: amounts are in several currencies.
        """
        own = {name: given for name, given in asked.items() if name != "most"}
        everybody = Everybody.of(reader, cut, definition, own | {"unit": "customer"})
        nobody = everybody.worths.members.cut.moment is None
        return cls(everybody, [], {}) if nobody else cls._of(everybody)

    @classmethod
    def _of(cls, everybody: Everybody) -> Referring:
        members = everybody.worths.members
        reader, cut = members.units.reader, members.cut
        said = reader.fetch(_referrals(reader, cut)).to_pylist()
        known = everybody.known()
        keys = _keys(reader, cut).subquery("keys_referred")
        rows = reader.fetch(
            sa.select(known.c.customer, known.c.t0, known.c.worth)
            .where(known.c.customer.in_(sa.select(keys.c.referred)))
            .order_by(known.c.customer)
        ).to_pylist()
        used = {one["currency"] for one in said if one["reward"] is not None}
        used |= {everybody.currency} - {None}
        if len(used) > 1:
            refuse_currencies(sorted(used), everybody.worths.population.question.currency)
        return cls(
            everybody, said, {row["customer"]: _One(row["t0"], row["worth"]) for row in rows}
        )

    def rows(self) -> list[dict[str, Any]]:
        """Those who referred anybody, who brought most value first."""
        found: dict[str, dict[str, Any]] = {}
        for one in self.said:
            row = found.setdefault(one["customer"], dict.fromkeys(_SUMS, 0))
            row["referrals"] += 1
            row["rewards"] += one["reward"] or 0
        for key, referrer in self.brought.by.items():
            came = self.came.get(key)
            found[referrer]["brought"] += 1
            _add(found[referrer], came, "")
            for above in self.brought.above(key):
                _add(found[above], came, "chain_")
        rows = [{"customer": key} | row for key, row in found.items()]
        rows.sort(
            key=lambda row: (-row["value"], -row["chain_value"], -row["customers"], row["customer"])
        )
        for row in rows:
            row |= {name: money(row[name]) for name in ("value", "chain_value")}
        return rows

    def brought_under(self, referrer: str, *, chain: bool) -> dict[str, int]:
        """Whom one brought, customers or not yet, each with the position that told so.

        Args:
            referrer: who brought them.
            chain: all whom these brought in turn, too.
        """
        if not chain:
            own = [key for key, by in self.brought.by.items() if by == referrer]
        else:
            own = [key for key in self.brought.by if referrer in self.brought.above(key)]
        return {key: self.brought.told[key] for key in own}

    def depths(self) -> list[dict[str, Any]]:
        """All customers, by how many referrals lie before them."""
        found: dict[int, dict[str, Any]] = defaultdict(
            lambda: {"customers": 0, "mature": 0, "value": 0}
        )
        for key, came in self.came.items():
            if above := len(self.brought.above(key)):
                _add(found[above], came, "")
        whole = {"customers": self.everybody.customers, "mature": self.everybody.mature}
        whole["value"] = self.everybody.worth
        for row in list(found.values()):
            whole = {name: whole[name] - row[name] for name in whole}
        return [
            {
                "referrals_before": NOBODY if depth is None else str(depth),
                "customers": row["customers"],
                "customers_share": _share(row["customers"], self.everybody.customers),
                "mature": row["mature"],
                "value": money(row["value"]),
                "value_share": _share(row["value"], self.everybody.worth),
                "value_mean": money(row["value"] / row["mature"]) if row["mature"] else None,
            }
            for depth, row in [(None, whole), *sorted(found.items())]
        ]

    def sentence(self) -> str:
        """Who is counted, and how many were brought."""
        whole = self.everybody
        customers = [one for key, one in self.came.items() if key in self.brought.by]
        if not self.said:
            return f"{whole.said()} No referral is on record."
        brought = counted(len(customers), "customer")
        share = _share(len(customers), whole.customers)
        worth = _share(sum((one.worth or 0 for one in customers), Decimal(0)), whole.worth)
        told = "" if share is None else f", {share:.1%} of all"
        told += "" if worth is None else f" with {worth:.1%} of the value"
        return f"{whole.said()} {brought} came by the referral of another{told}."

    def notes(self, most: int) -> list[str]:
        """What to know before believing the figures."""
        found = self.brought
        notes = [
            f"{counted(number, 'referral')} {words}"
            for number, words in zip(
                (found.unnamed, found.late, found.again, found.circular), _NOTHING, strict=True
            )
            if number
        ]
        if (referrers := len({one["customer"] for one in self.said})) > most:
            notes.append(f"Of {referrers:,} who referred others, the first {most} are shown.")
        return notes


#: Why a referral brings nobody.
_NOTHING = (
    "without the name of who came (referred is empty): counted as said, but nobody was brought.",
    "of somebody who was a customer already: nobody was brought.",
    "of somebody who had been referred before: the first one counts.",
    "of oneself, or closing a circle: nobody was brought.",
)
_SUMS = (
    "referrals", "brought", "customers", "mature", "value", "chain_customers", "chain_mature",
    "chain_value", "rewards",
)  # fmt: skip


def _add(row: dict[str, Any], came: _One | None, prefix: str) -> None:
    if came is None:
        return
    row[f"{prefix}customers"] += 1
    if came.worth is not None:
        row[f"{prefix}mature"] += 1
        row[f"{prefix}value"] += came.worth


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole > 0 else None


def _keys(reader: Reader, cut: Cut) -> sa.Select[Any]:
    """Each referral, with the key of who came as it counts now."""
    table = tables.facts["referred"]
    c = table.c
    came: sa.ColumnElement[Any] = c.referred
    joined: sa.FromClause = table
    if reader.has_links:
        links = Links(cut.position).links.subquery("links_of_referred")
        joined = table.outerjoin(links, links.c.customer == c.referred)
        came = sa.func.coalesce(links.c.canonical, c.referred)
    columns = (c.customer, c.occurred_at, c.position, c.reward, c.currency)
    return sa.select(*columns, came.label("referred")).select_from(joined).where(counts(table, cut))


def _referrals(reader: Reader, cut: Cut) -> sa.Select[Any]:
    said = _keys(reader, cut).subquery("said")
    return sa.select(said).order_by(said.c.occurred_at, said.c.position)


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    money_type = pa.decimal128(38, 6)
    kinds: dict[str, Any] = {"customer": pa.string()}
    for name in _SUMS:
        kinds[name] = money_type if name in {"value", "chain_value", "rewards"} else pa.int64()
    return typed_table(rows, kinds, {})


def _depths(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    money_type = pa.decimal128(38, 6)
    kinds = {
        "referrals_before": pa.string(), "customers": pa.int64(), "customers_share": pa.float64(),
        "mature": pa.int64(), "value": money_type, "value_share": pa.float64(),
        "value_mean": money_type,
    }  # fmt: skip
    return typed_table(rows, kinds, {})
