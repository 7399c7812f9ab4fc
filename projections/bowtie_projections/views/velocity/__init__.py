"""The view of velocity."""

from bowtie_projections.views.velocity.view import velocity

__all__ = ["velocity"]
