"""From members to rows: who is left out and why, and what is left of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from bowtie.audiences.contacts import Contact, contacts_of
from bowtie.audiences.platforms import Platform, Row, normal_email, normal_phone
from bowtie.errors import UsageError

if TYPE_CHECKING:
    from bowtie import Bowtie

__all__ = ["CONSENTS", "REASONS", "Audience", "build_audience"]

#: Whose consent is asked for: on record, or only not withdrawn.
CONSENTS = ("given", "unless-withdrawn")
#: Why somebody is left out, in the order in which it is looked.
REASONS = {
    "held_out": "held out by a target profile",
    "forgotten": "forgotten",
    "withdrawn": "consent withdrawn",
    "no_consent": "no consent on record",
    "shared": "every identifier is also that of somebody who must not be in it",
    "no_identifier": "no usable identifier",
}


@dataclass(slots=True)
class Audience:
    """The rows of a file, and what became of everybody.

    Args:
        rows: e-mail addresses and phone numbers, made uniform, not hashed: never to be printed.
        asked: how many were to be in it.
        members: how many are.
        emails, phones: how many identifiers there are in it.
        unusable: identifiers that are none, such as a phone number without its country code.
        left_out: how many are not in it, by reason; those of :data:`REASONS`, all.
    """

    rows: list[Row] = field(default_factory=list, repr=False)
    asked: int = 0
    members: int = 0
    emails: int = 0
    phones: int = 0
    unusable: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


def build_audience(
    engine: Bowtie,
    customers: Iterable[str],
    platform: Platform,
    *,
    consent: str = "given",
    held_out: Collection[str] = (),
    withdrew: Collection[str] = (),
    email: str = "email",
    phone: str = "phone",
    purpose: str = "advertising",
    calling_code: str = "",
) -> Audience:
    """The rows of an audience, or of a suppression.

    In neither is who was forgotten or has withdrawn consent, nor any identifier that one of these,
    or somebody held out, has too.

    Args:
        engine: the store, whose master key must be at hand.
        customers: who is to be in it.
        platform: whose file it is: an identifier that it doesn't take makes nobody a member.
        consent: of :data:`CONSENTS`: ``given`` leaves out of whom no consent is on record.
        held_out: who must not be in it, by the lot of a target profile; nobody for a suppression.
        withdrew: who ever withdrew consent, asked for or not: if that is their last word, nobody
            brings their identifiers in.
        email, phone: the traits that hold identifiers.
        purpose: what consent is asked for.
        calling_code: of phone numbers that have none.

    Raises:
        UsageError: a value that can't be asked.
        SealedKeyMissing: personal fields can't be opened.
    """
    if consent not in CONSENTS:
        raise UsageError(f"consent is {consent!r}; write {' or '.join(CONSENTS)}")
    if calling_code and not (calling_code.isascii() and calling_code.isdigit()):
        raise UsageError(f"{calling_code!r} is no calling code: write digits, such as 49")
    wanted, held = set(customers), set(held_out)
    audience = Audience(asked=len(wanted))
    left, barred, kept = Counter(dict.fromkeys(REASONS, 0)), set[str](), dict[str, _Own]()
    names = {"email": email, "phone": phone, "purpose": purpose}
    looked_at = sorted(wanted | held | set(withdrew))
    for customer, contact in contacts_of(engine, looked_at, **names):
        own = _Own.of(contact, platform, calling_code)
        reason = "held_out" if customer in held else _reason(contact, consent)
        if reason is not None:
            left[reason] += customer in wanted
            barred.update(own.emails if reason != "no_consent" else ())
            barred.update(own.phones if reason != "no_consent" else ())
            continue
        if customer in wanted:
            kept[customer] = own
            audience.unusable += own.unusable
    rows: dict[Row, None] = {}
    for own in kept.values():
        free = own.without(barred)
        if not free.emails and not free.phones:
            left["shared" if own.emails or own.phones else "no_identifier"] += 1
            continue
        audience.members += 1
        rows |= dict.fromkeys(zip_longest(free.emails, free.phones, fillvalue=""))
    audience.rows = sorted(rows)
    audience.emails = len({email for email, _ in rows} - {""})
    audience.phones = len({phone for _, phone in rows} - {""})
    audience.left_out = dict(left)
    return audience


def _reason(contact: Contact, consent: str) -> str | None:
    if contact.forgotten:
        return "forgotten"
    if contact.consent is False:
        return "withdrawn"
    if contact.consent is None and consent == "given":
        return "no_consent"
    return None


@dataclass(frozen=True, slots=True)
class _Own:
    """The usable identifiers of one customer."""

    emails: tuple[str, ...]
    phones: tuple[str, ...]
    unusable: int = 0

    @classmethod
    def of(cls, contact: Contact, platform: Platform, calling_code: str) -> _Own:
        """Those that can be made normal, each once, in the order in which they are known."""
        emails = [normal_email(one) for one in contact.emails]
        phones = [normal_phone(one, calling_code) for one in contact.phones]
        unusable = emails.count(None) + phones.count(None)
        if platform.phone is None:
            unusable, phones = emails.count(None), []
        return cls(
            tuple(dict.fromkeys(one for one in emails if one is not None)),
            tuple(dict.fromkeys(one for one in phones if one is not None)),
            unusable,
        )

    def without(self, barred: Collection[str]) -> _Own:
        """Those that nobody has who must not be in the file."""
        return _Own(
            tuple(one for one in self.emails if one not in barred),
            tuple(one for one in self.phones if one not in barred),
        )
