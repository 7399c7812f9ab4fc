"""Target profiles: whom to look for, published as a decision that can be judged later.

A profile says which traits speak for a prospect and against it, with what was found; whom it is
never for; what a prospect's value is; from when through when prospects are assigned, and which
share of them is held out. It lies in the log, and stands for ever as it was published.

>>> profile = load_profile('''
... name = "lookalike"
... version = 1
... starts_on = 2026-01-01
... holdout = "0.2"
... [[traits]]
... trait = "multi_site"
... level = "true"
... lift = "2.7"
... [[traits]]
... trait = "channel"
... level = "directory"
... lift = "0.25"
... [[exclusions]]
... trait = "industry"
... level = "rail"
... ''')
>>> profile.score({"multi_site": "true"}), profile.fits({"multi_site": "true"})
(Decimal('0.993'), True)
>>> profile.fits({"multi_site": "true", "channel": "directory"})
False
>>> profile.fits({"multi_site": "true", "industry": "rail"}), profile.arm("acme")
(False, 'holdout')
"""

from bowtie.profiles.profile import MISSING, Exclusion, Profile, Wanted, arm_of, draw, weight_of
from bowtie.profiles.publishing import (
    Assigned,
    load_content,
    load_profile,
    profile_of,
    publish_profile,
    record_evaluated,
    record_targeted,
    targeted_lines,
)

__all__ = [
    "MISSING",
    "Assigned",
    "Exclusion",
    "Profile",
    "Wanted",
    "arm_of",
    "draw",
    "load_content",
    "load_profile",
    "profile_of",
    "publish_profile",
    "record_evaluated",
    "record_targeted",
    "targeted_lines",
    "weight_of",
]
