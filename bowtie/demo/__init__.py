"""A realistic event log with known truths in it: what ``bowtie demo`` writes.

>>> truth = Demo(customers=100).truth()
>>> truth.real_trait, truth.cheap_channel
(Level(trait='multi_site', level='true'), Level(trait='channel', level='directory'))
"""

from bowtie.demo.generator import Demo
from bowtie.demo.truth import Level, Truth

__all__ = ["Demo", "Level", "Truth"]
