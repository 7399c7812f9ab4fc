"""``bowtie policy``, and the views that are asked by one."""

from __future__ import annotations

import pytest

WORTH = 'name = "worth"\nversion = 1\nhorizon = "90d"\nthreshold = "2000"\n'


@pytest.fixture
def store(run, folder):
    """A store of the demo, and a policy beside it."""
    run("demo", "--customers", "60", "--seed", "3", "-o", "demo.jsonl")
    run("ingest", "demo.jsonl", code=3)
    (folder / "worth.toml").write_text(WORTH)
    return folder


def test_a_policy_is_checked_published_listed_and_asked_by_name(run, store):
    assert "No policy is published" in run("policy", "list").out
    assert "worth/1 is a policy: revenue over 90d" in run("policy", "check", "worth.toml").out
    assert "worth/1 is published" in run("policy", "publish", "worth.toml").out
    assert "was published already" in run("policy", "publish", "worth.toml").out
    [listed] = run("policy", "list", "--json").json["policies"]
    assert (listed["policy"], listed["says"]) == (
        "worth/1",
        "revenue over 90d, high is 2000 or more",
    )
    assert run("policy", "show", "worth").out == WORTH
    by_hand = run("value", "--horizon", "90d", "--threshold", "2000", "--json").json
    assert run("value", "--policy", "worth", "--json").json["rows"] == by_hand["rows"]
    assert run("loop", "--policy", "worth.toml", "--json").json["parameters"]["policy"] == "worth/1"


def test_mistakes_are_said_in_one_line(run, store):
    (store / "wrong.toml").write_text(WORTH + "top = 3\n")
    for arguments, code, problem in [
        (["policy", "check", "wrong.toml"], 1, "by top or by threshold"),
        (["policy", "show", "worth"], 2, 'no policy "worth" is published: none is'),
        (["value", "--policy", "worth.toml", "--horizon", "3d"], 2, "leave out --horizon"),
        (["partners", "--policy", "worth.toml", "--value", "revenue"], 2, "is: leave out --value"),
    ]:
        done = run(*arguments, code=code)
        assert problem in done.err
        assert len(done.err.splitlines()) == 1
