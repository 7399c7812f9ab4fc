"""A store of the first version (made by the code of its time) can be read for ever."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bowtie import Bowtie, Touched
from bowtie.errors import StoreNewer, StoreOlder
from bowtie.seals import chain
from bowtie.stores.auditing import Audit
from bowtie.verifying import verify_log
from tests.conftest import ROOT

FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the store with its key file."""
    for name in ("store_v1.db", "store_v1.db.key"):
        shutil.copy(FIXTURES / name, tmp_path / name)
    return tmp_path / "store_v1.db"


def _expected() -> list[dict[str, object]]:
    return [json.loads(line) for line in (FIXTURES / "store_v1.jsonl").read_text().splitlines()]


def _events(engine: Bowtie) -> list[dict[str, object]]:
    return list(engine.export(reveal=True))[1:]


def test_it_is_read_as_it_is(old: Path) -> None:
    """Events, sealed fields, parked lines; and reading it changes nothing."""
    with Bowtie.open(str(old), create=False) as engine:
        assert engine.store.version == 1
        assert _events(engine) == _expected()[1:]
        assert engine.store.parked_counts() == {"unknown_type": 1, "unreadable": 1}
        assert [one for one in verify_log(engine.store) if not one.note] == []
        assert engine.journey("acme").stage is not None
        assert engine.store.version == 1


def test_it_is_not_written_before_it_is_upgraded(old: Path) -> None:
    with (
        Bowtie.open(str(old)) as engine,
        pytest.raises(StoreOlder, match=r"run bowtie init to upgrade it"),
    ):
        engine.record("acme", Touched(channel="web", direction="inbound"))


def test_an_upgrade_keeps_all_and_seals_what_was_there(old: Path) -> None:
    with Bowtie.open(str(old)) as engine:
        assert engine.store.upgrade()
        assert not engine.store.upgrade()

        assert engine.store.version == 4
        assert _events(engine) == _expected()[1:]
        commits = list(Audit(engine.store, engine.store.head()).commits())
        events = [(one[0], one[1], one[2], one[3], one[4]) for one in engine.store.states()]
        sealed = chain(engine.store.store_id, [(one[0], one[1]) for one in commits], events)
        assert [tuple(one) for one in commits] == list(sealed)
        engine.record("acme", Touched(channel="web", direction="inbound"))
        assert engine.store.head() == 11


def test_init_upgrades_it(old: Path) -> None:
    """From the command line and in Python."""
    done = subprocess.run(
        [sys.executable, "-m", "bowtie_cli", "--store", old, "init"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "was upgraded" in done.stdout + done.stderr
    with Bowtie.open(str(old)) as engine:
        assert engine.store.version == 4
        engine.init("b2b/1")
        assert engine.store.head() == 10


def test_a_store_of_a_newer_version_is_refused(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA user_version=99")

    with pytest.raises(StoreNewer, match=r"store version 99"):
        Bowtie.open(str(old))
