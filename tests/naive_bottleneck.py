"""The bottleneck read from journeys in plain Python: loops and sums, no arrays and no SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

STAGES = (
    "awareness", "education", "selection", "commitment", "onboarding", "utilization", "growth",
)  # fmt: skip
LEFT, RIGHT = STAGES[:3], STAGES[3:6]
WINDOWS = dict.fromkeys(LEFT, 90.0) | dict.fromkeys(RIGHT, 180.0)


@dataclass(frozen=True)
class Journey:
    """A customer: the day of each entry, and what was paid within the horizon, once it is over."""

    entries: dict[str, float]
    revenue: float | None = None


def quantile(values: Sequence[float], share: float) -> float:
    """Interpolated between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def shrunk(groups: Sequence[tuple[int, int]]) -> list[float]:
    """The rates of (high, members), by the formula of the docs."""
    total = sum(n for _, n in groups)
    p = sum(k for k, _ in groups) / total
    if not 0 < p < 1:
        return [p for _ in groups]
    x2 = sum((k - n * p) ** 2 / (n * p * (1 - p)) for k, n in groups)
    freedom = len(groups) - 1
    room = total - sum(n * n for _, n in groups) / total - freedom
    rho = min(max((x2 - freedom) / room, 0), 1) if room > 0 else 0
    if rho == 0:
        return [p for _ in groups]
    m = (1 - rho) / rho
    return [(k + m * p) / (n + m) for k, n in groups]


@dataclass(frozen=True)
class Stage:
    """One stage of one cohort: of each mature member the wait (None: not yet) and the revenue."""

    members: list[tuple[float | None, float | None]]
    window: float

    @property
    def reached(self) -> list[bool]:
        return [wait is not None and wait <= self.window for wait, _ in self.members]


def stages_of(cohorts: Sequence[Sequence[Journey]], stage: str, now: float) -> list[Stage]:
    """The mature members of a stage in each cohort, by whom entered the stage then."""
    window = WINDOWS[stage]
    following = STAGES[STAGES.index(stage) + 1]
    found = []
    for cohort in cohorts:
        members = []
        for journey in cohort:
            at, then = journey.entries.get(stage), journey.entries.get(following)
            if at is None or at + window > now:
                continue
            members.append((None if then is None else then - at, journey.revenue))
        found.append(Stage(members, window))
    return found


def rate(stage: list[Stage]) -> float:
    return sum(sum(one.reached) for one in stage) / sum(len(one.members) for one in stage)


def mean_revenue(stage: list[Stage], *, reached: bool | None = None) -> float | None:
    paid = [
        revenue
        for one in stage
        for hit, (_, revenue) in zip(one.reached, one.members, strict=True)
        if revenue is not None and (reached is None or hit == reached)
    ]
    return sum(paid) / len(paid) if len(paid) >= 20 else None


def worths(found: dict[str, list[Stage]]) -> dict[str, tuple[float | None, float | None]]:
    """What one more member of the next stage is worth: downstream rates as they are, and halved."""
    result: dict[str, tuple[float | None, float | None]] = {}
    lost = 0.0
    for stage in reversed(RIGHT):
        on, off = (mean_revenue(found[stage], reached=hit) for hit in (True, False))
        if on is None or off is None:
            result[stage] = (None, None)
            lost = 0.0
            continue
        result[stage] = (on - off, on - off - lost)
        lost = rate(found[stage]) / 2 * (on - off + lost)
    customer = mean_revenue(found["commitment"])
    assert customer is not None
    whole, half = customer, customer - lost
    result["selection"] = (whole, half)
    for stage, following in (("education", "selection"), ("awareness", "education")):
        whole, half = whole * rate(found[following]), half * rate(found[following]) / 2
        result[stage] = (whole, half)
    return result


def conversion_lever(found: dict[str, list[Stage]], stage: str) -> dict[str, float | None]:
    """The row of a conversion, benchmarks from the cohorts of a hundred."""
    cohorts = found[stage]
    now = rate(cohorts)
    large = [(sum(one.reached), len(one.members)) for one in cohorts if len(one.members) >= 100]
    goal = quantile(shrunk(large), 0.75)
    more = sum(len(one.members) for one in cohorts) * max(goal - now, 0)
    whole, half = worths(found)[stage]
    return {
        "conversion": now,
        "conversion_benchmark": goal,
        "conversion_headroom": goal - now,
        "added_next": more,
        "added_revenue": None if whole is None else more * whole,
        "added_revenue_half": None if half is None else more * half,
    }


def median_wait(stages: list[Stage]) -> float:
    """Of those who came in time and order."""
    return median(
        wait
        for one in stages
        for wait, _ in one.members
        if wait is not None and 0 <= wait <= one.window
    )
