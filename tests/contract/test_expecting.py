"""Optimistic concurrency, over every store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Bowtie,
    ContractChanged,
    SpendRecorded,
    Touched,
    TraitsObserved,
    retrying,
)
from bowtie.errors import IdReused, StreamConflict, UsageError

TOUCH = Touched(channel="web", direction="inbound")
JAN = datetime(2026, 1, 5, tzinfo=UTC)


class TestExpected:
    """What a command expects of its stream."""

    def test_the_version_that_was_read(self, engine: Bowtie) -> None:
        """Is what a journey shows, and what the next command may expect."""
        engine.record("acme", TOUCH, TOUCH)
        journey = engine.journey("acme")
        assert journey.version == 2

        (event,) = engine.record("acme", TOUCH, expected=journey.version)

        assert event.version == 3
        assert engine.journey("acme").version == 3

    def test_a_cut_shows_the_version_of_the_whole_stream(self, engine: Bowtie) -> None:
        """Else a decision on an old cut could never be recorded."""
        engine.record("acme", TOUCH, occurred_at=JAN)
        engine.record("acme", TOUCH)

        assert engine.journey("acme", as_of="2026-01-06").version == 2

    def test_what_was_overtaken_is_refused_whole(self, engine: Bowtie) -> None:
        """With stream, expected and actual version."""
        engine.record("acme", TOUCH, TOUCH)

        with pytest.raises(StreamConflict, match=r"at version 2, and version 1 was") as caught:
            engine.record("acme", TOUCH, TOUCH, expected=1)

        assert (caught.value.stream, caught.value.actual) == ("customer/acme", 2)
        assert engine.store.head() == 2

    @pytest.mark.parametrize(
        ("expected", "first", "second"),
        [
            (ANY, True, True),
            (NO_STREAM, True, False),
            (STREAM_EXISTS, False, True),
            (0, True, False),
            (1, False, True),
            (2, False, False),
        ],
    )
    def test_each_expectation(self, engine: Bowtie, expected, first, second) -> None:
        """On a stream without events, and on one with an event."""
        for number, accepted in enumerate([first, second]):
            customer = f"c{number}"
            if number:
                engine.record(customer, TOUCH)
            if accepted:
                engine.record(customer, TOUCH, expected=expected)
            else:
                with pytest.raises(StreamConflict):
                    engine.record(customer, TOUCH, expected=expected)

    def test_a_command_sent_again_has_succeeded(self, engine: Bowtie) -> None:
        """Also when the stream has moved on; what was recorded is returned."""
        first = engine.record("acme", TOUCH, id="t1", occurred_at=JAN, expected=NO_STREAM)
        engine.record("acme", TOUCH)

        again = engine.record("acme", TOUCH, id="t1", occurred_at=JAN, expected=NO_STREAM)

        assert again == first
        assert engine.store.head() == 2

    def test_the_same_id_with_other_content_is_no_conflict_of_versions(self, engine: Bowtie):
        """Trying again would not help."""
        engine.record("acme", TOUCH, id="t1", occurred_at=JAN)

        with pytest.raises(IdReused):
            engine.record("other", TOUCH, id="t1", expected=NO_STREAM)

    def test_a_conflict_comes_before_a_rule(self, engine: Bowtie) -> None:
        """Who decided on an old state must decide anew, whatever else is wrong."""
        engine.record("acme", TOUCH)
        changed = ContractChanged(contract="c1", kind="price", amount="5", per="month")

        with pytest.raises(StreamConflict):
            engine.record("acme", changed, expected=NO_STREAM)

    @pytest.mark.parametrize("wrong", [-1, True, "any", 1.0, None])
    def test_what_can_t_be_expected(self, engine: Bowtie, wrong) -> None:
        """Is said at once."""
        with pytest.raises(UsageError, match="can't be expected"):
            engine.record("acme", TOUCH, expected=wrong)

    def test_two_streams_have_two_versions(self, engine: Bowtie) -> None:
        """So nothing can be expected of both."""
        spend = SpendRecorded(
            activity="acquire",
            channel="web",
            amount="5",
            currency="EUR",
            from_on="2026-01-01",
            to_on="2026-01-31",
            includes_touch_cost=False,
        )
        with pytest.raises(UsageError, match="several streams"):
            engine.record("acme", TOUCH, spend, expected=0)


class TestRetrying:
    """Commands that are overtaken."""

    def test_no_update_is_lost(self, engine: Bowtie) -> None:
        """Eight threads count up one trait, each reads, adds one and records."""
        engine.record("acme", TraitsObserved(traits={"count": 0}))

        def count_up() -> None:
            journey = engine.journey("acme")
            more = TraitsObserved(traits={"count": journey.traits["count"] + 1})
            engine.record("acme", more, expected=journey.version)

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(retrying, count_up, attempts=200) for _ in range(40)]:
                done.result()

        assert engine.journey("acme").traits["count"] == 40

    @given(st.integers(1, 4), st.integers(0, 5))
    def test_it_is_tried_so_often_and_no_more(self, attempts: int, failing: int) -> None:
        """The last conflict is raised, any other error at once."""
        calls = []

        def command() -> str:
            calls.append(1)
            if len(calls) <= failing:
                raise StreamConflict("customer/acme", "version 1", 2)
            return "done"

        if failing < attempts:
            assert retrying(command, attempts=attempts, wait=0) == "done"
        else:
            with pytest.raises(StreamConflict):
                retrying(command, attempts=attempts, wait=0)
        assert len(calls) == min(attempts, failing + 1)

    def test_other_errors_are_not_retried(self) -> None:
        """They would come again."""
        calls = []

        def command() -> None:
            calls.append(1)
            raise IdReused("taken")

        with pytest.raises(IdReused):
            retrying(command)
        assert len(calls) == 1
        with pytest.raises(UsageError):
            retrying(command, attempts=0)
