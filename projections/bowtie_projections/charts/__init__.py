"""Charts of the views' answers, drawn by Altair, written without a network (extra ``charts``)."""

from bowtie_projections.charts.drawing import draw, written

__all__ = ["draw", "written"]
