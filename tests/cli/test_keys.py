"""The master key, changed on the command line."""

from __future__ import annotations

import base64


def test_rotate(run, store):
    before = (store.parent / "bowtie.db.key").read_text()
    done = run("keys", "rotate")
    assert "1 customers' keys" in done.out
    assert (store.parent / "bowtie.db.key").read_text() != before
    assert run("keys", "rotate", "--json").json["keys"] == 1
    assert "z@example.com" in run("journey", "zeta").out
    assert run("verify", "--log-only", "--json").json["ok"] is True


def test_init_says_where_the_master_key_is(run, monkeypatch):
    assert run("init", "--json").json["master_key"] == "bowtie.db.key"
    monkeypatch.setenv("BOWTIE_MASTER_KEY", base64.b64encode(bytes(32)).decode())
    assert run("--store", "other.db", "init", "--json").json["master_key"] == "BOWTIE_MASTER_KEY"
