"""Who customers are: what is known of them, their other keys, the accounts they belong to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bowtie.events.base import Event
from bowtie.fields import Personal, ScalarMap, Text


class TraitsObserved(Event):
    """Something is known about the customer; a null unsets the trait."""

    traits: Annotated[ScalarMap, Field(min_length=1)]


class IdentityLinked(Event):
    """Another key of the same customer."""

    alias: Personal


class IdentityUnlinked(Event):
    """A link taken back."""

    alias: Personal


class MembershipStarted(Event):
    """The person (the stream) became part of an account."""

    account: Text
    role: Text | None = None


class MembershipEnded(Event):
    """The person (the stream) left the account."""

    account: Text
    role: Text | None = None
