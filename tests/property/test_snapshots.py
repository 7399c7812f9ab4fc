"""A snapshot changes what is read, never what is decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bowtie import Bowtie, ContractChanged, ContractSigned, Touched, memory, ruled
from bowtie.errors import RuleViolation
from bowtie.stores.rows import Snapshot
from tests.logs import log, wire

JAN = datetime(2026, 1, 5, tzinfo=UTC)
STREAM = "customer/acme"

contracts = st.sampled_from(["c1", "c2"])
days = st.integers(0, 5)
step = st.one_of(
    st.tuples(st.just("sign"), contracts, days, st.sampled_from(["EUR", "USD"])),
    st.tuples(st.just("change"), contracts, days, st.just("")),
    st.tuples(st.just("end"), contracts, days, st.just("")),
    st.tuples(st.just("touch"), contracts, days, st.just("")),
    st.tuples(st.just("retract"), st.integers(0, 12), st.just(0), st.just("")),
    st.tuples(st.just("correct"), st.integers(0, 12), days, st.sampled_from(["EUR", "USD"])),
)


@contextmanager
def snapshots_every(events: int) -> Iterator[None]:
    with (
        mock.patch.object(ruled, "SNAPSHOT_EVERY", events),
        mock.patch.object(memory, "SNAPSHOT_EVERY", events),
    ):
        yield


def line(number: int, action: str, what: Any, day: int, currency: str) -> bytes:
    time = (JAN + timedelta(days=day)).isoformat()
    if action == "retract":
        return wire(
            f"{number}", "retracted", time=time, data={"of_source": "crm", "of_id": f"{what}"}
        )
    if action == "correct":
        number, action, what = what, "sign", "c1"
    kinds = {
        "sign": (
            "contract_signed",
            {
                "contract": what,
                "kind": "paid",
                "amount": "9",
                "per": "month",
                "currency": currency,
                "starts_on": "2026-01-07",
            },
        ),
        "change": (
            "contract_changed",
            {"contract": what, "kind": "price", "amount": "9", "per": "month"},
        ),
        "end": ("contract_ended", {"contract": what}),
        "touch": ("touched", {"channel": "web", "direction": "inbound"}),
    }
    name, data = kinds[action]
    return wire(f"{number}", name, time=time, data=data)


def outcomes(steps: list[tuple[Any, ...]]) -> tuple[list[Any], list[Any]]:
    """What became of each line, sent one by one by a process of its own; and the log."""
    reports = []
    with Bowtie.open("memory://") as engine:
        for number, one in enumerate(steps):
            engine._appender = None  # as if another process had opened the store
            report = engine.ingest(BytesIO(log(line(number, *one))), correct=True)
            reports.append((report.appended, report.parked_by_reason, report.violations))
        events = [
            (one.type, one.id, one.out_of_sequence, one.data) for one in engine.events("acme")
        ]
    return reports, events


@example([("sign", "c1", 0, "EUR"), ("retract", 0, 0, ""), ("change", "c1", 1, "")])
@example([("retract", 1, 0, ""), ("sign", "c1", 0, "EUR"), ("change", "c1", 1, "")])
@example([("sign", "c1", 3, "EUR"), ("correct", 0, 1, "USD"), ("change", "c1", 2, "")])
@given(st.lists(step, min_size=1, max_size=12))
def test_the_same_is_decided_with_and_without(steps) -> None:
    with snapshots_every(1_000_000):
        without = outcomes(steps)
    with snapshots_every(1):
        assert outcomes(steps) == without


def long_stream(engine: Bowtie) -> None:
    signed = ContractSigned(
        contract="c1", kind="paid", amount="9", per="month", currency="EUR", starts_on="2026-01-07"
    )
    touches = [Touched(channel="web", direction="inbound")] * 250
    engine.record("acme", signed, *touches, occurred_at=JAN)


def change(engine: Bowtie, contract: str = "c1") -> None:
    engine._appender = None
    engine.record("acme", ContractChanged(contract=contract, kind="price", amount="5", per="month"))


def test_a_long_stream_gets_a_snapshot() -> None:
    """Made by the first command that reads it, and not by each one after."""
    with Bowtie.open("memory://") as engine:
        long_stream(engine)
        assert engine.store.snapshot(STREAM) is None
        change(engine)
        made = engine.store.snapshot(STREAM)
        change(engine)

        assert made is not None
        assert (made.version, made.schema) == (251, ruled.snapshot_schema())
        assert engine.store.snapshot(STREAM) == made


@pytest.mark.parametrize(
    "useless",
    [
        Snapshot(251, "0 of another version", b"[[],[]]"),
        Snapshot(251, ruled.snapshot_schema(), b"no JSON \xff"),
        Snapshot(251, ruled.snapshot_schema(), b'[[["c1"]],[]]'),
        Snapshot(9999, ruled.snapshot_schema(), b"[[],[]]"),
    ],
)
def test_a_snapshot_of_no_use_is_ignored_and_made_anew(useless: Snapshot) -> None:
    """Stale, unreadable, or ahead of the stream: the events are read."""
    with Bowtie.open("memory://") as engine:
        long_stream(engine)
        with engine.store.writing() as tx:
            tx.set_snapshot(STREAM, useless)
        change(engine)  # refused, if the signing were not seen
        with pytest.raises(RuleViolation):
            change(engine, "c2")

        remade = engine.store.snapshot(STREAM)
        assert remade is not None
        assert remade.version == 251


def test_what_is_rolled_back_leaves_no_snapshot() -> None:
    with Bowtie.open("memory://") as engine:
        long_stream(engine)
        with pytest.raises(RuleViolation):
            change(engine, "c2")
        assert engine.store.snapshot(STREAM) is None
