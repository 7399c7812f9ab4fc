"""The demo log: what it says is in it is in it, on the wire, in order."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from operator import itemgetter

import pytest

from bowtie.demo import Demo, Level
from bowtie.demo.flaws import MALFORMED
from bowtie.errors import FileError, UsageError
from bowtie.events import CATALOGUE, stream_kinds

DEMO = Demo()


@pytest.fixture(scope="module")
def lines():
    return list(DEMO.lines())


@pytest.fixture(scope="module")
def truth():
    return DEMO.truth()


@pytest.fixture(scope="module")
def readable(lines):
    """The lines that are JSON and not made by the flawed form, first deliveries only."""
    first, seen = [], set()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        key = event["source"], event["id"]
        if event["source"] != "form" and key not in seen:
            seen.add(key)
            first.append(event)
    return first


@pytest.fixture(scope="module")
def paying(readable):
    """Of each customer with a paid contract: the first one, and what was known before it."""
    signed: dict[str, dict] = {}
    touches: dict[str, dict] = {}
    traits: dict[str, dict] = defaultdict(dict)
    for event in sorted(readable, key=itemgetter("time")):
        customer, data = event["subject"], event["data"]
        match event["type"]:
            case "bowtie.contract_signed" if data["kind"] == "paid":
                signed.setdefault(customer, event)
            case "bowtie.touched":
                touches.setdefault(customer, data)
            case "bowtie.traits_observed":
                early = customer not in signed
                traits[customer] |= {n: (v, early) for n, v in data["traits"].items()}
    return [
        {
            "signed": event,
            "big": float(event["data"]["amount"]) * (12 if event["data"]["per"] == "month" else 1)
            >= 16_500,
            "traits": traits[customer],
            "channel": touches[customer]["channel"],
            "campaign": touches[customer].get("campaign"),
        }
        for customer, event in signed.items()
    ]


def test_the_default_log_has_about_100_000_events(lines, truth):
    assert 95_000 <= truth.events <= 115_000
    assert truth.lines == len(lines)
    assert truth.customers == 5_000
    assert truth.mature_customers >= 1_500


def test_every_line_ends_and_no_line_holds_another(lines):
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert all(line.isascii() for line in lines)


def test_every_genuine_event_is_valid(readable):
    for event in readable:
        model = CATALOGUE[event["type"].removeprefix("bowtie.")]
        model.model_validate(event["data"])
        assert event.get("streamkind", "customer") in stream_kinds(model)


def test_types_are_counted_exactly(readable, truth):
    found = Counter(event["type"].removeprefix("bowtie.") for event in readable)
    assert dict(found) == truth.events_by_type
    assert found.total() == truth.events


def test_ids_are_unique_but_where_a_line_was_sent_twice_or_an_id_reused(lines, truth):
    contents, duplicates, reused = {}, 0, 0
    for line in lines:
        if b'"source":"form"' in line:
            continue
        event = json.loads(line)
        key = event["source"], event["id"]
        if key not in contents:
            contents[key] = line
        elif contents[key] == line:
            duplicates += 1
        else:
            reused += 1
    assert (duplicates, reused) == (truth.duplicates, truth.parked["id_reused"])


def parking_reason(line: bytes) -> str:
    try:
        event = json.loads(line)
    except ValueError:
        return "unreadable"
    if event["type"].removeprefix("bowtie.") not in CATALOGUE:
        return "unknown_type"
    if "subject" not in event:
        return "no_customer"
    when = datetime.fromisoformat(event["time"])
    if when.tzinfo is None:
        return "naive_time"
    if when > datetime(2100, 1, 1, tzinfo=UTC):
        return "future_time"
    with pytest.raises(ValueError, match="validation error"):
        CATALOGUE[event["type"].removeprefix("bowtie.")].model_validate(event["data"])
    return "invalid"


def test_malformed_lines_are_wrong_as_counted(lines, truth):
    found = Counter(parking_reason(line) for line in lines if b'"source":"form"' in line)
    assert dict(found) | {"id_reused": truth.parked["id_reused"]} == truth.parked
    assert set(truth.malformed) == set(MALFORMED)
    assert sum(truth.malformed.values()) == found.total()


def test_lines_come_as_they_became_known(readable):
    known = [event["recordedtime"] for event in readable]
    assert known == sorted(known)
    assert all(event["time"] <= event["recordedtime"] for event in readable)


def test_nothing_is_later_than_the_last_day(readable, truth):
    assert max(event["recordedtime"] for event in readable) < "2026-07-01"
    assert min(event["time"] for event in readable) >= truth.first.isoformat()
    spent = [e["data"]["to_on"] for e in readable if e["type"] == "bowtie.spend_recorded"]
    assert max(spent) == "2026-06-30"


def test_late_and_corrected_events_are_counted_exactly(readable, truth):
    retracted = {
        (e["data"]["of_source"], e["data"]["of_id"])
        for e in readable
        if e["type"] == "bowtie.retracted"
    }
    ids = {(e["source"], e["id"]) for e in readable}
    corrected = [e for e in readable if "causationid" in e]
    late = [
        e
        for e in readable
        if "causationid" not in e
        and (
            datetime.fromisoformat(e["recordedtime"]) - datetime.fromisoformat(e["time"])
        ).total_seconds()
        > 3 * 86_400
    ]
    assert retracted <= ids
    assert len(retracted) == len(corrected) == truth.corrected
    assert len(late) == truth.late


def test_contracts_follow_the_rules_of_sequence_in_time(readable):
    signed = {}
    for event in sorted(readable, key=itemgetter("time")):
        data = event["data"]
        match event["type"]:
            case "bowtie.contract_signed":
                assert data["contract"] not in signed
                signed[data["contract"]] = data
            case "bowtie.contract_changed" | "bowtie.contract_renewed":
                assert signed[data["contract"]]["kind"] == "paid"
            case "bowtie.contract_ended":
                assert data["effective_on"] >= signed[data["contract"]]["starts_on"]
                del signed[data["contract"]]


def test_facts_that_came_before_the_signature_are_counted_exactly(readable, truth):
    signed, found = set(), 0
    for event in readable:
        match event["type"]:
            case "bowtie.contract_signed":
                signed.add(event["data"]["contract"])
            case (
                "bowtie.contract_changed"
                | "bowtie.contract_renewed"
                | "bowtie.contract_ended"
                | "bowtie.cancellation_requested"
                | "bowtie.entitlement_set"
            ):
                found += event["data"]["contract"] not in signed
    assert found == truth.out_of_sequence > 0


def test_paying_customers_are_counted_exactly(paying, truth):
    mature = [p for p in paying if p["signed"]["time"] < "2025-07-01"]
    assert (len(paying), len(mature)) == (truth.paying_customers, truth.mature_customers)


def test_nearly_every_paying_customer_has_a_cost(readable, paying):
    costed = {
        e["subject"]
        for e in readable
        if e["type"] == "bowtie.cost_incurred" and e["data"]["activity"] in {"onboard", "serve"}
    }
    mature = [p["signed"]["subject"] for p in paying if p["signed"]["time"] < "2025-07-01"]
    assert len(costed.intersection(mature)) >= 0.99 * len(mature)


def test_every_kind_of_story_is_told(readable):
    """Skips, regressions, lost deals that come back, churn and win-back."""
    told: Counter[str] = Counter()
    stories = defaultdict(list)
    for event in sorted(readable, key=itemgetter("time")):
        stories[event["subject"]].append((event["type"].removeprefix("bowtie."), event["data"]))
    for story in stories.values():
        types = [kind for kind, _ in story]
        names = [data.get("name") for _, data in story]
        paid = [
            i for i, (k, d) in enumerate(story) if (k, d.get("kind")) == ("contract_signed", "paid")
        ]
        told["skips education"] += bool(paid) and "lead_created" not in names[: paid[0]]
        told["learns again"] += bool(paid) and "webinar_attended" in names[paid[0] :]
        if "disqualified" in types:
            told["lost"] += 1
            told["lost and won"] += bool(paid) and types.index("disqualified") < paid[0]
        if "contract_ended" in types:
            told["churned"] += 1
            told["won back"] += bool(paid) and paid[-1] > types.index("contract_ended")
    assert min(told[name] for name in ("lost and won", "won back")) >= 10
    assert min(told[name] for name in ("skips education", "learns again", "lost", "churned")) >= 100


def test_who_came_by_a_recommendation_came_after_it_and_is_counted_exactly(readable, paying, truth):
    seen: dict[str, str] = {}
    for event in readable:
        if event["type"] == "bowtie.touched":
            seen[event["subject"]] = min(event["time"], seen.get(event["subject"], "9"))
    said = [event for event in readable if event["type"] == "bowtie.referred"]
    by = {e["data"]["referred"]: e["subject"] for e in said if "referred" in e["data"]}
    named = [event for event in said if "referred" in event["data"]]
    assert len(by) == len(named) == truth.brought > len(said) / 2
    for event in named:  # by a day, where touches have no time
        assert event["time"][:10] <= seen[event["data"]["referred"]][:10]
        assert event["data"]["referrer"] == event["subject"]
    customers = {one["signed"]["subject"] for one in paying}
    depths: Counter[int] = Counter()
    for one in by.keys() & customers:
        depth, at = 0, one
        while at in by:
            depth, at = depth + 1, by[at]
        depths[depth] += 1
    assert dict(depths) == truth.referred_customers
    assert len(depths) > 1
    channel = {one["signed"]["subject"]: one["channel"] for one in paying}
    otherwise = sum(channel[one] != "referral" for one in by.keys() & customers)
    assert 0.1 < otherwise / depths.total() < 0.9


def rate(members):
    members = list(members)
    return sum(m["big"] for m in members) / len(members)


def test_the_real_trait_and_channel_bring_value_and_the_cheap_channel_does_not(paying, truth):
    overall = rate(paying)
    assert 0.15 <= overall <= 0.25
    assert rate(p for p in paying if p["traits"]["multi_site"][0]) > 2 * overall
    assert rate(p for p in paying if p["channel"] == truth.real_channel.level) > 2 * overall
    assert rate(p for p in paying if p["channel"] == truth.cheap_channel.level) < 0.5 * overall
    arrivals = Counter(p["channel"] for p in paying)
    assert arrivals["directory"] > 1.5 * arrivals["partner"]


def test_nothing_else_has_an_effect(paying, truth):
    overall = rate(paying)
    groups = defaultdict(list)
    for p in paying:
        for name in ("industry", "company_size", "region", "on_premise"):
            groups[name, p["traits"].get(name, (None,))[0]].append(p)
        groups["campaign", p["campaign"]].append(p)
        if p["channel"] not in {truth.real_channel.level, truth.cheap_channel.level}:
            groups["channel", p["channel"]].append(p)
    for level, members in groups.items():
        assert 0.7 * overall < rate(members) < 1.3 * overall, level


def test_traits_are_known_before_the_sale_but_for_the_leak(paying, truth):
    leaks = [p["traits"][truth.leak_trait] for p in paying if truth.leak_trait in p["traits"]]
    assert len(leaks) > 1_500
    assert not any(early for _, early in leaks)
    for p in paying:
        assert all(early for n, (_, early) in p["traits"].items() if n != truth.leak_trait)
        assert {truth.real_trait.trait, truth.older_trait} <= set(p["traits"])


def test_the_leak_goes_with_value(paying, truth):
    strategic = (p for p in paying if p["traits"].get(truth.leak_trait, ("",))[0] == "strategic")
    assert rate(strategic) > 3 * rate(paying)


def test_the_older_trait_is_common_among_the_early(paying, truth):
    def share(members):
        members = list(members)
        return sum(p["traits"][truth.older_trait][0] for p in members) / len(members)

    assert share(p for p in paying if p["signed"]["time"] < "2024-01-01") > 0.6
    assert share(p for p in paying if p["signed"]["time"] >= "2026-01-01") < 0.3


def test_the_missing_trait_is_missing_for_its_share(paying, truth):
    missing = sum(truth.missing_trait not in p["traits"] for p in paying) / len(paying)
    assert 0.3 < missing < 0.4


def test_personal_traits_are_there_to_be_sealed(readable):
    names = {
        n for e in readable if e["type"] == "bowtie.traits_observed" for n in e["data"]["traits"]
    }
    assert {"name", "email"} <= names


def test_the_truth_is_told_to_people_and_to_machines(truth):
    machine = json.loads(json.dumps(truth.as_dict()))
    assert machine["marks"] == [
        {"trait": "multi_site", "level": "true"},
        {"trait": "channel", "level": "partner"},
    ]
    assert machine["anti_marks"] == [{"trait": "channel", "level": "directory"}]
    assert machine["parked"] == truth.parked
    assert truth.mirrors == (Level("multi_site", "false"),)
    text = truth.text()
    for word in ("multi_site", "partner", "directory", "on_premise", "account_tier", "region"):
        assert word in text
    assert f"{truth.lines:,} lines" in text


def test_writing_gives_the_lines_and_the_truth(tmp_path):
    demo = Demo(customers=40, seed=3)
    stream = io.BytesIO()
    assert demo.write(stream) == demo.write(tmp_path / "log.jsonl") == demo.truth()
    assert stream.getvalue() == (tmp_path / "log.jsonl").read_bytes() == b"".join(demo.lines())


def test_a_file_that_cant_be_written_is_named(tmp_path):
    with pytest.raises(FileError, match="no_such_folder"):
        Demo(customers=1).write(tmp_path / "no_such_folder" / "log.jsonl")


@pytest.mark.parametrize(
    "wrong", [{"customers": 0}, {"customers": -5}, {"until": date(1960, 1, 1)}]
)
def test_what_cant_be_made_is_refused(wrong):
    with pytest.raises(UsageError):
        Demo(**wrong)
