"""What a command expects of its stream, and how it is tried again when it was overtaken.

Read a journey, decide, record with ``expected=journey.version``: where somebody else recorded
meanwhile, the command is refused with :class:`~bowtie.errors.StreamConflict` and nothing is
appended. What was decided on an old state is then decided anew.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Literal, TypeVar

from bowtie.codec import Fact
from bowtie.errors import StreamConflict, UsageError

__all__ = ["ANY", "NO_STREAM", "STREAM_EXISTS", "Expectation", "Expected", "retrying"]

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


class Expectation(Enum):
    """What can be expected of a stream, beside a version."""

    ANY = "any"
    NO_STREAM = "no-stream"
    STREAM_EXISTS = "stream-exists"

    def __repr__(self) -> str:
        return f"bowtie.{self.name}"


#: Whatever the stream's version.
ANY: Final[Literal[Expectation.ANY]] = Expectation.ANY
#: The stream has no event yet.
NO_STREAM: Final[Literal[Expectation.NO_STREAM]] = Expectation.NO_STREAM
#: The stream has an event.
STREAM_EXISTS: Final[Literal[Expectation.STREAM_EXISTS]] = Expectation.STREAM_EXISTS

#: One of those, or the number of the stream's newest version.
Expected = Expectation | int


def check_expected(expected: object, facts: Sequence[Fact]) -> None:
    """See that something can be expected of the stream of some facts.

    Raises:
        UsageError: it is neither a version nor one of the three words, or there are two streams.
    """
    if len({(fact.kind, fact.subject) for fact in facts}) > 1:
        raise UsageError(
            "these events belong to several streams: expect something of one at a time"
        )
    if isinstance(expected, Expectation):
        return
    if not isinstance(expected, int) or isinstance(expected, bool) or expected < 0:
        raise UsageError(
            f"{expected!r} can't be expected of a stream: give a version (0, 1, ...), bowtie.ANY,"
            " bowtie.NO_STREAM or bowtie.STREAM_EXISTS"
        )


def conflict(stream: str, expected: Expected, actual: int) -> StreamConflict | None:
    """The conflict between what is expected of a stream and the version found.

    >>> print(conflict("customer/acme", 3, 4))
    'acme' is at version 4, and version 3 was expected: read it again and decide anew
    >>> conflict("customer/acme", NO_STREAM, 0) is None
    True
    """
    match expected:
        case Expectation.ANY:
            return None
        case Expectation.NO_STREAM:
            met, words = actual == 0, "no event"
        case Expectation.STREAM_EXISTS:
            met, words = actual > 0, "at least one event"
        case _:
            met, words = actual == expected, f"version {expected}"
    return None if met else StreamConflict(stream, words, actual)


def retrying(command: Callable[[], T], *, attempts: int = 5, wait: float = 0.01) -> T:
    """Call a command, and call it again where somebody else recorded before it did.

    The command reads the journey, decides and records with ``expected=``; each call must do all
    three, so that it decides on what is there by then. What it returns is returned.

    >>> import bowtie
    >>> engine = bowtie.Bowtie.open("memory://")
    >>> _ = engine.record("acme", bowtie.TraitsObserved(traits={"seats": 3}))
    >>> def one_more_seat():
    ...     journey = engine.journey("acme")
    ...     seats = bowtie.TraitsObserved(traits={"seats": journey.traits["seats"] + 1})
    ...     return engine.record("acme", seats, expected=journey.version)
    >>> bowtie.retrying(one_more_seat)[0].data.traits
    {'seats': 4}
    >>> engine.close()

    Args:
        command: takes nothing; may be called up to ``attempts`` times.
        attempts: how often at most.
        wait: seconds before the second attempt, at most; each further wait may be twice as long.
            Waits are random, so that those who met don't meet again.

    Raises:
        StreamConflict: the last attempt was overtaken too.
    """
    if attempts < 1:
        raise UsageError("attempts: must be 1 or more")
    for attempt in range(attempts - 1):
        try:
            return command()
        except StreamConflict as error:
            _LOG.info(
                "attempt %d of %d was overtaken: %d is the version now",
                attempt + 1,
                attempts,
                error.actual,
            )
            time.sleep(random.uniform(0, wait * 2**attempt))  # noqa: S311 - spreads, hides nothing
    return command()
