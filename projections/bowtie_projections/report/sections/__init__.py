"""What stands on the page, in order: questions, the views that answer them, and how to read it."""

from bowtie_projections.report.sections import journeys, loop, money
from bowtie_projections.report.sections.shape import PROFILE, Ask, Drawn, Section

__all__ = ["PROFILE", "SECTIONS", "Ask", "Drawn", "Section"]

#: The page, from top to bottom.
SECTIONS = {
    one.name: one
    for one in (
        *(journeys.FUNNEL, journeys.STOCK, journeys.FLOW, journeys.VELOCITY),
        *(money.REVENUE, money.RETENTION, money.REPEAT, money.VALUE),
        *(loop.SOURCES, loop.FINDINGS, loop.ATTRIBUTION),
        *(loop.PROFILES, loop.PROSPECTS, loop.MISSING),
    )
}
