"""The editions: which number each metric has, and what it is left and right of the knot.

The numbers differ between editions (CR5 is onboarding in one and the discount in another), so a
metric is named by what it means, and a number is its alias in a named edition. Left of the knot an
edition counts customers; right of it the edition of 2026 tells money.
"""

from __future__ import annotations

from dataclasses import dataclass

from bowtie.errors import UsageError
from bowtie.stages import Definition

__all__ = ["EDITIONS", "LEFT", "Later", "check_edition", "numbered"]

#: The milestones of the left half that the editions number, in the order of their own.
LEFT = ("prospect", "mql", "sql", "sal", "win")


@dataclass(frozen=True, slots=True)
class Later:
    """A metric right of the knot.

    Args:
        number: its alias in the edition; empty where it has none.
        metric: by what it means.
        unit: ``customers``, ``share``, ``days``, or ``money`` (``a month``, ``a year``, or all of
            it ``to date``).
        of_money: of a share that could be one of customers, whether it is one of their money.
    """

    number: str
    metric: str
    unit: str
    of_money: bool = False


#: What each edition tells right of the knot.
EDITIONS: dict[str, tuple[Later, ...]] = {
    "wbd-2022": (
        Later("VM6", "active", "customers"),
        Later("VM7", "live", "customers"),
        Later("VM8", "recurring_revenue", "money a year"),
        Later("VM9", "lifetime_revenue", "money to date"),
        Later("CR5", "onboarding_retention", "share"),
        Later("CR6", "gross_retention", "share"),
        Later("CR7", "expansion_rate", "share"),
        Later("", "net_retention", "share"),
        Later("", "discount_rate", "share"),
        Later("", "commitment_to_first_impact", "days"),
    ),
    "wbd-2026": (
        Later("VM6", "revenue_committed", "money a month"),
        Later("VM7", "revenue_after_onboarding", "money a month"),
        Later("VM8", "recurring_revenue", "money a month"),
        Later("VM9", "lifetime_revenue", "money to date"),
        Later("CR5", "discount_rate", "share"),
        Later("CR6", "onboarding_retention", "share", of_money=True),
        Later("CR7", "gross_retention", "share"),
        Later("CR8", "expansion_rate", "share"),
        Later("", "net_retention", "share"),
        Later("dt6", "commitment_to_first_impact", "days"),
    ),
}


def check_edition(name: object) -> str:
    """The name of an edition.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in EDITIONS:
        raise UsageError(f"edition is {name!r}; write {' or '.join(EDITIONS)}")
    return str(name)


def numbered(definition: Definition) -> list[str]:
    """The milestones in the definition's order; one that it lacks stands where editions have it.

    >>> from bowtie.stages import load_definition
    >>> numbered(load_definition("b2b"))
    ['prospect', 'mql', 'sql', 'sal', 'win']
    """
    names = [one.name for one in definition.milestones if one.name in LEFT]
    for place, name in enumerate(LEFT):
        if name not in names:
            before = [other for other in LEFT[:place] if other in names]
            names.insert(names.index(before[-1]) + 1 if before else 0, name)
    return names
