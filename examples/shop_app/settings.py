"""What can be set, all of it in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs.

    Attributes:
        database: ``SHOP_DATABASE``, where both the shop's tables and the journeys are:
            ``sqlite:///shop.db``, or ``postgresql://...?schema=journeys``, whose schema is that of
            the journeys alone.
        threads: ``SHOP_THREADS``, how many requests are worked on at once.
        lock_timeout: ``SHOP_LOCK_TIMEOUT``, how many seconds a request waits for other writers.
        read_timeout: ``SHOP_READ_TIMEOUT``, how many seconds a figure is waited for that shall
            cover what the asker has just written.
        follow: ``SHOP_FOLLOW=1`` says that ``bowtie replay --follow`` runs beside this process and
            keeps the read tables up to date; else whoever asks for a figure does.
        max_lag: ``SHOP_MAX_LAG``, how many seconds those tables may be behind until ``/health``
            says that something is wrong.
    """

    database: str = "sqlite:///shop.db"
    threads: int = 8
    lock_timeout: float = 5.0
    read_timeout: float = 5.0
    follow: bool = False
    max_lag: float = 60.0

    @classmethod
    def from_environment(cls) -> Self:
        """What the environment says, and the defaults."""
        said = os.environ.get
        return cls(
            database=said("SHOP_DATABASE", cls().database),
            threads=int(said("SHOP_THREADS", cls().threads)),
            lock_timeout=float(said("SHOP_LOCK_TIMEOUT", cls().lock_timeout)),
            read_timeout=float(said("SHOP_READ_TIMEOUT", cls().read_timeout)),
            follow=said("SHOP_FOLLOW", "0") == "1",
            max_lag=float(said("SHOP_MAX_LAG", cls().max_lag)),
        )
