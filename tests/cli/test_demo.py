"""The demo log, its truth, and a loop held against it."""

from __future__ import annotations

import json

SMALL = ("demo", "--customers", "30")


def test_the_log_is_the_same_for_the_same_seed(run):
    first, again = run(*SMALL, "--seed", "3"), run(*SMALL, "--seed", "3")
    assert first.bytes == again.bytes
    assert first.bytes != run(*SMALL, "--seed", "4").bytes


def test_to_a_file(run, folder):
    done = run(*SMALL, "-o", "log.jsonl.gz")
    assert done.out == ""
    assert "lines written to log.jsonl.gz" in done.err
    report = run("ingest", "log.jsonl.gz", "--json", code=3).json
    truth = run(*SMALL, "--truth", "--json").json
    assert report["parked_by_reason"] == truth["parked"]
    assert report["appended"] == truth["events"]
    assert report["duplicates"] == truth["duplicates"]


def test_the_truth_for_a_person(run):
    assert "multi_site = true" in run(*SMALL, "--truth").out


def loop(**verdicts: str) -> str:
    named = {"multi_site": "true", "channel": "partner"}
    rows = [
        {"trait": trait, "level": named.get(trait), "verdict": verdict}
        for trait, verdict in verdicts.items()
    ]
    rows.append({"trait": "channel", "level": "directory", "verdict": "anti-mark"})
    return json.dumps({"view": "loop", "rows": rows})


RIGHT = {
    "multi_site": "mark",
    "channel": "mark",
    "account_tier": "leak",
    "on_premise": "no finding",
    "region": "no finding",
    "industry": "can't tell",
    "company_size": "no finding",
    "campaign": "not replicated",
}


def test_a_loop_that_is_right(run):
    whole = run(*SMALL, "--check", "-", "--json", input=loop(**RIGHT)).json
    assert whole["ok"] is True


def test_a_loop_that_is_wrong(run, folder):
    (folder / "loop.json").write_text(
        loop(**{**RIGHT, "on_premise": "mark", "multi_site": "no finding"})
    )
    done = run(*SMALL, "--check", "loop.json", code=3)
    assert "right about 7 of 9" in done.out


def referrals(**depths: int) -> str:
    names = {"nobody": "nobody", "one": "1", "two": "2"}
    rows = [{"referrals_before": names[depth], "customers": n} for depth, n in depths.items()]
    return json.dumps({"view": "referrals", "rows": [], "parts": {"depth": {"rows": rows}}})


def test_referrals_are_held_against_the_truth(run, folder):
    demo = ("demo", "--customers", "300", "--seed", "2")
    truth = run(*demo, "--truth", "--json").json
    one = truth["referred_customers"]["1"]
    nobody = truth["paying_customers"] - sum(truth["referred_customers"].values())
    more = {"two": truth["referred_customers"]["2"]} if "2" in truth["referred_customers"] else {}
    right = referrals(nobody=nobody, one=one, **more)
    assert run(*demo, "--check", "-", "--json", input=right).json["ok"] is True
    wrong = run(*demo, "--check", "-", input=referrals(nobody=nobody, one=one + 1, **more), code=3)
    assert "The referrals are right about" in wrong.out
    run(*demo, "-o", "log.jsonl")
    run("ingest", "log.jsonl", code=3)
    told = run("referrals", "--json").out
    assert run(*demo, "--check", "-", "--json", input=told).json["ok"] is True


def test_what_is_no_loop(run, folder):
    assert "no answer of the loop" in run(*SMALL, "--check", "-", input="[]", code=1).error
    assert "can't be read" in run(*SMALL, "--check", "none.json", code=1).error
