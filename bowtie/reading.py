"""What an open store answers: journeys, events, exports; and waiting for events to come."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property
from typing import Any

from bowtie.decoding import Decoder, unwrap_key
from bowtie.envelope import Recorded
from bowtie.errors import NotReached
from bowtie.events import PERSONAL_NAMES
from bowtie.identity import Links
from bowtie.records import JourneyRecord, journey_record
from bowtie.stages import Definition, load_definition
from bowtie.stores import Store, StoredState
from bowtie.subscribing import followed
from bowtie.times import moment, to_micros, zone

__all__ = ["DEFAULT_DEFINITION", "Reading"]

DEFAULT_DEFINITION = "b2b/1"


class Reading:
    """The reading half of :class:`bowtie.Bowtie`."""

    store: Store

    @property
    def definition(self) -> Definition:
        """The store's default stage definition."""
        text = self.store.meta().get("definition")
        if text is None:
            return load_definition(DEFAULT_DEFINITION)
        return load_definition(str(text), self.personal_names)

    @property
    def personal_names(self) -> tuple[str, ...]:
        """Traits and properties of these names are sealed."""
        names = self.store.meta().get("personal_names")
        return PERSONAL_NAMES if names is None else tuple(str(names).split("\n"))

    def journey(
        self,
        customer: str,
        *,
        as_of: str | date | datetime | None = None,
        known_at: str | date | datetime | None = None,
        definition: Definition | None = None,
        tz: str = "UTC",
    ) -> JourneyRecord:
        """What is known of one customer, now or then, under all keys that are linked with theirs.

        Args:
            customer: any of the keys.
            as_of: the world as it was then: what happened later is left out.
            known_at: what this store had been told by then.
            definition: of the stages; the store's default unless given.
            tz: the zone of days, such as ``Europe/Berlin``.

        Raises:
            UnknownName: the store has no event of that customer, or there is no such zone.
        """
        here = zone(tz)
        known = None if known_at is None else moment(known_at, end_of_day=True, tz=here)
        own = unicodedata.normalize("NFC", customer)
        keys = self._links.keys(own, None if known is None else to_micros(known))
        streams = [f"customer/{key}" for key in keys]
        decode = self._decoder(set(streams))
        record = journey_record(
            customer,
            [decode(stored) for stream in streams for stored in self.store.stream(stream)],
            definition or self.definition,
            None if as_of is None else moment(as_of, end_of_day=True, tz=here),
            known,
            tz=tz,
        )
        return record if len(keys) == 1 else replace(record, keys=keys)

    def linked_customers(self) -> dict[str, tuple[str, ...]]:
        """By each key that is linked with others: all keys of that customer, the root first."""
        return self._links.families()

    @cached_property
    def _links(self) -> Links:
        return Links(self.store, self._decoder)

    def events(
        self, customer: str | None = None, *, after: int = 0, upto: int | None = None
    ) -> Iterator[Recorded]:
        """The events of the log, or of one customer, in the order of their recording.

        Args:
            customer: only this customer's.
            after, upto: positions: after the first, through the second.
        """
        if customer is not None:
            stream = f"customer/{unicodedata.normalize('NFC', customer)}"
            stored: Iterator[StoredState] = (
                one
                for one in self.store.stream(stream)
                if one.position > after and (upto is None or one.position <= upto)
            )
            decode = self._decoder({stream})
        else:
            stored, decode = self.store.states(after, upto), self._decoder(None)
        yield from map(decode, stored)

    def export(self, *, reveal: bool = False) -> Iterator[dict[str, Any]]:
        """The whole log as CloudEvents objects, after a header line that says what it is.

        Args:
            reveal: open the personal fields; without, they leave as ``sealed:1:...``.
        """
        upto = self.store.head()
        yield {
            "bowtie_export": 1,
            "store_id": self.store.store_id,
            "count": self.store.count(upto),
            "definition": self.definition.label,
        }
        decode = self._decoder(None) if reveal else Decoder()
        for stored in self.store.states(0, upto):
            yield decode(stored).to_cloudevent()

    def subscribe(
        self,
        after: int = 0,
        *,
        until: int | None = None,
        stop: threading.Event | None = None,
        poll: float = 0.5,
        patience: float = 300.0,
    ) -> Iterator[Recorded]:
        """Each event after a position as it is recorded, in order and without gaps, for ever.

        It looks for new events by itself, and sooner where the database gives a hint. A broken
        connection is made anew, and a server that is restarted is waited for. Whoever keeps the
        position of the last event it has dealt with can go on from there after any crash.

        >>> from bowtie import Bowtie, Onboarded
        >>> with Bowtie.open("memory://") as engine:
        ...     _ = engine.record("acme", Onboarded(), Onboarded())
        ...     [event.position for event in engine.subscribe(after=1, until=2)]
        [2]

        Args:
            after: the position after which to begin; 0 for the first event there is.
            until: end after this position.
            stop: end soon after this is set, from any thread.
            poll: the longest time between two looks, in seconds.
            patience: how long a database server may be away, in seconds.

        Raises:
            StoreAway: the server was away for longer than that.
        """
        stop = stop or threading.Event()
        for batch in self.follow(after, until, stop, poll, patience):
            for event in batch:
                yield event
                if stop.is_set():
                    return

    def follow(
        self, after: int, until: int | None, stop: threading.Event, poll: float, patience: float
    ) -> Iterator[list[Recorded]]:
        """What :meth:`subscribe` gives, as many events at a time as there are."""
        return followed(
            self.store,
            self._decoder,
            after,
            until=until,
            stop=stop,
            poll=poll,
            patience=patience,
        )

    def wait_until(self, position: int, timeout: float = 30.0) -> None:
        """Wait until the log has reached a position, such as one that another process recorded.

        >>> from bowtie import Bowtie, Onboarded
        >>> with Bowtie.open("memory://") as engine:
        ...     (recorded,) = engine.record("acme", Onboarded())
        ...     engine.wait_until(recorded.position, timeout=1)

        Raises:
            NotReached: the log was not there within so many seconds.
        """
        if not self.store.changed(position - 1, timeout):
            raise NotReached(
                f"the log stands at position {self.store.head()}, and did not reach {position}"
                f" within {timeout:g} seconds"
            )

    def decoder_of(self, streams: set[str]) -> Decoder:
        """What turns stored events of some streams into recorded ones, with what is sealed opened.

        Raises:
            SealedKeyMissing: the master key is not at hand.
        """
        return self._decoder(streams)

    # -- inside -------------------------------------------------------------------------------

    def _decoder(self, streams: set[str] | None) -> Decoder:
        """A decoder that opens what this store's keys open."""
        return self._opening(self.store.keys(streams))

    def _opening(self, wrapped: Mapping[str, bytes]) -> Decoder:
        """A decoder that opens what these keys open, as they lie in the store."""
        if not wrapped:
            return Decoder()
        master = self.store.master_key
        keys = {stream: unwrap_key(master, key, stream) for stream, key in wrapped.items()}
        return Decoder({stream: key for stream, key in keys.items() if key is not None})
