"""Each transaction of a store is sealed, however its events came."""

from __future__ import annotations

import json
from io import BytesIO

from bowtie import Bowtie, Touched
from bowtie.seals import chain
from bowtie.stores.auditing import Audit
from tests.logs import contract, log, wire


def _is_chained(engine: Bowtie) -> bool:
    """Whether the seals are those that follow from the rows."""
    store = engine.store
    commits = list(Audit(store, store.head()).commits())
    rows = (state[:5] for state in store.states())
    right = list(chain(store.store_id, [row[:2] for row in commits], rows))
    return right == [tuple(row) for row in commits] and len(commits) > 0


def test_commands_and_batches_are_sealed(engine: Bowtie) -> None:
    for number in range(3):
        engine.record("acme", Touched(channel="web", direction="inbound"), actor=f"ada {number}")
    # a retraction among them is written early, so that what follows can read it
    retraction = {"of_source": "crm", "of_id": "2"}
    engine.ingest(
        BytesIO(
            log(
                wire("1"),
                contract("2", "contract_signed", "2026-01-06T10:00:00Z"),
                wire("3", "identity_linked", data={"alias": "acme-eu"}),
                wire("4", "retracted", data=retraction),
                wire("5", "identity_linked", data={"alias": "acme-us"}),
                wire("6", "touched", "zeta"),
            )
        )
    )
    engine.ingest(BytesIO(log(wire("1"), wire("7"))))
    assert engine.store.head() == 10
    assert _is_chained(engine)


def test_a_restored_log_is_sealed_commit_by_commit(engine: Bowtie) -> None:
    for number in range(5):
        engine.record("acme", Touched(channel="web", direction="inbound"), id=str(number))
    lines = [json.dumps(line).encode() for line in engine.export()]
    with Bowtie.open("memory://") as other:
        other.restore(BytesIO(log(*lines)))
        commits = list(Audit(other.store, other.store.head()).commits())
        assert len(commits) == 5
        assert _is_chained(other)
