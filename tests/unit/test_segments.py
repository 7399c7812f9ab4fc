"""Segments in the log, in every view, and in breakdowns; and which touch a breakdown reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie.errors import (
    DefinitionError,
    EventRejected,
    FileError,
    Refused,
    UnknownName,
    UsageError,
)
from bowtie.events import (
    ContractSigned,
    Noted,
    OrderPlaced,
    SpendRecorded,
    Touched,
    TraitsObserved,
)
from bowtie.segments import load_segment, publish_segment, segment_where
from bowtie_projections import Views
from bowtie_projections.questions import Questions
from tests.unit.test_views_agree import same

START = datetime(2024, 1, 1, tzinfo=UTC)
LARGE = """
name = "large"
version = 1
title = "Large companies"
[[all]]
traits = { size = { ge = 50 } }
[[not]]
entered = "commitment"
"""


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def paid(contract: str, **more: Any) -> ContractSigned:
    return ContractSigned(
        contract=contract, kind="paid", amount="100", per="month", currency="EUR",
        starts_on=at(0).date(), **more,
    )  # fmt: skip


@pytest.fixture
def engine():
    """Four customers: two large, one of them a buyer; one small; one of whom no size is known."""
    with Bowtie.open("memory://") as engine:
        for day, (name, channel, size) in enumerate(
            [("a", "web", 60), ("b", "mail", 70), ("c", "web", 5), ("d", "web", None)]
        ):
            engine.record(name, Touched(channel=channel, direction="inbound"), occurred_at=at(day))
            if size is not None:
                engine.record(name, TraitsObserved(traits={"size": size}), occurred_at=at(day + 1))
        engine.record("b", paid("k"), occurred_at=at(40))
        engine.record("a", Noted(name="lead_created"), occurred_at=at(10))
        yield engine


def entered(result: Any, stage: str = "awareness") -> dict[Any, int]:
    by = result.columns[: result.columns.index("stage")]
    return {
        tuple(row[name] for name in by): row["entered"]
        for row in result.rows()
        if row["stage"] == stage and row["entered"]
    }


# -- documents --------------------------------------------------------------------------------


def test_a_published_segment_is_known_by_its_name_from_its_position_on(engine):
    document = publish_segment(engine, LARGE)
    views = Views.open(engine)

    assert publish_segment(engine, LARGE) == document
    assert entered(views.funnel(segment="large")) == entered(views.funnel(segment="large/1"))
    assert views.funnel(segment="large").meta["segment"]["name"] == "large/1"
    with pytest.raises(UnknownName, match='no segment "large" is published'):
        views.funnel(segment="large", position=document.position - 1)
    before = views.funnel(segment="large/1", position=document.position - 1)
    assert entered(before) == {(): 1}


def test_the_newest_version_is_taken_and_an_older_one_stays(engine):
    publish_segment(engine, LARGE)
    publish_segment(engine, LARGE.replace("version = 1", "version = 10").replace("50", "65"))
    publish_segment(engine, LARGE.replace("version = 1", "version = 9").replace("50", "4"))
    views = Views.open(engine)

    assert entered(views.funnel(segment="large")) == {}
    assert entered(views.funnel(segment="large/9")) == {(): 2}
    assert entered(views.funnel(segment="large/1")) == {(): 1}


def test_a_name_and_version_stand_for_one_text(engine):
    publish_segment(engine, LARGE)
    other = LARGE.replace("50", "5")

    with pytest.raises(EventRejected, match="another body"):
        publish_segment(engine, other)
    with pytest.raises(DefinitionError, match="another segment of that name and version"):
        Views.open(engine).funnel(segment=other)


def test_a_file_a_text_a_dictionary_and_a_segment_are_the_same(engine, tmp_path):
    file = tmp_path / "large.toml"
    file.write_text(LARGE)
    content = {"all": [{"traits": {"size": {"ge": 50.0}}}], "not": [{"entered": "commitment"}]}
    views = Views.open(engine)

    found = [
        views.funnel(segment=one).rows() for one in (str(file), LARGE, content, load_segment(LARGE))
    ]

    assert all(rows == found[0] for rows in found)
    with pytest.raises(FileError, match="no such file"):
        views.funnel(segment=str(tmp_path / "small.toml"))


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (("traits =", "trait ="), 6, 'did you mean "traits"'),
        (("size", "email"), 6, "personal"),
        (('"commitment"', '"comitment"'), 8, 'did you mean "commitment"'),
        (("{ ge = 50 }", "{ about = 50 }"), 6, "unknown key"),
        (("version = 1\n", ""), None, "version = 1"),
        (('"large"', '"Large!"'), 2, "small letters"),
        (("[[all]]", "[all]"), 5, "list of tests"),
        (("[[not]]", "[[none]]"), 7, "unknown key"),
        (("entered =", "event ="), 8, "unknown event"),
        (('entered = "commitment"', 'event = "noted"\nspan = "3d"'), 9, "nth = 2"),
        (('entered = "commitment"', 'entered = "commitment"\nlast = "soon"'), 9, "span of time"),
        (('entered = "commitment"', "value = { is = 3 }"), 8, "unknown key"),
        (('entered = "commitment"', 'value = { ge = 3 }\ncurrency = "EURO"'), 9, "code such as"),
        (('entered = "commitment"', 'first_touch = { chanel = "web" }'), 8, '"channel"'),
        (('entered = "commitment"', 'entered = "growth"\nstands_in = "growth"'), 9, "one thing"),
        (("[[not]]", "[[not"), 7, "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(change, line, problem):
    with pytest.raises(DefinitionError, match=problem) as caught:
        load_segment(LARGE.replace(*change))

    assert caught.value.line == line


# -- views ------------------------------------------------------------------------------------


def test_the_answer_says_the_segment_and_how_many_are_outside(engine):
    result = Views.open(engine).funnel(segment=LARGE)

    assert (
        "Only those in the segment large/1, as of 2024-02-10: 1 of 4 customers; 3 are outside."
        in result.sentence
    )
    assert "Segment large/1: size >= 50 and not (entered commitment)." in result.notes
    assert result.meta["segment"]["inside"] == 1
    assert result.meta["segment"]["outside"] == 3


def test_what_comes_later_is_a_leak_and_is_said_unless_only_the_past_is_looked_at(engine):
    views = Views.open(engine)

    def warned(**asked: Any) -> bool:
        return any("facts after the entries" in note for note in views.funnel(**asked).notes)

    assert warned(where="size>=50")
    assert warned(where="size>=50", segment_as_of="2024-01-02")
    assert warned(where="size>=50", segment_as_of="2024-01-02", from_="2024-01-02")
    assert not warned(where="size>=50", segment_as_of="2024-01-02", from_="2024-01-03")
    assert not warned(where="channel=web")
    assert not any("after the entries" in note for note in views.stock(where="size>=50").notes)


def test_a_segment_as_of_a_day_knows_nothing_that_came_later(engine):
    views = Views.open(engine)

    assert entered(views.funnel(where="entered!=commitment")) == {(): 3}
    assert entered(views.funnel(where="entered!=commitment", segment_as_of="2024-01-31")) == {(): 4}
    # who was not heard of yet is in no segment
    assert entered(views.funnel(where="entered!=commitment", segment_as_of="2024-01-01")) == {(): 1}


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("size>=60", 2),
        ("size=5", 1),
        ("size!=5", 2),
        ("size<60", 1),
        ("channel=mail|post", 1),
        ("channel!=web", 1),
        ("stage=education", 1),
        ("stage!=awareness", 2),
        ("entered=commitment", 1),
        ("value>=1", 1),
        ("value<1", 3),
        (["channel=web", "size>=50"], 1),
        ("trait.size = 70", 1),
    ],
)
def test_tests_as_they_are_typed(engine, where, number):
    result = Views.open(engine).stock(where=where)

    assert sum(row["customers"] for row in result.rows()) == number


@pytest.mark.parametrize(
    ("asked", "error", "problem"),
    [
        ({"where": "siz>=50"}, UnknownName, "did you mean size"),
        ({"where": "size"}, UsageError, "write a test such as"),
        ({"where": "size>=big"}, UsageError, "compares numbers"),
        ({"where": "channel>=web"}, UsageError, "by = or !="),
        ({"where": "stage=selecton"}, UsageError, 'did you mean "selection"'),
        ({"where": "email=x"}, UsageError, "personal"),
        ({"segment": "large"}, UnknownName, "bowtie segment publish"),
        ({"by": ["segment:large"]}, UnknownName, "bowtie segment publish"),
        ({"segment_as_of": "2024-01-01"}, UsageError, "name one with segment="),
        ({"touch": "middle"}, UsageError, "first, last or step"),
        ({"where": "size=5", "segment_as_of": "yesterday"}, UsageError, "is no time"),
    ],
)
def test_what_cannot_be_asked(engine, asked, error, problem):
    with pytest.raises(error, match=problem):
        Views.open(engine).funnel(**asked)


def test_a_filter_that_matches_nobody_is_said_with_the_nearest_values(engine):
    views = Views.open(engine)

    assert any(
        "Did you mean channel mail?" in note for note in views.stock(where="channel=mial").notes
    )
    assert any(
        "There are for size: 5, 60, 70." in note for note in views.stock(where="size=9999").notes
    )
    both = views.stock(where=["channel=mail", "size=5"])
    assert any("each of its tests is met by someone, all by no one" in note for note in both.notes)
    assert "0 of 4 customers; 4 are outside" in both.sentence


def test_amounts_of_several_currencies_are_not_compared(engine):
    order = OrderPlaced(order="o", kind="order", amount="10", currency="USD")
    engine.record("c", order, occurred_at=at(5))

    with pytest.raises(Refused, match="EUR and USD"):
        Views.open(engine).stock(where="value>=1")


def test_spend_on_everybody_is_not_set_against_a_segment(engine):
    spend = SpendRecorded(
        activity="acquire", channel="mail", amount="50", currency="EUR",
        from_on=at(0).date(), to_on=at(59).date(), includes_touch_cost=False,
    )  # fmt: skip
    engine.record("mail", spend, occurred_at=at(60))
    views = Views.open(engine)
    asked: dict[str, Any] = {"horizon": "10d", "threshold": "1", "data_through": "2024-03-31"}

    everybody = views.loop(**asked).part("sources").rows()
    segment = views.loop(where="size>=50", **asked).part("sources").rows()

    assert [row["spend"] is None for row in everybody] == [False]
    assert [(row["spend"], row["customers"]) for row in segment] == [(None, 1)]
    assert "all customers of this source" in segment[0]["reason"]


#: What views must be asked beside; None for those that have no customers of their own to narrow.
ARGUMENTS: dict[str, tuple[Any, ...] | None] = {
    "status": None,
    "sql": None,
    "segment": None,
    "diff": None,
    "steps": (["touched", "noted"],),
    "definition_diff": ("b2b", "shop"),
    "definition_check": ("b2b",),
    "explain": None,
}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in vars(Questions)
        if not name.startswith("_") and ARGUMENTS.get(name, ()) is not None
    ],
)
def test_every_view_can_be_narrowed(engine, name):
    """One that is written tomorrow too, by its units."""
    view = getattr(Views.open(engine), name)
    arguments = ARGUMENTS.get(name, ()) or ()
    try:
        view(*arguments)
    except Refused:
        pytest.skip("these customers don't do what this view is about")

    result = view(*arguments, where="size>=50")

    assert result.meta["segment"]["inside"] == 2
    assert "2 of 4 customers; 2 are outside" in result.sentence


def test_the_segment_itself_is_told_test_by_test(engine):
    result = Views.open(engine).segment(LARGE)

    assert [(row["test"], row["customers"], row["of"]) for row in result.rows()] == [
        ("size >= 50", 2, 4),
        ("not (entered commitment)", 3, 4),
        ("all of it", 1, 4),
    ]
    examples = result.part("examples").rows()
    assert [(row["customer"], row["segment"]) for row in examples] == [
        ("a", "in"), ("b", "not in"), ("c", "not in"), ("d", "not in"),
    ]  # fmt: skip
    assert Views.open(engine).segment(LARGE, who=True).rows() == [{"customer": "a"}]


# -- breakdowns -------------------------------------------------------------------------------


@pytest.fixture
def touched():
    """One who drops after a first touch, one whose last touch is another, one touched late."""
    with Bowtie.open("memory://") as engine:
        said = [
            ("drops", "web", 0, "inbound"),
            ("goes", "web", 0, "inbound"),
            ("goes", "mail", 5, "outbound"),
            ("goes", "fair", 30, "inbound"),
            ("late", "fair", 30, "inbound"),
        ]
        for customer, channel, day, direction in said:
            engine.record(
                customer, Touched(channel=channel, direction=direction), occurred_at=at(day)
            )
        for customer, day in (("goes", 10), ("late", 10)):
            engine.record(customer, Noted(name="lead_created"), occurred_at=at(day))
        yield engine


@pytest.mark.parametrize(
    ("touch", "stage", "expected"),
    [
        # who drops has a value: it is not taken from a later step (PostHog #15617)
        ("first", "awareness", {("web",): 2, ("fair",): 1}),
        ("last", "awareness", {("web",): 2, ("fair",): 1}),
        ("step", "awareness", {("web",): 2, ("fair",): 1}),
        # and who was touched only after the entry has none
        ("first", "education", {("web",): 1, (None,): 1}),
        ("last", "education", {("mail",): 1, (None,): 1}),
        ("step", "education", {(None,): 2}),
    ],
)
def test_the_touch_of_a_breakdown_is_known_at_the_entry(touched, touch, stage, expected):
    result = Views.open(touched).funnel(by=["channel"], touch=touch, skipped="absent")

    assert entered(result, stage) == expected
    assert any(note.startswith("channel: of the ") for note in result.notes)


@pytest.mark.parametrize("touch", ["first", "last", "step"])
@pytest.mark.parametrize("top", [1, 10])
def test_parts_are_the_total_whatever_is_hidden(touched, touch, top):
    """PostHog #42593: totals ignored the values that were not shown."""
    views = Views.open(touched)
    total = {row["stage"]: row for row in views.funnel().rows()}
    parts = views.funnel(by=["channel"], touch=touch, top=top).rows()

    for stage, row in total.items():
        for column in ("entered", "mature", "reached_next"):
            own = [part[column] or 0 for part in parts if part["stage"] == stage]
            assert sum(own) == (row[column] or 0)


def test_no_touch_is_at_the_step_of_a_moment(touched):
    views = Views.open(touched)

    with pytest.raises(UsageError, match="touch=first or touch=last"):
        views.stock(by=["channel"], touch="step")
    with pytest.raises(UsageError, match="loop has no parameter 'touch'"):
        views.loop(touch="last")
    credited = views.attribution(by="channel")
    assert not any("of the first touch ever" in note for note in credited.notes)
    last = {row["channel"] for row in views.stock(by=["channel"], touch="last").rows()}
    assert last == {"web", "fair"}


def test_a_motion_is_that_of_the_contract_of_the_commitment(engine):
    engine.record("b", paid("k2", motion="field"), occurred_at=at(41))
    engine.record("a", paid("k3", motion="inside"), occurred_at=at(42))

    result = Views.open(engine).funnel(by=["motion"], cohort_stage="commitment")

    assert entered(result, "commitment") == {("inside",): 1, (None,): 1}
    assert entered(Views.open(engine).funnel(where="motion=field|inside"), "commitment") == {(): 2}


def test_a_breakdown_by_segments_tells_who_is_in_each(engine):
    publish_segment(engine, LARGE)
    views = Views.open(engine)

    rows = entered(views.funnel(by=["segment:large", "channel"]))

    assert rows == {("in", "web"): 1, ("not in", "mail"): 1, ("not in", "web"): 2}
    assert entered(views.funnel(by=["segment:large"], where="channel=mail")) == {("not in",): 1}


# -- two databases ----------------------------------------------------------------------------

DEMO: dict[str, Any] = {
    "all": [
        {"traits": {"company_size": ["50-249", "250-999"], "multi_site": {"ne": True}}},
        {
            "any": [
                {"first_touch": {"channel": "search"}},
                {"event": "noted", "nth": 2, "span": "60d"},
            ]
        },
    ],
    "not": [{"value": {"gt": 30000}, "last": "200d"}, {"stands_in": "growth"}],
}
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("funnel", {"segment": DEMO, "by": ["channel"], "touch": "last"}),
    ("funnel", {"segment": DEMO, "unit": "cycle", "segment_as_of": "2025-06-30"}),
    ("funnel", {"where": "entered=commitment", "unit": "opportunity", "by": ["channel"]}),
    ("funnel", {"by": ["channel"], "touch": "step", "where": "value>=1000"}),
    ("stock", {"segment": DEMO, "as_of": "2025-06-30", "by": ["industry"]}),
    ("loop", {"where": ["region=dach|uk", "channel!=search"], "horizon": "180d"}),
    ("segment", {"segment": DEMO, "position": 1500}),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory, postgres_server):
    """The views of one store, over tables in either database."""
    folder = tmp_path_factory.mktemp("segments")
    Demo(customers=120).write(folder / "demo.jsonl.gz")
    with (
        postgres_server.schema() as url,
        Bowtie.open(f"sqlite:///{folder / 'b.db'}", create=True) as engine,
    ):
        engine.ingest(folder / "demo.jsonl.gz")
        yield Views.open(engine), Views.open(engine, url)


@pytest.mark.parametrize(("name", "parameters"), ASKED, ids=lambda value: str(value)[:60])
def test_databases_agree(both, name, parameters):
    one, other = (getattr(views, name)(**parameters) for views in both)

    assert one.meta["segment"]["inside"] > 0
    assert same(one.to_dict(), other.to_dict())


def test_a_test_that_is_typed_reads_as_one_that_is_written():
    typed = segment_where(["plan=pro|5", "entered!=commitment"]).test
    written = load_segment(
        {"all": [{"traits": {"plan": ["pro", "5", 5]}}, {"not": [{"entered": "commitment"}]}]}
    ).test

    assert str(typed) == str(written) == "plan is pro or 5 and not (entered commitment)"
    assert typed == written
