"""Recurring revenue of the telco subscribers, against pandas: who left in one month, and by how much.

Tenure is taken for the months since a contract began, and who churned for gone on one day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pytest

from bowtie.events import ContractEnded, ContractSigned, Noted
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.revenue import revenue
from tests.read_tables import MemoryTables, Said

LAST = date(2023, 12, 31)


def test_revenue_of_the_telco_subscribers(shared_data):
    rows = pd.read_csv(shared_data / "telco" / "telco_churn.csv", dtype={"MonthlyCharges": str})
    rows = rows[rows["tenure"] > 0]
    facts: list[Said] = []
    columns = ("customerID", "tenure", "MonthlyCharges", "Churn", "Contract")
    for who, tenure, amount, churn, term in zip(*(rows[name] for name in columns), strict=True):
        years, month = divmod(2024 * 12 - tenure, 12)
        starts = date(years, month + 1, 1)
        contract = ContractSigned(
            contract="c", kind="paid", amount=amount, per="month", currency="USD",
            starts_on=starts, offering=term,
        )  # fmt: skip
        at = datetime(starts.year, starts.month, 1, tzinfo=UTC)
        facts.append(Said(who, contract, at, len(facts) + 1))
        if churn == "Yes":
            end = ContractEnded(contract="c", effective_on=LAST)
            facts.append(Said(who, end, datetime(2023, 12, 20, tzinfo=UTC), len(facts) + 1))
    facts.append(
        Said("z", Noted(name="x", properties={}), datetime(2024, 2, 1, tzinfo=UTC), len(facts) + 1)
    )
    tables = MemoryTables()
    tables.load(facts)

    answer = revenue(
        tables, Cut(len(facts)), load_definition("b2b"), by="offering", from_="2024-01",
        to="2024-01",
    )  # fmt: skip
    rows["amount"] = rows["MonthlyCharges"].map(Decimal)
    left = rows[rows["Churn"] == "Yes"]
    found = {row["offering"]: row for row in answer.rows()}
    assert set(found) == set(rows["Contract"])
    for term, row in found.items():
        own, gone = rows[rows["Contract"] == term], left[left["Contract"] == term]
        assert (row["start"], row["churned"]) == (own["amount"].sum(), -gone["amount"].sum())
        assert (row["customers_start"], row["customers_lost"]) == (len(own), len(gone))
        assert row["lost_share"] == len(gone) / len(own)
        assert row["grr"] == pytest.approx(float(1 - gone["amount"].sum() / own["amount"].sum()))
    assert sum(row["churned"] for row in found.values()) == Decimal("-139130.85")
    assert sum(row["customers_lost"] for row in found.values()) == 1_869
