"""The bottleneck: which conversion or wait, were it as good as it has been, adds most revenue."""

from bowtie_projections.views.bottleneck.view import bottleneck

__all__ = ["bottleneck"]
