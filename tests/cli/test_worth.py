"""``bowtie clv``, ``bowtie referrals`` and ``bowtie partners``."""

from __future__ import annotations

import pytest

AHEAD = 'name = "ahead"\nversion = 1\nhorizon = "180d"\nbasis = "predicted"\n'


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A log of the demo's business."""
    from bowtie.demo import Demo

    file = tmp_path_factory.mktemp("worth") / "demo.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in Demo(customers=150, seed=3).lines()))
    return file


def test_what_is_expected_is_told_by_cohort_customer_and_policy(run, folder, demo):
    run("ingest", str(demo), code=3)
    (folder / "ahead.toml").write_text(AHEAD)
    answer = run("clv", "--horizon", "180d", "--cohort", "year", "--json").json
    assert answer["of"] == "contracts"
    assert {row["model"] for row in answer["parts"]["models"]["rows"]} == {"sbg"}
    told = sum(float(row["predicted_value"]) for row in answer["rows"])
    each = run("clv", "--horizon", "180d", "--who", "--json").json["rows"]
    assert sum(float(row["predicted_value"]) for row in each) == pytest.approx(told)
    by_policy = run("value", "--policy", "ahead.toml", "--json").json
    assert by_policy["basis"] == "predicted"
    assert float(by_policy["rows"][0]["predicted_value"]) <= told + 0.01
    for arguments, code, problem in [
        (["clv", "--horizon", "1h"], 2, "horizon is a number of whole days"),
        (["clv", "--of", "orders"], 1, "everybody who orders has a paid contract"),
        (["clv", "--of", "orders", "--term", "year"], 2, "term is of contracts"),
        (["loop", "--policy", "ahead.toml"], 1, "Ask by a policy of realised value"),
        (["value", "--policy", "ahead.toml", "--since", "2025"], 2, "leave it out here"),
    ]:
        done = run(*arguments, code=code)
        assert problem in done.err
        assert len(done.err.splitlines()) == 1
    moved = run("value", "--since", "2025-12-31", "--part", "movement", "--json").json
    whole = run("value", "--json").json["rows"][0]["mature"]
    assert sum(row["customers"] for row in moved["rows"]) == whole


def test_who_brought_whom_is_told_by_customer_and_partner(run, folder, demo):
    run("ingest", str(demo), code=3)
    run("record", "globex", "stage_entered", "stage=commitment", "--at", "2025-03-01")
    run("record", "acme", "referred", "referrer=acme", "referred=globex", "--at", "2025-02-01")
    rows = run("referrals", "--most", "500", "--data-from", "2020", "--json").json["rows"]
    assert {row["customer"]: row["customers"] for row in rows}["acme"] == 1
    depth = run("referrals", "--part", "depth", "--data-from", "2020", "--json").json["rows"]
    parts = run("partners", "--data-from", "2020", "--json").json["rows"]
    everybody = {row["partner"]: row for row in parts}
    assert sum(row["customers"] for row in depth) == sum(
        everybody[name]["sourced"] for name in ("(any partner)", "(no partner)")
    )
    assert "x>=1" in run("partners", "--most", "0", code=2).err
