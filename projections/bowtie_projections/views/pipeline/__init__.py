"""The pipeline: open opportunities, and what they may bring at their age."""

from bowtie_projections.views.pipeline.view import pipeline

__all__ = ["pipeline"]
