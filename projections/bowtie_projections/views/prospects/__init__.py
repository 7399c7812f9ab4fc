"""The score of prospects: who of the open leads is likely to be won, and to be worth much."""

from bowtie_projections.views.prospects.scores import Scores, scores
from bowtie_projections.views.prospects.view import prospects

__all__ = ["Scores", "prospects", "scores"]
