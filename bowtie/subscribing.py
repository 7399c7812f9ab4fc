"""Events as they are recorded, for ever: looked for again and again, hints only make it sooner.

Positions become visible in their order, since all writers append under one lock: what is read after
a position is all that there is after it, and nothing can appear before it later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from bowtie.decoding import Decoder
from bowtie.envelope import Recorded
from bowtie.errors import StoreAway, StoreBusy, StoreError
from bowtie.stores import Store, StoredState

__all__ = ["followed"]

_LOG = logging.getLogger(__name__)
#: Events opened at a time: the keys of their customers are fetched together.
_AT_ONCE = 500
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


def followed(
    store: Store,
    decoder: Callable[[set[str]], Decoder],
    after: int,
    *,
    until: int | None,
    stop: threading.Event,
    poll: float,
    patience: float,
) -> Iterator[list[Recorded]]:
    """The events after a position, some at a time; see :meth:`bowtie.Bowtie.subscribe`."""
    absence = _Absence(patience)
    while not stop.is_set() and (until is None or after < until):
        try:
            if not store.changed(after, poll):
                absence.over()
                continue
            upto = store.head() if until is None else min(store.head(), until)
            found = list(islice(store.states(after, upto), _AT_ONCE))
            events = list(map(_decoder_for(decoder, found), found))
        except (StoreAway, StoreBusy) as error:
            stop.wait(absence.pause(error))
            continue
        absence.over()
        if events:
            yield events
        after = events[-1].position if events else upto


def _decoder_for(decoder: Callable[[set[str]], Decoder], states: Sequence[StoredState]) -> Decoder:
    sealed = {one.stream for one in states if b'"_sealed":' in one.state}
    return decoder(sealed) if sealed else Decoder()


class _Absence:
    """How long a server has been away, and how long to wait before the next try."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def pause(self, error: StoreError) -> float:
        """The seconds to wait; raises the error where patience is at its end."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            _LOG.warning("subscription: %s; trying again", error)
        elif now - self._since > self._patience:
            raise error
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        return pause

    def over(self) -> None:
        """The server answers."""
        if self._since is not None:
            _LOG.info("subscription: the store is back")
        self._since, self._pause = None, _FIRST_PAUSE
