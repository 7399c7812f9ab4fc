"""Delivery: each message at least once, with the same id, until it is taken or given up.

A process takes a message for itself in a short transaction, sends it with no lock held, and notes
the answer in another one. Whoever dies in between leaves it to the next, when its time is over: the
message is sent again, under the id it had. So nothing is lost, and what comes twice can be told.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bowtie.errors import SealedKeyMissing, StoreAway, StoreBusy, UsageError
from bowtie.outbox.deriving import derive_messages
from bowtie.outbox.endpoints import endpoints
from bowtie.outbox.secrets import secrets_of
from bowtie.times import now_micros

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.outbox.sending import Answered, Sender

__all__ = ["Delivered", "Schedule", "deliver", "follow_outbox"]

_SECOND = 1_000_000
#: A process has a message for itself for the time of an attempt and so many seconds more.
_SPARE = 30.0
_LONGEST = 86_400.0
#: How long one look at the log may take before it is looked whether to stop, in seconds.
_LOOK = 0.25


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a message is sent again, and how often.

    The n-th failure is followed by ``first * factor ** (n - 1)`` seconds, a day at most, and up to
    a quarter more or less by chance, so that many don't come back at once. What a receiver asks
    for by ``Retry-After`` is waited for, if it is longer, for a day at most.

    Args:
        attempts: after so many failures it is given up. Ten take about two days.
        first: seconds after the first failure.
        factor: how much longer each wait is than the one before.

    >>> [round(Schedule().wait(n, 0.5)) for n in range(1, 10)]
    [5, 20, 80, 320, 1280, 5120, 20480, 81920, 86400]
    """

    attempts: int = 10
    first: float = 5.0
    factor: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        if self.attempts < 1 or self.first < 0 or self.factor < 1:
            raise UsageError("a message is sent once at least, and waits don't get shorter")

    def wait(self, failures: int, chance: float, asked: float = 0.0) -> float:
        """Seconds to the next attempt.

        Args:
            failures: how many there were.
            chance: from 0 to 1.
            asked: for so long the receiver wants to be left alone.
        """
        steps = min(failures - 1, 64)
        own = min(self.first * self.factor**steps, _LONGEST) * (0.75 + chance / 2)
        return max(own, min(asked, _LONGEST))


@dataclass(slots=True)
class Delivered:
    """What a delivery did.

    Args:
        delivered: messages that were taken.
        failed: attempts that were not, after which the message waits again.
        dead: messages that were given up.
        stopped: endpoints that want no more.
    """

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    stopped: int = 0

    @property
    def attempts(self) -> int:
        """How often something was sent."""
        return self.delivered + self.failed + self.dead


@dataclass(frozen=True, slots=True)
class _Held:
    """A message that this process has for itself."""

    seq: int
    message: str
    endpoint: str
    url: str
    body: str
    attempts: int
    until: int


def deliver(
    engine: Bowtie,
    sender: Sender,
    schedule: Schedule | None = None,
    *,
    stop: threading.Event | None = None,
    clock: Callable[[], int] = now_micros,
) -> Delivered:
    """Send what is due, the oldest first; an endpoint that fails is left alone until the next call.

    Args:
        engine: the store.
        sender: from :class:`~bowtie.outbox.Sender`.
        schedule: when what fails is sent again.
        stop: end soon after this is set.
        clock: what time it is, in microseconds.

    Raises:
        SealedKeyMissing: the secret of an endpoint that is to be told something is not at hand; all
            others were told before.
    """
    schedule, done = schedule or Schedule(), Delivered()
    if not endpoints(engine):
        return done
    resting: set[str] = set()
    missing: SealedKeyMissing | None = None
    secrets: dict[str, tuple[str, ...]] = {}
    while stop is None or not stop.is_set():
        held = _take(engine, resting, clock(), sender.timeout)
        if held is None:
            break
        try:
            if held.endpoint not in secrets:
                secrets[held.endpoint] = secrets_of(engine.store, held.endpoint)
        except SealedKeyMissing as error:  # the others are told all the same
            _give_back(engine, held)
            resting.add(held.endpoint)
            missing = error
            continue
        answer = sender.send(held.url, secrets[held.endpoint], held.message, held.body)
        if not answer.taken:
            resting.add(held.endpoint)
        _add(done, _note(engine, held, answer, schedule, clock()))
    if missing is not None:
        raise missing
    return done


def _take(engine: Bowtie, resting: set[str], now: int, timeout: float) -> _Held | None:
    """The oldest message that is due, for this process alone; None where none is."""
    due = (
        "SELECT o.seq, o.message, o.endpoint, e.url, o.body, o.attempts FROM bowtie_outbox o"
        " JOIN bowtie_endpoints e ON e.endpoint = o.endpoint WHERE o.state = 'waiting'"
        " AND o.due_at <= ? AND o.held_until <= ? AND e.stopped IS NULL"
        f"{''.join(' AND o.endpoint <> ?' for _ in resting)} ORDER BY o.seq LIMIT 1"
    )
    values = (now, now, *sorted(resting))
    if not engine.store.rows(due, values):  # most often: no lock is needed to know
        return None
    until = now + round((timeout + _SPARE) * _SECOND)
    with engine.store.writing() as tx:
        rows = tx.rows(due, values)
        if not rows:
            return None
        seq, message, endpoint, url, body, attempts = rows[0]
        held = _Held(seq, message, endpoint, url, body, attempts, until)
        tx.run("UPDATE bowtie_outbox SET held_until = ? WHERE seq = ?", (until, held.seq))
    return held


def _give_back(engine: Bowtie, held: _Held) -> None:
    with engine.store.writing() as tx:
        tx.run(
            "UPDATE bowtie_outbox SET held_until = 0 WHERE seq = ? AND held_until = ?",
            (held.seq, held.until),
        )


def _note(
    engine: Bowtie,
    held: _Held,
    answer: Answered,
    schedule: Schedule,
    now: int,
) -> Delivered:
    """Write down what an attempt came to; of two processes that sent it, taken is taken."""
    failures = held.attempts + 1
    state = "delivered" if answer.taken else "waiting"
    if not answer.taken and (answer.gone or failures >= schedule.attempts):
        state = "dead"
    wait = 0.0
    if state == "waiting":
        wait = schedule.wait(failures, random.random(), answer.wait)  # noqa: S311 - no secret
    mine = "seq = ? AND state = 'waiting'"
    if not answer.taken:  # who took it over meanwhile will say what became of it
        mine += " AND held_until = ?"
    own = (held.seq,) if answer.taken else (held.seq, held.until)
    stopped = 0
    with engine.store.writing() as tx:
        changed = tx.run(
            "UPDATE bowtie_outbox SET state = ?, attempts = ?, due_at = ?, held_until = 0,"
            f" ended_at = ?, reason = ? WHERE {mine}",
            (
                state, failures, now + round(wait * _SECOND),
                None if state == "waiting" else now, answer.reason or None, *own,
            ),
        )  # fmt: skip
        if answer.gone:
            stopped = tx.run(
                "UPDATE bowtie_endpoints SET stopped = ? WHERE endpoint = ? AND stopped IS NULL",
                (answer.reason, held.endpoint),
            )
    return Delivered(
        delivered=changed * (state == "delivered"),
        failed=changed * (state == "waiting"),
        dead=changed * (state == "dead"),
        stopped=stopped,
    )


def follow_outbox(
    engine: Bowtie,
    sender: Sender,
    schedule: Schedule | None = None,
    *,
    stop: threading.Event,
    before: Callable[[], None] = lambda: None,
    poll: float = 1.0,
    on_round: Callable[[Delivered], None] = lambda done: None,
    on_trouble: Callable[[str], None] = lambda text: None,
) -> Delivered:
    """Make and deliver messages until it is stopped; what was done in all.

    A database that is away or busy is waited for.

    Args:
        engine: the store.
        sender: from :class:`~bowtie.outbox.Sender`.
        schedule: when what fails is sent again.
        stop: end soon after this is set.
        before: called before each round, such as to score prospects.
        poll: the longest time between two rounds, in seconds.
        on_round: called with what a round did, if it sent anything.
        on_trouble: called with what went wrong and is waited for.
    """
    total = Delivered()
    while not stop.is_set():
        try:
            derive_messages(engine)
            before()
            done = deliver(engine, sender, schedule, stop=stop)
            head = engine.store.head()
            _add(total, done)
            if done.attempts:
                on_round(done)
            left = poll
            while (
                left > 0 and not stop.is_set() and not engine.store.changed(head, min(_LOOK, left))
            ):
                left -= _LOOK
        except (StoreAway, StoreBusy) as error:
            on_trouble(f"{error}; trying again")
            stop.wait(poll)
    return total


def _add(total: Delivered, done: Delivered) -> None:
    total.delivered += done.delivered
    total.failed += done.failed
    total.dead += done.dead
    total.stopped += done.stopped
