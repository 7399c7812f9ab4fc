"""Every view that has a chart is drawn, from the same answers that are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.errors import Refused
from bowtie.profiles import publish_profile
from bowtie.stages import STAGES
from bowtie_projections import Result, Views
from bowtie_projections.charts import draw, written
from bowtie_projections.charts.views import DRAWN
from tests.loops import DAY, START, World
from tests.read_tables import MemoryTables
from tests.trials import PROFILE, prospects, record_trial

ASKED: dict[str, Callable[[Views], Result]] = {
    "funnel": lambda views: views.funnel(by=["channel"]),
    "funnel.curve": lambda views: views.funnel(horizon=["30d", "90d"]).part("curve"),
    "steps": lambda views: views.steps(["touched", "noted"], by=["channel"]),
    "stock": lambda views: views.stock(by=["channel"]),
    "flow": lambda views: views.flow(),
    "velocity": lambda views: views.velocity(),
    "retention": lambda views: views.retention(cohort="quarter"),
    "retention.curve": lambda views: views.retention().part("curve"),
    "revenue": lambda views: views.revenue(every="quarter"),
    "repeat": lambda views: views.repeat(),
    "paths": lambda views: views.paths(),
    "touchpoints": lambda views: views.touchpoints(),
    "pipeline": lambda views: views.pipeline(),
    "bottleneck": lambda views: views.bottleneck(),
    "value": lambda views: views.value(cohort="year"),
    "clv": lambda views: views.clv(cohort="year"),
    "rfm": lambda views: views.rfm(),
    "loop": lambda views: views.loop(),
    "prospects": lambda views: views.prospects(within="60d", looks=5),
    "prospects.deciles": lambda views: views.prospects(within="60d", looks=5).part("deciles"),
    "attribution": lambda views: views.attribution(models=["first", "last"]),
}


#: Of a profile, which the demo's business has none of.
OF_TRIALS: dict[str, Callable[[Views], Result]] = {
    "profile_evaluation": lambda views: views.profile_evaluation("lookalike/1"),
    "profile_evaluation.subgroups": lambda views: views.profile_evaluation(
        "lookalike/1", by=["size", "channel"]
    ).part("subgroups"),
    "profile_history": lambda views: views.profile_history("lookalike"),
}


#: Of findings, for which the demo's business has too few customers.
OF_FINDINGS = {"loop.pairs", "loop.values"}


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Views]:
    """Those of a demo."""
    from bowtie.demo import Demo

    folder = tmp_path_factory.mktemp("charts")
    log = folder / "demo.jsonl"
    log.write_bytes(b"".join(line + b"\n" for line in Demo(customers=150).lines()))
    with Bowtie.open(f"sqlite:///{folder / 'demo.db'}") as engine:
        engine.ingest(log)
        yield Views.open(engine)


def test_every_chart_is_asked_for() -> None:
    assert ASKED.keys() | OF_TRIALS.keys() | OF_FINDINGS == DRAWN.keys() >= FORMS


#: One of each form; the others are drawn by `make test-all`.
FORMS = {"funnel", "stock", "flow", "velocity", "paths", "retention", "pipeline", "revenue", "loop"}


@pytest.mark.parametrize(
    "name",
    [name if name in FORMS else pytest.param(name, marks=pytest.mark.slow) for name in ASKED],
)
def test_it_is_drawn(views: Views, name: str) -> None:
    result = ASKED[name](views)
    assert result.view == name
    if not len(result):  # the demo's business takes no orders
        assert name in {"repeat", "rfm"}
        return
    svg = written(draw(result), "svg").decode()
    assert svg.startswith("<svg")
    assert "NaN" not in svg
    assert "undefined" not in svg
    assert svg.count("<path") > 3
    # above each picture, also of a part, who is counted
    assert result.sentence
    assert result.sentence.split(",")[0].split(";")[0][:30] in svg.replace("&amp;", "&")


@pytest.fixture(scope="module")
def tried() -> Iterator[Views]:
    """Those of a trial, whose second version has assigned nobody."""
    with Bowtie.open("memory://") as engine:
        record_trial(engine, prospects(120))
        publish_profile(engine, PROFILE.replace("version = 1", "version = 2"))
        with Views.open(engine) as views:
            yield views


@pytest.mark.parametrize("name", OF_TRIALS)
def test_a_difference_is_drawn_with_its_interval_and_the_line_of_none(
    tried: Views, name: str
) -> None:
    result = OF_TRIALS[name](tried)
    assert result.view == name
    spec: dict[str, Any] = draw(result).to_dict()
    rows = [row for data in spec["datasets"].values() for row in data]
    told = {row.get("value_effect") or row.get("value_per_prospect") for row in rows}
    column = "value_per_prospect" if name == "profile_evaluation" else "value_effect"
    assert {row[column] for row in result if row[column] is not None} <= told
    assert {"reference": 0.0} in rows
    svg = written(draw(result), "svg").decode()
    assert "NaN" not in svg
    assert "targeted less held out" in svg
    if name == "profile_history":
        assert "lookalike/2 (nobody was assigned)" in svg


def test_before_its_time_only_counts_are_drawn(tried: Views) -> None:
    young = tried.profile_evaluation("lookalike/1", as_of="2024-01-20", by=["size"])
    spec: dict[str, Any] = draw(young).to_dict()
    rows = [row for data in spec["datasets"].values() for row in data]
    assert {row["age"] for row in rows} == {"old enough", "too young"}
    assert "not yet, from 2024-02-05" in written(draw(young), "svg").decode()
    with pytest.raises(Refused, match="not yet, from 2024-02-05"):
        draw(young.part("subgroups"))
    with pytest.raises(Refused, match="nobody was assigned"):
        draw(tried.profile_evaluation("lookalike/2"))


def test_a_series_of_stocks_is_drawn_by_period(views: Views) -> None:
    series = views.stock(every="quarter", by=["channel"], top=1)
    spec: dict[str, Any] = draw(series).to_dict()
    points = [one for rows in spec["datasets"].values() for one in rows if "period" in one]
    assert {one["period"] for one in points} == {row["period"] for row in series}
    assert {one["stage"] for one in points} <= set(STAGES)


def test_ways_by_something_are_drawn_apart(views: Views) -> None:
    spec: dict[str, Any] = draw(views.paths(by=["channel"], top=2)).to_dict()
    assert len(spec["vconcat"]) == 3


def test_ways_are_as_wide_as_many_take_them(views: Views) -> None:
    """What leaves a place is what came to it, for all but the ends."""
    from bowtie_projections.charts.sankey import sankey

    rows = views.paths().rows()
    spec: dict[str, Any] = sankey(rows).to_dict()
    bars = spec["datasets"][spec["layer"][1]["data"]["name"]]
    assert sum(bar["customers"] for bar in bars if bar["x"] == 0) == sum(
        row["customers"] for row in rows if row["step"] == 0
    )
    assert all(bar["y2"] > bar["y"] >= 0 for bar in bars)
    assert max(bar["y2"] for bar in bars) <= 1.0000001


def test_findings_are_drawn_with_their_intervals() -> None:
    world = World(MemoryTables())
    for n in range(240):
        both = n % 4 == 3
        world.customer(
            f"c{n}", START + n * DAY, "500" if both else "50", one="ab"[n % 2], two="xy"[n // 2 % 2]
        )
    answer = world.loop(threshold=200, pairs=True)
    for part, figure in (("values", "difference"), ("pairs", "lift")):
        result = answer.part(part)
        spec: dict[str, Any] = draw(result).to_dict()
        drawn = [row for data in spec["datasets"].values() for row in data if "verdict" in row]
        assert {row[figure] for row in drawn} == {float(row[figure]) for row in result}
        svg = written(draw(result), "svg").decode()
        assert "NaN" not in svg
        assert svg.count("<path") > 3


def test_of_many_levels_the_first_are_drawn() -> None:
    world = World(MemoryTables())
    for n in range(140):
        world.customer(f"c{n}", START + n * DAY, "500" if n % 2 else "50", a=n // 3, b=n // 4)
    spec: dict[str, Any] = draw(world.loop(threshold=200)).to_dict()
    drawn = [row for data in spec["datasets"].values() for row in data if "verdict" in row]
    assert len(drawn) == 60
    assert "the first 60 of" in spec["title"]["text"]
