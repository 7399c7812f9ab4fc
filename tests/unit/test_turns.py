"""Threads of one process share the read tables' file: many read, or one writes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bowtie import Bowtie, Touched
from bowtie.errors import TablesHeld
from bowtie_projections import Views
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.databases.turns import Turns

TOUCH = Touched(channel="web", direction="inbound")


def test_a_file_has_the_same_turns_by_whatever_name(tmp_path):
    assert Turns.at(tmp_path / "a") is not (other := Turns.at(tmp_path / "b"))
    assert Turns.at(tmp_path / "c" / ".." / "b") is other


def test_readers_share_and_a_writer_is_alone(tmp_path):
    turns = Turns.at(tmp_path)
    with turns.reading(0), turns.reading(0), pytest.raises(TimeoutError), turns.writing(0):
        raise AssertionError
    with turns.writing(0):
        for turn in (turns.reading, turns.writing):
            with pytest.raises(TimeoutError), turn(0.01):
                raise AssertionError
    with turns.reading(0):  # who gave up keeps nobody out
        pass


def test_a_writer_who_waits_comes_before_later_readers(tmp_path):
    turns, order = Turns.at(tmp_path), []

    def write():
        with turns.writing(10):
            order.append("write")

    def read():
        with turns.reading(10):
            order.append("read")

    with ThreadPoolExecutor(2) as threads:
        with turns.reading(0):
            writer = threads.submit(write)
            while not turns._waiting:
                time.sleep(0.001)
            reader = threads.submit(read)
        writer.result(10)
        reader.result(10)
    assert order == ["write", "read"]


def test_two_threads_build_one_after_the_other(tmp_path):
    tables = TablesFile.of(tmp_path / "t.duckdb", wait=0)
    with (
        tables.building(),
        pytest.raises(TablesHeld, match="this very process"),
        TablesFile.of(tmp_path / "t.duckdb").building(),
    ):
        raise AssertionError


def test_threads_that_record_and_ask_at_once_each_read_what_they_wrote(tmp_path):
    threads, each = 6, 4
    begin = threading.Barrier(threads)
    with Bowtie.open(f"sqlite:///{tmp_path / 'journeys.db'}") as engine:

        def visit(thread: int) -> None:
            begin.wait()  # there are no tables yet: all want to make them
            for number in range(each):
                (recorded,) = engine.record(f"{thread}-{number}", TOUCH)
                with Views.open(engine) as views:
                    views.wait_until(recorded.position)
                    entered = views.funnel().rows()[0]["entered"]
                    assert number < entered <= threads * each

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(visit, range(threads)))
        with Views.open(engine) as views:
            assert views.funnel().rows()[0]["entered"] == threads * each
