"""The metrics of a named edition of the bowtie, over the figures of the other views."""

from bowtie_projections.views.metrics.view import metrics

__all__ = ["metrics"]
