"""A small web shop that keeps its customers' journeys with bowtie, in its own database."""
