"""What can be asked of prospects and of target profiles: a method for each view of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from bowtie.profiles import Profile
from bowtie.segments.segment import Segment
from bowtie.stages import Definition
from bowtie_projections.answering import Answering
from bowtie_projections.parameters import CutAsked, MembersAsked, Moment, ProspectsAsked
from bowtie_projections.results import Result
from bowtie_projections.views.members import members
from bowtie_projections.views.profile import (
    profile_evaluation,
    profile_history,
    profile_outlook,
    profile_prospects,
)
from bowtie_projections.views.prospects import prospects

__all__ = ["ProfileAsked", "ProfileQuestions", "ProfileTriedAsked"]


class ProfileAsked(CutAsked, total=False):
    """What the views of a target profile take beside the profile."""

    as_of: Moment | None
    definition: str | Path | Definition | None
    data_through: Moment | None
    tz: str


class ProfileTriedAsked(ProfileAsked, total=False):
    """What :meth:`bowtie_projections.Views.profile_evaluation` takes beside the profile.

    Who is in a ``segment``, or meets the tests of ``where``, is judged as of their assignment.
    """

    interim: bool
    by: Sequence[str]
    segment: str | Path | Mapping[str, Any] | Segment | None
    where: str | Sequence[str]


class ProfileQuestions(Answering):
    """The views of prospects: their score, and the target profiles that choose them."""

    def prospects(self, **asked: Unpack[ProspectsAsked]) -> Result:
        """Who of the open prospects is likely to be won, and to be of high value then.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.prospects.prospects`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(prospects, asked)

    def members(self, **asked: Unpack[MembersAsked]) -> Result:
        """Who belongs to something, by their keys: a tier, an arm of a profile, who was lost.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.members.members`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(members, asked)

    def profile_prospects(
        self, profile: str | Path | Profile, **asked: Unpack[ProfileAsked]
    ) -> Result:
        """Which open prospects a profile is to assign at a moment, and the arm of each.

        Args:
            profile: the name of one that was published, a file, its text, or one at hand.
            asked: the other parameters of
                :func:`bowtie_projections.views.profile.profile_prospects`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(profile_prospects, {**asked, "profile": profile})

    def profile_outlook(
        self, profile: str | Path | Profile, **asked: Unpack[ProfileAsked]
    ) -> Result:
        """How many prospects of the past would have fitted a profile, and what became of them.

        Args:
            profile: the name of one that was published, a file, its text, or one at hand.
            asked: the other parameters of
                :func:`bowtie_projections.views.profile.profile_outlook`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(profile_outlook, {**asked, "profile": profile})

    def profile_evaluation(
        self, profile: str | Path | Profile, **asked: Unpack[ProfileTriedAsked]
    ) -> Result:
        """What targeting by a profile did: targeted less held out, by intention to treat.

        Args:
            profile: the name of one that was published, a file, its text, or one at hand.
            asked: the other parameters of
                :func:`bowtie_projections.views.profile.profile_evaluation`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(profile_evaluation, {**asked, "profile": profile})

    def profile_history(self, profile: str, **asked: Unpack[ProfileAsked]) -> Result:
        """A profile version after version: whether the loop makes acquisition better.

        Args:
            profile: its name, without a version.
            asked: the other parameters of
                :func:`bowtie_projections.views.profile.profile_history`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(profile_history, {**asked, "profile": profile})
