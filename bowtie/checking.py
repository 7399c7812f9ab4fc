"""Checking lines before they are decided about, for a long log in a second process.

A line is checked without a look at the store, so that lines can be checked anywhere. The first
chunk is checked in this process, while the second one starts: a short log never waits for it.
Where it can't be started, or dies, this process checks what is left.
"""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, TypeVar
from zlib import crc32

import msgspec

from bowtie.codec import Fact, Stamp
from bowtie.errors import EventRejected
from bowtie.reader import Reader

__all__ = ["Line", "Prepared", "ahead", "checked", "serve"]

#: A second process pays for itself in logs of some chunks of lines, as a log file hands them out.
_MANY_LINES = 5_000
#: A frame's length and checksum: what is recorded came through this pipe.
_HEAD = struct.Struct("<QI")
_LOG = logging.getLogger("bowtie.ingest")
T = TypeVar("T")


@dataclass(slots=True)
class Line:
    """One event as it came: its line or row number, and its JSON (or what stood in its place).

    ``rejected`` is set where it could not even be made an event, ``subject`` where it is known.
    """

    number: int
    raw: bytes
    rejected: EventRejected | None = None
    subject: str | None = None


@dataclass(slots=True)
class Prepared:
    """A chunk checked: the facts with their lines, and the lines that are wrong in themselves."""

    facts: list[Fact]
    lines: list[Line]
    rejected: list[tuple[Line, EventRejected]]


class _Settings(msgspec.Struct, array_like=True):
    """All that the second process must know; it comes through a pipe, like the lines."""

    personal_names: list[str]
    now: int | None
    content_key: bytes


class _Answer(msgspec.Struct, array_like=True, gc=False):
    """The facts of a chunk, and the refused: index, reason, problem."""

    facts: list[Fact]
    refused: list[tuple[int, str, str]]


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE_SETTINGS = msgspec.msgpack.Decoder(_Settings).decode
_DECODE_LINES = msgspec.msgpack.Decoder(list[bytes]).decode
_DECODE_ANSWER = msgspec.msgpack.Decoder(_Answer).decode


def checked(reader: Reader, stamp: Stamp, chunks: Iterator[list[Line]]) -> Generator[Prepared]:
    """The chunks of a log, checked and stamped, in their order.

    Args:
        reader: what checks the lines.
        stamp: what a fact needs before it is decided about.
        chunks: the lines; whatever error their source raises comes after what was good.
    """
    first = next(chunks, None)
    if first is None:
        return
    if len(first) < _MANY_LINES or not _has_room():
        yield _check_here(reader, stamp, first)
        for lines in chunks:
            yield _check_here(reader, stamp, lines)
        return
    with _SecondProcess(reader, stamp) as second:
        yield _check_here(reader, stamp, first)
        for lines, sent in ahead((lines, second.send(lines)) for lines in chunks):
            answer = second.receive() if sent else None
            if answer is None:
                yield _check_here(reader, stamp, lines)
            else:
                yield _joined(lines, answer)


def ahead(items: Iterator[T]) -> Generator[T]:
    """The items, each made in a thread while the one before is used."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="bowtie-read") as pool:
        pending = pool.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # not the end


def _check_here(reader: Reader, stamp: Stamp, lines: list[Line]) -> Prepared:
    return _joined(lines, _check(reader, stamp, _raw_of(lines)))


def _raw_of(lines: list[Line]) -> list[bytes]:
    return [line.raw for line in lines if line.rejected is None]


def _check(reader: Reader, stamp: Stamp, lines: list[bytes]) -> _Answer:
    """Check lines, and do all that needs no decision."""
    reader.look_at_the_clock()
    answer = _Answer([], [])
    facts, read = answer.facts, reader.line
    for index, raw in enumerate(lines):
        try:
            fact = read(raw)
        except EventRejected as error:
            answer.refused.append((index, error.reason, error.problem))
        else:
            stamp(fact)
            facts.append(fact)
    return answer


def _joined(lines: list[Line], answer: _Answer) -> Prepared:
    """The lines, each with what became of it."""
    rejected = [(line, line.rejected) for line in lines if line.rejected is not None]
    if rejected:
        lines = [line for line in lines if line.rejected is None]
    if answer.refused:
        rejected += [
            (lines[index], EventRejected(reason, problem))
            for index, reason, problem in answer.refused
        ]
        refused = {index for index, _, _ in answer.refused}
        lines = [line for index, line in enumerate(lines) if index not in refused]
    return Prepared(answer.facts, lines, rejected)


def _has_room() -> bool:
    """Whether a second process would run beside this one, and can be started by Python's name."""
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return cores > 1 and Path(sys.executable or "").name.lower().startswith(("python", "pypy"))


class _SecondProcess:
    """A Python that checks the chunks sent to it, one after the other."""

    def __init__(self, reader: Reader, stamp: Stamp) -> None:
        self._settings = _Settings(sorted(reader.personal_names), reader.now, stamp.content_key)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from bowtie.checking import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # an interrupt is for this process, which then ends it
            )
            self._write(_ENCODE(self._settings))
        except OSError:
            self._end()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(OSError), process:  # which closes its pipes, and waits for its end
                pass

    def send(self, lines: list[Line]) -> bool:
        """Send the lines of a chunk; whether there was somebody to send them to."""
        if self._process is None:
            return False
        try:
            self._write(_ENCODE(_raw_of(lines)))
        except OSError:
            return False
        return True

    def receive(self) -> _Answer | None:
        """The answer for the oldest chunk that has none yet; None where there is none to trust."""
        process = self._process
        if process is None or process.stdout is None:
            return None
        frame = _read(process.stdout)
        try:
            if frame is not None:
                return _DECODE_ANSWER(frame)
        except msgspec.MsgspecError:
            pass
        _LOG.warning("the second process has died, or gave a garbled answer: going on alone")
        self._end()
        return None

    def _write(self, frame: bytes) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            _write(process.stdin, frame)


def _write(pipe: IO[bytes], frame: bytes) -> None:
    pipe.write(_HEAD.pack(len(frame), crc32(frame)))
    pipe.write(frame)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes | None:
    """The next frame, as it was written; None at the end, also when it comes too early."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    frame = pipe.read(length)
    return frame if len(frame) == length and crc32(frame) == checksum else None


def serve() -> None:
    """Check the chunks that come in through standard input, until it is closed."""
    import gc

    gc.disable()  # it makes many objects and no cycles
    settings = _read(sys.stdin.buffer)
    if settings is None:
        return
    told = _DECODE_SETTINGS(settings)
    reader, stamp = Reader(told.personal_names, told.now), Stamp(told.content_key)
    try:
        while (frame := _read(sys.stdin.buffer)) is not None:
            _write(sys.stdout.buffer, _ENCODE(_check(reader, stamp, _DECODE_LINES(frame))))
    except BrokenPipeError:
        os._exit(0)  # the first process has ended: nobody is left to answer
