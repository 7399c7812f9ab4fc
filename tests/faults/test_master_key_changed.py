"""Changing the master key: the old one opens nothing, and a kill leaves one of the two working."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

import pytest

from bowtie import Bowtie, TraitsObserved
from bowtie.errors import SealedKeyMissing, UsageError
from bowtie.sealing import MASTER_KEY_VARIABLE, NEW_MASTER_KEY_VARIABLE


def _observe(engine: Bowtie, customer: str) -> None:
    engine.record(customer, TraitsObserved(traits={"email": f"{customer}@example.org"}))


def _email(engine: Bowtie, customer: str) -> object:
    return engine.journey(customer).traits["email"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with two customers' keys and a parked line."""
    path = tmp_path / "journeys.db"
    with Bowtie.open(str(path)) as engine:
        _observe(engine, "ada")
        _observe(engine, "zeta")
        (tmp_path / "bad.jsonl").write_text("{")
        engine.ingest(tmp_path / "bad.jsonl")
    return path


def _all_opens(path: Path) -> None:
    with Bowtie.open(str(path)) as engine:
        assert [_email(engine, who) for who in ("ada", "zeta")] == [
            "ada@example.org",
            "zeta@example.org",
        ]
        assert [line.raw for line in engine.parked()] == [b"{"]
        _observe(engine, "newcomer")
        assert _email(engine, "newcomer") == "newcomer@example.org"


def test_the_old_key_opens_nothing(path: Path) -> None:
    key = path.with_name("journeys.db.key")
    old = key.read_text()
    with Bowtie.open(str(path)) as engine:
        before = list(engine.store.keys().values())
        assert engine.change_master_key() == 2
        assert _email(engine, "ada") == "ada@example.org"
    assert key.read_text() != old
    assert key.stat().st_mode & 0o077 == 0
    assert not path.with_name("journeys.db.key.next").exists()
    everything = b"".join(file.read_bytes() for file in path.parent.glob("journeys.db*"))
    assert not [wrapped for wrapped in before if wrapped in everything]
    _all_opens(path)
    key.write_text(old)
    with Bowtie.open(str(path)) as engine, pytest.raises(SealedKeyMissing, match="not the one"):
        engine.record("ada", TraitsObserved(traits={"email": "x"}))


def test_a_process_that_was_open_goes_on(path: Path) -> None:
    """It has the old key in memory, and must not wrap a new customer's key by it."""
    with Bowtie.open(str(path)) as engine:
        _observe(engine, "early")
        with Bowtie.open(str(path)) as other:
            other.change_master_key()
        _observe(engine, "late")
        assert _email(engine, "early") == "early@example.org"
    with Bowtie.open(str(path)) as engine:
        assert _email(engine, "late") == "late@example.org"


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_kill_in_between(path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    def killed(*_: object) -> None:
        raise _Killed

    where = "rewrite_secrets" if moment == "before the commit" else "replace"
    target = "bowtie.stores.writing.SqlWriting" if where == "rewrite_secrets" else "os"
    with Bowtie.open(str(path)) as engine, monkeypatch.context() as patched:
        patched.setattr(f"{target}.{where}", killed)
        with pytest.raises(_Killed):
            engine.change_master_key()
    assert path.with_name("journeys.db.key.next").exists()
    _all_opens(path)
    with Bowtie.open(str(path)) as engine:
        assert engine.change_master_key() == 3
    assert not path.with_name("journeys.db.key.next").exists()
    _all_opens(path)


def test_a_key_in_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MASTER_KEY_VARIABLE, path.with_name("journeys.db.key").read_text().strip())
    with Bowtie.open(str(path)) as engine, pytest.raises(UsageError, match=NEW_MASTER_KEY_VARIABLE):
        engine.change_master_key()
    new = base64.b64encode(secrets.token_bytes(32)).decode()
    monkeypatch.setenv(NEW_MASTER_KEY_VARIABLE, new)
    with Bowtie.open(str(path)) as engine:
        assert engine.change_master_key() == 2
    _all_opens(path)  # with both at hand, whichever is which
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new)
    monkeypatch.delenv(NEW_MASTER_KEY_VARIABLE)
    _all_opens(path)
    assert os.environ[MASTER_KEY_VARIABLE] == new


def test_a_store_whose_keys_do_not_all_open_is_left_alone(path: Path) -> None:
    with Bowtie.open(str(path)) as engine:
        with engine.store.writing() as tx:
            tx.insert_keys([("customer/ada", b"\0" * 60)])
        with pytest.raises(SealedKeyMissing, match="nothing was changed"):
            engine.change_master_key()
    with Bowtie.open(str(path)) as engine:
        assert _email(engine, "zeta") == "zeta@example.org"
