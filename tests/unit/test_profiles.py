"""Target profiles: what they may say, the draw of arms, assignment once and for ever."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from scipy import stats

from bowtie import Bowtie
from bowtie.errors import (
    DefinitionError,
    EventRejected,
    Refused,
    UnknownName,
    UsageError,
)
from bowtie.events import OrderPlaced, StageEntered, Targeted, Touched, TraitsObserved
from bowtie.policies import publish_policy
from bowtie.profiles import (
    Assigned,
    arm_of,
    draw,
    load_profile,
    profile_of,
    publish_profile,
    record_evaluated,
    record_targeted,
)
from bowtie_projections import Views
from bowtie_projections.drafting import drafted, findings_again

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TEXT = """
name = "lookalike"
version = 1
starts_on = 2024-01-01
ends_on = 2024-01-10
horizon = "30d"
holdout = "0.5"
salt = "f"
[[traits]]
trait = "size"
level = "large"
lift = "2"
"""
#: A value policy of what a model expects.
PREDICTED = 'name = "w"\nversion = 1\nhorizon = "90d"\nbasis = "predicted"\n'


def test_the_draw_is_even_stable_and_depends_on_nothing_else():
    keys = [f"acct-{n:06d}" for n in range(20_000)]
    numbers = [draw("lookalike/1", key) for key in keys]
    assert stats.kstest(numbers, "uniform").pvalue > 0.01
    # by parts of the keys too: the digits of a key say nothing of its number
    last = [[n for n, key in zip(numbers, keys, strict=True) if key[-1] == d] for d in "0123456789"]
    assert min(stats.kstest(part, "uniform").pvalue for part in last) > 0.001
    other = [draw("lookalike/2", key) for key in keys]
    assert abs(stats.pearsonr(numbers, other).statistic) < 0.02
    held = sum(arm_of("lookalike/1", key, Decimal("0.2")) == "holdout" for key in keys)
    assert stats.binomtest(held, len(keys), 0.2).pvalue > 0.01
    assert [draw("lookalike/1", key) for key in reversed(keys)] == numbers[::-1]
    # for ever: these were drawn when the law was written
    assert [round(draw("s", key), 9) for key in ("", "a", "ä")] == PINNED


#: sha256 of the salt, a zero byte and the key; its first 64 bits over 2 ** 64.
PINNED = [0.158749988, 0.300737562, 0.596667115]


def test_a_profile_of_toml_and_its_json_say_the_same():
    profile = load_profile(TEXT)
    again = load_profile(profile.text)
    assert again.text == profile.text
    assert (again.label, again.traits[0].weight, again.policy.horizon) == (
        "lookalike/1", Decimal("0.693"), 30 * DAY,
    )  # fmt: skip
    assert json.loads(profile.text)["policy"]["name"] is None
    assert profile_of(json.loads(profile.text)).sha256 == profile.sha256
    assert load_profile(profile) is profile
    assert load_profile(TEXT.replace("ends_on = 2024-01-10\n", "")).ends_on == date(2024, 12, 30)


@pytest.mark.parametrize(
    ("old", "new", "problem", "line"),
    [
        ('name = "lookalike"', 'name = "Look"', "small letters", 2),
        ("version = 1", "version = 0", "whole number from 1", 3),
        ("starts_on = 2024-01-01", "", "from when on", None),
        ("ends_on = 2024-01-10", "ends_on = 2023-01-10", "before starts_on", 5),
        ("ends_on = 2024-01-10", 'ends_on = "soon"', "is a day", 5),
        ('holdout = "0.5"', "holdout = 0", "from 0.01 to 0.99", 7),
        ('holdout = "0.5"', "", 'write holdout = "0.2"', None),
        ("starts_on = 2024-01-01\nends_on = 2024-01-10", "starts_on = 9999-12-31", "far ahead", 4),
        ("starts_on = 2024-01-01", "starts_on = 2024-01-01T10:00:00Z", "is a day", 4),
        ('horizon = "30d"', "horizon = 30", 'write horizon = "365d"', 6),
        ('horizon = "30d"', "horizon = '9d\"'", "is not a span of time", 6),
        ('horizon = "30d"', "value = 'a\"b'", "revenue, contribution", 6),
        ('horizon = "30d"', 'policy = { text = "name = 3" }', 'policy = "worth/1"', 6),
        (
            'horizon = "30d"',
            'policy = { text = "name = 3\\n" }',
            "its text: a policy has a name",
            6,
        ),
        ('horizon = "30d"', f"policy = {{ text = {json.dumps(PREDICTED)} }}", "predicts value", 6),
        ('horizon = "30d"', 'horizon = "1h"', "whole days", 6),
        ('horizon = "30d"', 'policy = "worth"', 'no policy "worth"', 6),
        ('horizon = "30d"', 'by = "channel"', "name a trait", 6),
        ('lift = "2"', 'lift = "1"', "says nothing", 12),
        ('lift = "2"', 'lift = "-2"', "from 0 to under 1", 12),
        ('lift = "2"', 'lift = "2"\nlift_low = nan', "left out where there is none", 13),
        ('lift = "2"', 'lift = "2"\nq = 1e400', "left out where there is none", 13),
        ('lift = "2"', 'lift = "2"\n[detectable]\nvalue = inf', "left out where there is none", 14),
        ('lift = "2"', "weight = 9", "from -5 to 5", 12),
        ('lift = "2"', 'weight = "-1"', "nothing speaks for a prospect", None),
        ('lift = "2"', "level2 = 3", 'unknown key "level2"', 12),
        ('level = "large"', "level = []", "name a level of size", 11),
        ('lift = "2"', '[[traits]]\ntrait = "size"\nlevel = "large"', "stands there twice", 12),
        ('horizon = "30d"', "prospects = 3", '"prospects" is a text', 6),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old, new, problem, line):
    with pytest.raises(DefinitionError, match=problem) as caught:
        load_profile(TEXT.replace(old, new))
    assert line is None or caught.value.line == line


def test_what_is_no_document_is_said():
    for text in (
        '{"name":\n}',
        '{"q": NaN,\n"name": "x"}',
        '{"title":\n"\\ud800"}',
        '{"name": "x",\n"name": "y"}',
        '{"name":\n' + "[" * 100_000,
    ):
        with pytest.raises(DefinitionError, match="not valid JSON"):
            load_profile(text)
    with pytest.raises(UnknownName, match='did you mean "lookalike/1"'):
        load_profile("lookalik", {"lookalike/1": load_profile(TEXT).text})


def touched(engine, key, at, size=None, channel="web"):
    touch = Touched(channel=channel, direction="inbound", cost="4", currency="EUR")
    engine.record(key, touch, occurred_at=at, known_from=at)
    if size is not None:
        engine.record(key, TraitsObserved(traits={"size": size}), occurred_at=at, known_from=at)


@pytest.fixture(scope="module")
def lines():
    """The log of forty prospects of ten days, half of them large."""
    with Bowtie.open("memory://") as engine:
        for n in range(40):
            at = START + n % 10 * DAY + timedelta(hours=1)
            touched(engine, f"c{n:02}", at, "large" if n % 2 else "small")
        return "\n".join(map(json.dumps, engine.export())).encode()


def store_of(lines):
    """A store of that log, and a published profile for the large."""
    engine = Bowtie.open("memory://")
    assert engine.ingest(io.BytesIO(lines)).appended == 80
    publish_profile(engine, TEXT)
    return engine


@pytest.fixture
def engine(lines):
    with store_of(lines) as engine:
        yield engine


def assign(views, at):
    """What ``bowtie profile assign`` does."""
    views.refresh()
    engine = views.engine
    profile = load_profile("lookalike", {d.label: d.body for d in engine.documents("profile")})
    rows = views.profile_prospects(profile, as_of=at).rows()
    chosen = [Assigned(row["customer"], row["arm"], str(row["score"])) for row in rows]
    report = record_targeted(engine, profile, chosen, at)
    assert report.parked == 0
    return rows


def targeted(engine):
    return [one for one in engine.events() if isinstance(one.data, Targeted)]


@pytest.fixture
def views(engine):
    """The views of that store; they are asked many times."""
    with Views.open(engine) as views:
        yield views


def test_each_is_assigned_once_as_they_come(engine, views):
    nights = [START + 4 * DAY, START + 9 * DAY]
    assert [len(assign(views, night)) for night in nights] == [8, 8]
    assert [assign(views, night) for night in nights] == [[], []]
    first = {one.subject: one.data.arm for one in targeted(engine)}
    assert first == {key: load_profile(TEXT).arm(key) for key in first}
    assert {one.data.score for one in targeted(engine)} == {Decimal("0.693")}
    assert {one.id for one in targeted(engine)} == {f"targeted/lookalike/{key}" for key in first}
    # a trait that is learnt later brings a prospect in; one that changes takes nobody out
    engine.record("c00", TraitsObserved(traits={"size": "large"}), occurred_at=START + 9 * DAY)
    engine.record("c01", TraitsObserved(traits={"size": "small"}), occurred_at=START + 9 * DAY)
    last = assign(views, START + 9.5 * DAY)
    assert {row["customer"] for row in last} == {"c00", "c09", "c19", "c29", "c39"}
    assert assign(views, START + 10 * DAY) == []  # its days are over
    # nor is anybody assigned again at a moment before they were
    assert assign(views, START + 8 * DAY) == []
    assert len(targeted(engine)) == 21
    # the arms don't depend on the night, nor on the order in which prospects came
    with Bowtie.open("memory://") as other:
        for n in reversed(range(1, 40, 2)):
            touched(other, f"c{n:02}", START + n % 10 * DAY + timedelta(hours=1), "large")
        publish_profile(other, TEXT)
        arms = {row["customer"]: row["arm"] for row in assign(Views.open(other), START + 9.5 * DAY)}
    assert arms == first | {row["customer"]: row["arm"] for row in last if row["customer"] != "c00"}


def test_who_may_not_be_assigned(engine, views):
    engine.record("c01", StageEntered(stage="commitment"), occurred_at=START + 2 * DAY)
    engine.forget("c03")
    touched(engine, "old", START - 5 * DAY, "large")
    keys = {row["customer"] for row in assign(views, START + 9.5 * DAY)}
    assert len(keys) == 18
    assert keys.isdisjoint({"c01", "c03", "old"})
    publish_profile(engine, TEXT.replace("version = 1", 'version = 2\nprospects = "open"'))
    assert {row["customer"] for row in assign(views, START + 9.5 * DAY)} == {"old"}
    assert {one.data.version for one in targeted(engine) if one.subject == "old"} == {"2"}


def test_a_name_and_version_is_one_text_for_ever(engine):
    document = publish_profile(engine, TEXT)
    assert publish_profile(engine, document.body) == document
    other = load_profile(TEXT.replace('lift = "2"', 'lift = "3"'))
    with pytest.raises(EventRejected, match="another body"):
        publish_profile(engine, other)
    line = {
        "specversion": "1.0", "id": "1", "source": "x", "type": "bowtie.profile_published",
        "subject": "lookalike", "time": "2024-01-01T00:00:00Z", "streamkind": "profile",
        "data": {
            "name": "lookalike", "version": "1", "body": other.text, "sha256": other.sha256,
        },
    }  # fmt: skip
    report = engine.ingest(io.BytesIO(json.dumps(line).encode()))
    assert report.parked_by_reason == {"invalid": 1}
    views = Views.open(engine)
    with pytest.raises(DefinitionError, match="another profile of that name"):
        views.profile_evaluation(other)
    with pytest.raises(UnknownName, match='no profile "other"'):
        views.profile_history("other")


def test_the_value_policy_is_published_with_it(engine, tmp_path):
    worth = 'name = "worth"\nversion = 1\nhorizon = "60d"\nvalue = "contribution"\n'
    publish_policy(engine, worth)
    text = TEXT.replace('horizon = "30d"', 'policy = "worth"').replace("version = 1", "version = 2")
    document = publish_profile(engine, text)
    publish_policy(engine, worth.replace("version = 1", "version = 2").replace("60d", "90d"))
    found = load_profile(document.body)
    assert (found.policy.label, found.policy.horizon, found.policy.text) == (
        "worth/1", 60 * DAY, worth,
    )  # fmt: skip
    publish_policy(
        engine,
        worth.replace("worth", "hope").replace("contribution", "revenue") + 'basis = "predicted"\n',
    )
    (tmp_path / "mine.toml").write_text(worth.replace("worth", "mine"))
    with pytest.raises(DefinitionError, match="mine/1 is not published"):
        publish_profile(engine, text.replace("worth", str(tmp_path / "mine.toml")))
    with pytest.raises(DefinitionError, match="judged by what came"):
        publish_profile(engine, text.replace("worth", "hope").replace("version = 2", "version = 3"))


def buys(engine, key, at, amount):
    engine.record(key, StageEntered(stage="commitment"), occurred_at=at)
    order = OrderPlaced(order=key, kind="order", amount=amount, currency="EUR")
    engine.record(key, order, occurred_at=at)


@pytest.fixture(scope="module")
def judged(lines):
    """All assigned on one night; of either arm some buy, the targeted more often."""
    engine = store_of(lines)
    views = Views.open(engine)
    rows = assign(views, START + 9.5 * DAY)
    arms = {
        arm: [r["customer"] for r in rows if r["arm"] == arm] for arm in ("targeted", "holdout")
    }
    assert [len(arms[arm]) for arm in arms] == [11, 9]
    for key in arms["targeted"][:6]:
        buys(engine, key, START + 20 * DAY, "100")
    for key in arms["holdout"][:2]:
        buys(engine, key, START + 20 * DAY, "50")
    touched(engine, arms["targeted"][-1], START + 12 * DAY)
    touched(engine, "late", START + 45 * DAY)
    views.refresh()
    yield views
    views.close()
    engine.close()


def test_the_trend_has_all_quarters_of_as_long_before(engine, views):
    """The last day counts too: of a quarter that runs, the whole quarter before is told."""
    for key, day in (("far", -180), ("before", -91), ("during", 20)):
        touched(engine, key, START + day * DAY)
    touched(engine, "far", START + 200 * DAY)
    quarter = TEXT.replace("2024-01-10", "2024-03-31").replace("version = 1", "version = 2")
    publish_profile(engine, quarter)
    views.refresh()
    trend = views.profile_evaluation("lookalike/2").part("trend").rows()
    assert [(row["came"], row["period"], row["prospects"]) for row in trend] == [
        ("2023-Q4", "before", 1), ("2024-Q1", "during", 41),
    ]  # fmt: skip


def test_the_arms_are_compared_by_intention_to_treat(judged):
    answer = judged.profile_evaluation("lookalike")
    first, second, apart = answer.rows()
    assert (first["assigned"], first["mature"], first["converted"]) == (11, 11, 6)
    assert (second["assigned"], second["mature"], second["converted"]) == (9, 9, 2)
    assert (first["value"], first["cost"], second["value"]) == (600, 4, 100)
    assert apart["value_per_prospect"] == pytest.approx(600 / 11 - 100 / 9)
    assert apart["value_per_prospect_low"] < apart["value_per_prospect"]
    assert apart["conversion"] == pytest.approx(6 / 11 - 2 / 9)
    assert apart["cost_per_prospect"] == pytest.approx(4 / 11)
    assert apart["reason"] is None
    assert answer.meta["split_p"] > 0.5
    assert not any("WARNING" in note for note in answer.notes)
    assert any("The trend is no effect" in note for note in answer.notes)
    [row] = judged.profile_history("lookalike").rows()
    assert row["value_effect"] == apart["value_per_prospect"]
    assert (row["assigned"], row["fitting_share"]) == (20, 0.5)


def test_not_yet_is_not_never(judged):
    young = judged.profile_evaluation("lookalike", as_of=START + 30 * DAY)
    assert {row["reason"] for row in young} == {"not yet, from 2024-02-09"}
    assert [row["mature"] for row in young][:2] == [0, 0]
    assert judged.profile_evaluation("lookalike", as_of="2024-01-09").rows()[0]["reason"] == (
        "nobody was assigned yet"
    )
    before = targeted(judged.engine)[0].position - 1
    assert judged.profile_evaluation("lookalike", position=before).rows()[0]["assigned"] == 0
    with pytest.raises(UnknownName):
        judged.profile_evaluation("lookalike", position=before - 1)
    # what happened is told by the version's own label, whenever that was published
    assert judged.profile_evaluation("lookalike/1", position=3).rows()[0]["assigned"] == 0


def test_a_split_that_chance_does_not_make_is_a_warning(engine, views):
    for n in range(30):
        data = Targeted(profile="lookalike", version="1", arm="targeted")
        engine.record(f"smuggled{n}", data, occurred_at=START + 9 * DAY)
    for currency in ("EUR", "USD"):
        order = OrderPlaced(order="x", kind="order", amount="5", currency=currency)
        engine.record("smuggled1", order, occurred_at=START + 11 * DAY)
    views.refresh()
    answer = views.profile_evaluation("lookalike")
    assert answer.meta["split_p"] < 1e-6
    assert any(note.startswith("WARNING, sample ratio mismatch: 50%") for note in answer.notes)
    touched(engine, "late", START + 60 * DAY)
    views.refresh()
    with pytest.raises(Refused, match="EUR and USD"):
        views.profile_evaluation("lookalike")


def test_whole_markets_are_drawn_and_judged(engine, views):
    for n in range(40):
        data = TraitsObserved(traits={"market": f"m{n % 8}"}) if n != 7 else None
        if data:
            engine.record(f"c{n:02}", data, occurred_at=START + 9.1 * DAY)
    text = TEXT.replace("version = 1", 'version = 2\nby = "market"')
    profile = load_profile(text)
    publish_profile(engine, text)
    views.refresh()
    answer = views.profile_prospects("lookalike", as_of=START + 9.5 * DAY)
    assert answer.meta["undrawn"] == 1
    assert all(row["arm"] == profile.arm(row["market"]) for row in answer)
    assert {row["market"] for row in answer} == {"m1", "m3", "m5", "m7"}
    assign(views, START + 9.5 * DAY)
    # markets that are told anew later change no arm
    engine.record("c01", TraitsObserved(traits={"market": "m0"}), occurred_at=START + 9.8 * DAY)
    touched(engine, "late", START + 45 * DAY)
    views.refresh()
    told = views.profile_evaluation("lookalike")
    assert any("Levels of market were drawn" in note for note in told.notes)
    assert not any("another arm" in note for note in told.notes)
    arms = Counter(profile.arm(market) for market in ("m1", "m3", "m5", "m7"))
    assert arms == {"targeted": 2, "holdout": 2}
    assert [row["assigned"] for row in told] == [10, 9, None]
    assert told.rows()[2]["value_per_prospect"] == 0
    assert told.meta["split_p"] == 1  # of markets, two to two


def test_what_was_seen_is_kept(judged):
    engine, answer = judged.engine, judged.profile_evaluation("lookalike").to_dict()
    record_evaluated(engine, load_profile(TEXT), answer)
    [kept] = [e for e in engine.events() if e.data.type_name == "profile_evaluated"]
    assert json.loads(kept.data.body)["rows"] == answer["rows"]
    assert (kept.kind, kept.subject) == ("profile", "lookalike")
    judged.refresh()
    assert judged.profile_evaluation("lookalike").to_dict()["rows"] == answer["rows"]


@pytest.fixture(scope="module")
def loop_store():
    """Four hundred customers of whom the large are worth more, and later prospects."""
    with Bowtie.open("memory://") as engine:
        for n in range(400):
            size, at = "large" if n % 3 == 0 else "small", START + n * DAY / 2
            touched(engine, f"c{n:03}", at - DAY, size)
            seats = TraitsObserved(traits={"seats": 20 if n % 3 == 0 else 5})
            engine.record(f"c{n:03}", seats, occurred_at=at - DAY, known_from=at - DAY)
            if n % 5:
                buys(
                    engine,
                    f"c{n:03}",
                    at + 8 * DAY,
                    "100" if (n % 3 == 0) != (n % 11 == 0) else "10",
                )
        yield engine


def test_the_findings_of_the_loop_are_published_with_their_evidence(loop_store):
    views = Views.open(loop_store)
    content = {"name": "large", "holdout": "0.2", "horizon": "30d"}
    draft = drafted(views, content, loop={"horizon": "30d", "threshold": "50"})
    assert draft.label == "large/1"
    assert [(one.trait, one.level, one.weight > 0) for one in draft.traits] == [
        ("seats", "20", True), ("size", "large", True),
        ("seats", "5", False), ("size", "small", False),
    ]  # fmt: skip
    assert draft.traits[0].evidence["replicated"] is True
    evidence: Any = draft.evidence
    assert evidence["position"] == views.position
    assert draft.starts_on == views.loop().meta["as_of"].date() + DAY
    told: Any = draft.detectable
    assert told["base_conversion"] == pytest.approx(0.8, abs=0.03)
    assert told["targeted"] == pytest.approx(4 * told["holdout"], abs=3)
    assert told["value"] > 0
    published = publish_profile(loop_store, draft)
    again = Views.open(loop_store)
    assert (
        drafted(again, content, loop={"horizon": "30d", "threshold": "50"}).text == published.body
    )
    assert findings_again(again, draft) is True
    assert findings_again(again, load_profile(TEXT)) is None
    more = drafted(again, content | {"holdout": "0.3"}, loop={"horizon": "30d", "threshold": "50"})
    assert more.label == "large/2"


def test_without_a_mark_there_is_nothing_to_look_for(loop_store):
    views = Views.open(loop_store)
    with pytest.raises(Refused, match="found no mark"):
        drafted(views, {"name": "x", "holdout": "0.2"}, loop={"horizon": "30d", "threshold": "5"})


@pytest.mark.parametrize("traits", ["size", ["size"], 3])
def test_traits_of_a_file_beside_the_findings_are_tables(loop_store, traits):
    content = {"name": "x", "holdout": "0.2", "horizon": "30d", "traits": traits}
    with pytest.raises(DefinitionError, match="traits are tables"):
        drafted(Views.open(loop_store), content, loop={"horizon": "30d", "threshold": "50"})


def test_numbers_in_bins_and_other_targets_are_no_profile(loop_store):
    views = Views.open(loop_store)
    content, asked = {"name": "x", "holdout": "0.2"}, {"horizon": "30d", "threshold": "50"}
    with pytest.raises(Refused, match="of numbers that the loop cut"):
        drafted(views, content, loop=asked | {"traits": {"seats": {"bins": [10]}}})
    with pytest.raises(UsageError, match="asked for low"):
        drafted(views, content, loop=asked | {"target": "low"})


def test_both_databases_answer_the_same(judged, postgres_server):
    with postgres_server.schema() as url, Views.open(judged.engine, url) as other:
        for name in ("evaluation", "history", "outlook", "prospects"):
            asked = {"as_of": "2024-01-09"} if name == "prospects" else {}
            one, two = (
                getattr(v, f"profile_{name}")("lookalike", **asked) for v in (judged, other)
            )
            assert [one.to_dict(), one.parts.keys()] == [two.to_dict(), two.parts.keys()]


def test_what_nobody_has_is_told_before_it_is_published(engine, views):
    engine.record("c01", TraitsObserved(traits={"gender": "f"}), occurred_at=START)
    views.refresh()
    plain = TEXT.replace("version = 1", 'version = 2\nby = "markt"')
    more = [
        ('"size"', '"larg"'), ('"size"', '"x"'), ('"siz"', '"x"'), ('"channel"', '"wb"'),
        ('"gender"', '"f"'), ('"size"', '"(missing)"'),
    ]  # fmt: skip
    traits = "".join(f"[[traits]]\ntrait = {name}\nlevel = {level}\n" for name, level in more)
    notes = views.profile_outlook(plain + traits).notes
    assert notes[:6] == [
        "Nobody has a trait 'siz' so far; did you mean 'size'?",
        "gender is protected by its name and not looked at, so it fits nobody.",
        "Nobody has a trait 'markt' so far; there are campaign, channel, size.",
        "Nobody has channel 'wb' so far; did you mean 'web'?",
        "Nobody has size 'larg' so far; did you mean 'large'?",
        "Nobody has size 'x' so far; there are large, small.",
    ]
    assert not any("obody" in note for note in views.profile_outlook(TEXT).notes)


def test_what_can_not_be_asked_is_refused(views):
    with pytest.raises(UsageError, match="no parameter"):
        views.profile_evaluation("lookalike", segment_of="x")
    with pytest.raises(UnknownName, match="no time zone"):
        views.profile_evaluation("lookalike", tz="Mars")
