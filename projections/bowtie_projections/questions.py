"""What can be asked: a method for each view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from bowtie.segments import Segment
from bowtie.stages import Definition
from bowtie_projections.diff import Side, asked_on, check_asked, diffed_view, difference, has_traits
from bowtie_projections.explained import EVIDENCE
from bowtie_projections.explaining import explanation
from bowtie_projections.moments import nothing_known
from bowtie_projections.parameters import (
    AttributionAsked,
    BottleneckAsked,
    DefinitionAsked,
    DefinitionDiffAsked,
    FlowAsked,
    FunnelAsked,
    LoopAsked,
    MetricsAsked,
    PathsAsked,
    PipelineAsked,
    RepeatAsked,
    RetentionAsked,
    RevenueAsked,
    SegmentAsked,
    StatusAsked,
    StepsAsked,
    StockAsked,
    TouchpointsAsked,
    VelocityAsked,
)
from bowtie_projections.profile_questions import ProfileQuestions
from bowtie_projections.results import Result
from bowtie_projections.views.answers import FUNNEL, REPEAT, REVENUE, VELOCITY
from bowtie_projections.views.attribution import attribution
from bowtie_projections.views.beside import beside
from bowtie_projections.views.bottleneck import bottleneck
from bowtie_projections.views.comparison import comparison
from bowtie_projections.views.flow_compared import compared_flow
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.loop import loop
from bowtie_projections.views.metrics import metrics
from bowtie_projections.views.paths import paths
from bowtie_projections.views.pipeline import pipeline
from bowtie_projections.views.repeat import repeat
from bowtie_projections.views.retention import retention
from bowtie_projections.views.revenue import revenue
from bowtie_projections.views.segment import segment as segment_view
from bowtie_projections.views.status import status
from bowtie_projections.views.steps import Step
from bowtie_projections.views.steps import steps as step_funnel
from bowtie_projections.views.stock import stock
from bowtie_projections.views.touchpoints import touchpoints
from bowtie_projections.views.trial import trial
from bowtie_projections.views.velocity import velocity
from bowtie_projections.worth_questions import WorthQuestions

__all__ = ["Questions"]

_FUNNEL = beside(funnel, FUNNEL)
_VELOCITY = beside(velocity, VELOCITY)
_REPEAT = beside(repeat, REPEAT)
_REVENUE = beside(revenue, REVENUE)


class Questions(ProfileQuestions, WorthQuestions):
    """The views, each asked by a method of its name."""

    def _answer(
        self, view: Callable[..., Result], asked: Mapping[str, Any], *, personal: bool = False
    ) -> Result:
        """The answer, whose figures can be explained."""
        result = super()._answer(view, asked, personal=personal)
        if result.view in EVIDENCE:
            there = dict(asked)
            if there.get("known_at") is None:
                there["position"] = result.meta["position"]
            result.explained_by = partial(self.explain, result.view, **there)
        return result

    def funnel(self, **asked: Unpack[FunnelAsked]) -> Result:
        """How customers pass through the stages.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.funnel.funnel`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``; ``compare``:
                ``previous`` or ``year``, the period before or a year earlier beside it;
                ``targets``: a file of planned figures.
        """
        return self._answer(_FUNNEL, asked, personal=True)

    def steps(
        self,
        steps: Sequence[str | Mapping[str, Any] | Step],
        **asked: Unpack[StepsAsked],
    ) -> Result:
        """How many did one thing, then another: a funnel over any events.

        Args:
            steps: such as ``["touched", "noted[name=cart_added]", "order_placed[amount>100]"]``.
            asked: the other parameters of :func:`bowtie_projections.views.steps.steps`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(step_funnel, {**asked, "steps": steps}, personal=True)

    def stock(self, **asked: Unpack[StockAsked]) -> Result:
        """Who stands in which stage, since when, and who is stuck there.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.stock.stock`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(stock, asked, personal=True)

    def flow(self, **asked: Unpack[FlowAsked]) -> Result:
        """How many entered each stage, and how many were lost from it, in each period.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.flow.flow`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``; ``compare``.
        """
        return self._answer(compared_flow, asked, personal=True)

    def velocity(self, **asked: Unpack[VelocityAsked]) -> Result:
        """How many days each step takes, by cohort.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.velocity.velocity`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(_VELOCITY, asked, personal=True)

    def paths(self, **asked: Unpack[PathsAsked]) -> Result:
        """What customers pass through, in which order, and how long from one to the next.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.paths.paths`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(paths, asked, personal=True)

    def pipeline(self, **asked: Unpack[PipelineAsked]) -> Result:
        """The open opportunities: how many, worth what, how old, and what may come of them.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.pipeline.pipeline`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(pipeline, asked, personal=True)

    def retention(self, **asked: Unpack[RetentionAsked]) -> Result:
        """Who is still active at each age, by the cohort they committed in.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.retention.retention`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(retention, asked, personal=True)

    def revenue(self, **asked: Unpack[RevenueAsked]) -> Result:
        """Recurring revenue at the start and end of each period, and what moved it.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.revenue.revenue`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``; ``targets``: a file of
                planned figures.
        """
        return self._answer(_REVENUE, asked, personal=True)

    def repeat(self, **asked: Unpack[RepeatAsked]) -> Result:
        """How many customers order a second time, by the cohort of their first order.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.repeat.repeat`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(_REPEAT, asked, personal=True)

    def touchpoints(self, **asked: Unpack[TouchpointsAsked]) -> Result:
        """How much happens at each touchpoint, with whom, at what cost, and how it is judged.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.touchpoints.touchpoints`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(touchpoints, asked, personal=True)

    def bottleneck(self, **asked: Unpack[BottleneckAsked]) -> Result:
        """Which conversion or wait, lifted to its benchmark, adds most revenue.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.bottleneck.bottleneck`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(bottleneck, asked, personal=True)

    def metrics(self, **asked: Unpack[MetricsAsked]) -> Result:
        """The metrics of a named edition of the bowtie, over the figures of the other views.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.metrics.metrics`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(metrics, asked, personal=True)

    def loop(self, **asked: Unpack[LoopAsked]) -> Result:
        """Which traits mark those who became valuable, and which sources bring them.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.loop.loop`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(loop, asked)

    def attribution(self, **asked: Unpack[AttributionAsked]) -> Result:
        """Which sources are given the credit for commitments, and for what these were worth.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.attribution.attribution`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(attribution, asked)

    def segment(
        self,
        segment: str | Path | Mapping[str, Any] | Segment,
        **asked: Unpack[SegmentAsked],
    ) -> Result:
        """Who is in a segment, and how many meet each of its tests.

        Args:
            segment: the name of one that was published, a file, TOML text, a dictionary, or one at
                hand.
            asked: the parameters of :func:`bowtie_projections.views.segment.segment`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(segment_view, {**asked, "segment": segment})

    def status(self, **asked: Unpack[StatusAsked]) -> Result:
        """What is in the log, and which views can be answered.

        Args:
            asked: ``unit``, ``look_back``, ``tz``, ``known_at`` and ``position``.
        """
        result = self._answer(status, asked)
        lag = self.lag()
        result.meta |= {"head": lag.head, "lag": lag.positions, "lag_seconds": lag.seconds}
        result.meta["parked"] = sum(self.engine.store.parked_counts().values())
        result.meta["dropped"] = sum(self.engine.store.dropped_counts().values())
        return result

    def definition_check(
        self, definition: str | Path | Definition, **asked: Unpack[DefinitionAsked]
    ) -> Result:
        """What a definition does to the log: whom it sees, which rules and events never meet.

        Args:
            definition: a name, a file, or one at hand.
            asked: the parameters of :func:`bowtie_projections.views.trial.trial`, and up to where.
        """
        return self._answer(trial, {**asked, "definition": definition})

    def definition_diff(
        self,
        before: str | Path | Definition,
        after: str | Path | Definition,
        **asked: Unpack[DefinitionDiffAsked],
    ) -> Result:
        """Who stands in another stage by another definition, and which figures change.

        Args:
            before, after: the definitions: a name, a file, or one at hand.
            asked: ``unit``, ``look_back``, ``who`` (their keys, not counts), and up to where.
        """
        return self._answer(comparison, {**asked, "before": before, "definition": after})

    def explain(
        self,
        view: str,
        *,
        cell: Mapping[str, Any],
        column: str,
        part: str | None = None,
        data: bool = False,
        **asked: Any,
    ) -> Result:
        """Whom one figure of a view counts, and the exact events behind each of them.

        The members are counted against the figure; ``meta["hash"]`` is the same for whoever asks
        the same of the same log, in any store and database.

        Args:
            view: the view's name.
            cell: what names the row, such as ``{"stage": "selection", "channel": "webinar"}``.
            column: the figure's column.
            part: the further table of the answer it is in, if it is in one.
            data: add the fields of each event, as JSON; what is sealed is not among them.
            asked: what the view itself was asked, with ``as_of``, ``known_at`` and the like.
        """
        question = {**asked, "view": view, "cell": cell, "column": column, "part": part}
        result = self._answer(explanation, {**question, "data": data}, personal=True)
        result.meta["store_id"] = self.engine.store.store_id
        return result

    def diff(
        self,
        view: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        limit: int = 20,
        **asked: Any,
    ) -> Result:
        """Which figures of a view differ between two moments, and whom and what moved them.

        >>> from bowtie import Bowtie, Touched
        >>> from bowtie_projections import Views
        >>> with Bowtie.open("memory://") as engine:
        ...     _ = engine.record("acme", Touched(channel="web", direction="inbound"))
        ...     views = Views.open(engine)
        ...     rows = views.diff("funnel", before={"position": 0}).rows()
        ...     [(row["stage"], row["before"], row["after"]) for row in rows][0]
        ('awareness', 0.0, 1.0)

        Args:
            view: the view's name.
            before, after: where it is asked: ``known_at``, ``position``, ``as_of`` and
                ``definition``, as far as the two differ; what is left out is as of now.
            limit: how many members of each change are named; all of them, if it is 0.
            asked: what the view itself is asked on both sides.
        """
        found, given = diffed_view(view), (dict(before or {}), dict(after or {}))
        check_asked(*given, asked, limit)
        sides: list[Side] = []
        noting = asked_on(found, sides)
        with self._reading() as reader:
            for where in given:
                self._asked(reader, noting, {**asked, **where}, personal=has_traits(found.view))
            result = difference(view, (sides[0], sides[1]), given, limit)
            if any(side.cut.position == 0 for side in sides):
                result.notes.append(nothing_known(reader))
            return result

    def sql(self, statement: str) -> Result:
        """The rows of a statement of your own, which may only read.

        It sees the tables as they stand; where another process has brought them past the position
        of the other answers, a note says so.
        """
        with self._reading() as reader:
            table = reader.fetch(statement)
            meta = {"position": reader.position, "definition": reader.definition}
            statements = [*reader.statements]
            notes = self._notes(reader)
            if reader.position != self._position:
                notes.append(
                    f"This is from position {reader.position:,}, where the tables stand now; the"
                    f" views answer from {self._position:,} until they are refreshed."
                )
            return Result("sql", table, sql=statements, meta=meta, notes=notes)
