"""Connections on which an answer comes in time: the whole head of it, not only each piece.

The timeout of a socket is for each time that something is read. A receiver that sends a header
every few seconds would be waited for as long as it likes, and everybody else with it.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

__all__ = ["connections"]


def connections(timeout: float) -> PoolManager:
    """Connections to any host, tried once.

    Args:
        timeout: for connecting, and then for the head of the answer: both together, in seconds.
    """
    pool = PoolManager(timeout=Timeout(total=timeout), retries=False, num_pools=8)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SafePool}
    return pool


class _InTime(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        """The answer, with its head.

        Raises:
            TimeoutError: the head was not there in time.
        """
        line, late = self.sock, threading.Event()

        def break_off() -> None:
            late.set()
            with suppress(OSError):  # it may have ended by itself
                line.shutdown(socket.SHUT_RDWR)

        # urllib3 puts here what is left of the whole time
        timer = threading.Timer(float(self.timeout or 0), break_off)
        timer.start()
        try:
            answer = super().getresponse()
        except Exception:
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        if late.is_set():  # what was cut off reads as if it had ended
            answer.close()
            raise TimeoutError
        return answer


class _SafeInTime(_InTime, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _InTime


class _SafePool(HTTPSConnectionPool):
    ConnectionCls = _SafeInTime
