"""What one prospect's score was read from: each feature's own events.

The score is learnt from all leads together, and no event says it. But its features are facts of the
one prospect: where they stand, what was done, what is known of them.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from bowtie.stages import STAGES
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.expressions import packed_field, packed_max, packed_min, rows_given
from bowtie_projections.known import Observed, called
from bowtie_projections.traits import TOUCH_TRAITS, rule_of
from bowtie_projections.value import MONEY
from bowtie_projections.views.journey_source import Needs, journeys_at
from bowtie_projections.views.opportunities import open_ones
from bowtie_projections.views.prospects.scores import Scores, scores
from bowtie_projections.views.prospects.standing import COUNTS, Known, stood_open

__all__ = ["evidence"]

_CHANCES = ("p_win", "p_high", "p_high_value")
_EXPLAINED = (*_CHANCES, "expected", "lead_days", "open_amount")
_IN_MONEY = ("expected", "open_amount")


def evidence(figure: Figure) -> Evidence:
    """The prospect of a row, by the events that their features were read from.

    Args:
        figure: of the row of the prospect; its column is one of the chances, ``expected``,
            ``lead_days`` or ``open_amount``.

    Raises:
        UsageError: no members stand behind the column.
    """
    column, row = figure.column, figure.cell
    if column not in _EXPLAINED:
        raise not_explained(column, _EXPLAINED, "a place among all prospects")
    found = scores(
        figure.reader, figure.cut, figure.definition, {**figure.asked, "strict_known": False}
    )
    members = _member(found, row["rank"] - 1, column)
    kind: Any = MONEY if column in _IN_MONEY else sa.Double()
    return Evidence(
        found.units, found.cut, figure.definition, members,
        _traces(found, members, column, row["stage"]),
        sa.func.sum(sa.cast(members.c.figure, kind)),
        notes=[_note(found)] if column in {*_CHANCES, "expected"} else [],
    )  # fmt: skip


def _member(found: Scores, place: int, column: str) -> sa.CTE:
    """The prospect at a place of the list, with the ``figure`` as text and when they came there."""
    stood, cut = found.known, found.cut
    assert stood is not None  # noqa: S101 - there is a row
    row = int(found.rows[place])
    key: Any = stood.customer[row].as_py()
    shown = _shown(found, stood, column, place)
    text = {"customer": sa.String(), "figure": sa.String()}
    given = rows_given("scored", text, [(key, shown)]).once()
    journeys = journeys_at(found.units.reader, cut, found.definition, Needs())
    at = sa.literal(cut.moment, sa.DateTime()).label("at")
    taken = sa.select(given.c.customer.label("key"), at).cte("looked_at")
    stands = stood_open(journeys, found.question.lead, taken)
    joined = given.join(stands, stands.c.customer == given.c.customer)
    return (
        sa.select(*given.c, stands.c.lead_at, stands.c.since)
        .select_from(joined)
        .cte("prospect")
        .prefix_with("MATERIALIZED")
    )


def _shown(found: Scores, stood: Known, column: str, place: int) -> str:
    """The figure at a place of the list, exactly."""
    row = int(found.rows[place])
    if column == "open_amount":
        return str(stood.amount[row].as_py())
    if column == "lead_days":
        return repr(float(stood.days["lead_for"][row]))
    figure: Any = getattr(found, column)[place]
    return str(figure) if column == "expected" else repr(float(figure))


def _traces(found: Scores, members: sa.CTE, column: str, stage: str) -> list[Trace]:
    """The events that a column is read from: of a chance, those of all features."""
    lead, facts = found.question.lead, Facts(found.cut, members)
    since_lead = Trace.entry(lead, members.c.lead_at, f"lead: entered {lead}")
    amounts = Trace.facts("open amount", _amounts(found, members).subquery("amounts_told"))
    if column == "lead_days":
        return [since_lead]
    if column == "open_amount":
        return [amounts]
    traces = [since_lead]
    if stage in STAGES:
        traces.append(Trace.entry(stage, members.c.since, f"stage: entered {stage}"))
    traces += [
        Trace.facts(role, rows.subquery(f"counted_{number}"))
        for number, (role, rows) in enumerate(_counted(facts).items())
    ]
    return [*traces, amounts, *_touches(found, facts), *_traits(found, facts)]


def _counted(facts: Facts) -> dict[str, sa.Select[Any]]:
    """What was done, as the features count it."""
    touched = tables.facts["touched"]
    rows = {
        "inbound": (touched, touched.c.direction == "inbound"),
        "outbound": (touched, touched.c.direction == "outbound"),
        "noted": (tables.facts["noted"], sa.true()),
        "impacts": (tables.facts["impact_sought"], sa.true()),
    }
    return {
        words: sa.select(rows[name][0].c.customer, rows[name][0].c.position).where(
            facts.counted(rows[name][0]), rows[name][1]
        )
        for name, words in COUNTS.items()
    }


def _amounts(found: Scores, members: sa.CTE) -> sa.Select[Any]:
    """What told the last values of open opportunities."""
    c = open_ones(found.cut).subquery("open_ones").c
    inside = c.customer.in_(sa.select(members.c.customer))
    return sa.select(c.customer, c.position).where(inside, c.position.is_not(None))


def _touches(found: Scores, facts: Facts) -> list[Trace]:
    """The first touch, for each field of it that is a feature."""
    table = tables.facts["touched"]
    c = table.c
    fields = [one for one in TOUCH_TRAITS if rule_of(one, found.question.rules).refusal is None]
    first = packed_min(c.occurred_at, c.position, *(c[name] for name in fields)).label("first")
    rows = sa.select(c.customer, first).where(facts.counted(table)).group_by(c.customer)
    told = rows.cte("first_touch_of_them").c
    position = packed_field(told.first, 1, sa.BigInteger()).label("position")
    return [
        Trace.facts(
            name,
            sa.select(told.customer, position)
            .where(packed_field(told.first, place, sa.String()).is_not(None))
            .subquery(f"first_{name}"),
        )
        for place, name in enumerate(fields, start=2)
    ]


def _traits(found: Scores, facts: Facts) -> list[Trace]:
    """The newest observation of each trait that is a feature, where it has a value."""
    reader, question = found.units.reader, found.question
    observed = Observed.of(reader, found.cut, question.value.gap, question.rules)
    table = tables.facts["traits_observed"]
    c = table.c
    newest = packed_max(c.occurred_at, c.position, c.value).label("newest")
    told = (
        sa.select(c.customer, c.name, newest)
        .where(facts.counted(table), c.name.in_(observed.names))
        .group_by(c.customer, c.name)
        .cte("newest_of_them")
    ).c
    position = packed_field(told.newest, 1, sa.BigInteger()).label("position")
    known = packed_field(told.newest, 2, sa.String()).is_not(None)
    return [
        Trace.facts(
            called(name),
            sa.select(told.customer, position)
            .where(told.name == name, known)
            .subquery(f"trait_{number}"),
        )
        for number, name in enumerate(observed.names)
    ]


def _note(found: Scores) -> str:
    """That a score is learnt from all, and what the events are."""
    return (
        f"A chance is learnt from {found.leads.mature:,} leads together, and no event says it:"
        " these are what this prospect's own features were read from. What weighed most is in"
        " why_win and why_high, what each weighs in the part weights (model=True)."
    )
