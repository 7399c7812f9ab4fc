"""Definitions of the log in the views: which one a name means at a cut, and what one would do."""

from __future__ import annotations

import pytest

from bowtie import Bowtie, Noted, Retracted, Touched
from bowtie.errors import UnknownName
from bowtie.stages import STAGES, load_definition
from bowtie_projections import Views
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.trial import trial
from tests.read_tables import FilledTables, Said
from tests.stages import EVERY_KIND, at

MINE = """
name = "mine"
version = 1
[[stages.awareness]]
event = "touched"
[[stages.education]]
event = "noted"
where = { name = "lead_created" }
"""


def version(number: int, name: str = "lead_created") -> str:
    return MINE.replace("version = 1", f"version = {number}").replace("lead_created", name)


@pytest.fixture
def engine():
    with Bowtie.open("memory://") as engine:
        engine.record(
            "acme",
            Touched(channel="web", direction="inbound"),
            Noted(name="lead_created", properties={}),
            occurred_at=at(1),
        )
        yield engine


def entered(views: Views, **asked) -> dict[str, int]:
    return {row["stage"]: row["entered"] for row in views.funnel(**asked).rows()}


def test_a_view_is_asked_by_a_published_definition(engine):
    engine.publish_definition(version(1, "another"))
    engine.publish_definition(version(2))
    views = Views.open(engine, "memory://")

    assert entered(views, definition="mine/1")["education"] == 0
    assert entered(views, definition="mine/2")["education"] == 1
    assert views.stock(definition="mine").meta["definition"] == "mine/2"


def test_publishing_changes_no_figure(engine):
    """A document is no fact of the world: the newest one stays where it was."""
    views = Views.open(engine, "memory://")
    before = views.funnel()
    engine.publish_definition(version(1))
    views.refresh()
    after = views.funnel()

    assert before.rows() == after.rows()
    assert before.meta["as_of"] == after.meta["as_of"] == at(1)


def test_a_version_is_the_same_text_at_every_cut_and_a_bare_name_what_was_known(engine):
    first = engine.publish_definition(version(1))
    second = engine.publish_definition(version(2))
    views = Views.open(engine, "memory://")

    asked = {"position": first.position}
    assert views.stock(definition="mine", **asked).meta["definition"] == "mine/1"
    assert views.stock(definition="mine/2", **asked).meta["definition"] == "mine/2"
    assert views.stock(definition="mine", position=second.position).meta["definition"] == "mine/2"
    with pytest.raises(UnknownName):
        views.stock(definition="mine", position=1)


def test_one_that_was_retracted_counts_only_before(engine):
    document = engine.publish_definition(version(1))
    event = next(event for event in engine.events() if event.position == document.position)
    engine.record("mine", Retracted(of_source=event.source, of_id=event.id), kind="definition")
    views = Views.open(engine, "memory://")

    assert views.stock(definition="mine/1", position=document.position).meta["definition"]
    with pytest.raises(UnknownName, match="mine/1"):
        views.stock(definition="mine/1")


def test_what_a_definition_would_do(engine):
    engine.record("zeta", Noted(name="other", properties={}), occurred_at=at(2))
    views = Views.open(engine, "memory://")

    answer = views.definition_check(version(1))

    rows = {row["stage"]: row for row in answer.rows()}
    assert (rows["awareness"]["entered"], rows["awareness"]["standing"]) == (1, 0)
    assert (rows["education"]["entered"], rows["education"]["standing"]) == (1, 1)
    assert (rows["no stage"]["standing"], rows["no stage"]["rules"]) == (1, None)
    assert answer.part("events").rows() == [
        {"event": "noted", "name": "other", "events": 1, "used": 0},
        {"event": "noted", "name": "lead_created", "events": 1, "used": 1},
        {"event": "touched", "name": None, "events": 1, "used": 1},
    ]
    assert answer.meta["seen"] == 1


def test_every_kind_of_rule_is_told(make_tables):
    """Whatever a rule asks, it says in words; and who met it is who it lets in."""
    memory: FilledTables = make_tables()
    memory.load(_facts(), EVERY_KIND)
    rules = trial(memory, Cut(memory.position), EVERY_KIND).part("rules").rows()

    assert [(row["stage"], row["condition"], row["met"]) for row in rules] == [
        ("awareness", "direction = inbound; channel ne fax", 2),
        ("education", "name = viewed; properties.price ge 5", 0),
        ("education", "within 3d of awareness; nth 2", 1),
        ("selection", "traits.plan = pro, True", 0),
        ("commitment", "kind = paid; amount gt 0", 0),
        ("commitment", "kind = order, exchange; amount of a day gt 10", 0),
        ("onboarding", "after commitment", 0),
        ("utilization", "after onboarding; nth 2, by day", 0),
        ("utilization", "amount falls", 0),
        ("growth", "amount rises", 0),
        ("growth", "kind = paid; amount gt 0; nth 2", 0),
        ("growth", "nth 2, by quarter, each metric", 0),
    ]


def test_an_empty_log_is_no_trouble(make_tables):
    memory: FilledTables = make_tables()
    memory.load([])
    answer = trial(memory, Cut(0), load_definition("b2b"))
    assert [row["entered"] for row in answer.rows()][: len(STAGES)] == [0] * len(STAGES)
    assert answer.part("events").rows() == []


def _facts() -> list[Said]:
    touch = Touched(channel="web", direction="inbound")
    return [
        Said("a", touch, at(1), 1),
        Said("a", touch, at(2), 2),
        Said("b", touch, at(1), 3),
        Said("b", touch, at(9), 4),
    ]
