"""What verify finds in every store, and what a repair puts right."""

from __future__ import annotations

from io import BytesIO

from bowtie import Bowtie
from bowtie.codec import id_hash
from bowtie.events import IdentityLinked
from bowtie.repairing import repair_log
from bowtie.stores.rows import Snapshot
from bowtie.verifying import head_seal, verify_log
from tests.logs import log, wire

_LINES = log(
    wire("1", "traits_observed", "ada", data={"traits": {"email": "ada@example.org"}}),
    wire("2", "identity_linked", "ada", data={"alias": "ada-web"}),
    wire("3", "touched", "ada-web"),
    wire("4", "identity_linked", "zeta", data={"alias": "zeta-web"}),
    wire("5", "identity_linked", "zeta", data={"alias": "zeta-app"}),
    wire("6", "retracted", "zeta", data={"of_source": "crm", "of_id": "5"}),
    wire("7", "identity_unlinked", "zeta", data={"alias": "zeta-web"}),
)


def _problems(engine: Bowtie) -> set[str]:
    return {one.check for one in verify_log(engine.store) if not one.note}


def test_forgetting_leaves_every_seal_as_it_was(engine: Bowtie) -> None:
    engine.ingest(BytesIO(_LINES))
    kept = head_seal(engine.store)
    engine.forget("ada")
    assert _problems(engine) == set()
    assert not [one for one in verify_log(engine.store, kept=kept) if not one.note]
    assert head_seal(engine.store).position == 9
    assert repair_log(engine.store) == [], "of the forgotten no hash is made again"


def test_what_follows_from_the_log_is_put_right(engine: Bowtie) -> None:
    engine.ingest(BytesIO(_LINES))
    secrets = engine.store.secrets
    assert _problems(engine) == set()
    assert repair_log(engine.store) == []
    with engine.store.writing() as tx:
        tx.set_claim(secrets.alias_hash("ada-web"), "customer/zeta")
        tx.set_claim(secrets.alias_hash("zeta-app"), "customer/zeta")
        tx.clear_contents(["customer/zeta"])
        tx.delete_ids([id_hash("crm", "1"), id_hash("crm", "3")])
        tx.insert_ids({b"0" * 16: (2, b"0" * 16)})
        schema = "1 contract_signed/1 retracted/1"
        tx.set_snapshot("customer/zeta", Snapshot(4, schema, b"[[],[]]"))
    assert _problems(engine) == {"claim", "content", "id", "snapshot"}

    assert repair_log(engine.store) == [
        "7 ids put right",
        "2 claims put right",
        "1 snapshot put right",
    ]
    assert _problems(engine) == set()
    again = engine.ingest(BytesIO(_LINES))
    assert (again.duplicates, again.appended) == (7, 0)


def test_claims_in_a_circle_hold_nobody_up(engine: Bowtie) -> None:
    """A command ends beside them, and a repair takes them away."""
    hashed = engine.store.secrets.alias_hash
    with engine.store.writing() as tx:
        tx.set_claim(hashed("a"), "customer/b")
        tx.set_claim(hashed("b"), "customer/a")
    engine.record("a", IdentityLinked(alias="c"))
    assert _problems(engine) == {"claim"}
    assert repair_log(engine.store) == ["2 claims put right"]
    assert _problems(engine) == set()
