"""Customer lifetime value ahead: what models expect of each customer over a horizon."""

from bowtie_projections.views.clv.view import clv

__all__ = ["clv"]
