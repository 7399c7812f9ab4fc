"""The stock's words, its list of customers, and who is stuck, in cases that can be counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bowtie import Bowtie
from bowtie.errors import Refused, UsageError
from bowtie.events import Disqualified, Noted, OpportunityValued, Touched
from bowtie.stages import load_definition
from bowtie_projections import Views
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.stock import stock
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=200)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def touched_and_moved(waits: list[float | None], since: float = 0) -> list[Said]:
    """Each entered awareness on a day, and education so many days later."""
    facts: list[Said] = []
    for number, wait in enumerate(waits):
        customer = f"{since:g}-{number:02}"
        touch = Touched(channel="web", direction="inbound")
        facts.append(Said(customer, touch, day(since), 0))
        if wait is not None:
            facts.append(Said(customer, Noted(name="lead_created"), day(since + wait), 0))
    return facts


def numbered(facts: list[Said]) -> list[Said]:
    return [
        Said(fact.customer, fact.data, fact.occurred_at, position)
        for position, fact in enumerate(facts, start=1)
    ]


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    """40 who moved after 1 to 40 days, 25 who never did; and 3 who came lately."""
    memory = make_tables()
    old = touched_and_moved([*range(1, 41), *[None] * 25])
    memory.load(numbered(old + touched_and_moved([None] * 3, since=190)), B2B)
    return memory


def ask(tables, **asked):
    return stock(tables, Cut(tables.position, NOW), B2B, **asked)


def row_of(result, stage):
    (row,) = [row for row in result.rows() if row["stage"] == stage]
    return row


def test_the_stuck_waited_longer_than_nine_of_ten_who_moved(tables):
    awareness = row_of(ask(tables), "awareness")
    assert awareness["customers"] == 28
    assert awareness["stuck_after_days"] == pytest.approx(36.1)  # the 0.9 quantile of 1 to 40
    assert awareness["stuck"] == 25
    assert awareness["days_p50"] == 200
    assert row_of(ask(tables), "education")["stuck"] is None


def test_by_what_they_are_judged_is_told(tables):
    waiting = ask(tables).part("waiting").rows()[0]
    assert (waiting["mature"], waiting["moved"]) == (65, 40)
    assert waiting["fresh_rate"] == pytest.approx(30 / 65)
    # after 36 days 4 of 29 still move within 30 days
    assert waiting["later_rate"] == pytest.approx(4 / 29)
    assert waiting["reason"] is None


def test_a_steady_chance_leaves_nobody_stuck(memory):
    """One of ten moves each ten days, however long they waited: nobody is late."""
    waits: list[float | None] = []
    left = 400.0
    for step in range(20):
        moving = round(left * 0.1)
        waits += [step * 10 + 5] * moving
        left -= moving
    memory.load(numbered(touched_and_moved([*waits, *[None] * round(left)])), B2B)
    rows = stock(memory, Cut(memory.position, NOW), B2B, within="160d").rows()
    assert rows[0]["stuck_after_days"] is not None
    assert rows[0]["stuck"] == 0


def test_where_too_few_moved_it_is_said(memory):
    memory.load(numbered(touched_and_moved([1.0] * 19 + [None] * 30)), B2B)
    result = stock(memory, Cut(memory.position, NOW), B2B)
    assert row_of(result, "awareness")["stuck"] is None
    assert "stuck is empty for awareness: 19 of 49 mature moved on, 20 are needed." in result.notes


def test_where_too_few_waited_so_long_it_is_said(memory):
    memory.load(numbered(touched_and_moved([*map(float, range(1, 31)), None])), B2B)
    result = stock(memory, Cut(memory.position, NOW), B2B)
    assert row_of(result, "awareness")["stuck"] is None
    assert result.notes[0].startswith("stuck is empty for awareness: 4 of the mature were watched")


def test_who_is_stuck_is_listed_the_oldest_first(tables):
    result = ask(tables, customers="awareness:stuck")
    assert result.sentence.startswith("25 customers are stuck in awareness on 2024-07-19: still")
    rows = result.rows()
    assert {row["days"] for row in rows} == {200.0}
    assert all(row["stuck"] for row in rows)
    everybody = ask(tables, customers="awareness").rows()
    assert [row["stuck"] for row in everybody] == [True] * 25 + [False] * 3
    own = ["customer", "cycle", "entered_at", "days", "stuck"]
    assert list(everybody[0]) == [*own, "last_contact_at", "amount", "currency"]
    assert {row["last_contact_at"] for row in everybody} == {day(0), day(190)}
    assert {(row["amount"], row["currency"]) for row in everybody} == {(None, None)}


def valued(customer: str, opportunity: str, amount: str, currency: str = "EUR") -> Said:
    event = OpportunityValued(opportunity=opportunity, amount=Decimal(amount), currency=currency)
    return Said(customer, event, day(3), 0)


def test_what_is_open_stands_beside_who_is_listed(memory):
    """The last value of each open opportunity, added; never over two currencies."""
    facts = touched_and_moved([None] * 4)
    facts += [valued("0-00", "a", "100"), valued("0-00", "a", "70"), valued("0-00", "b", "5.50")]
    facts += [valued("0-01", "a", "100"), valued("0-01", "b", "5", "USD")]
    facts += [valued("0-02", "a", "100")]
    facts += [Said("0-02", Disqualified(opportunity="a"), day(4), 0)]
    facts += [Said("0-03", Touched(channel="mail", direction="outbound"), day(9), 0)]
    memory.load(numbered(facts), B2B)
    rows = stock(memory, Cut(memory.position, NOW), B2B, customers="awareness").rows()
    assert [(row["customer"], row["amount"], row["currency"]) for row in rows] == [
        ("0-00", Decimal("75.5"), "EUR"),
        ("0-01", None, "several"),
        ("0-03", None, None),
    ]
    assert [row["last_contact_at"] for row in rows] == [day(0), day(0), day(9)]


def of_months(result, *names):
    return [tuple(row[name] for name in names) for row in result if row["stage"] == "awareness"]


def test_at_the_end_of_each_month(memory):
    """Who had moved by then; who comes later is not there; what is not over says so."""
    memory.load(numbered(touched_and_moved([20.0, 45.0, None])), B2B)
    result = stock(memory, Cut(memory.position), B2B, every="month")
    assert of_months(result, "period", "as_of", "complete", "customers") == [
        ("2024-01", datetime(2024, 1, 31, 23, 59, 59, 999999, UTC), True, 2),
        ("2024-02", day(45), False, 1),
    ]
    assert result.sentence == (
        "Where everybody stood at the end of each month, 2024-01 to 2024-02. At the last: 3 of 3"
        " customers stand in a stage on 2024-02-15; 0 are lost and 0 never entered a stage."
    )
    assert "2024-02 is not over: it is as of 2024-02-15 00:00." in result.notes
    whole = stock(memory, Cut(memory.position), B2B, every="month", data_through="2024-02")
    assert of_months(whole, "period", "complete") == [("2024-01", True), ("2024-02", True)]
    assert result.meta["parameters"]["every"] == "month"


def test_the_same_values_stand_apart_at_each_moment(memory):
    """Those of the last: else one month's others would be another month's own."""
    facts = touched_and_moved([None] * 2)
    for number, channel in enumerate(["ads", "mail", "mail", "mail"]):
        touch = Touched(channel=channel, direction="inbound")
        facts.append(Said(f"{channel}{number}", touch, day(1 if number < 1 else 40), 0))
    memory.load(numbered(facts), B2B)
    result = stock(memory, Cut(memory.position), B2B, every="month", by=["channel"], top=1)
    assert of_months(result, "channel", "period", "customers") == [
        ("mail", "2024-02", 3),
        ("other", "2024-01", 3),
        ("other", "2024-02", 3),
    ]
    assert any("1 values of the most customers at the last moment" in one for one in result.notes)


def test_what_a_series_cannot_be_asked(tables):
    with pytest.raises(UsageError, match="give every= too"):
        ask(tables, from_="2024")
    with pytest.raises(UsageError, match="leave every= out"):
        ask(tables, every="month", customers="awareness")
    with pytest.raises(UsageError, match="every is 'fortnight'"):
        ask(tables, every="fortnight")
    with pytest.raises(Refused, match="at most 400"):
        ask(tables, every="day", from_="2020")
    assert ask(tables, every="month", from_="2025").rows() == []


def test_a_figure_of_one_month_is_explained(tmp_path):
    """By who stood there then, though the answer is of many moments."""
    with Bowtie.open(f"sqlite:///{tmp_path / 's.db'}") as engine:
        for name, moved in (("a", 5), ("b", 40), ("c", None)):
            touch = Touched(channel="web", direction="inbound")
            engine.record(name, touch, occurred_at=day(0))
            if moved is not None:
                engine.record(name, Noted(name="lead_created"), occurred_at=day(moved))
        result = Views.open(engine).stock(every="month", by=["channel"], top=1)
        row = next(r for r in result if (r["stage"], r["period"]) == ("awareness", "2024-01"))
        assert row["customers"] == 2
        assert {one["customer"] for one in result.explain(row, "customers")} == {"b", "c"}


@pytest.mark.parametrize("asked", ["awareness:late", "lost", "awareness:", "interest"])
def test_what_cannot_be_listed_says_what_can(tables, asked):
    with pytest.raises(UsageError, match="STAGE:stuck"):
        ask(tables, customers=asked)


def test_growth_has_no_next_stage(tables):
    result = ask(tables, customers="growth:stuck")
    assert result.rows() == []
    assert result.notes == ["growth has no next stage: nobody in it is stuck."]


def test_an_empty_log(memory):
    memory.load([], B2B)
    result = stock(memory, Cut(0), B2B)
    assert {row["customers"] for row in result.rows()} == {0}
    assert stock(memory, Cut(0), B2B, customers="awareness").rows() == []
