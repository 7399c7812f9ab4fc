"""The analysts' page: many views' answers on one page that a browser opens without a network."""

from bowtie_projections.report.question import ReportAsked, check_report

__all__ = ["ReportAsked", "check_report"]
