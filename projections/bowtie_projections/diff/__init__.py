"""What one question's answers differ by, between two moments, positions or definitions."""

from bowtie_projections.diff.difference import difference
from bowtie_projections.diff.sides import Side, asked_on, check_asked, diffed_view, has_traits

__all__ = ["Side", "asked_on", "check_asked", "diffed_view", "difference", "has_traits"]
