"""Each way in which events stand behind a figure, by hand; and what can't be explained."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from bowtie import Bowtie
from bowtie.errors import Refused, UnknownName, UsageError
from bowtie.events import (
    ContractEnded,
    ContractSigned,
    Disqualified,
    Event,
    MembershipStarted,
    Noted,
    OrderPlaced,
    SpendRecorded,
    StageEntered,
    Touched,
    TraitsObserved,
    UsageMetered,
)
from bowtie.stages import load_definition
from bowtie_projections import Views
from bowtie_projections.explained import EVIDENCE
from bowtie_projections.explaining import explanation
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut
from tests.read_tables import FilledTables, MemoryTables, Said

B2B, SHOP = load_definition("b2b"), load_definition("shop")
START = datetime(2024, 1, 1, tzinfo=UTC)
Row = tuple[str, float, Event]


def paid(contract: str, start: int, end: int | None = None, **more: Any) -> ContractSigned:
    return ContractSigned(
        contract=contract,
        kind="paid",
        amount=Decimal(100),
        per="month",
        currency="EUR",
        starts_on=(START + timedelta(days=start)).date(),
        ends_on=None if end is None else (START + timedelta(days=end)).date(),
        **more,
    )


def order(name: str, amount: str, line: str | None = None) -> OrderPlaced:
    return OrderPlaced(order=name, line=line, kind="order", amount=Decimal(amount), currency="EUR")


touch = Touched(channel="web", direction="inbound")
lead = Noted(name="lead_created")
opportunity = Noted(name="opportunity_created", properties={"opportunity": "o1"})


@pytest.fixture(scope="module")
def memory() -> FilledTables:
    """Tables in DuckDB; that PostgreSQL gives the same is test_views_agree's and the laws' matter."""
    return MemoryTables()


@pytest.fixture
def explain(memory: FilledTables) -> Callable[..., Result]:
    """Explains a figure of facts given as customer, day and event; all is known at the end."""

    def ask(rows: list[Row], column: str = "", view: str = "funnel", **asked: Any) -> Result:
        definition = asked.pop("definition", B2B)
        as_of = asked.pop("as_of", None)
        said = [
            Said(customer, event, START + timedelta(days=day), position)
            for position, (customer, day, event) in enumerate(rows, start=1)
        ]
        memory.load(said, definition)
        cut = Cut(memory.position, None if as_of is None else START + timedelta(days=as_of))
        cell = asked.pop("cell", None) or {"stage": asked.pop("stage")}
        return explanation(memory, cut, definition, view=view, cell=cell, column=column, **asked)

    return ask


def named(result: Result) -> list[tuple[str, str, int]]:
    return [(row["customer"], row["role"], row["position"]) for row in result.rows()]


def test_the_entry_and_what_came_of_it(explain):
    rows = [("a", 0, touch), ("a", 3, lead), ("b", 1, touch), ("c", 0, lead), ("c", 2, touch)]
    assert named(explain(rows, "entered", stage="awareness")) == [
        ("a", "entered awareness", 1),
        ("a", "reached education", 2),
        ("b", "entered awareness", 3),
        ("c", "reached education", 4),
        ("c", "entered awareness", 5),
    ]
    assert named(explain(rows, "pending", stage="awareness")) == [("b", "entered awareness", 3)]
    assert {who for who, _, _ in named(explain(rows, "out_of_order", stage="awareness"))} == {"c"}


def test_all_events_that_meet_the_conditions_at_the_moment_are_named_and_no_other(explain):
    stage = StageEntered(stage="awareness")
    outbound = Touched(channel="web", direction="outbound")
    rows = [("a", 0, touch), ("a", 0, stage), ("a", 0, outbound), ("a", 1, touch)]
    assert named(explain(rows, "entered", stage="awareness")) == [
        ("a", "entered awareness", 1),
        ("a", "entered awareness", 2),
    ]


def test_what_came_too_late_is_named_where_nothing_else_did(explain):
    rows = [("a", 0, touch), ("a", 200, lead), ("b", 0, touch), ("b", 300, touch)]
    assert named(explain(rows, "expired", stage="awareness")) == [
        ("a", "entered awareness", 1),
        ("a", "reached education", 2),
        ("b", "entered awareness", 3),
    ]
    assert named(explain(rows, "reached late", stage="awareness"))[1][1] == "reached education"


@pytest.mark.parametrize(
    ("rows", "role", "position"),
    [
        ([(10, Disqualified())], "disqualified", 2),
        ([(10, Disqualified(opportunity="o1")), (10, Disqualified())], "disqualified", 2),
    ],
)
def test_a_loss_on_the_left_is_the_disqualification(explain, rows, role, position):
    given = [("a", 0, opportunity), *(("a", day, event) for day, event in rows), ("z", 99, touch)]
    found = named(explain(given, "lost", stage="selection"))
    assert found[:2] == [("a", "entered selection", 1), ("a", role, position)]


@pytest.mark.parametrize(
    ("rows", "role", "position"),
    [
        ([(0, paid("k", 0)), (20, ContractEnded(contract="k"))], "contract ended", 2),
        ([(0, paid("k", 0, 20))], "contract ran out", 1),
        (
            [
                (0, paid("k", 0, 90)),
                (5, ContractEnded(contract="k", effective_on=date(2024, 1, 9))),
            ],
            "contract ended",
            2,
        ),
        (
            [(0, paid("k", 0)), (9, paid("m", 10, 20, replaces="k"))],
            "contract ran out",
            2,
        ),
    ],
)
def test_a_loss_on_the_right_is_what_ended_the_contract_or_had_given_its_last_day(
    explain, rows, role, position
):
    given = [*(("a", day, event) for day, event in rows), ("z", 100, touch)]
    result = explain(given, "lost", stage="commitment")
    assert named(result)[-1] == ("a", role, position)
    assert any("No event says" in note for note in result.notes) is (role == "contract ran out")


def test_a_contract_that_another_takes_the_place_of_ends_by_that_one(explain):
    trial = paid("m", 20, 25, replaces="k").model_copy(update={"kind": "trial"})
    rows = [("a", 0, paid("k", 0)), ("a", 9, trial), ("z", 100, touch)]
    found = named(explain(rows, "lost", stage="commitment"))
    assert found[-1] == ("a", "contract replaced", 2)


def test_a_loss_by_silence_names_the_last_event(explain):
    rows = [
        ("a", 0, lead),
        ("a", 3, UsageMetered(metric="m", quantity=Decimal(1))),
        ("z", 99, touch),
    ]
    found = explain(rows, "lost", stage="education", lost_after="30d")
    assert named(found) == [
        ("a", "entered education", 1),
        ("a", "last heard of, lost by silence", 2),
    ]


def test_an_imputed_entry_names_the_event_of_the_stage_it_is_taken_from(explain):
    rows = [("a", 0, touch), ("a", 5, opportunity)]
    found = explain(rows, "imputed", stage="education", skipped="impute")
    assert named(found) == [
        ("a", "entered education (imputed from selection)", 2),
        ("a", "reached selection", 2),
    ]
    before = explain(rows, "reached_next", stage="awareness", skipped="impute")
    assert named(before)[1] == ("a", "reached education (imputed from selection)", 2)


def test_all_lines_that_make_up_the_days_total_are_named(explain):
    rows = [
        ("a", 0.2, order("1", "-5", "x")),
        ("a", 0.1, order("1", "9", "y")),
        ("a", 3.0, order("2", "4")),
        ("a", 5.0, order("3", "4")),
    ]
    shop: dict[str, Any] = {"definition": SHOP, "include_truncated": True}
    entered = explain(rows, "entered", stage="commitment", **shop)
    assert named(entered) == [("a", "entered commitment", 2), ("a", "entered commitment", 1)]
    growth = explain(rows, "entered", stage="growth", **shop)
    assert named(growth) == [("a", "entered growth", 3)]


def test_cycles_are_told_apart(explain):
    rows = [("a", 0, lead), ("a", 5, Disqualified()), ("a", 200, lead), ("z", 300, touch)]
    found = explain(rows, "entered", stage="education", cycles=True).rows()
    assert [(row["cycle"], row["position"]) for row in found] == [(1, 1), (1, 2), (2, 3)]


def test_accounts_and_opportunities_have_their_own_names(explain):
    rows = [
        ("p", 0, MembershipStarted(account="acme")),
        ("q", 0, MembershipStarted(account="acme")),
        ("p", 1, touch),
        ("q", 2, lead),
        ("q", 9, opportunity),
    ]
    found = explain(rows, "entered", stage="awareness", unit="account")
    assert [(row["account"], row["position"]) for row in found.rows()] == [("acme", 3), ("acme", 4)]
    found = explain(rows, "entered", stage="selection", unit="opportunity")
    assert [(row["customer"], row["opportunity"], row["position"]) for row in found.rows()] == [
        ("acme", "o1", 5)
    ]


def test_the_mature_are_behind_a_conversion_and_those_in_time_behind_the_days(explain):
    rows: list[Row] = []
    for number in range(30):
        rows.append((f"c{number:02}", 0, touch))
        if number < 24:
            rows.append((f"c{number:02}", number / 2, lead))
    rows += [("young", 180, touch), ("z", 200, lead)]
    conversion = explain(rows, "conversion", stage="awareness")
    assert (conversion.meta["value"], conversion.meta["members"]) == (0.8, 30)
    so_far = explain(rows, "conversion_so_far", stage="awareness")
    assert so_far.meta["members"] == 31
    days = explain(rows, "days_p50", stage="awareness")
    assert (days.meta["value"], days.meta["members"]) == (5.75, 24)


def test_the_cell_may_name_values_cohorts_others_and_none(explain):
    rows: list[Row] = []
    for number, channel in enumerate(("web", "web", "web", "ads", "ads", "mail", "other")):
        rows.append((f"c{number}", number, Touched(channel=channel, direction="inbound")))
    rows.append(("none", 8, lead))
    asked: dict[str, Any] = {"by": ["channel"], "top": 2, "cohort": "week"}

    def who(stage: str, channel: Any, cohort: str) -> set[str]:
        cell = {"stage": stage, "channel": channel, "cohort": cohort}
        return {row["customer"] for row in explain(rows, "entered", cell=cell, **asked)}

    assert who("awareness", "web", "2024-W01") == {"c0", "c1", "c2"}
    assert who("awareness", "other", "2024-W01") == {"c5", "c6"}
    assert who("education", None, "2024-W02") == {"none"}
    assert who("education", "(none)", "2024-W02") == {"none"}
    every = explain(
        rows, "entered", cell={"stage": "awareness", "channel": "other (value)"}, by=["channel"]
    )
    assert {row["customer"] for row in every} == {"c6"}


def test_what_told_the_value_of_a_breakdown_is_named(explain):
    rows = [
        ("a", 0, touch),
        ("a", 1, TraitsObserved(traits={"plan": "old"})),
        ("a", 2, TraitsObserved(traits={"plan": "new", "size": "5"})),
        ("a", 3, lead),
        ("a", 4, TraitsObserved(traits={"plan": "newest"})),
        ("a", 5, paid("k", 5, motion="field")),
        ("b", 3, lead),
        ("b", 9, touch),
    ]

    def told(stage: str, **cell: Any) -> list[tuple[str, str, int]]:
        asked: dict[str, Any] = {"by": list(cell)}
        if "motion" in cell:
            asked["cohort_stage"] = "commitment"
        found = explain(rows, "entered", cell={"stage": stage, **cell}, **asked)
        return [one for one in named(found) if one[1] in cell]

    assert told("education", plan="new") == [("a", "plan", 3)]
    assert told("commitment", plan="newest") == [("a", "plan", 5)]
    assert told("education", channel="web") == [("a", "channel", 1)]
    assert told("education", channel=None) == []
    assert told("education", motion="field") == [("a", "motion", 6)]
    assert told("education", plan="new", channel="web") == [
        ("a", "channel", 1),
        ("a", "plan", 3),
    ]


def test_a_figure_of_nobody_names_nobody(explain):
    found = explain([("a", 0, touch)], "reached_next", stage="awareness")
    assert (len(found), found.meta["value"], found.meta["members"]) == (0, 0, 0)
    assert found.columns[:3] == ["customer", "cycle", "role"]


def test_the_answer_says_what_it_is_of(explain):
    found = explain([("a", 0, touch), ("a", 2, lead)], "reached next", stage="awareness")
    assert found.sentence == (
        "reached_next of funnel is 1 (stage awareness): 1 customer and 2 events are behind it."
    )
    meta = found.meta
    assert (meta["explained"], meta["cell"], meta["column"]) == (
        "funnel", {"stage": "awareness"}, "reached_next",
    )  # fmt: skip
    assert (meta["definition"], meta["definition_sha256"]) == (B2B.label, B2B.sha256)
    assert (meta["position"], meta["as_of"]) == (2, START + timedelta(days=2))
    assert meta["parameters"]["within"] == {"left": "90d", "right": "180d"}
    assert found.notes[0].startswith(f"Hash {meta['hash']}")


def test_the_fields_of_events_are_shown_when_asked_but_no_sealed_one(explain):
    rows = [
        ("a", 0, Noted(name="lead_created", properties={"plan": "x", "seats": 5})),
        ("a", 1, TraitsObserved(traits={"plan": "x", "email": "a@b.example"})),
        ("a", 2, paid("k", 2)),
    ]
    found = explain(rows, "customers", "stock", stage="commitment", data=True).rows()
    assert found[0]["data"] == (
        '{"contract": "k", "kind": "paid", "amount": "100", "per": "month", "currency": "EUR",'
        ' "starts_on": "2024-01-03"}'
    )
    lead_row = explain(rows, "entered", stage="education", data=True).rows()[0]
    assert lead_row["data"] == ('{"name": "lead_created", "properties": {"plan": "x", "seats": 5}}')
    (told,) = explain(rows, "events", "status", cell={"type": "traits_observed"}, data=True).rows()
    assert told["data"] == '{"traits": {"plan": "x"}}'


def test_a_stock_names_the_entry_of_where_each_stands(explain):
    rows = [
        ("a", 0, touch), ("a", 1, lead), ("b", 0, lead), ("b", 2, Disqualified()),
        ("n", 0, Noted(name="else")), ("n", 1, Noted(name="else")), ("z", 99, touch),
    ]  # fmt: skip

    def who(stage: str, **asked: Any) -> list[tuple[str, str, int]]:
        return named(explain(rows, "customers", "stock", stage=stage, **asked))

    assert who("education") == [("a", "entered education", 2)]
    assert who("lost") == [("b", "disqualified", 4)]
    assert who("no stage") == [("n", "last heard of, in no stage", 6)]
    assert who("lost", lost_after="30d") == [
        ("a", "last heard of, lost by silence", 2),
        ("b", "disqualified", 4),
    ]


def test_a_status_names_the_events_it_counts(explain):
    spent = SpendRecorded(
        activity="acquire", channel="web", amount=Decimal(5), currency="EUR",
        from_on=date(2024, 1, 1), to_on=date(2024, 1, 2), includes_touch_cost=False,
    )  # fmt: skip
    rows = [("a", 0, touch), ("a", 40, touch), ("web", 40, spent)]
    found = explain(rows, "events", "status", cell={"type": "touched"})
    assert (found.meta["value"], found.meta["members"], len(found)) == (2, 1, 2)
    assert found.sentence.endswith("1 key and 2 events are behind it.")
    month = explain(rows, "events", "status", cell={"month": "2024-02"}, part="months")
    assert named(month) == [("a", "counted", 2), ("web", "counted", 3)]
    month = explain(rows, "customers", "status", cell={"month": "2024-02"}, part="months")
    assert named(month) == [("a", "counted", 2)]
    covered = explain(rows, "customers", "status", cell={"what": "touches"}, part="coverage")
    assert named(covered) == [("a", "touches", 1), ("a", "touches", 2)]


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"cell": {"stage": "x"}}, UnknownName, "no row where stage is x; there is: awareness"),
        ({"cell": {"stge": "x"}}, UnknownName, "no column 'stge'; did you mean stage?"),
        ({"column": "lst"}, UnknownName, "no column 'lst'; did you mean lost?"),
        ({"cell": {"entered": 0}}, UsageError, "names 6 rows of funnel: name one, by stage too"),
        ({"by": ["channel"]}, UsageError, "name one, by channel too"),
        ({"column": "stage"}, UsageError, "names the row, it is no figure"),
        ({"column": "conversion_low"}, UsageError, "explain one of: entered, reached_next"),
        ({"cell": {"stage": "growth"}}, Refused, "lost is empty in that row"),
        ({"within": "5x"}, UsageError, "within"),
        ({"foo": 1}, UsageError, "funnel has no parameter 'foo'"),
        ({"view": "bar"}, UnknownName, "'bar' can't be explained; these can: funnel"),
        ({"part": "sources"}, UnknownName, "funnel has no part 'sources'"),
        ({"view": "status", "part": "units", "cell": {"unit": "customer"}, "column": "number"},
         UsageError, "status: the part units can't be explained; these can: sources, months"),
        ({"customers": "awareness:lost"}, UnknownName, "no column 'stage'"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_told(explain, asked, error, message):
    given = {"cell": {"stage": "awareness"}, "column": "lost"} | asked
    ads = Touched(channel="ads", direction="inbound")
    rows = [("a", 0, touch), ("b", 0, ads), ("b", 99, touch)]
    with pytest.raises(error, match=message.replace("?", r"\?")):
        explain(rows, **given)


def test_a_figure_that_its_members_do_not_make_is_an_error(explain, monkeypatch):
    from bowtie.errors import BowtieError
    from bowtie_projections.views.funnel import evidence

    assert EVIDENCE["funnel"].evidence is evidence.evidence
    monkeypatch.setattr(evidence, "_counts", lambda rows, _, last: rows.c.state.is_not(None))
    rows = [("a", 0, touch), ("a", 2, lead), ("b", 0, touch)]
    with pytest.raises(BowtieError, match="lost is 0 in the view, and its 2 members make 2"):
        explain(rows, "lost", stage="awareness")


def test_an_answer_explains_its_own_figures_where_it_stood():
    with Bowtie.open("memory://") as engine:
        for who in ("a", "b"):
            engine.record(who, touch, occurred_at=START)
        views = Views.open(engine)
        answer = views.funnel(by=["channel"], within="30d")
        engine.record("c", touch, occurred_at=START)
        views.refresh()

        found = answer.explain(0, "entered", data=True)
        assert found.meta["members"] == answer.rows()[0]["entered"] == 2
        assert found.meta["cell"] == {"channel": "web", "stage": "awareness"}
        assert found.meta["parameters"]["within"] == "30d"
        assert "data" in found.columns
        assert answer.explain(answer.rows()[1], "entered").meta["members"] == 0
        assert views.funnel().explain(0, "entered").meta["members"] == 3
        month = views.status().part("months").explain(0, "events")
        assert month.meta["value"] == 3
        with pytest.raises(UsageError, match="funnel has no row 9: it has 7, from 0 on"):
            answer.explain(9, "entered")
        with pytest.raises(UsageError, match="the figures of explain can't be explained"):
            found.explain(0, "position")


def test_a_row_is_named_by_its_numbers_where_its_texts_are_those_of_others():
    table = pa.table({"cohort": ["2024", "2024"], "age": [0, 1], "customers": [3, 3]})
    answer, cells = Result("retention", table), []

    def explained(**asked: Any) -> Result:
        cells.append(asked["cell"])
        return answer

    answer.explained_by = explained
    answer.explain(1, "customers")
    assert cells == [{"cohort": "2024", "age": 1}]
