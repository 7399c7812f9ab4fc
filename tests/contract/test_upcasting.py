"""A store that holds events of an older version: read, sent again, checked, exported, restored."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from bowtie import Bowtie
from bowtie.events import Event
from bowtie.fields import Day, MaybePersonal, Number, Text, Whole
from bowtie.schema import wire_schema
from bowtie.verifying import verify_log
from bowtie_projections import Views
from tests.versions import MeetingHeld, in_catalogue

OLD = {"kind": "visit", "cents": 1250, "minutes": "90", "date": "2026-01-05", "guest": "Ada"}
NEW = {
    "kind": "on_site",
    "amount": "12.500000",
    "hours": "1.500000",
    "held_on": "2026-01-05",
    "host": "Ada",
    "place": "office",
}


def first_version() -> type[Event]:
    """The event as it was before it had a second version."""

    class First(Event):
        kind: Text
        cents: Whole | None = None
        minutes: Number
        date: Day
        guest: MaybePersonal = None
        room: Text | None = None

    First.type_name = "meeting_held"
    return First


def lines(*events: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(one).encode() + b"\n" for one in events))


def wire(data: dict[str, Any], event_id: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": event_id, "source": "crm", "type": "bowtie.meeting_held",
        "subject": "acme", "time": "2026-01-05T10:00:00Z", **more, "data": data,
    }  # fmt: skip


@pytest.fixture
def old_store(tmp_path) -> Iterator[str]:
    """A store written while the event had one version; now it has four."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    plain = {name: value for name, value in OLD.items() if name != "guest"}
    with in_catalogue(first_version()), Bowtie.open(url) as engine:
        report = engine.ingest(lines(wire(OLD), wire(plain, "2", authid="me"), wire(plain, "3")))
        assert (report.appended, report.parked) == (3, 0)
    with in_catalogue(MeetingHeld):
        yield url


def held(engine: Bowtie) -> list[dict[str, Any]]:
    return [one.data.model_dump(mode="json", exclude_none=True) for one in engine.events()]


def test_what_is_read_is_of_the_newest_version(old_store):
    with Bowtie.open(old_store) as engine:
        assert held(engine)[0] == NEW
        (row, *_) = Views.open(engine).sql("FROM meeting_held ORDER BY position").rows()
        assert (str(row["amount"]), str(row["hours"]), row["place"]) == (
            "12.500000",
            "1.500000",
            "office",
        )


def test_an_old_line_sent_again_is_a_duplicate_in_whatever_version(old_store):
    with Bowtie.open(old_store) as engine:
        again = engine.ingest(lines(wire(OLD), wire(NEW, dataversion=4)))
        assert (again.duplicates, again.appended, again.parked) == (2, 0, 0)
        other = engine.ingest(lines(wire(OLD | {"minutes": "91"})))
        assert other.parked_by_reason == {"id_reused": 1}
        corrected = engine.ingest(lines(wire(OLD | {"minutes": "91"})), correct=True)
        assert corrected.corrected == 1
        assert engine.ingest(lines(wire(OLD | {"minutes": "91"}))).duplicates == 1


def test_an_old_line_that_is_new_is_recorded_in_the_newest_version(old_store):
    with Bowtie.open(old_store) as engine:
        assert engine.ingest(lines(wire(OLD, "9"))).appended == 1
        assert held(engine)[-1] == NEW
        newest = engine.store.state_at(engine.store.head()).state
        assert json.loads(newest)["_v"] == MeetingHeld.data_version
        assert b"Ada" not in newest


def test_a_version_that_is_not_known_is_refused(old_store):
    with Bowtie.open(old_store) as engine:
        for said in (5, "5", 0, -1, "two", True, 1.5):
            report = engine.ingest(lines(wire(NEW, "9", dataversion=said)))
            assert "dataversion" in report.examples[0].problem
        (example,) = engine.ingest(lines(wire(NEW, "9"))).examples
        assert "newer data says so in dataversion" in example.problem


def test_a_store_of_old_events_is_sound(old_store):
    with Bowtie.open(old_store) as engine:
        assert list(verify_log(engine.store)) == []


def test_a_changed_old_event_is_found(old_store, tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute(
            "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), '1250', '1251')"
            " AS BLOB) WHERE originator_version = 3"
        )
    with Bowtie.open(old_store) as engine:
        assert "content" in {problem.check for problem in verify_log(engine.store)}


def test_what_can_not_be_lifted_is_found(old_store, tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute(
            "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), '\"90\"', '\"x\"')"
            " AS BLOB) WHERE originator_version = 3"
        )
    with Bowtie.open(old_store) as engine:
        assert "payload" in {problem.check for problem in verify_log(engine.store)}
        views = Views.open(engine)
        (skipped,) = views.sql("FROM skipped").rows()
        assert skipped["position"] == 3
        assert any("could not be processed" in note for note in views.status().notes)


def test_an_export_holds_the_newest_version_and_comes_back(old_store, tmp_path):
    with Bowtie.open(old_store) as engine:
        exported = list(engine.export(reveal=True))
        sealed = list(engine.export())
    assert [line["dataversion"] for line in exported[1:]] == [4, 4, 4]
    assert exported[1]["data"] == NEW
    with Bowtie.open(f"sqlite:///{tmp_path / 'new.db'}") as engine:
        assert engine.restore(lines(*exported)).appended == 3
        again = list(engine.export(reveal=True))
    assert [without_place(line) for line in again[1:]] == [without_place(x) for x in exported[1:]]
    with Bowtie.open(old_store) as engine:  # what was sealed under the old name is known again
        assert engine.ingest(lines(*sealed)).duplicates == 3


def without_place(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "sequence"}


def test_the_schema_is_of_the_newest_version():
    with in_catalogue(MeetingHeld):
        schema = wire_schema("meeting_held")
    assert schema["properties"]["dataversion"] == {"enum": [4, "4"]}
    assert "dataversion" in schema["required"]
    assert "minutes" not in schema["properties"]["data"]["properties"]


def test_steps_that_do_not_lead_to_the_fields_are_refused():
    from bowtie.lifting import Add, Drop, Rename

    for steps in ([Rename("a", "b")], [Add("b", "x")], [Drop("kept")]):
        with pytest.raises(TypeError, match="doesn't lead to"):
            type(
                "Wrong",
                (Event,),
                {
                    "__annotations__": {"kept": str},
                    "__module__": __name__,
                    "lifts": (tuple(steps),),
                },
            )
    assert issubclass(MeetingHeld, BaseModel)
