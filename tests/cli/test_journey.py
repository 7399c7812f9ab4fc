"""One customer, now and then."""

from __future__ import annotations


def test_where_a_customer_stands(run, store):
    done = run("journey", "acme")
    assert "acme stands in commitment (b2b/1); 3 events." in done.out
    assert "contract_signed" in done.out
    assert "2026-01-20T10:00:00Z" in done.out


def test_the_world_as_it_was(run, store):
    record = run("journey", "acme", "--as-of", "2026-01-06", "--json").json
    assert record["stage"] == "awareness"
    assert len(record["events"]) == 1


def test_what_was_known_then(run, store):
    assert run("journey", "acme", "--known-at", "2020-01-01", "--json").json["events"] == []


def test_another_definition(run, store):
    assert run("journey", "acme", "--definition", "shop", "--json").json["stage"] == "awareness"


def test_parts(run, store):
    assert "country" in run("journey", "zeta", "--part", "traits", "--format", "csv").out
    assert "no part" in run("journey", "zeta", "--part", "nothing", code=2).err


def test_rows_for_a_machine(run, store):
    done = run("journey", "acme", "--format", "csv")
    assert done.out.splitlines()[0].startswith("time,event,data")
    assert len(done.out.splitlines()) == 4
    assert "stands in" in done.err


def test_what_can_not_be_answered(run, store):
    assert "no customer 'nobody'" in run("journey", "nobody", code=2).error
    assert "no time" in run("journey", "acme", "--as-of", "soon", code=2).error
    assert "comes with bowtie" in run("journey", "acme", "--definition", "b2c", code=2).error


def test_a_day_ends_at_the_midnight_of_its_zone(run, store):
    """The lead came on 2026-01-08 at 10:00 UTC: late on the 7th in Pago Pago."""
    events = {
        tz: len(
            run("journey", "acme", "--as-of", "2026-01-07", "--tz", tz, "--json").json["events"]
        )
        for tz in ("UTC", "Pacific/Auckland", "Pacific/Pago_Pago")
    }
    assert events == {"UTC": 1, "Pacific/Auckland": 1, "Pacific/Pago_Pago": 2}
    assert "no time zone" in run("journey", "acme", "--tz", "Mars", code=2).error
