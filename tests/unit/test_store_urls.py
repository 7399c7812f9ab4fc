"""What the URL of a store can say."""

from __future__ import annotations

import pytest

from bowtie import Bowtie, Onboarded
from bowtie.errors import UsageError
from bowtie.stores import store_path
from bowtie.stores.sqlite import SqliteStore
from bowtie_projections.databases import tables_at

FULL, NORMAL = 2, 1


@pytest.mark.parametrize(
    ("options", "level"), [("", FULL), ("?synchronous=full", FULL), ("?synchronous=normal", NORMAL)]
)
def test_each_connection_waits_for_the_disk_as_the_url_says(tmp_path, options, level):
    url = f"sqlite:///{tmp_path / 'a.db'}{options}"
    assert store_path(url) == tmp_path / "a.db"
    with Bowtie.open(url) as engine:
        engine.record("acme", Onboarded())
        assert isinstance(engine.store, SqliteStore)
        with engine.store._datastore.transaction(commit=True) as cursor:
            cursor.execute("PRAGMA synchronous")
            assert cursor.fetchone()[0] == level
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db", "a.db.key"]


def test_an_option_that_there_is_not_is_said(tmp_path):
    with pytest.raises(UsageError, match="synchronous=normal or"):
        Bowtie.open(f"sqlite:///{tmp_path / 'a.db'}?sync=off")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", [Bowtie.open, tables_at])
@pytest.mark.parametrize(
    "wrong",
    ["me:se/cret@db/shop", "me:secret@db:port/a", "me:secret@db/a?schema", "me@db/a#secret"],
)
def test_what_is_no_url_of_postgresql_is_refused_without_its_password(named, wrong):
    with pytest.raises(UsageError, match="as %40, %2F and %3A") as told:
        named(f"postgresql://{wrong}")
    assert "cret" not in str(told.value)
