"""Paths: what customers pass through, in which order, and how long from one to the next."""

from bowtie_projections.views.paths.view import paths

__all__ = ["paths"]
