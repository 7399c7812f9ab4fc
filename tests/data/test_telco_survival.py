"""The Kaplan-Meier vector of the telco subscribers, as the data's own page gives it."""

from __future__ import annotations

import pandas as pd
from numpy.testing import assert_allclose

from bowtie_projections.survival import REACHED, WATCHED, Incidence, packed

MONTHS = [1, 6, 12, 24, 36, 48, 60, 72]
#: Still subscribed after so many months. Of the arithmetic only: tenure is no lifetime here.
LEFT = [0.945961, 0.884826, 0.843200, 0.788736, 0.748545, 0.708840, 0.664404, 0.592790]


def test_the_vector_of_the_telco_subscribers(shared_data):
    rows = pd.read_csv(shared_data / "telco" / "telco_churn.csv")
    left = (rows["Churn"] == "Yes").map({True: REACHED, False: WATCHED})
    assert (left == REACHED).sum() == 1_869

    found = Incidence(packed(rows["tenure"], left), competing=False).at(MONTHS)

    assert_allclose(1 - found.share, LEFT, atol=5e-7)
    assert (found.low < found.share).all()
    assert (found.share < found.high).all()
