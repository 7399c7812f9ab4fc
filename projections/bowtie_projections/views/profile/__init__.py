"""Views of target profiles: whom they are to assign, what may be expected, and what they did."""

from bowtie_projections.views.profile.evaluation import profile_evaluation
from bowtie_projections.views.profile.history import profile_history
from bowtie_projections.views.profile.outlook import profile_outlook
from bowtie_projections.views.profile.prospects import profile_prospects

__all__ = ["profile_evaluation", "profile_history", "profile_outlook", "profile_prospects"]
