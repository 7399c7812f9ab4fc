"""Segments: sets of customers told by what they are and did, as of a moment.

>>> from bowtie.segments import load_segment
>>> load_segment({"all": [{"traits": {"plan": "pro"}}]}).label
'plan is pro'
"""

from bowtie.segments.asked import segment_where
from bowtie.segments.loading import load_segment, publish_segment
from bowtie.segments.segment import Segment

__all__ = ["Segment", "load_segment", "publish_segment", "segment_where"]
