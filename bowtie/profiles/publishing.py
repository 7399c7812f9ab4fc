"""Profiles in the log: found, published, and recorded on each prospect at assignment."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NamedTuple

from bowtie.errors import UsageError
from bowtie.events import ProfileEvaluated, ProfilePublished
from bowtie.finding import find_text, publish_text
from bowtie.policies import Policy, load_policy
from bowtie.profiles.profile import Profile
from bowtie.profiles.reading import PolicyOf, content_of, read_content, read_profile
from bowtie.times import iso

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.documents import Document
    from bowtie.ingest import IngestReport

__all__ = [
    "Assigned",
    "load_content",
    "load_profile",
    "profile_of",
    "publish_profile",
    "record_evaluated",
    "record_targeted",
    "targeted_lines",
]

#: The system that says so of assignments: with the id it makes each of them once.
SOURCE = "bowtie"


class Assigned(NamedTuple):
    """A prospect at its assignment: its key, its arm, and what its weights added up to."""

    customer: str
    arm: str
    score: str


def load_profile(
    source: str | PathLike[str] | Profile,
    published: Mapping[str, str] | None = None,
    policies: Mapping[str, str] | None = None,
) -> Profile:
    """The profile that a name, a path or a text names.

    Args:
        source: ``lookalike`` (the newest version) or ``lookalike/2`` for one that was published;
            the path of a TOML file, or of one that ``bowtie profile show`` wrote; or, if it has a
            line break in it, the text itself.
        published: the texts of the profiles that were published, by name and version.
        policies: those of the value policies, for a file that names one.

    Raises:
        DefinitionError: the profile is wrong; the message names the line.
        UnknownName: no profile of that name was published, and no such file is there.
        FileError: the file can't be read.
    """
    if isinstance(source, Profile):
        return source
    name, text = find_text("profile", fspath(source), published or {})

    return read_profile(name, text, _published_policy(policies))


def _published_policy(policies: Mapping[str, str] | None) -> PolicyOf:
    """Finds policies of the log; a file says nothing that others could look up."""
    known = policies or {}

    def policy_of(named: str) -> Policy:
        found = load_policy(named, known)
        if known.get(found.label) != found.text:
            raise UsageError(f"{found.label} is not published: bowtie policy publish {named}")
        return found

    return policy_of


def load_content(file: str | PathLike[str]) -> dict[str, Any]:
    """The keys of a profile's file, for one that is yet to be completed.

    Raises:
        DefinitionError: it is no TOML or JSON.
        FileError: the file can't be read.
    """
    name, text = find_text("profile", fspath(file), {})
    return content_of(name, text)


def profile_of(content: Mapping[str, Any], policies: Mapping[str, str] | None = None) -> Profile:
    """The profile that a dictionary describes.

    Args:
        content: the keys of a document.
        policies: the texts of the value policies that were published, by name and version.

    Raises:
        DefinitionError: something in it is wrong.
    """
    return read_content(content, _published_policy(policies))


def publish_profile(engine: Bowtie, source: str | PathLike[str] | Profile) -> Document:
    """Publish a profile: from then on it stands, with all that it will be judged by.

    One that is published already is left as it is.

    Args:
        engine: the store.
        source: the path of a TOML file, its text, or a profile at hand.

    Raises:
        DefinitionError: the profile is wrong.
        EventRejected: its name and version are published with another text.

    >>> from bowtie import Bowtie
    >>> with Bowtie.open("memory://") as engine:
    ...     publish_profile(engine, '''
    ...     name = "lookalike"
    ...     version = 1
    ...     starts_on = 2026-01-01
    ...     holdout = "0.2"
    ...     [[traits]]
    ...     trait = "multi_site"
    ...     level = "true"
    ...     ''').label
    'lookalike/1'
    """
    policies = {one.label: one.body for one in engine.documents("policy")}
    found = load_profile(source, {}, policies)
    document = (found.name, found.version, found.text, found.sha256)
    return publish_text(engine, "profile", document, ProfilePublished)


def targeted_lines(
    profile: Profile, assigned: Iterable[Assigned], at: datetime
) -> Iterator[dict[str, object]]:
    """An event for each prospect, as the wire has it.

    Its id is made of the profile's name and the prospect's key, so no prospect is ever assigned
    twice by one profile, whichever its version.
    """
    for one in assigned:
        yield {
            "specversion": "1.0",
            "id": f"targeted/{profile.name}/{one.customer}",
            "source": SOURCE,
            "type": "bowtie.targeted",
            "subject": one.customer,
            "time": iso(at),
            "data": {
                "profile": profile.name,
                "version": str(profile.version),
                "arm": one.arm,
                "probability": str(profile.chance(one.arm)),
                "score": one.score,
            },
        }


def record_targeted(
    engine: Bowtie, profile: Profile, assigned: Iterable[Assigned], at: datetime
) -> IngestReport:
    """Record the assignment of prospects, each once and for ever.

    Args:
        engine: the store.
        profile: as it is published.
        assigned: the prospects.
        at: when.

    Returns:
        How many were appended; where another process has assigned one of them meanwhile, that
        assignment holds, and this one is parked as ``id_reused``.
    """
    lines = targeted_lines(profile, assigned, at.astimezone(UTC))
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    return engine.ingest(io.BytesIO(text.encode()))


def record_evaluated(engine: Bowtie, profile: Profile, answer: Mapping[str, Any]) -> None:
    """Keep how a profile fared as it was seen now, when a decision is taken by it.

    Args:
        engine: the store.
        profile: as it is published.
        answer: the evaluation, as JSON holds it.
    """
    body = json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    sha256 = hashlib.sha256(body.encode()).hexdigest()
    event = ProfileEvaluated(
        name=profile.name, version=str(profile.version), body=body, sha256=sha256
    )
    engine.record(profile.name, event)
