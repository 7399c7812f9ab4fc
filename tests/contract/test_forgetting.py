"""Forgetting a customer: what goes, what stays, and what comes after."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from bowtie import Bowtie, Touched, TraitsObserved
from bowtie.codec import id_hash
from bowtie.errors import Conflict, EventRejected, UnknownName
from bowtie.events import Forgotten, IdentityLinked
from bowtie.sealing import is_sealed
from bowtie.stores.auditing import Audit
from bowtie.stores.rows import Snapshot
from tests.logs import log, wire

TOUCH = Touched(channel="web", direction="inbound")


def _link(event_id: str, subject: str, alias: str) -> bytes:
    return wire(event_id, "identity_linked", subject, data={"alias": alias})


def _traits(event_id: str, subject: str, **traits: Any) -> bytes:
    return wire(event_id, "traits_observed", subject, data={"traits": traits})


def _ingest(engine: Bowtie, *lines: bytes) -> Any:
    return engine.ingest(BytesIO(log(*lines)))


@pytest.fixture
def filled(engine: Bowtie) -> Bowtie:
    """Ada under three keys, one of them only an alias; and Zeta, a stranger."""
    _ingest(
        engine,
        _traits("1", "ada", email="ada@example.org", plan="pro"),
        _link("2", "ada", "ada-web"),
        _link("3", "ada-crm", "ada"),
        _link("4", "ada", "ada-mobile"),
        wire("5", "touched", "ada-web", authid="ada herself"),
        _traits("6", "ada-crm", phone="123"),
        _traits("7", "zeta", email="zeta@example.org"),
        _link("8", "zeta", "zeta-web"),
        wire("9", "tuched", "ada-web"),
        wire("10", "tuched", "zeta"),
    )
    return engine


def test_links_are_followed_both_ways(filled: Bowtie) -> None:
    for key in ("ada", "ada-web", "ada-crm", "ada-mobile"):
        linked = filled.linked_keys(key)
        assert linked.keys[0] == key
        assert set(linked.keys) == {"ada", "ada-web", "ada-crm", "ada-mobile"}
        assert linked.events == {"ada": 3, "ada-web": 1, "ada-crm": 2}
        assert (linked.parked, linked.unnamed, linked.foreign) == (1, 0, 0)
    assert set(filled.linked_keys("zeta").keys) == {"zeta", "zeta-web"}


def test_a_link_of_the_past_counts_unless_it_is_left_out(filled: Bowtie) -> None:
    _ingest(
        filled,
        _link("20", "ada", "mallory"),
        wire("21", "identity_unlinked", "ada", data={"alias": "mallory"}),
        _link("22", "mallory", "mallory-web"),
    )
    assert {"mallory", "mallory-web"} <= set(filled.linked_keys("ada").keys)
    left = filled.linked_keys("ada", leave=["mallory"])
    assert not {"mallory", "mallory-web"} & set(left.keys)
    assert filled.forget("ada", leave=["mallory"]).recorded == 3
    assert filled.journey("mallory").state.aliases.keys() == {"mallory-web"}


def test_forgetting_takes_every_key(filled: Bowtie) -> None:
    store = filled.store
    with store.writing() as tx:
        for stream in ("customer/ada", "customer/zeta"):
            tx.set_snapshot(stream, Snapshot(1, "s", b"{}"))
    before = [state.state for state in store.states()]

    done = filled.forget("ada-web")

    assert (done.recorded, done.events, done.unnamed, done.scrubbed) == (3, 6, 0, True)
    assert (done.erased.keys, done.erased.claims, done.erased.parked) == (3, 3, 1)
    assert store.keys().keys() == {"customer/zeta"}
    assert [line.reason for line in store.parked()] == ["unknown_type"]
    assert store.snapshot("customer/ada") is None
    assert store.snapshot("customer/zeta") is not None
    after = list(store.states())
    assert [state.state for state in after[: len(before)]] == before, "the log itself stays"
    assert [state.topic for state in after[len(before) :]] == ["forgotten"] * 3
    assert len(store.forgotten()) == 4
    with store.writing() as tx:
        assert tx.claim(store.secrets.alias_hash("zeta-web")) == "customer/zeta"
        assert tx.claim(store.secrets.alias_hash("ada-web")) is None


def test_what_events_said_is_not_even_kept_as_a_hash(filled: Bowtie) -> None:
    filled.forget("ada")
    audit = Audit(filled.store, filled.store.head())
    kept = {"zeta": 0, "ada": 0}
    for event in filled.events():
        hashed = id_hash(event.source, event.id)
        content = audit.places([hashed])[hashed].content
        kept[event.subject.partition("-")[0]] += content is not None
    assert kept == {"zeta": 2, "ada": 0}


def test_sealed_fields_stay_sealed_everywhere(filled: Bowtie) -> None:
    filled.forget("ada")
    record = filled.journey("ada")
    assert record.forgotten_at is not None
    assert is_sealed(record.traits["email"])
    assert record.traits["plan"] == "pro"
    assert filled.journey("zeta").forgotten_at is None
    revealed = "".join(json.dumps(line) for line in filled.export(reveal=True))
    assert "ada@example.org" not in revealed
    assert "zeta@example.org" in revealed


def test_later_events_are_parked_by_hash_alone(filled: Bowtie) -> None:
    filled.forget("ada")
    for key in ("ada", "ada-web", "ada-mobile"):
        with pytest.raises(EventRejected) as caught:
            filled.record(key, TOUCH)
        assert caught.value.reason == "customer_forgotten"
    report = _ingest(
        filled,
        wire("30", subject="ada-mobile"),
        wire("31", "tuched", "ada"),  # wrong in itself too, and kept no more than the others
        _link("32", "zeta", "ada-web"),
        wire("33", subject="zeta"),
    )
    assert (report.appended, report.parked) == (1, 3)
    assert report.parked_by_reason == {"customer_forgotten": 3}
    lines = [line for line in filled.store.parked() if line.reason == "customer_forgotten"]
    assert sorted((line.line, line.sealed, line.subject) for line in lines) == [
        (1, b"", None),
        (2, b"", None),
        (3, b"", None),
    ]
    assert all(len(line.digest) == 16 and "ada" not in line.problem for line in lines)
    retried = filled.retry_parked()
    assert retried.appended == 0
    assert filled.store.parked_counts()["customer_forgotten"] == 3


def test_events_recorded_before_are_still_duplicates(filled: Bowtie) -> None:
    filled.forget("ada")
    report = _ingest(
        filled,
        _traits("1", "ada", email="ada@example.org", plan="pro"),
        wire("5", "touched", "ada-web", authid="ada herself"),
        wire("5", "touched", "ada"),  # another customer's id
    )
    assert (report.duplicates, report.parked) == (2, 1)
    assert report.parked_by_reason == {"customer_forgotten": 1}


def test_nobody_else_corrects_what_was_theirs(filled: Bowtie) -> None:
    """A line of another customer under an old id would put a retraction into their stream."""
    filled.forget("ada")
    theirs = len(list(filled.events("ada-web")))
    report = filled.ingest(BytesIO(log(wire("5", "touched", "zeta"))), correct=True)

    assert report.parked_by_reason == {"id_reused": 1}
    assert len(list(filled.events("ada-web"))) == theirs


def test_forgetting_again_changes_nothing(filled: Bowtie) -> None:
    filled.forget("ada")
    head = filled.store.head()
    again = filled.forget("ada")
    assert (again.recorded, again.erased.keys, filled.store.head()) == (0, 0, head)
    assert set(again.keys) <= {"ada", "ada-web", "ada-crm", "ada-mobile"}
    assert filled.linked_keys("ada-crm").already


def test_nobody_of_that_name(filled: Bowtie) -> None:
    with pytest.raises(UnknownName, match="nobody"):
        filled.forget("nobody")


def test_a_key_with_nothing_but_parked_lines(filled: Bowtie) -> None:
    _ingest(filled, wire("40", "tuched", "ghost"))
    done = filled.forget("ghost")
    assert (done.recorded, done.erased.parked) == (0, 1)
    assert _ingest(filled, wire("41", subject="ghost")).parked_by_reason == {
        "customer_forgotten": 1
    }


def test_what_was_agreed_to_is_what_is_forgotten(filled: Bowtie) -> None:
    agreed = filled.linked_keys("ada")
    filled.record("ada", IdentityLinked(alias="ada-tablet"))
    with pytest.raises(Conflict, match="meanwhile"):
        filled.forget("ada", agreed=agreed)
    assert filled.store.keys(["customer/ada"])
    assert filled.forget("ada", agreed=filled.linked_keys("ada")).recorded == 3


def test_a_line_that_says_forgotten_forgets_its_own_key(filled: Bowtie) -> None:
    report = _ingest(
        filled,
        _traits("50", "ada", name="Ada L."),
        wire("51", "forgotten", "ada", data={}),
        _traits("52", "ada", name="Ada M."),
        wire("53", "forgotten", "zeta", data={}),
    )
    assert (report.appended, report.parked) == (3, 1)
    assert filled.store.keys().keys() == {"customer/ada-web", "customer/ada-crm"}
    assert "forgotten" not in {event.type for event in filled.events("ada-web")}
    filled.record("ada-crm", TraitsObserved(traits={"phone": "5"}))
    assert filled.forget("ada").recorded == 2, "ada itself was forgotten already"
    assert filled.store.keys() == {}


def test_a_command_forgets_too(filled: Bowtie) -> None:
    filled.record("ada", Forgotten())
    assert not filled.store.keys(["customer/ada"])
    with pytest.raises(EventRejected):
        filled.record("ada", TOUCH)


def test_a_restored_log_stays_forgotten(filled: Bowtie) -> None:
    filled.forget("ada")
    lines = [json.dumps(line).encode() for line in filled.export()]
    with Bowtie.open("memory://") as other:
        assert other.restore(BytesIO(log(*lines))).parked == 0
        assert other.journey("ada").forgotten_at is not None
        assert is_sealed(other.journey("ada").traits["email"])
        report = _ingest(other, wire("60", subject="ada"), wire("61", subject="zeta"))
        assert (report.appended, report.parked_by_reason) == (1, {"customer_forgotten": 1})
        again = [json.dumps(line).encode() for line in other.export()]
    assert len(again) == len(lines) + 1


def test_aliases_that_another_store_sealed_are_counted(filled: Bowtie) -> None:
    lines = [json.dumps(line).encode() for line in filled.export()]
    with Bowtie.open("memory://") as other:
        other.restore(BytesIO(log(*lines)))
        linked = other.linked_keys("ada")
        assert linked.keys == ("ada",)
        assert (linked.foreign, linked.foreign_elsewhere) == (2, 2)
        assert other.forget("ada").recorded == 1


def test_a_key_whose_name_is_gone_is_found_by_its_stream(filled: Bowtie) -> None:
    """The link's own key was destroyed first, so that only the alias's hash is left of it."""
    filled.record("ada", Forgotten())
    linked = filled.linked_keys("ada-crm")
    assert set(linked.keys) >= {"ada", "ada-crm", "ada-web"}
    assert linked.unnamed == 1, "ada-mobile has no stream to be known by"
    assert filled.forget("ada-crm").unnamed == 1
    assert filled.store.keys().keys() == {"customer/zeta"}
    assert _ingest(filled, wire("70", subject="ada-mobile")).parked == 1
