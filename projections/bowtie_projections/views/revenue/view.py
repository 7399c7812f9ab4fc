"""Recurring revenue: what there was at the start of each period, what moved it, what was kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import dimensions
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import members_of
from bowtie_projections.views.given import currency_among, currency_code, one_of
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.revenue.levels import Levels
from bowtie_projections.views.revenue.periods import EVERY
from bowtie_projections.views.revenue.signers import signers
from bowtie_projections.views.revenue.table import Bridge
from bowtie_projections.views.revenue.words import notes, sentence
from bowtie_projections.views.shares import standing
from bowtie_projections.views.units import Units, check_unit

__all__ = ["levels_of", "revenue"]

_UNITS = ("customer", "account")


def revenue(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    every: str = "month",
    per: str = "month",
    movements: str = "net",
    changes: bool = False,
    currency: str | None = None,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    from_: Any = None,
    to: Any = None,
    top: int = 10,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """Recurring revenue at the start and the end of each period, and what moved it.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: stands in the answer; recurring revenue is that of contracts alone.
        every: the length of a period: ``month``, ``quarter`` or ``year``.
        per: what the amounts are of: a ``month`` (MRR) or a ``year`` (ARR).
        movements: ``net``: of each customer the difference from the start to the end of the
            period; ``daily``: each day's difference, which add up over periods.
        changes: tell what moved contracts too, in the part ``changes``.
        currency: count money of this currency only.
        unit: whose movements: ``customer`` or ``account``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known when the first paid contract was signed.
        from_: periods from that one on.
        to: periods up to the end of that one, inclusive.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        data_from: where the data begins.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        personal_names: traits that are sealed.

    Returns:
        A row for each period of each cell and currency: ``start``, the movements (``new``,
        ``expansion``, ``contraction``, ``churned``, ``reactivated``; what is less is negative) and
        ``end``, their exact sum; of it ``in_grace``, past its last day and not renewed yet. ``grr``
        and ``nrr`` are of ``start``, ``lost_share`` is of the customers at the start, ``grr_12m``
        and ``nrr_12m`` are of ``start_12m``, a year before the end. Rates are null while the period
        is not over, and where nothing was paid at first. The part ``changes`` has, by why contracts
        moved (``signed``, ``renewed``, the kind of a change, ``ended``), how many ``times``, and
        by how much ``more`` and ``less``: together they come to what the movements do.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    levels = levels_of(reader, cut, definition, asked)
    reader, daily = levels.members.units.reader, movements == "daily"
    nothing = levels.members.cut.moment is None
    counted = [] if nothing else reader.fetch(levels.counted(daily=daily)).to_pylist()
    bridge = Bridge(levels, counted, per=per, daily=daily)
    return Result(
        "revenue",
        bridge.table(),
        sentence=sentence(levels, bridge, per),
        notes=notes(levels, bridge, daily=daily),
        sql=reader.statements,
        meta=standing(
            definition, levels.members.question.written, levels.members.cut, levels.members.units
        ),
        parts={"changes": bridge.changes_table()} if changes else None,
    )


def levels_of(reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]) -> Levels:
    """Whose recurring revenue is told, by all parameters of :func:`revenue`."""
    given = dict(asked)
    personal_names = given.pop("personal_names")
    every = one_of("every", given["every"], tuple(EVERY))
    currency = currency_code(given["currency"])
    one_of("per", given["per"], ("month", "year"))
    one_of("movements", given["movements"], ("net", "daily"))
    check_unit(given["unit"], _UNITS)
    question = replace(ask(given), cohort_stage="commitment", include_truncated=True)
    found = dimensions(
        reader, cut, question.by, cohort_stage="commitment", personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    members = members_of(units, cut, definition, question, found, journeys_of=partial(signers, cut))
    levels = Levels(members, every, currency, with_changes=bool(given["changes"]))
    currencies = [str(one) for one in units.reader.fetch(levels.currencies()).column(0).to_pylist()]
    return replace(levels, only=currency_among(currency, currencies))
