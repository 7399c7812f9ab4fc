"""Events about the log itself: what counts no more, what was erased, documents."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from bowtie.events.base import Event
from bowtie.fields import MaybePersonal, Text


class Retracted(Event):
    """The fact named doesn't count from this recording on."""

    of_source: Text
    of_id: Text
    reason: MaybePersonal = None


class Forgotten(Event):
    """The customer's personal data was erased."""


class _Document(Event):
    name: Text
    version: Text
    body: Text
    sha256: Text

    @staticmethod
    def problem(data: Any) -> str | None:
        """The hash is that of the body."""
        if hashlib.sha256(data.body.encode()).hexdigest() != data.sha256:
            return "sha256: is not that of the body (hex, lower case)"
        return None


class DocumentPublished(_Document):
    """A definition, policy, segment, rates or playbook (streams of those kinds), as TOML."""

    stream_kind: ClassVar[str] = "definition"


class ProfilePublished(_Document):
    """A target profile, as JSON."""

    stream_kind: ClassVar[str] = "profile"


class ProfileEvaluated(_Document):
    """How a target profile fared, as JSON."""

    stream_kind: ClassVar[str] = "profile"
