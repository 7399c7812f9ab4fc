"""What stands behind figures that a model tells: customers by cell, and what it was told of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bowtie.errors import UsageError
from bowtie.events import ContractChanged, ContractSigned, Touched
from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.clv import clv
from bowtie_projections.views.cut import Cut
from tests.behind import behind
from tests.property.test_clv_laws import START, TODAY, contracts_of, orders_of
from tests.read_tables import FilledTables, Said

SHOP = load_definition("shop")
DAY = timedelta(days=1)
CHANNELS = ("web", "ads", None)


def touches(log: list[Said], after: int) -> list[Said]:
    """Before all else a touch of two in three, and one of everybody when all is over."""
    names = sorted({fact.customer for fact in log})
    found = []
    for place, name in enumerate(names):
        if (channel := CHANNELS[place % 3]) is not None:
            found.append(Said(name, touch(channel), START - DAY, after + 2 * place))
        found.append(Said(name, touch("late"), TODAY, after + 2 * place + 1))
    return found


def touch(channel: str) -> Touched:
    return Touched(channel=channel, direction="inbound")


@pytest.fixture(scope="module")
def shop(make_tables: Any) -> tuple[FilledTables, list[Said]]:
    """Customers who order, by three channels."""
    log, tables = orders_of(1), make_tables()
    tables.load([*log, *touches(log, len(log) + 1)], SHOP)
    return tables, log


def test_every_figure_of_orders_has_its_customers_and_their_orders(shop):
    tables, log = shop
    cut = Cut(tables.position, TODAY)
    asked: dict[str, Any] = {"horizon": "90d", "by": "channel", "cohort": "quarter"}
    rows = clv(tables, cut, SHOP, **asked).rows()
    whole = clv(tables, cut, SHOP, **asked | {"by": (), "cohort": "all"}).rows()[0]
    for name in ("customers", "purchases", "predicted_value"):
        assert sum(row[name] for row in rows) == whole[name]
    names = sorted({fact.customer for fact in log})
    channel = {name: CHANNELS[place % 3] for place, name in enumerate(names)}
    orders: dict[str, set[int]] = {}
    first: dict[str, datetime] = {}
    for fact in log:
        if fact.occurred_at <= TODAY and getattr(fact.data, "kind", "") == "order":
            orders.setdefault(fact.customer, set()).add(fact.position)
            first[fact.customer] = min(first.get(fact.customer, TODAY), fact.occurred_at)
    columns = [name for name in rows[0] if name not in {"channel", "cohort"}]
    for place, row in enumerate(rows):
        own = {
            name
            for name, since in first.items()
            if channel[name] == row["channel"]
            and row["cohort"] == f"{since.year}-Q{(since.month + 2) // 3}"
        }
        assert row["customers"] == len(own)
        if place % 4 == 0:
            named = behind(
                tables, cut, SHOP, "clv", row, columns[-1 - place % len(columns)], **asked
            )
            came = {"channel"} if row["channel"] else set()
            assert {name: roles["order"] for name, roles in named.items()} == {
                name: orders[name] for name in own
            }
            assert {role for roles in named.values() for role in roles} == {"order", *came}


@pytest.mark.slow
def test_each_customers_figures_are_their_own(shop):
    tables, _ = shop
    cut = Cut(tables.position, TODAY)
    rows = clv(tables, cut, SHOP, who=True, by="channel").rows()
    asked: dict[str, Any] = {"who": True, "by": "channel"}
    told = behind(tables, cut, SHOP, "clv", rows[5], "predicted_value", **asked)
    assert list(told) == [rows[5]["customer"]]
    found = explanation(
        tables, cut, SHOP, view="clv", cell={"customer": "c005"}, column="alive", who=True
    )
    assert "fitted to" in found.notes[-1]
    assert "what the model was told of each" in found.notes[-1]


def test_behind_contracts_stands_what_was_said_of_them(make_tables):
    log, tables = contracts_of(4), make_tables()
    signed = {fact.customer: fact for fact in log if isinstance(fact.data, ContractSigned)}
    one = next(iter(signed.values()))
    contract: Any = one.data
    raised = ContractChanged(contract=contract.contract, kind="price", amount="1", per="month")
    log.append(Said(one.customer, raised, one.occurred_at + DAY, len(log) + 1))
    trial = contract.model_copy(update={"kind": "trial", "contract": "try"})
    log.append(Said(one.customer, trial, one.occurred_at, len(log) + 1))
    tables.load([*log, *touches(log, len(log) + 1)], SHOP)
    cut = Cut(tables.position, TODAY)
    rows = clv(tables, cut, SHOP, by=["channel"], term="month").rows()
    assert {row["channel"] for row in rows} == set(CHANNELS)
    for row, column in zip(rows, ("customers", "predicted_value", "alive"), strict=True):
        told = behind(tables, cut, SHOP, "clv", row, column, by=["channel"], term="month")
        for name, roles in told.items():
            assert roles["contract"] == {
                fact.position
                for fact in log
                if fact.customer == name and getattr(fact.data, "contract", "") != "try"
            }


def test_what_all_teach_together_says_what_to_explain_instead(shop):
    tables, _ = shop
    asked = (tables, Cut(tables.position, TODAY), SHOP)
    with pytest.raises(UsageError, match="learnt from all customers together: explain the cust"):
        explanation(*asked, view="clv", part="models", cell={"parameter": "r"}, column="fitted")
    with pytest.raises(UsageError, match="is of contracts, and these are orders"):
        clv(*asked, by=["motion"])
    assert clv(tables, Cut(0), SHOP, by=["channel"], who=True).columns[:2] == [
        "customer",
        "channel",
    ]
