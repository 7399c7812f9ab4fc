"""Who brought whom: customers and value by referral and by partner."""

from bowtie_projections.views.referrals.partners import partners
from bowtie_projections.views.referrals.view import referrals

__all__ = ["partners", "referrals"]
