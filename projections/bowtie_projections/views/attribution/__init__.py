"""Attribution: which touches are given the credit for what customers were worth."""

from bowtie_projections.views.attribution.view import attribution

__all__ = ["attribution"]
