"""Every view, asked in many ways of the demo's log: DuckDB and PostgreSQL answer the same."""

from __future__ import annotations

import math
import re
from typing import Any

import pyarrow.parquet as pq
import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie_projections import Views
from bowtie_projections.verifying import verify_tables

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("status", {}),
    ("status", {"position": 1500}),
    ("stock", {"by": ["channel", "industry"], "top": 2}),
    ("stock", {"lost_after": "60d", "as_of": "2025-06-30"}),
    ("stock", {"position": 1500, "by": ["trait.region"]}),
    ("stock", {"every": "quarter", "by": ["channel"], "top": 1, "from_": "2025-Q3"}),
    ("funnel", {"by": ["channel"], "cohort": "month"}),
    ("funnel", {"position": 1500, "by": ["channel", "campaign"], "cohort": "quarter", "top": 3}),
    ("funnel", {"cycles": True, "skipped": "impute", "within": "30d", "by": ["company_size"]}),
    ("funnel", {"cohort_stage": "commitment", "by": ["motion", "offering", "partner"]}),
    ("funnel", {"lost_after": "90d", "cohort": "week", "tz": "America/New_York"}),
    ("funnel", {"definition": "shop/1", "cohort": "day", "tz": "Europe/Berlin"}),
    ("funnel", {"customers": "selection:lost", "by": ["channel"], "cohort": "year"}),
    ("funnel", {"customers": "awareness:reached"}),
    ("funnel", {"estimate": True, "by": ["channel"], "cohort": "quarter", "skipped": "impute"}),
    ("funnel", {"horizon": "curve", "lost_after": "90d", "as_of": "2025-06-30"}),
    ("funnel", {"entry_age": True, "data_from": "2025-06-01", "by": ["company_size"]}),
    ("funnel", {"compare": "year", "cohort": "quarter", "by": ["channel"], "top": 2}),
    ("funnel", {"compare": "previous", "from_": "2025-01", "to": "2025-06", "within": "60d"}),
    ("funnel", {"shrink": True, "by": ["channel"], "unit": "cycle"}),
    ("velocity", {"compare": "year", "from_": "2025-Q1", "to": "2025-Q2", "cohort": "all"}),
    ("bottleneck", {"cohort": "year", "from_": "2023", "horizon": "90d", "within": "60d"}),
    ("bottleneck", {"by": ["channel"], "cohort": "month", "top": 2, "tz": "Asia/Tokyo"}),
    ("stock", {"customers": "selection:stuck", "by": ["channel"]}),
    ("stock", {"within": "30d", "unit": "cycle"}),
    ("paths", {"of": ["stages", "touchpoints"], "collapse": True, "steps": 6}),
    ("paths", {"of": "channels", "ends": "commitment", "position": 1500, "cycles": True}),
    ("paths", {"by": ["channel", "industry"], "top": 2, "steps": 3}),
    ("paths", {"by": ["motion"], "ends": "commitment", "of": "channels", "touch": "last"}),
    ("touchpoints", {"by": ["industry", "channel"], "top": 2}),
    ("touchpoints", {"of": "campaign", "no_stages": True, "from_": "2025"}),
    ("pipeline", {"by": ["channel", "motion"], "top": 1}),
    ("pipeline", {"opportunities": "all", "as_of": "2025-06-30"}),
    (
        "funnel",
        {
            "where": ["channel=search", "company_size!=1-9"],
            "segment_as_of": "entry",
            "cohort_stage": "selection",
        },
    ),
    ("retention", {"where": "channel=search", "segment_as_of": "entry", "cohort": "year"}),
    ("flow", {}),
    ("flow", {"period": "week", "by": ["channel", "industry"], "top": 1, "from_": "2025-Q4"}),
    ("flow", {"cycles": True, "position": 1500, "lost_after": "60d", "tz": "Asia/Tokyo"}),
    ("flow", {"compare": "year", "period": "quarter", "by": ["channel"], "top": 2}),
    ("velocity", {"by": ["channel"], "top": 2, "estimate": True}),
    ("velocity", {"cohort": "all", "cohort_stage": "commitment", "by": ["motion"]}),
    ("velocity", {"cohort": "month", "within": "30d", "unit": "cycle", "position": 1500}),
    ("retention", {"cohort": "quarter", "by": ["motion"], "top": 2}),
    ("retention", {"active": "usage", "age": "week", "tz": "America/New_York", "ages": 8}),
    ("retention", {"wide": "nrr", "cohort": "year", "as_of": "2025-06-30"}),
    ("retention", {"active": "any", "age": "day", "position": 1500, "data_from": "2023-03"}),
    ("revenue", {"by": ["channel", "motion"], "top": 2}),
    ("revenue", {"every": "quarter", "per": "year", "movements": "daily", "position": 1500}),
    ("revenue", {"every": "year", "currency": "EUR", "from_": "2024", "tz": "Asia/Tokyo"}),
    ("repeat", {}),
    ("steps", {"steps": ["touched", "noted[name=opportunity_created]", "contract_signed"]}),
    (
        "steps",
        {"steps": ["touched", "touched", "stage:growth"], "count": "cycles", "by": ["channel"]},
    ),
    ("steps", {"steps": ["touched", "stage:selection"], "count": "conversions", "cohort": "year"}),
    ("steps", {"steps": ["noted", "touched"], "order": "any", "exclude": "disqualified"}),
    ("steps", {"steps": ["noted", "touched"], "order": "strict", "customers": "1:reached"}),
    ("value", {"cohort": "quarter", "by": ["channel", "motion"], "most": 2}),
    ("value", {"time_zero": "lead", "horizon": "90d", "position": 1500, "threshold": 100}),
    ("value", {"value": "contribution", "costs_complete": True, "tz": "Asia/Tokyo"}),
    ("clv", {"cohort": "year", "discount": 0.1, "by": ["channel"], "top": 2}),
    ("clv", {"who": True, "term": "quarter", "tz": "Asia/Tokyo", "by": ["motion"]}),
    ("referrals", {"horizon": "90d"}),
    ("partners", {"horizon": "90d", "position": 1500}),
    ("rfm", {"since": "2025-01-01", "by": ["channel", "industry"], "top": 2}),
    ("members", {"of": "customers", "where": "industry!=rail"}),
    ("members", {"of": "lost", "position": 1500}),
    ("members", {"of": "tier", "tier": "A", "horizon": "90d"}),
    ("members", {"of": "held_out"}),
    ("members", {"of": "withdrew"}),
    ("prospects", {"within": "60d", "looks": 5, "horizon": "90d", "most": 0, "model": True}),
    ("prospects", {"traits": {"region": {"timeless": True}}, "where": "industry!=rail"}),
    ("prospects", {"position": 1500, "tz": "Asia/Tokyo", "threshold": 100}),
    ("loop", {}),
    ("loop", {"time_zero": "lead", "horizon": "90d", "position": 1500, "threshold": 100}),
    ("loop", {"horizon": "180d", "value": "contribution", "costs_complete": True}),
    ("loop", {"horizon": "90d", "target": "low", "pairs": True, "least_gain": 1}),
    (
        "loop",
        {
            "horizon": "30d",
            "top": 0.3,
            "rank": "shrunk",
            "traits": {"industry": {"split": True}, "region": {"bins": [10]}},
        },
    ),
    ("loop", {"tz": "Asia/Tokyo", "backfill_gap": "1d", "top": 0.1, "include_truncated": True}),
    ("diff", {"view": "funnel", "before": {"position": 1500}, "by": ["channel"], "limit": 3}),
    ("diff", {"view": "stock", "before": {"definition": "shop/1"}, "limit": 0}),
    ("diff", {"view": "revenue", "before": {"position": 1500}, "every": "quarter", "limit": 0}),
    ("diff", {"view": "loop", "before": {"position": 2500}, "horizon": "90d", "limit": 0}),
    ("metrics", {"edition": "wbd-2022", "position": 1500}),
    ("metrics", {"from_": "2025", "definition": "shop/1"}),
    ("definition_check", {"definition": "b2b/1"}),
    ("definition_check", {"definition": "shop/1", "unit": "cycle", "position": 1500}),
    ("definition_diff", {"before": "b2b/1", "after": "shop/1"}),
    ("definition_diff", {"before": "b2b/1", "after": "shop/1", "who": True}),
    ("definition_diff", {"before": "b2b/1", "after": "shop/1", "unit": "cycle", "who": True}),
]

#: What takes longest.
LONG: list[tuple[str, dict[str, Any]]] = [
    ("diff", {"view": "attribution", "before": {"position": 2500}, "models": ["w", "time_decay"]}),
    ("diff", {"view": "metrics", "before": {"position": 2500}, "as_of": "2025-06-30"}),
    (
        "explain",
        {"view": "prospects", "cell": {"rank": 2}, "column": "p_win", "within": "60d",
         "looks": 5, "horizon": "90d", "data": True},
    ),
]  # fmt: skip

#: Figures and the events behind them: the hash is the same in both, too.
EXPLAINED: list[tuple[str, dict[str, Any]]] = [
    ("explain", {"view": "clv", "cell": {"channel": "other"}, "column": "predicted_value",
                 "by": ["channel"], "top": 2, "horizon": "90d"}),
    ("explain", {"view": "partners", "cell": {"partner": "(any partner)"}, "horizon": "90d",
                 "column": "value_influenced"}),
    ("explain", {"view": "touchpoints", "cell": {"touchpoint": "other", "stage": "education"},
                 "column": "touches", "top": 2}),
    ("explain", {"view": "pipeline", "cell": {"stage": "selection", "currency": "EUR"},
                 "column": "amount"}),
    ("explain", {"view": "funnel", "cell": {"stage": "selection", "channel": "other"},
                 "column": "lost", "by": ["channel"], "top": 2, "data": True}),
    ("explain", {"view": "funnel", "cell": {"stage": "education"}, "column": "imputed",
                 "skipped": "impute", "cycles": True, "as_of": "2025-06-30"}),
    ("explain", {"view": "funnel", "cell": {"stage": "commitment"}, "column": "conversion",
                 "unit": "opportunity", "lost_after": "60d", "position": 1500}),
    ("explain", {"view": "revenue", "cell": {"period": "2025-Q1", "motion": "other"},
                 "column": "nrr_12m", "every": "quarter", "by": ["motion"], "top": 1}),
    ("explain", {"view": "stock", "cell": {"stage": "lost"}, "column": "customers",
                 "lost_after": "60d"}),
    ("explain", {"view": "status", "part": "months", "cell": {"month": "2024-05"},
                 "column": "events", "data": True}),
    ("explain", {"view": "loop", "cell": {"trait": "industry", "level": "rail"},
                 "column": "high_rate", "time_zero": "lead", "horizon": "90d"}),
    ("explain", {"view": "loop", "part": "traits", "cell": {"trait": "region"},
                 "column": "known", "horizon": "90d"}),
    ("explain", {"view": "loop", "part": "sources", "cell": {"source": "webinar"},
                 "column": "value", "horizon": "90d"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory, postgres_server):
    """The views of one store, over tables in either database."""
    folder = tmp_path_factory.mktemp("agree")
    Demo(customers=150).write(folder / "demo.jsonl.gz")
    with (
        postgres_server.schema() as url,
        Bowtie.open(f"sqlite:///{folder / 'b.db'}", create=True) as engine,
    ):
        engine.ingest(folder / "demo.jsonl.gz")
        yield Views.open(engine), Views.open(engine, url)


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [*ASKED, *EXPLAINED, *(pytest.param(*asked, marks=pytest.mark.slow) for asked in LONG)],
    ids=lambda value: str(value)[:60],
)
def test_answers_are_the_same(both, name, parameters):
    one, other = (getattr(views, name)(**parameters) for views in both)
    assert same(one.to_dict(), other.to_dict())
    tables = [
        [answer.to_arrow(), *(p.to_arrow() for p in answer.parts.values())]
        for answer in (one, other)
    ]
    assert [table.schema for table in tables[0]] == [table.schema for table in tables[1]]


def test_a_page_of_them_is_the_same_but_for_the_minute(both):
    sections = ["stock", "velocity", "revenue", "sources", "missing"]
    pages = [views.report(sections=sections, by="channel", horizon="90d").html for views in both]
    one, other = (re.sub(r"made [\d :-]+", "", page) for page in pages)
    assert one == other
    assert one.count("<table") >= 7


def test_files_are_the_same_to_the_byte(both, tmp_path):
    made = []
    for views in both:
        rows = views.funnel(by=["channel"], cohort="quarter").to_arrow()
        rows_of_sql = views.sql("SELECT * FROM touched ORDER BY position").to_arrow()
        pq.write_table(rows, tmp_path / "rows")
        pq.write_table(rows_of_sql, tmp_path / "sql")
        made.append([(tmp_path / name).read_bytes() for name in ("rows", "sql")])
    assert made[0] == made[1]


def test_tables_in_postgresql_are_verified_against_a_replay(both):
    views = both[1]
    engine = views.engine
    assert list(verify_tables(engine.store, views.tables, engine.definition)) == []
