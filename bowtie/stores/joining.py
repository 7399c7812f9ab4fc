"""The application's own connection, in whose transaction events are appended."""

from __future__ import annotations

from typing import Any

from bowtie.errors import UsageError

__all__ = ["driver_connection"]


def driver_connection(connection: Any) -> Any:
    """The driver's own connection: of an SQLAlchemy one that is in a transaction, or as given."""
    if not hasattr(connection, "exec_driver_sql"):
        if callable(getattr(connection, "connection", None)):
            raise UsageError("give the session's connection: connection=session.connection()")
        return connection
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy commits only what it knows to have begun
    return connection.connection.driver_connection
