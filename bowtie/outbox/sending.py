"""One attempt to send: signed as Standard Webhooks says, over TLS, without following anybody."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLCertVerificationError
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from bowtie.extras import need
from bowtie.outbox.messages import body_of
from bowtie.outbox.secrets import secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bowtie import Bowtie
    from bowtie.outbox.endpoints import Endpoint

__all__ = ["Answered", "Sender", "signed", "try_endpoint"]

#: How long a receiver may take, in seconds; the specification says 15 to 30.
TIMEOUT = 20.0
_GONE = 410


@dataclass(frozen=True, slots=True)
class Answered:
    """What an attempt came to.

    Args:
        taken: the receiver said 2xx.
        reason: why not, for a person.
        gone: it said that it wants no more, ever.
        wait: it asked not to be called again for so long, in seconds.
    """

    taken: bool
    reason: str = ""
    gone: bool = False
    wait: float = 0.0


def signed(secrets: Sequence[str], message: str, body: str, at: datetime) -> dict[str, str]:
    """The headers of a message: its id, the time of this attempt, a signature by each secret."""
    webhooks = need("standardwebhooks", "webhooks")
    at = at.astimezone(UTC).replace(microsecond=0)
    signatures = [webhooks.Webhook(one).sign(message, at, body) for one in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "bowtie-journeys",
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class Sender:
    """Sends messages by HTTP; to be closed.

    Args:
        timeout: how long a receiver may take, in seconds.
        clock: what time it is.

    Raises:
        UsageError: the extra ``[webhooks]`` is not installed.
    """

    def __init__(
        self, timeout: float = TIMEOUT, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        need("standardwebhooks", "webhooks")
        self._urllib3 = need("urllib3", "webhooks")
        from bowtie.outbox.connections import connections

        self.timeout, self._clock = timeout, clock
        self._pool = connections(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def send(self, url: str, secrets: Sequence[str], message: str, body: str) -> Answered:
        """Send a message once; what the receiver said of it, or why there was no answer."""
        headers = signed(secrets, message, body, self._clock())
        errors = self._urllib3.exceptions
        try:
            answer = self._pool.request(
                "POST", url, body=body.encode(), headers=headers, redirect=False,
                preload_content=False,
            )  # fmt: skip
        except (errors.HTTPError, OSError) as error:
            return Answered(False, self._said(error))
        answer.close()  # nothing in it is of interest
        return self._judged(answer.status, answer.headers)

    def _said(self, error: Exception) -> str:
        """Why there was no answer; the text of the error may hold the whole address."""
        errors = self._urllib3.exceptions
        if isinstance(error, errors.SSLError):
            untrusted = any(isinstance(one, SSLCertVerificationError) for one in error.args)
            why = "its certificate is not trusted" if untrusted else "it does not answer in TLS"
            return f"no safe connection: {why}"
        if isinstance(error, errors.NameResolutionError):
            return "no connection: its host is not known"
        if isinstance(error, errors.NewConnectionError):
            return "no connection: nothing listens there"
        if isinstance(error, errors.TimeoutError):
            return f"no answer within {self.timeout:g} seconds"
        return "no connection: it was broken off, or what came was no HTTP"

    def _judged(self, status: int, headers: Any) -> Answered:
        if 200 <= status < 300:
            return Answered(True)
        if 300 <= status < 400:
            reason = f"answered {status}: redirects are not followed; add the new address instead"
            return Answered(False, reason)
        if status == _GONE:
            return Answered(False, "answered 410: it wants no more messages", gone=True)
        return Answered(False, f"answered {status}", wait=self._asked_to_wait(headers))

    def _asked_to_wait(self, headers: Any) -> float:
        """Seconds, from ``Retry-After``: a number, or a date."""
        text = headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        with suppress(ValueError):
            when = parsedate_to_datetime(text)
            return max(0.0, (when.astimezone(UTC) - self._clock()).total_seconds())
        return 0.0


def try_endpoint(engine: Bowtie, endpoint: Endpoint, sender: Sender) -> Answered:
    """Send an endpoint a message of the type ``webhook.test``, past the outbox.

    Raises:
        SealedKeyMissing: its secret is not at hand.
    """
    secrets = secrets_of(engine.store, endpoint.name)
    data = {"endpoint": endpoint.name, "topics": list(endpoint.topics)}
    body = body_of("webhook.test", datetime.now(UTC), data)
    return sender.send(endpoint.url, secrets, f"msg_{uuid4().hex}", body)
