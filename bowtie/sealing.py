"""Personal fields, sealed one by one under a key of the customer's own.

Three keys stand behind each other. The *master key* comes from the environment or from a key file
beside the store, and never enters the store. The *store key* (one a store) and the *customer keys*
(one a stream, made when the first personal field arrives) lie in the store, wrapped by the master
key. Destroying a customer's key makes every sealed field of that customer unreadable for ever.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bowtie.errors import SealedKeyMissing, StoreReadOnly

__all__ = [
    "MASTER_KEY_VARIABLE",
    "NEW_MASTER_KEY_VARIABLE",
    "SEALED_PREFIX",
    "StoreKeys",
    "is_sealed",
    "load_master_key",
    "make_master_key",
    "open_sealed",
    "seal",
]

#: The environment variable that may hold the master key: 32 bytes as base64.
MASTER_KEY_VARIABLE = "BOWTIE_MASTER_KEY"
#: The environment variable that holds the next master key while it is changed.
NEW_MASTER_KEY_VARIABLE = "BOWTIE_NEW_MASTER_KEY"
#: What a sealed value begins with wherever it leaves the store unopened.
SEALED_PREFIX = "sealed:1:"

_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
#: What a wrapped store key is bound to.
_STORE_KEY = "store key"


def seal(key: bytes, plain: str, context: str) -> str:
    """Seal one value; the same context must be given to open it.

    >>> key = bytes(32)
    >>> open_sealed(key, seal(key, "ada@example.org", "acme/email"), "acme/email")
    'ada@example.org'
    """
    return SEALED_PREFIX + base64.b64encode(wrap(key, plain.encode(), context)).decode()


def open_sealed(key: bytes, token: str, context: str) -> str | None:
    """The value that was sealed, or None when this key or context did not seal it."""
    try:
        raw = base64.b64decode(token.removeprefix(SEALED_PREFIX), validate=True)
        return unwrap(key, raw, context).decode()
    except (InvalidTag, ValueError, binascii.Error):
        return None


def is_sealed(value: object) -> bool:
    """Whether a value is what :func:`seal` makes, under whatever key.

    More than the prefix must be right, or a sender could have plain text kept as if it were sealed.

    >>> is_sealed(seal(bytes(32), "ada", "acme/name")), is_sealed("sealed:1:ada@example.org")
    (True, False)
    """
    if not isinstance(value, str) or not value.startswith(SEALED_PREFIX):
        return False
    try:
        raw = base64.b64decode(value.removeprefix(SEALED_PREFIX), validate=True)
    except ValueError:
        return False
    return len(raw) > _NONCE_BYTES + _TAG_BYTES


def wrap(key: bytes, plain: bytes, context: str) -> bytes:
    """AES-GCM under a fresh nonce, which comes first in the result."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def unwrap(key: bytes, wrapped: bytes, context: str) -> bytes:
    """The reverse of :func:`wrap`; raises ``InvalidTag`` for a wrong key or context."""
    if len(wrapped) < _NONCE_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context.encode())


def new_key() -> bytes:
    """A fresh random key."""
    return secrets.token_bytes(_KEY_BYTES)


def wrap_store_key(master: bytes, key: bytes) -> bytes:
    """A store's own key, wrapped by the master key."""
    return wrap(master, key, _STORE_KEY)


def open_store_key(master: bytes, wrapped: object) -> bytes | None:
    """A store's own key; None where the master key is another one."""
    if not isinstance(wrapped, bytes):
        return None
    try:
        return unwrap(master, wrapped, _STORE_KEY)
    except InvalidTag:
        return None


class StoreKeys:
    """The keys derived from one store's own key: for content, aliases and parked lines."""

    def __init__(self, store_key: bytes) -> None:
        self.content = self._derive(store_key, b"content")
        self.aliases = self._derive(store_key, b"aliases")
        self.parked = self._derive(store_key, b"parked")

    @staticmethod
    def _derive(store_key: bytes, use: bytes) -> bytes:
        return hashlib.blake2b(use, key=store_key, digest_size=_KEY_BYTES).digest()

    def alias_hash(self, alias: str) -> str:
        """What stands for an alias where the alias itself must not (hex of a keyed hash).

        In whatever way its letters are composed: keys are compared as NFC.
        """
        alias = unicodedata.normalize("NFC", alias)
        return hashlib.blake2b(alias.encode(), key=self.aliases, digest_size=16).hexdigest()


def key_file(store_path: Path) -> Path:
    """Where the master key of a store lies unless the environment holds it."""
    return store_path.with_name(store_path.name + ".key")


def next_key_file(store_path: Path) -> Path:
    """Where the next master key lies while it is changed."""
    return store_path.with_name(store_path.name + ".key.next")


def load_master_key(
    store_path: Path | None, opens: Callable[[bytes], bool] = lambda key: True
) -> bytes:
    """The master key, from the environment or the key file.

    Where a change of the key was killed halfway, it is the next one that opens the store: then that
    is the key, and a key file is put in its place.

    Args:
        store_path: beside which the key file lies.
        opens: whether a key is that of the store.

    Raises:
        SealedKeyMissing: neither is there, or what is there is no key.
    """
    key = _present_key(store_path)
    if opens(key):
        return key
    following = next_key(store_path)
    if following is None or not opens(following):
        return key
    if store_path is not None and MASTER_KEY_VARIABLE not in os.environ:
        with suppress(OSError):  # whoever may write there will
            os.replace(next_key_file(store_path), key_file(store_path))  # noqa: PTH105
    return following


def next_key(store_path: Path | None) -> bytes | None:
    """The key that is to be the master key, where a change of it has begun."""
    if MASTER_KEY_VARIABLE in os.environ:
        text = os.environ.get(NEW_MASTER_KEY_VARIABLE)
        return None if text is None else _key_of(text, NEW_MASTER_KEY_VARIABLE)
    if store_path is None or not next_key_file(store_path).exists():
        return None
    path = next_key_file(store_path)
    return _key_of(path.read_text("utf-8", "replace"), str(path))


def _present_key(store_path: Path | None) -> bytes:
    text = os.environ.get(MASTER_KEY_VARIABLE)
    where = f"the environment variable {MASTER_KEY_VARIABLE}"
    if text is None and store_path is not None:
        path = key_file(store_path)
        where = str(path)
        try:
            text = path.read_text("utf-8", "replace")
        except PermissionError as error:
            raise SealedKeyMissing(
                f"no permission to read the store's master key in {path}: ask its owner, or set"
                f" {MASTER_KEY_VARIABLE}"
            ) from error
        except OSError as error:
            raise SealedKeyMissing(
                f"the store's master key is neither in {MASTER_KEY_VARIABLE} nor in {path}:"
                " restore that file from its backup (personal fields can't be read or written"
                " without it)"
            ) from error
    return _key_of(text or "", where)


def _key_of(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:  # no base64, or not even ASCII
        key = b""
    if len(key) != _KEY_BYTES:
        raise SealedKeyMissing(f"{where} holds no master key: it must be 32 bytes in base64")
    return key


def make_master_key(store_path: Path | None) -> bytes:
    """The master key for a new store: the environment's, else a new one in the key file.

    A key file that is already there is used, so that a store can be made anew beside it.
    """
    if store_path is None:
        return load_master_key(None) if MASTER_KEY_VARIABLE in os.environ else new_key()
    path = key_file(store_path)
    if MASTER_KEY_VARIABLE in os.environ or path.exists():
        return load_master_key(store_path)
    key = new_key()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        write_key(draft, key)
        try:
            os.link(draft, path)  # all or nothing, and only one process wins
        finally:
            draft.unlink()
    except FileExistsError:
        return load_master_key(store_path)
    except OSError as error:
        raise StoreReadOnly(f"can't write the key file {path}: {error.strerror}") from error
    return key


def write_key(path: Path, key: bytes) -> None:
    """Write a key to a file that only its owner can read, and see that it is on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
