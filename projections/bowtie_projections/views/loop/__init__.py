"""The closed loop: which traits mark those who became valuable, and which sources bring them."""

from bowtie_projections.views.loop.view import loop

__all__ = ["loop"]
