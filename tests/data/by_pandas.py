"""Funnel and loop figures of one table, from their definitions alone and by pandas.

Nothing here is the project's own code: these figures are what the views are held against.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

STAGES = [
    "awareness", "education", "selection", "commitment", "onboarding", "utilization", "growth",
]  # fmt: skip
#: Under so many durations there are no percentiles of them.
FEWEST_DURATIONS = 20


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's interval of k of n, at 95%."""
    z, p = 1.959963984540054, k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def stage_figures(
    entry: pd.Series, following: pd.Series, window: pd.Timedelta, as_of: pd.Timestamp
) -> dict[str, Any]:
    """What became of those who entered a stage; `following` is when they entered the next one."""
    entry = entry.dropna()
    following = following.reindex(entry.index)
    over = entry + window <= as_of
    before = following < entry
    reached = before | (following <= entry + window)
    mature, in_time = int(over.sum()), int((over & reached).sum())
    waited = (following - entry)[over & reached & ~before].dt.total_seconds() / 86_400
    low, high = wilson(in_time, mature) if mature else (None, None)
    pending = int((~over & ~reached).sum())
    days = (
        np.quantile(waited, [0.5, 0.75, 0.9]).tolist()
        if len(waited) >= FEWEST_DURATIONS
        else [None] * 3
    )
    return {
        "entered": len(entry),
        "reached_next": int(reached.sum()),
        "out_of_order": int(before.sum()),
        "lost": None,
        "expired": int((over & ~reached).sum()),
        "reached_late": int((over & ~reached & following.notna()).sum()),
        "pending": pending,
        "mature": mature,
        "conversion": in_time / mature if mature else None,
        "conversion_low": low,
        "conversion_high": high,
        "conversion_so_far": int(reached.sum()) / len(entry) if pending else None,
        **dict(zip(("days_p50", "days_p75", "days_p90"), days, strict=True)),
    }


def level_figures(level: pd.Series, high: pd.Series) -> dict[str, dict[str, Any]]:
    """For each level: how many there are, how many of them are high, and the lift of it."""
    found = {}
    for name in level.unique():
        inside = level == name
        n, k = int(inside.sum()), int(high[inside].sum())
        rate, elsewhere, share = k / n, high[~inside].mean(), n / len(level)
        ratio = rate / elsewhere
        low, top = wilson(k, n)
        found[name] = {
            "customers": n,
            "high": k,
            "high_rate": rate,
            "high_rate_low": low,
            "high_rate_high": top,
            "risk_ratio": ratio,
            "lift": ratio / (share * ratio + 1 - share),
            "share_of_customers": share,
            "share_of_high": k / int(high.sum()),
        }
    return found


def stratified_p(inside: pd.Series, high: pd.Series, cohort: pd.Series) -> float:
    """How likely so odd a number of the high inside is by chance, where cohorts are given.

    Exact and two-sided: in each cohort the number is hypergeometric, and of their sum all values
    count that are no likelier than the one seen.
    """
    chances, seen = np.ones(1), int(high[inside].sum())
    for _, mine in high.groupby(cohort):
        n, k = int(inside[mine.index].sum()), int(mine.sum())
        here = hypergeom.pmf(np.arange(min(n, k) + 1), len(mine), k, n)
        chances = np.convolve(chances, here)
    return float(chances[chances <= chances[seen] * (1 + 1e-7)].sum())


def assert_row(row: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """The row says what is expected: counts exactly, all else to 1e-9."""
    said = {name: row[name] for name in expected}
    close = {
        name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
        for name, value in expected.items()
    }
    assert said == close, {key: row[key] for key in row if key not in expected}


def repeat_figures(
    bought: pd.DataFrame, within: pd.Timedelta, as_of: pd.Timestamp
) -> dict[str, Any]:
    """Who bought a second time; `bought` has a `customer` and `at` for each purchase."""
    days = bought.sort_values("at").groupby("customer")["at"]
    first, second = days.nth(0), days.nth(1)
    frame = pd.DataFrame({"first": first.to_numpy()}, index=bought.customer[first.index])
    frame["second"] = pd.Series(second.to_numpy(), index=bought.customer[second.index])
    mature = frame[frame["first"] + within <= as_of]
    waited = (mature["second"] - mature["first"]).dropna()
    waited = waited[waited <= within].dt.total_seconds() / 86_400
    n, k = len(mature), len(waited)
    low, high = wilson(k, n) if n else (None, None)
    names = ("days_p25", "days_p50", "days_p75", "days_p90")
    told = k >= FEWEST_DURATIONS
    days_told = np.quantile(waited, [0.25, 0.5, 0.75, 0.9]).tolist() if told else [None] * 4
    return {
        "customers": len(frame),
        "mature": n,
        "repeated": k if n else None,
        "repeat_rate": k / n if n else None,
        "repeat_rate_low": low,
        "repeat_rate_high": high,
        **dict(zip(names, days_told, strict=True)),
    }
