"""The view of repeat orders."""

from bowtie_projections.views.repeat.view import repeat

__all__ = ["repeat"]
