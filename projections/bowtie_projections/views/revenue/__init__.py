"""The view of recurring revenue."""

from bowtie_projections.views.revenue.view import revenue

__all__ = ["revenue"]
