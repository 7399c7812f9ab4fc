"""What PostgreSQL says, as the errors of stores: one line each, without a password in it."""

from __future__ import annotations

import psycopg

from bowtie.errors import StoreAway, StoreBusy, StoreError, StoreMissing, StoreReadOnly

__all__ = ["explained", "not_connected"]

_FULL = "53100"
_BUSY = {
    "55P03": "another writer has held the store all the while; try again",
    "40P01": "two transactions waited for each other, and the server ended this one; try again",
    "40001": "another transaction came first; try again",
    "57014": "the server ended what took longer than its statement_timeout; try again",
}
#: Classes of SQLSTATE: connection exception, operator intervention (shutdown, crash).
_GONE = ("08", "57P")
_READ_ONLY = ("42501", "25006")


def explained(error: psycopg.Error, shown: str) -> StoreError:
    """The error of a statement.

    Args:
        error: what the driver raised.
        shown: the store's URL, without a password.
    """
    state = error.sqlstate or ""
    said = error.diag.message_primary or _first_line(error)
    if state in _BUSY:
        return StoreBusy(f"{shown}: {_BUSY[state]}")
    if state == _FULL:
        return StoreError(
            f"{shown}: the server's disk is full; free some space and repeat (what was reported"
            " is kept)"
        )
    if state in _READ_ONLY:
        return StoreReadOnly(f"{shown} can't be used so: {said}; ask the database's owner")
    if state.startswith(_GONE) or (not state and isinstance(error, psycopg.OperationalError)):
        return StoreAway(f"{shown}: the connection to the server broke ({said}); try again")
    if state.startswith("42") or state == "3F000":
        return StoreError(f"{shown} is damaged ({said}): restore it from a backup")
    return StoreError(f"{shown}: {said}")


def not_connected(error: psycopg.Error, shown: str) -> StoreError:
    """The error of a connection that was not made."""
    # one line for each address that was tried
    said = _first_line(error).rpartition("FATAL: ")[2].strip()
    if "authentication failed" in said or "no password supplied" in said:
        return StoreError(f"{shown}: the server refused the name or the password ({said})")
    if "does not exist" in said:
        return StoreMissing(f"{shown}: the server says: {said}; make it first, or name another")
    if isinstance(error, psycopg.ProgrammingError):  # of the URL, which may hold the password
        return StoreError(f"{shown}: the driver knows no such parameter, or not this value of one")
    return StoreAway(f"{shown}: the server can't be reached ({said})")


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
