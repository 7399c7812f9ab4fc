"""The stage funnel: who entered each stage, and what became of them within a time."""

from bowtie_projections.views.funnel.view import funnel

__all__ = ["funnel"]
