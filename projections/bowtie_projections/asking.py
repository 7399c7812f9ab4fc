"""Where a question is asked, and the documents that it can name there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bowtie.policies import Policy, load_policy
from bowtie.segments import Segment, load_segment
from bowtie.stages import Definition
from bowtie_projections.published import document_at
from bowtie_projections.views.cut import Cut, Reader

__all__ = ["Asking"]


@dataclass(frozen=True, slots=True)
class Asking:
    """Where a question is asked.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        personal_names: traits that are sealed.
    """

    reader: Reader
    cut: Cut
    definition: Definition
    personal_names: Collection[str]

    def segment(self, source: Any) -> Segment:
        """The segment that a name, a file, a text or a dictionary names; see :func:`document_at`.

        Raises:
            UnknownName: there is none.
            DefinitionError: it is wrong, or the log has another text of its name and version.
        """
        return document_at(
            self.reader, self.cut, "segment", source,
            lambda known: load_segment(source, self.personal_names, known),
        )  # fmt: skip

    def policy(self, source: Any) -> Policy:
        """The value policy that a name, a file or a text names; see :func:`document_at`.

        Raises:
            UnknownName: there is none.
            DefinitionError: it is wrong, or the log has another text of its name and version.
        """
        return document_at(
            self.reader, self.cut, "policy", source, lambda known: load_policy(source, known)
        )
