"""The view of retention."""

from bowtie_projections.views.retention.view import retention

__all__ = ["retention"]
