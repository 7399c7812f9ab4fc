"""From members to rows: who is left out and why, and what is left of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol

from bowtie.audiences.companies import COMPANY_FIELDS, IDENTIFYING, Companies, company_row
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
        rows: e-mail addresses and phone numbers, made uniform, not hashed: never to be printed; or
            what is known of companies.
        asked: how many were to be in it.
        members: how many are.
        emails, phones: how many identifiers there are in it.
        companies: how many rows there are in a list of companies.
        unusable: identifiers that are none, such as a phone number without its country code.
        left_out: how many are not in it, by reason; those of :data:`REASONS`, all.
    """

    rows: list[Row] = field(default_factory=list, repr=False)
    asked: int = 0
    members: int = 0
    emails: int = 0
    phones: int = 0
    companies: int = 0
    unusable: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


def build_audience(
    engine: Bowtie,
    customers: Iterable[str],
    platform: Platform | Companies,
    *,
    consent: str = "given",
    held_out: Collection[str] = (),
    withdrew: Collection[str] = (),
    email: str = "email",
    phone: str = "phone",
    purpose: str = "advertising",
    calling_code: str = "",
    traits: Mapping[str, str] | None = None,
) -> Audience:
    """The rows of an audience, or of a suppression.

    In neither is who was forgotten or has withdrawn consent, nor any identifier that one of these,
    or somebody held out, has too. So a company is in no list if anybody of it must not be.

    Args:
        engine: the store, whose master key must be at hand.
        customers: who is to be in it.
        platform: whose file it is, of people or of companies: an identifier that it doesn't take
            makes nobody a member.
        consent: of :data:`CONSENTS`: ``given`` leaves out of whom no consent is on record.
        held_out: who must not be in it, by the lot of a target profile; nobody for a suppression.
        withdrew: who ever withdrew consent, asked for or not: if that is their last word, nobody
            brings their identifiers in.
        email, phone: the traits that hold identifiers.
        purpose: what consent is asked for.
        calling_code: of phone numbers that have none.
        traits: of the fields of a company, the trait that holds them, where it is called otherwise
            than in :data:`~bowtie.audiences.COMPANY_FIELDS`.

    Raises:
        UsageError: a value that can't be asked.
        SealedKeyMissing: personal fields can't be opened.
    """
    form = _Form(platform, calling_code, traits or {})
    form.check(consent, engine.personal_names)
    wanted, held = set(customers), set(held_out)
    audience = Audience(asked=len(wanted))
    left, barred, kept = Counter(dict.fromkeys(REASONS, 0)), set[str](), dict[str, _Own]()
    names: dict[str, Any] = {"email": email, "phone": phone, "purpose": purpose}
    looked_at = sorted(wanted | held | set(withdrew))
    for customer, contact in contacts_of(engine, looked_at, **names, others=form.traits_read):
        own = form.own(contact)
        reason = "held_out" if customer in held else _reason(contact, consent)
        if reason is not None:
            left[reason] += customer in wanted
            barred.update(own.identifiers if reason != "no_consent" else ())
            continue
        if customer in wanted:
            kept[customer] = own
            audience.unusable += own.unusable
    rows: dict[Row, None] = {}
    for own in kept.values():
        found = own.rows(barred)
        if not found:
            left["shared" if own.identifiers else "no_identifier"] += 1
            continue
        audience.members += 1
        rows |= dict.fromkeys(found)
    audience.rows = sorted(rows)
    if form.of_companies:
        audience.companies = len(rows)
    else:
        audience.emails, audience.phones = (len({row[n] for row in rows} - {""}) for n in (0, 1))
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
class _Form:
    """The form of a file: of people, or of companies."""

    platform: Platform | Companies
    calling_code: str
    traits: Mapping[str, str]

    def check(self, consent: str, personal: Collection[str]) -> None:
        """Refuse what can't be asked."""
        if consent not in CONSENTS:
            raise UsageError(f"consent is {consent!r}; write {' or '.join(CONSENTS)}")
        code = self.calling_code
        if code and not (code.isascii() and code.isdigit()):
            raise UsageError(f"{code!r} is no calling code: write digits, such as 49")
        for name in self.traits:
            if name not in COMPANY_FIELDS:
                fields = ", ".join(COMPANY_FIELDS)
                raise UsageError(f"{name!r} is no field of a company: write {fields}")
        for name in self.traits_read:
            if name.lower() in {one.lower() for one in personal}:
                raise UsageError(f"{name} is personal, and sealed: it is in no list of companies")
        if self.traits and not self.of_companies:
            raise UsageError("traits= say what holds the fields of a company: people have none")

    @property
    def of_companies(self) -> bool:
        """Whether companies are listed."""
        return isinstance(self.platform, Companies)

    @property
    def traits_read(self) -> list[str]:
        """The traits that are read beside addresses and numbers."""
        return [self.traits.get(one, one) for one in COMPANY_FIELDS] if self.of_companies else []

    def own(self, contact: Contact) -> _Own:
        """What one customer brings into it."""
        if isinstance(self.platform, Companies):
            return _Company(*company_row(contact.traits, self.traits))
        return _Person.of(contact, self.platform, self.calling_code)


class _Own(Protocol):
    """What one customer brings into a file."""

    @property
    def unusable(self) -> int:
        """How many values are none."""

    @property
    def identifiers(self) -> frozenset[str]:
        """By what somebody is recognised."""

    def rows(self, barred: Collection[str]) -> list[Row]:
        """The rows, without what somebody has too who must not be in the file."""


@dataclass(frozen=True, slots=True)
class _Person:
    """The usable identifiers of one customer."""

    emails: tuple[str, ...]
    phones: tuple[str, ...]
    unusable: int = 0

    @classmethod
    def of(cls, contact: Contact, platform: Platform, calling_code: str) -> _Person:
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

    @property
    def identifiers(self) -> frozenset[str]:
        """Addresses and numbers."""
        return frozenset((*self.emails, *self.phones))

    def rows(self, barred: Collection[str]) -> list[Row]:
        """Each address and number once, but those that are barred."""
        emails, phones = (
            [one for one in own if one not in barred] for own in (self.emails, self.phones)
        )
        return list(zip_longest(emails, phones, fillvalue=""))


@dataclass(frozen=True, slots=True)
class _Company:
    """The company that one customer is, or is of."""

    row: Row
    unusable: int = 0

    @property
    def identifiers(self) -> frozenset[str]:
        """Its name, domains and page."""
        known = zip(COMPANY_FIELDS, self.row, strict=True)
        return frozenset(
            f"{field}={text.casefold()}" for field, text in known if text and field in IDENTIFYING
        )

    def rows(self, barred: Collection[str]) -> list[Row]:
        """The company, unless it is barred: by any of its names, for it is one."""
        return [self.row] if self.identifiers and self.identifiers.isdisjoint(barred) else []
