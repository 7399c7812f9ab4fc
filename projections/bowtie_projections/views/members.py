"""Who belongs to something, by their keys: a tier of value, an arm of a profile, the lost.

No figures: what goes on from here is a list of people, such as an audience.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bowtie.audiences.contacts import WITHDRAWN
from bowtie.errors import Refused, UnknownName, UsageError
from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.published import published
from bowtie_projections.results import Result
from bowtie_projections.segments import everybody
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.given import one_of
from bowtie_projections.views.journey_source import Needs, journeys_at, settled
from bowtie_projections.views.loop.question import ask
from bowtie_projections.views.shares import standing
from bowtie_projections.views.units import Units
from bowtie_projections.views.value.view import asked_of, worths_of
from bowtie_projections.views.value.view import value as value_view

__all__ = ["OF", "members"]

#: Of what one can be a member.
OF = ("everybody", "customers", "lost", "tier", "profile", "held_out", "withdrew")
_HIGH = "high"


def members(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    of: str = "everybody",
    tier: str | None = None,
    profile: str | None = None,
    horizon: str | timedelta = "365d",
    top: float | Decimal | str = 0.2,
    threshold: Decimal | int | str | None = None,
    value: str = "revenue",
    costs_complete: bool = False,
    currency: str | None = None,
    policy: Policy | None = None,
) -> Result:
    """The customers who belong to something, by their keys.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the entry of a stage is.
        of: ``everybody`` of whom anything is known; ``customers``: who has committed in a cycle
            that is not lost; ``lost``: whose last cycle is; ``tier``: of value; ``profile``: whom
            it targets; ``held_out``: whom it holds out, or whom any profile does if none is named;
            ``withdrew``: who ever withdrew consent, for anything, whatever they said later.
        tier: the name of one, as the view ``value`` tells them, or ``high``.
        profile: of one that was published, of all its versions or, as ``lookalike/1``, of one.
        horizon, top, threshold, value, costs_complete, currency, policy: what value is, as in the
            view ``value``; only the mature have one.

    Returns:
        A row for each, with the column ``customer``: the key that stands for all that are linked.
        Who was assigned to both arms, under keys that were linked later, is held out.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: there is no such tier or profile.
        Refused: amounts are in several currencies, costs are missing, or nobody can be of high
            value.
    """
    _check(of, tier, profile)
    asked = {
        "of": of, "tier": tier, "profile": profile, "horizon": str(horizon), "top": str(top),
        "threshold": None if threshold is None else str(threshold), "value": value,
        "costs_complete": costs_complete, "currency": currency,
    }  # fmt: skip
    given = {
        "horizon": horizon, "top": top, "threshold": threshold, "value": value,
        "costs_complete": costs_complete, "currency": currency, "policy": policy,
    }  # fmt: skip
    valued = _valued(definition, given) if of == "tier" else {}
    cut = settled(reader, cut)
    units = Units.of(reader, cut, "customer")
    finding: dict[str, Callable[[], sa.Select[Any]]] = {
        "everybody": lambda: everybody(cut),
        "customers": lambda: _standing(units, cut, definition, lost=False),
        "lost": lambda: _standing(units, cut, definition, lost=True),
        "tier": lambda: _of_tier(reader, cut, definition, str(tier), valued),
        "profile": lambda: _of_profile(reader, cut, profile, held=False),
        "held_out": lambda: _of_profile(reader, cut, profile, held=True),
        "withdrew": lambda: _who_withdrew(cut),
    }
    found = finding[of]().subquery("belonging")
    rows = units.reader.fetch(sa.select(found.c.customer).order_by(found.c.customer))
    what = {
        "everybody": "of whom anything is known",
        "customers": "who committed and are not lost",
        "lost": "whose last cycle is lost",
        "tier": f"of the tier {tier}",
        "profile": f"whom {profile} targets",
        "held_out": f"whom {profile or 'a profile'} holds out",
        "withdrew": "who withdrew consent once",
    }[of]
    return Result(
        "members",
        rows,
        sentence=f"{units.count(rows.num_rows)} {what}.",
        sql=units.reader.statements,
        meta=standing(definition, asked, cut, units),
    )


def _check(of: str, tier: str | None, profile: str | None) -> None:
    """Refuse what does not go together."""
    one_of("of", of, OF)
    if (tier is not None) != (of == "tier"):
        raise UsageError("tier= goes with of=tier, and that with a name of one")
    if profile is not None and of not in {"profile", "held_out"}:
        raise UsageError("profile= goes with of=profile or of=held_out")
    if profile is None and of == "profile":
        raise UsageError("of=profile needs the name of one: profile=lookalike")


def _standing(units: Units, cut: Cut, definition: Definition, *, lost: bool) -> sa.Select[Any]:
    """Who has an open cycle with a commitment; or whose cycles are all lost."""
    c = journeys_at(units.reader, cut, definition, Needs()).c
    committed = sa.and_(c.commitment_at.is_not(None), c.lost_at.is_(None))
    kept = sa.func.count(sa.case((committed, 1))) > 0
    if lost:
        kept = sa.func.count(c.lost_at) == sa.func.count()
    return sa.select(c.customer).group_by(c.customer).having(kept)


def _who_withdrew(cut: Cut) -> sa.Select[Any]:
    """Who ever withdrew consent; it counts from its recording on, whatever day is asked of."""
    table = tables.facts["noted"]
    told = counts(table, Cut(cut.position))
    return sa.select(table.c.customer).where(told, table.c.name == WITHDRAWN).distinct()


def _valued(definition: Definition, given: dict[str, Any]) -> dict[str, Any]:
    """All parameters of the view ``value``, found to be such as can be asked."""
    policy = given["policy"]
    if policy is not None and policy.basis == "predicted":
        raise UsageError("a tier is of value that came: name a policy of realised value")
    if policy is not None:
        given = {"policy": policy}
    defaults = {
        name: one.default
        for name, one in inspect.signature(value_view).parameters.items()
        if one.default is not inspect.Parameter.empty
    }
    ask(definition, asked_of(defaults | given))
    return defaults | given


def _of_tier(
    reader: Reader, cut: Cut, definition: Definition, tier: str, asked: dict[str, Any]
) -> sa.Select[Any]:
    worths = worths_of(reader, cut, definition, asked)
    bounds = worths.bounds()
    names = [one.name for one in bounds.tiers]
    rows = worths.mature(bounds.threshold, bounds.tiers)
    if tier in names:
        return sa.select(rows.c.customer).where(rows.c.tier == names.index(tier))
    if tier != _HIGH:
        raise UnknownName(f"there is no tier {tier!r}: there is {', '.join([_HIGH, *names])}")
    if bounds.threshold is None:
        raise Refused(f"nobody is said to be of high value: {bounds.unfitted}")
    return sa.select(rows.c.customer).where(rows.c.high == 1)


def _of_profile(reader: Reader, cut: Cut, profile: str | None, *, held: bool) -> sa.Select[Any]:
    """Who was assigned to an arm; a word that somebody is held out outweighs all others."""
    table = tables.facts["targeted"]
    c = table.c
    # an assignment counts from its recording on, whatever day is asked of
    told = [counts(table, Cut(cut.position))]
    if profile is not None:
        name, _, version = profile.partition("/")
        known = published(reader, "profile", cut, later=True)
        if not any(profile in {one, one.partition("/")[0]} for one in known):
            raise UnknownName(f'no profile "{profile}" is published: see bowtie profile list')
        told.append(c.profile == name)
        if version:
            told.append(c.version == version)
    held_out = sa.func.count(sa.case((c.arm == "holdout", 1)))
    return (
        sa.select(c.customer)
        .where(*told)
        .group_by(c.customer)
        .having(held_out > 0 if held else held_out == 0)
    )
