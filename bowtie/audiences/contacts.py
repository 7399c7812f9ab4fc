"""How people can be reached, and whether they may be: read from the log, with the store's keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from bowtie.envelope import Recorded
from bowtie.events import Noted, Retracted, TraitsObserved
from bowtie.sealing import is_sealed
from bowtie.stores.rows import StoredState
from bowtie.stores.writing import STATE

if TYPE_CHECKING:
    from bowtie import Bowtie

__all__ = ["GIVEN", "WITHDRAWN", "Contact", "contacts_of"]

#: Keys whose events are read together.
_AT_ONCE = 500
_TOPICS = ("traits_observed", "noted", "retracted")
#: The names of what is noted of consent.
GIVEN, WITHDRAWN = "consent_given", "consent_withdrawn"


@dataclass(slots=True)
class Contact:
    """One customer, under all their keys.

    Args:
        emails, phones: as they were sent, the newest trait first; then keys that are addresses.
        traits: of those asked for beside these, what was told last, as text.
        consent: True given, False withdrawn, None where nothing is on record.
        forgotten: under any of the keys.
    """

    emails: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    traits: dict[str, str] = field(default_factory=dict)
    consent: bool | None = None
    forgotten: bool = False


def contacts_of(
    engine: Bowtie,
    customers: Iterable[str],
    *,
    email: str = "email",
    phone: str = "phone",
    purpose: str = "advertising",
    others: Iterable[str] = (),
) -> Iterator[tuple[str, Contact]]:
    """How each of some customers can be reached.

    An identifier is the newest value of the trait that holds it, over all keys that are linked; and
    each key and alias that is an e-mail address. Consent is what was noted last, by when it
    happened: ``consent_given`` or ``consent_withdrawn``, for the purpose or for none in particular.

    Args:
        engine: the store, whose master key must be at hand.
        customers: by any of their keys.
        email, phone: the traits that hold them.
        purpose: what consent is asked for.
        others: further traits to read.

    Raises:
        SealedKeyMissing: personal fields can't be opened.
    """
    families = engine.linked_customers()
    forgotten = set(engine.store.forgotten())
    hashed = engine.store.secrets.alias_hash
    wanted = _Wanted(email, phone, purpose, tuple(others))
    names = iter(customers)
    while some := list(islice(names, _AT_ONCE)):
        keys = {one: families.get(one, (one,)) for one in some}
        events = _events(engine, [key for own in keys.values() for key in own], wanted)
        for one, own in keys.items():
            if forgotten and any(hashed(key) in forgotten for key in own):
                yield one, Contact(forgotten=True)
                continue
            contact = _contact([event for key in own for event in events.get(key, ())], wanted)
            contact.emails += [key for key in own if "@" in key]
            yield one, contact


@dataclass(frozen=True, slots=True)
class _Wanted:
    email: str
    phone: str
    purpose: str
    others: tuple[str, ...]

    @property
    def traits(self) -> tuple[str, ...]:
        """The names of all traits that are read."""
        return tuple(dict.fromkeys((self.email, self.phone, *self.others)))

    def tells_of_consent(self, noted: Noted) -> bool:
        """Whether it says that consent was given or withdrawn, for the purpose or for any."""
        for_what = noted.properties.get("purpose")
        return noted.name in {GIVEN, WITHDRAWN} and for_what in {None, self.purpose}

    def may_tell(self, stored: StoredState) -> bool:
        """Whether an event may tell something, without reading it."""
        if stored.topic == "noted":
            return b"consent_" in stored.state
        if stored.topic == "traits_observed":
            return any(name.encode() in stored.state for name in self.traits)
        return True


def _events(engine: Bowtie, keys: Sequence[str], wanted: _Wanted) -> Mapping[str, list[Recorded]]:
    streams = [f"customer/{key}" for key in keys]
    with engine.store.reading() as queries:
        named, names = queries.listed(streams)
        typed, types = queries.listed(_TOPICS)
        rows = queries.rows(
            f"{STATE} WHERE e.originator_id {named} AND e.topic {typed}", (*names, *types)
        )
    states = [one for one in (StoredState(*row) for row in rows) if wanted.may_tell(one)]
    decode = engine.decoder_of({one.stream for one in states})
    found: dict[str, list[Recorded]] = {}
    for one in states:
        event = decode(one)
        found.setdefault(event.subject, []).append(event)
    return found


def _contact(events: Sequence[Recorded], wanted: _Wanted) -> Contact:
    gone = {
        (one.subject, one.data.of_source, one.data.of_id)
        for one in events
        if isinstance(one.data, Retracted)
    }
    contact, newest = Contact(), dict[str, tuple[datetime, int, Any]]()
    said: tuple[datetime, bool] | None = None
    for one in events:
        if (one.subject, one.source, one.id) in gone:
            continue
        if isinstance(one.data, TraitsObserved):
            for name in wanted.traits:
                told = one.data.traits
                when = (one.occurred_at, one.position)
                if name in told and (name not in newest or newest[name][:2] < when):
                    newest[name] = (*when, told[name])
        elif isinstance(one.data, Noted) and wanted.tells_of_consent(one.data):
            # of two words of one moment, no is no
            word = (one.occurred_at, one.data.name == WITHDRAWN)
            said = word if said is None else max(said, word)
    contact.emails += _text(newest.get(wanted.email))
    contact.phones += _text(newest.get(wanted.phone))
    contact.traits = {name: text for name in wanted.others for text in _text(newest.get(name))}
    contact.consent = None if said is None else not said[1]
    return contact


def _text(found: tuple[datetime, int, Any] | None) -> list[str]:
    """A value that was opened; one that stays sealed, or was unset, is none."""
    if found is None or found[2] is None or is_sealed(found[2]):
        return []
    return [str(found[2])]
