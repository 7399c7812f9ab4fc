"""What is asked of a profile: the document as the cut knows of it, and what value is by it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bowtie.errors import UnknownName
from bowtie.profiles import Profile, load_profile
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.published import document_at, published
from bowtie_projections.scope import is_narrowed, of_everybody
from bowtie_projections.value import Horizon
from bowtie_projections.views.cohorts import last_moment, period
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.question import Question, ask
from bowtie_projections.views.units import Units

__all__ = ["Asked", "profile_at", "versions_at"]

#: A fact recorded so much later than it happened is history loaded later, as in the loop.
GAP = timedelta(days=7)


def profile_at(reader: Reader, cut: Cut, source: str | Path | Profile) -> Profile:
    """The profile that a name, a file or a text names; see :func:`document_at`.

    Raises:
        UnknownName: there is none.
        DefinitionError: it is wrong, or the log has another text of its name and version.
    """
    policies = published(reader, "policy", cut, later=True)
    return document_at(
        reader, cut, "profile", source, lambda known: load_profile(source, known, policies)
    )


def versions_at(reader: Reader, cut: Cut, name: str) -> list[Profile]:
    """The versions of a profile that the cut knows of, the oldest first.

    Raises:
        UnknownName: none of that name was published.
    """
    known = published(reader, "profile", cut)
    found = [label for label in known if label.rpartition("/")[0] == name]
    if not found:
        names = sorted({label.rpartition("/")[0] for label in known})
        others = f"there are {', '.join(names)}" if names else "none is"
        raise UnknownName(f'no profile "{name}" is published: {others}')
    return [
        load_profile(label, known)
        for label in sorted(found, key=lambda one: int(one.split("/")[1]))
    ]


@dataclass(frozen=True, slots=True)
class Asked:
    """One profile, and where it is asked of.

    Args:
        profile: as it is published.
        cut: settled.
        units: customers, linked keys being one.
        definition: what the entry of a stage is.
        value: what a prospect's value is, by the profile's own policy.
    """

    profile: Profile
    cut: Cut
    units: Units
    definition: Definition
    value: Question

    @classmethod
    def of(
        cls,
        reader: Reader,
        cut: Cut,
        definition: Definition,
        profile: Profile,
        *,
        data_through: Any = None,
        tz: str = "UTC",
    ) -> Asked:
        """The question of a profile at a cut."""
        cut = settled_through(reader, cut, last_moment(data_through, tz))
        units = Units.of(reader, cut, "customer")
        value = ask(
            definition,
            {
                "time_zero": "commitment", "backfill_gap": GAP, "strict_known": False,
                "data_from": None, "data_through": data_through, "include_truncated": False,
                "tz": tz, "policy": profile.policy,
            },
        )  # fmt: skip
        return cls(profile, cut, units, definition, value)

    @property
    def reader(self) -> Reader:
        """The read tables, under the keys of the units."""
        return self.units.reader

    @property
    def of_everybody(self) -> Asked:
        """The same question of all customers, whatever segment it is narrowed to."""
        return replace(self, units=replace(self.units, reader=of_everybody(self.reader)))

    @property
    def narrowed(self) -> bool:
        """Whether only customers of a segment are asked of."""
        return is_narrowed(self.reader)

    @property
    def moment(self) -> datetime:
        """The moment asked as of; only of a log with facts."""
        assert self.cut.moment is not None  # noqa: S101 - for the type checker
        return self.cut.moment

    @property
    def starts(self) -> datetime:
        """The first moment at which prospects are assigned."""
        return period(self.profile.starts_on, self.value.tz)[0]

    @property
    def ends(self) -> datetime:
        """The first moment at which they are no more."""
        return period(self.profile.ends_on, self.value.tz)[1]

    @property
    def horizon(self) -> Horizon:
        """The span over which a prospect's value counts."""
        none = sa.table("journeys")
        over = Population(none, self.cut, self.value, self.moment, None, self.units)
        return over.worth_over()

    @property
    def seed(self) -> int:
        """What intervals are drawn from: of the profile's label, for all the same."""
        return int(hashlib.sha256(self.profile.label.encode()).hexdigest()[:15], 16)

    def assigned(self) -> sa.Select[Any]:
        """Everybody whom any version of the profile has assigned: the column ``customer``.

        Those of a later moment too, and those that were retracted: nobody is assigned twice.
        """
        c = tables.facts["targeted"].c
        own = sa.and_(c.profile == self.profile.name, c.position <= self.cut.position)
        return sa.select(c.customer).where(own)

    def meta(self, by: Sequence[str] = ()) -> dict[str, Any]:
        """What the answer says of where it stands, and by what it is broken down."""
        parameters: dict[str, Any] = {"profile": self.profile.label, "tz": self.value.tz}
        return {
            "definition": self.definition.label,
            "parameters": parameters | ({"by": [*by]} if by else {}),
            "position": self.cut.position,
            "as_of": None if self.cut.moment is None else self.cut.moment.replace(tzinfo=UTC),
            "known_at": None,
            "profile": {"name": self.profile.label, "sha256": self.profile.sha256},
        }
