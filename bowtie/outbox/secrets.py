"""The secrets that messages are signed with: in a file beside the master key, or the environment.

They never enter the store, so neither a backup of it nor a query shows them.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bowtie.errors import SealedKeyMissing, StoreReadOnly

if TYPE_CHECKING:
    from bowtie.stores import Store

__all__ = [
    "drop_secrets",
    "make_secret",
    "rotate_secret",
    "secret_place",
    "secret_variable",
    "secrets_of",
]

_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{32,88}={0,2}")
_BYTES = 32


def secret_variable(name: str) -> str:
    """The environment variable that may hold the secrets of an endpoint, the newest first.

    >>> secret_variable("crm-hooks")
    'BOWTIE_WEBHOOK_SECRET_CRM_HOOKS'
    """
    return f"BOWTIE_WEBHOOK_SECRET_{name.upper().replace('-', '_')}"


def secret_place(store: Store, name: str) -> Path | None:
    """The file of an endpoint's secrets, beside the store's master key; None in memory."""
    place = store.key_place
    return None if place is None else place.with_name(f"{place.name}.webhook-{name}.key")


def secrets_of(store: Store, name: str) -> tuple[str, ...]:
    """The secrets of an endpoint, the newest first: each message is signed with all of them.

    Raises:
        SealedKeyMissing: there is none at hand.
    """
    text, place = os.environ.get(secret_variable(name)), secret_place(store, name)
    if text is None and place is not None:
        with suppress(OSError):
            text = place.read_text("ascii", "replace")
    found = tuple((text or "").split())
    if not found or not all(map(_SECRET.fullmatch, found)):
        where = f" nor in {place}" if place is not None else ""
        raise SealedKeyMissing(
            f"the signing secret of {name} (whsec_...) is neither in {secret_variable(name)}"
            f"{where}: restore it, or make a new one with bowtie webhook rotate {name}"
        )
    return found


def make_secret(store: Store, name: str) -> None:
    """Make the secret of a new endpoint; one that the environment holds is taken as it is.

    Raises:
        SealedKeyMissing: a store in memory has no place for one, and the environment holds none.
    """
    place = secret_place(store, name)
    if secret_variable(name) in os.environ or place is None:
        secrets_of(store, name)
        return
    _write(place, (_new(),))


def rotate_secret(store: Store, name: str) -> tuple[str, ...]:
    """Put a new secret before the one in use; until the next change, both sign each message.

    Returns:
        The secrets, the newest first.

    Raises:
        SealedKeyMissing: the environment holds the secrets: they are changed there.
    """
    place = secret_place(store, name)
    if secret_variable(name) in os.environ or place is None:
        raise SealedKeyMissing(
            f"{secret_variable(name)} holds the secrets: put a new one before the old one there,"
            " with a space between them"
        )
    try:
        before = secrets_of(store, name)[:1]
    except SealedKeyMissing:  # lost: there is nothing to go on with
        before = ()
    found = (_new(), *before)
    _write(place, found)
    return found


def drop_secrets(store: Store, name: str) -> None:
    """Remove the file of an endpoint's secrets."""
    place = secret_place(store, name)
    if place is not None:
        place.unlink(missing_ok=True)


def _new() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def _write(place: Path, found: tuple[str, ...]) -> None:
    """To a file that only its owner can read, all or nothing."""
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    mode = stat.S_IRUSR | stat.S_IWUSR
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write("".join(f"{one}\n" for one in found))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)
    except OSError as error:
        raise StoreReadOnly(f"can't write the secret file {place}: {error.strerror}") from error
