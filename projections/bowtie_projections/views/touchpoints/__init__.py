"""Touchpoints: how much happens at each, with whom, at what cost, and how it is judged."""

from bowtie_projections.views.touchpoints.view import touchpoints

__all__ = ["touchpoints"]
