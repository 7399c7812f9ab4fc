"""What customers were worth over a fixed time of their own, and which tier each is in."""

from bowtie_projections.views.value.view import value

__all__ = ["value"]
