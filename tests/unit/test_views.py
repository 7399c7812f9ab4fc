"""Views over a store: one position for all answers, both clocks, definitions, files."""

from __future__ import annotations

import inspect
import shutil
from datetime import UTC, date, datetime, timedelta
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from bowtie import Bowtie
from bowtie.errors import (
    DefinitionError,
    Refused,
    TablesError,
    TablesForeign,
    UnknownName,
    UsageError,
)
from bowtie.events import (
    ContractSigned,
    MembershipStarted,
    Noted,
    Retracted,
    Touched,
    TraitsObserved,
)
from bowtie.times import moment
from bowtie_projections import Views, tables_of
from bowtie_projections.databases import duckdb as duckdb_tables
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.parameters import (
    DefinitionDiffAsked,
    FunnelAsked,
    LoopAsked,
    NarrowedAsked,
    StatusAsked,
    StockAsked,
)
from bowtie_projections.tables import journeys, position_table
from bowtie_projections.views.comparison import comparison
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.loop import loop
from bowtie_projections.views.status import status
from bowtie_projections.views.stock import stock

START = datetime(2024, 1, 1, tzinfo=UTC)
INBOUND = Touched(channel="web", direction="inbound")

OWN = """
name = "own"
version = 1
[[stages.awareness]]
event = "noted"
"""


def entered(result, stage="awareness"):
    return next(row["entered"] for row in result.rows() if row["stage"] == stage)


@pytest.fixture
def engine():
    with Bowtie.open("memory://") as opened:
        opened.record("a", INBOUND, occurred_at=START)
        opened.record("a", Noted(name="lead_created"), occurred_at=START + timedelta(days=3))
        opened.record("b", INBOUND, occurred_at=START + timedelta(days=9))
        opened.record("c", TraitsObserved(traits={"size": 5}), occurred_at=START)
        yield opened


def test_all_answers_share_a_position_until_refreshed(engine):
    views = Views.open(engine)
    engine.record("d", INBOUND, occurred_at=START)

    assert entered(views.funnel()) == 2
    assert views.position == 4
    views.refresh()
    assert entered(views.funnel()) == 3
    assert entered(views.funnel(position=4)) == 2


def test_as_of_is_the_newest_fact_unless_said(engine):
    views = Views.open(engine)

    assert views.funnel().meta["as_of"] == START + timedelta(days=9)
    assert entered(views.funnel(as_of="2024-01-05")) == 1
    assert entered(views.funnel(as_of="2024-01-05"), "education") == 1
    assert entered(views.funnel(as_of="2024-01-02"), "education") == 0


def test_known_at_resolves_to_a_position(engine):
    views = Views.open(engine)
    first = next(iter(engine.events()))

    before = views.funnel(known_at=first.recorded_at - timedelta(seconds=1))
    now = views.funnel(known_at=datetime.now(UTC) + timedelta(seconds=1))

    assert (entered(before), before.meta["position"]) == (0, 0)
    assert (entered(now), now.meta["position"]) == (2, 4)
    with pytest.raises(UsageError, match="one of them"):
        views.funnel(known_at="2024-01-01", position=1)
    with pytest.raises(UsageError, match="positions up to 4"):
        views.funnel(position=5)


def test_another_definition_needs_no_rebuild(engine):
    views = Views.open(engine)

    assert entered(views.funnel(definition=OWN)) == 1
    assert views.funnel(definition="shop").meta["definition"] == "shop/1"
    with pytest.raises(UnknownName):
        views.funnel(definition="nope/3")


def test_a_name_that_is_taken_is_refused(engine, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    engine.init(str(path))
    views = Views.open(engine)

    assert entered(views.funnel(definition=OWN)) == 1
    with pytest.raises(DefinitionError, match="another name"):
        views.funnel(definition=OWN + "\n# changed\n")


def test_a_parameter_that_is_not_there_is_the_askers_mistake(engine):
    with pytest.raises(UsageError, match="funnel has no parameter 'colour'"):
        Views.open(engine).funnel(colour="red")  # type: ignore[call-arg]


WHERE = {"known_at", "position"}
MOMENT = WHERE | {"as_of"}


#: Parameters that no user gives.
_OURS = {"personal_names", "before", "kept"}


@pytest.mark.parametrize(
    ("view", "asked", "cut"),
    [
        (funnel, FunnelAsked, MOMENT | {"definition", "compare", "targets"}),
        (stock, StockAsked, MOMENT | {"definition"}),
        (loop, LoopAsked, MOMENT | {"definition"}),
        (comparison, DefinitionDiffAsked, MOMENT),
        (status, StatusAsked, WHERE),
    ],
)
def test_the_typed_parameters_are_those_of_the_view(view, asked, cut):
    own = {
        name
        for name, parameter in inspect.signature(view).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in _OURS
    }
    narrowed = set(NarrowedAsked.__annotations__) if "definition" in cut else set()
    assert own | cut | narrowed == set(asked.__annotations__)


def test_before_the_first_recording_nothing_was_known(engine):
    result = Views.open(engine).funnel(known_at="2020-01-01")

    assert entered(result) == 0
    assert any("recorded its first event" in note for note in result.notes)


def test_a_stage_that_no_one_can_enter_is_said(engine):
    notes = Views.open(engine).funnel(definition="shop/1", include_truncated=True).notes

    assert any("No one entered education by shop/1: no event" in note for note in notes)


def test_stock_counts_everybody_once(engine):
    result = Views.open(engine).stock(by=["channel"])
    assert {
        (row["channel"], row["stage"]): row["customers"] for row in result if row["customers"]
    } == {
        ("web", "awareness"): 1,
        ("web", "education"): 1,
        (None, "no stage"): 1,
    }
    assert result.sentence.startswith("2 of 3 customers stand in a stage on 2024-01-10")


def test_status_says_what_is_there_and_what_is_missing(engine):
    result = Views.open(engine).status()

    assert {row["type"]: row["events"] for row in result} == {
        "noted": 1,
        "touched": 2,
        "traits_observed": 1,
    }
    assert (result.meta["customers"], result.meta["events"], result.meta["lag"]) == (3, 4, 0)
    answerable = {row["view"]: row["answerable"] for row in result.part("views")}
    assert answerable == {"funnel": True, "stock": True, "loop": False, "loop sources": False}
    coverage = {row["what"]: row["customers"] for row in result.part("coverage")}
    assert (coverage["touches"], coverage["traits"], coverage["costs"]) == (2, 1, 0)


def test_status_counts_units_and_covers_the_one_asked_for(engine):
    engine.record("a", MembershipStarted(account="acme"), occurred_at=START + timedelta(days=4))
    engine.record("b", MembershipStarted(account="acme"), occurred_at=START + timedelta(days=10))
    views = Views.open(engine)
    result = views.status(unit="account")

    assert result.part("units").rows() == [
        {"unit": "customer", "number": 3, "missing": None},
        {"unit": "account", "number": 2, "missing": None},
        {"unit": "opportunity", "number": None, "missing": "events that name an opportunity"},
        {"unit": "cycle", "number": 2, "missing": None},
    ]
    touches, traits, *_ = result.part("coverage")
    assert touches == {"what": "touches", "accounts": 1, "of": 2, "coverage": 0.5}
    assert traits == {"what": "traits", "accounts": 1, "of": 2, "coverage": 0.5}
    assert result.sentence.startswith("3 customers, 2 accounts and 6 events from 2024-01-01")
    assert (result.meta["accounts"], result.meta["opportunities"]) == (2, None)
    # the rows are the log's, whatever is counted
    assert result.rows() == views.status().rows()
    with pytest.raises(Refused, match="names an opportunity"):
        views.status(unit="opportunity")
    with pytest.raises(UsageError, match='unit="customer", account or opportunity'):
        views.status(unit="cycle")  # type: ignore[arg-type]


def test_sql_only_reads(engine):
    views = Views.open(engine)
    assert views.sql("select count(*) as n from touched").rows() == [{"n": 2}]
    with pytest.raises(UsageError):
        views.sql("delete from touched")


def test_tables_lie_beside_the_store_and_are_not_held(tmp_path):
    store = tmp_path / "journeys.db"
    with Bowtie.open(f"sqlite:///{store}") as engine:
        engine.record("a", INBOUND, occurred_at=START)
        with Views.open(engine) as views, Views.open(engine) as others:
            assert (tmp_path / "journeys.duckdb").is_file()
            assert entered(views.funnel()) == entered(others.funnel()) == 1


def test_asked_at_once_tables_are_opened_once_and_let_go_at_the_end(tmp_path, monkeypatch):
    opening = Mock(wraps=duckdb_tables._connect)
    with Bowtie.open(f"sqlite:///{tmp_path / 's.db'}") as engine:
        Views.open(engine).close()
        monkeypatch.setattr(duckdb_tables, "_connect", opening)
        with Views.open(engine, at_once=True) as views:
            views.status()
        assert opening.call_count == 1
        engine.record("a", INBOUND, occurred_at=START)
        with Views.open(engine, at_once=True) as views:
            assert views.status().meta["events"] == 1
        with Views.open(engine).tables.write():
            pass


def test_answers_come_from_the_tables_as_they_stand_when_asked(tmp_path):
    with Bowtie.open(f"sqlite:///{tmp_path / 'journeys.db'}") as engine:
        engine.record("a", INBOUND, occurred_at=START)
        Views.open(engine)
        engine.record("b", INBOUND, occurred_at=START)
        views = Views.open(engine, refresh=False)
        result = views.funnel()
        assert entered(result) == 1
        assert any("1 position behind the log" in note for note in result.notes)


def test_tables_of_another_store_are_refused(tmp_path):
    path = tmp_path / "views.duckdb"
    with Bowtie.open("memory://") as one, Bowtie.open("memory://") as other:
        one.record("a", INBOUND, occurred_at=START)
        Views.open(one, path)
        with pytest.raises(TablesForeign):
            Views.open(other, path, refresh=False)
    with pytest.raises(UsageError, match="--views"):
        tables_of(None, None)


# -- tables that other processes change meanwhile ----------------------------------------------


@pytest.fixture
def swapped(tmp_path):
    """Views at position 2 whose tables another process has replaced by those of position 1."""
    path, older = tmp_path / "views.duckdb", tmp_path / "older.duckdb"
    with Bowtie.open("memory://") as engine:
        engine.record("a", INBOUND, occurred_at=START)
        Views.open(engine, path)
        shutil.copyfile(path, older)
        engine.record("b", INBOUND, occurred_at=START)

        def opened(*, refresh=True):
            Views.open(engine, path)
            views = Views.open(engine, path, refresh=refresh, wait=0)
            shutil.copyfile(older, path)
            return views

        yield opened


def test_older_tables_put_in_place_are_brought_up_to_date(swapped):
    assert entered(swapped().funnel()) == 2
    assert swapped().sql("select count(*) as n from touched").rows() == [{"n": 2}]


def test_older_tables_that_stay_behind_are_said_not_asked(swapped):
    views = swapped()
    said = "stands at position 1, behind 2"
    with views.tables.read(), pytest.raises(TablesError, match=said):
        views.funnel()
    as_they_stood = swapped(refresh=False)
    with pytest.raises(TablesError, match=said):
        as_they_stood.stock()
    with pytest.raises(TablesError, match=said):
        as_they_stood.sql("from touched")


def test_sql_says_when_the_tables_are_past_the_views(engine, tmp_path):
    views = Views.open(engine, tmp_path / "views.duckdb")
    assert not views.sql("from touched").notes
    engine.record("d", INBOUND, occurred_at=START)
    Views.open(engine, tmp_path / "views.duckdb")

    result = views.sql("select count(*) as n from touched")
    assert (result.rows(), result.meta["position"]) == ([{"n": 3}], 5)
    assert any("from position 5" in note and "from 4" in note for note in result.notes)
    assert entered(views.funnel()) == 2


def test_journeys_of_another_definition_of_the_same_name_are_not_trusted(engine, tmp_path):
    path = tmp_path / "views.duckdb"
    Views.open(engine, path)
    with TablesFile.of(path).write() as writing:
        writing.run(sa.update(position_table).values(definition_hash="another"))
        writing.run(sa.delete(journeys))

    assert entered(Views.open(engine, path, refresh=False).funnel()) == 2


# -- the status at a cut -----------------------------------------------------------------------


def test_status_knows_no_retraction_that_came_later(engine):
    first = next(iter(engine.events()))
    engine.record("a", Retracted(of_source=first.source, of_id=first.id))
    views = Views.open(engine)

    def retracted(result):
        return {row["type"]: row["retracted"] for row in result}["touched"]

    assert retracted(views.status()) == 1
    assert retracted(views.status(position=4)) == 0


def test_status_judges_by_the_position_and_the_definition_asked(engine):
    signed = ContractSigned(
        contract="k", kind="paid", amount="10", currency="EUR", per="month", starts_on=START.date()
    )
    engine.record("a", signed, occurred_at=START + timedelta(days=10))
    views = Views.open(engine)

    def answerable(**asked):
        return {row["view"]: row["answerable"] for row in views.status(**asked).part("views")}

    assert answerable()["loop"]
    assert not answerable(position=4)["loop"]
    assert answerable(position=4)["funnel"]
    assert not answerable(position=0)["funnel"]
    assert not answerable(definition=OWN)["loop"]


# -- days --------------------------------------------------------------------------------------


def test_a_day_ends_at_the_midnight_of_the_zone_asked():
    late = datetime(2024, 1, 5, 23, 30, tzinfo=UTC)  # the sixth in Berlin, still the fifth in UTC
    with Bowtie.open("memory://") as engine:
        engine.record("a", INBOUND, occurred_at=late)
        engine.record("b", INBOUND, occurred_at=late + timedelta(hours=12))
        views = Views.open(engine)

        assert entered(views.funnel(as_of="2024-01-05")) == 1
        assert entered(views.funnel(as_of="2024-01-05", tz="Europe/Berlin")) == 0
        assert entered(views.funnel(as_of=date(2024, 1, 6), tz="Europe/Berlin")) == 2
        assert entered(views.funnel(as_of=late, tz="Europe/Berlin")) == 1
        known = views.funnel(known_at="2024-01-05", tz="Europe/Berlin").meta["known_at"]
        assert known == datetime(2024, 1, 5, 23, tzinfo=UTC) - timedelta(microseconds=1)
        with pytest.raises(UnknownName, match="no time zone"):
            views.funnel(as_of="2024-01-05", tz="Mars/Base")


def test_a_day_whose_last_hour_comes_twice_ends_with_the_second():
    ends = moment("2021-10-30", end_of_day=True, tz=ZoneInfo("Asia/Beirut"))
    begins = moment("2021-10-31", tz=ZoneInfo("Asia/Beirut"))
    assert begins - ends == timedelta(microseconds=1)


def test_stock_takes_any_trait_and_tells_a_real_other_apart():
    with Bowtie.open("memory://") as engine:
        for number, value in enumerate(["other", "other", "b", "c"]):
            traits = {"stage": value, "Stage": "s", "customers": "it's", "place": value}
            engine.record(f"c{number}", TraitsObserved(traits=traits), occurred_at=START)
        views = Views.open(engine)
        by = ["stage", "Stage", "customers", "place"]
        rows = [row for row in views.stock(by=by, top=1) if row["customers"]]
        whole = [row for row in views.stock(by=["place"]) if row["customers"]]
        with pytest.raises(UsageError, match="the same"):
            views.stock(by=["place", "trait.place"])

    assert list(rows[0])[:6] == [
        "trait.stage",
        "Stage",
        "trait.customers",
        "place",
        *("stage", "customers"),
    ]
    assert {(row["place"], row["trait.stage"]): row["customers"] for row in rows} == {
        ("other (value)", "other (value)"): 2,
        ("other", "other"): 2,
    }
    assert [row["place"] for row in whole] == ["b", "c", "other (value)"]
