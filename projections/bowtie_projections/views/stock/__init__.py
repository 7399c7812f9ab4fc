"""The stock: who stands in which stage, since when, and who is stuck there."""

from bowtie_projections.views.stock.places import LOST, NO_STAGE
from bowtie_projections.views.stock.view import stock

__all__ = ["LOST", "NO_STAGE", "stock"]
