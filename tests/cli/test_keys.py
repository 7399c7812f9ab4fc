"""The master key, changed on the command line."""

from __future__ import annotations


def test_rotate(run, store):
    before = (store.parent / "bowtie.db.key").read_text()
    done = run("keys", "rotate")
    assert "1 customers' keys" in done.out
    assert (store.parent / "bowtie.db.key").read_text() != before
    assert run("keys", "rotate", "--json").json["keys"] == 1
    assert "z@example.com" in run("journey", "zeta").out
    assert run("verify", "--log-only", "--json").json["ok"] is True
