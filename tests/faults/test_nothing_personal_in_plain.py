"""Personal text is nowhere in plain: not in the store's files, not in the tables, not in messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bowtie import Bowtie, Touched
from bowtie.envelope import data_to_wire
from bowtie.errors import SealedKeyMissing
from bowtie.events import CATALOGUE, PERSONAL_NAMES, personal_fields
from bowtie.sealing import MASTER_KEY_VARIABLE
from bowtie_projections import Views
from bowtie_projections.replay import replay
from bowtie_projections.verifying import verify_tables
from tests.logs import log, wire

_MARK = "Qz7-personal-Qz7"

#: What each event with a personal field needs beside it.
_REST: dict[str, dict[str, object]] = {
    "identity_linked": {},
    "identity_unlinked": {},
    "stage_entered": {"stage": "education"},
    "disqualified": {},
    "contract_changed": {"contract": "c", "kind": "price", "amount": "1", "per": "month"},
    "cancellation_requested": {"contract": "c"},
    "contract_ended": {"contract": "c"},
    "credited": {"invoice": "i", "amount": "1", "currency": "EUR"},
    "refunded": {"invoice": "i", "amount": "1", "currency": "EUR"},
    "written_off": {"invoice": "i", "amount": "1", "currency": "EUR"},
    "paid": {"invoice": "i", "amount": "1", "currency": "EUR"},
    "payment_failed": {"invoice": "i", "amount": "1", "currency": "EUR"},
    "score_given": {"instrument": "nps", "score": "9"},
    "risk_signalled": {"kind": "champion_left"},
    "retracted": {"of_source": "crm", "of_id": "none"},
}


def _lines() -> list[bytes]:
    lines = []
    for name, model in CATALOGUE.items():
        for field in sorted(personal_fields(model)):
            data = _REST[name] | {field: f"{_MARK} {name}.{field}"}
            lines.append(wire(f"{name}.{field}", name, data=data, authid=f"{_MARK} actor"))
    named = {name: f"{_MARK} {name}" for name in PERSONAL_NAMES}
    lines.append(wire("t", "traits_observed", data={"traits": named | {"plan": "pro"}}))
    lines.append(wire("n", "noted", data={"name": "lead_created", "properties": named}))
    lines.append(wire("bad1", "touched", data={"channel": _MARK, "direction": "sideways"}))
    lines.append(b'{"broken": "%s"' % _MARK.encode())
    return lines


def test_the_test_knows_every_personal_field() -> None:
    """A new event with a personal field must be in the list above."""
    assert {name for name, model in CATALOGUE.items() if personal_fields(model)} == set(_REST)


def test_no_file_holds_personal_text(tmp_path: Path) -> None:
    """Store, journal, key file, read tables; and the report names fields, never values."""
    file = tmp_path / "in" / "log.jsonl"
    file.parent.mkdir()
    file.write_bytes(log(*_lines()))
    with Bowtie.open(f"sqlite:///{tmp_path / 'journeys.db'}") as engine:
        report = engine.ingest(file)
        Views.open(engine).close()
        sealed = [json.dumps(line) for line in engine.export()]
        revealed = "".join(json.dumps(line) for line in engine.export(reveal=True))
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        holding = [path.name for path in files if _MARK.encode() in path.read_bytes()]

    assert report.parked == 2
    assert report.appended == len(_lines()) - 2
    assert {"journeys.db", "journeys.db.key", "journeys.duckdb"} <= {path.name for path in files}
    assert holding == []
    assert not any(_MARK in line for line in sealed)
    assert _MARK not in repr(report)
    assert revealed.count(_MARK) > len(PERSONAL_NAMES) * 2


def test_without_the_master_key_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replay and views don't need it; writing and opening do, and say which key is missing."""
    url = f"sqlite:///{tmp_path / 'journeys.db'}"
    file = _as_file(tmp_path, [line for line in _lines() if b"bowtie.identity_" not in line])
    with Bowtie.open(url) as engine:
        engine.ingest(file)
    key = tmp_path / "journeys.db.key"
    kept = key.read_text()
    key.unlink()

    with Bowtie.open(url) as engine:
        assert Views.open(engine).funnel().rows()
        with pytest.raises(SealedKeyMissing, match=r"journeys\.db\.key"):
            engine.ingest(file)
    monkeypatch.setenv(MASTER_KEY_VARIABLE, kept.strip())
    with Bowtie.open(url) as engine:
        assert engine.ingest(file).appended == 0
    monkeypatch.setenv(MASTER_KEY_VARIABLE, "A" * 43 + "=")
    with Bowtie.open(url) as engine, pytest.raises(SealedKeyMissing, match="not the one"):
        engine.ingest(file)


def test_without_the_master_key_links_are_not_taken_for_none(tmp_path: Path) -> None:
    """Figures of customers told apart would be other figures: there are the old ones, or none."""
    url = f"sqlite:///{tmp_path / 'journeys.db'}"
    with Bowtie.open(url) as engine:
        engine.ingest(_as_file(tmp_path, _lines()))
        figures = Views.open(engine).funnel().rows()
        position = engine.store.head()
    key = tmp_path / "journeys.db.key"
    kept = key.read_text()
    with Bowtie.open(url) as engine:
        engine.record("someone-new", Touched(channel="ads", direction="inbound"))
    key.unlink()

    with Bowtie.open(url) as engine:
        views = Views.open(engine)
        result = views.funnel()
        assert (views.position, result.rows()) == (position, figures)
        assert any("master key" in note and "1 position behind" in note for note in result.notes)
        assert [one.note for one in verify_tables(engine.store, views.tables, engine.definition)]
        with pytest.raises(SealedKeyMissing, match="links keys"):
            Views.open(engine, tmp_path / "other.duckdb")
        with pytest.raises(SealedKeyMissing, match="links keys"):
            replay(engine.store, views.tables, engine.definition, rebuild=True)
    key.write_text(kept)
    with Bowtie.open(url) as engine:
        assert Views.open(engine).funnel().rows()[0]["entered"] == figures[0]["entered"] + 1


def _as_file(folder: Path, lines: list[bytes]) -> Path:
    path = folder / "log.jsonl"
    path.write_bytes(log(*lines))
    return path


def test_what_only_looks_sealed_is_sealed(tmp_path: Path) -> None:
    """A sender who writes the mark of a sealed value before plain text has it sealed all the same."""
    forged = "sealed:1:ada@secret.example"
    file = tmp_path / "log.jsonl"
    file.write_bytes(
        log(
            wire("1", "traits_observed", data={"traits": {"email": forged}}),
            wire("2", "identity_linked", data={"alias": forged}),
            wire("3", authid=forged),
        )
    )
    path = tmp_path / "journeys.db"
    with Bowtie.open(str(path)) as engine:
        assert engine.ingest(file).appended == 3
        assert b"secret.example" not in b"".join(one.state for one in engine.store.states())
        first, _, third = engine.events()
        assert data_to_wire(first.data)["traits"] == {"email": forged}
        assert third.actor == forged
        assert engine.ingest(file).duplicates == 3
