"""Step funnels: any events in a row, one after the other, within a time."""

from bowtie_projections.views.steps.language import Step
from bowtie_projections.views.steps.view import steps

__all__ = ["Step", "steps"]
