"""Turns at a file among the threads of one process, which DuckDB would let in all at once.

Between processes DuckDB itself keeps readers and a writer apart. Within one, all share what was
opened first: two writers would meet in each other's transactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from weakref import WeakValueDictionary

__all__ = ["Turns"]


class Turns:
    """Many read at once, or one writes; who wants to write comes before later readers."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._reading = self._waiting = 0
        self._writing = False

    @staticmethod
    def at(path: Path) -> Turns:
        """Those at a file, for as long as somebody keeps them."""
        with _LOCK:
            return _KNOWN.setdefault(str(path.resolve()), Turns())

    @contextmanager
    def reading(self, wait: float) -> Iterator[None]:
        """A turn beside other readers.

        Raises:
            TimeoutError: a writer had it, or waited for it, all the while.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not (self._writing or self._waiting), wait):
                raise TimeoutError
            self._reading += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self, wait: float) -> Iterator[None]:
        """A turn alone.

        Raises:
            TimeoutError: others had it all the while.
        """
        with self._changed:
            self._waiting += 1
            try:
                if not self._changed.wait_for(lambda: not (self._writing or self._reading), wait):
                    raise TimeoutError
                self._writing = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()


_KNOWN: WeakValueDictionary[str, Turns] = WeakValueDictionary()
_LOCK = Lock()
