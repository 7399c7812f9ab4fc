"""Flow, velocity, retention and repeat orders in SQL as a person would write it for DuckDB.

The person knows the demo's business: one signing a contract, renewals that say their days, nobody
linked, one currency. The answers are compared before the times mean anything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from asking import STAGES, Asked, counting, cut_of
from by_hand_revenue import MOVED, moved

_FLOW = """
WITH {cut}, j AS (SELECT *, CASE WHEN lost_seen_at <= as_of THEN lost_at END AS lost
  FROM journeys, cut WHERE cycle = 1),
entry AS (SELECT unnest([{names}]) AS stage, unnest([{times}]) AS moment FROM j),
entered AS (SELECT date_trunc('month', moment)::DATE AS period, stage, count(*) AS n
  FROM entry WHERE moment IS NOT NULL GROUP BY ALL),
lost AS (SELECT date_trunc('month', lost)::DATE AS period,
  CASE {furthest} END AS stage, count(*) AS n FROM j WHERE lost IS NOT NULL GROUP BY ALL)
SELECT strftime(e.period, '%Y-%m'), e.stage, e.n, coalesce(l.n, 0)
FROM entered e LEFT JOIN lost l USING (period, stage) ORDER BY ALL"""

_VELOCITY = """
WITH {cut}, step AS ({steps})
SELECT step, year(moment) || '-Q' || quarter(moment) AS cohort, count(*) AS entered,
  count(*) FILTER (moment + horizon <= as_of) AS mature,
  count(*) FILTER (moment + horizon <= as_of AND end_at <= moment + horizon) AS moved,
  quantile_cont(epoch_us(end_at) - epoch_us(moment), [.25, .5, .75, .9])
    FILTER (moment + horizon <= as_of AND end_at BETWEEN moment AND moment + horizon) AS days
FROM step, cut WHERE moment IS NOT NULL GROUP BY ALL ORDER BY ALL"""

#: The spans of days over which each contract cost the same.
_SPANS = """
line AS (
  SELECT customer, contract, position, occurred_at, starts_on AS from_on, ends_on, 1 AS term,
    auto_renews, amount * CASE per WHEN 'month' THEN 12 WHEN 'quarter' THEN 4 ELSE 1 END AS annual
  FROM contract_signed WHERE kind = 'paid' AND {counts}
  UNION ALL SELECT customer, contract, position, occurred_at, starts_on, ends_on, 1, NULL,
    amount * CASE per WHEN 'month' THEN 12 WHEN 'quarter' THEN 4 ELSE 1 END
  FROM contract_renewed WHERE {counts}
  UNION ALL SELECT customer, contract, position, occurred_at, effective_on, NULL, 0, NULL,
    amount * CASE per WHEN 'month' THEN 12 WHEN 'quarter' THEN 4 ELSE 1 END
  FROM contract_changed WHERE {counts}),
term AS (SELECT *, lead(from_on) OVER c AS next_on, sum(term) OVER c AS number,
    bool_or(auto_renews) OVER (PARTITION BY customer, contract) AS renews
  FROM line WINDOW c AS (PARTITION BY customer, contract ORDER BY from_on, occurred_at, position)),
closed AS (SELECT *, max(ends_on) OVER (PARTITION BY customer, contract, number) AS term_ends,
    max(number) OVER (PARTITION BY customer, contract) AS last FROM term),
ended AS (SELECT customer, contract, min(effective_on) AS last_on FROM contract_ended
  WHERE {counts} GROUP BY ALL),
span AS (SELECT customer, from_on, annual, coalesce(least(next_on - 1, last_on,
    CASE WHEN renews IS TRUE OR (number = last AND (last_on IS NOT NULL
      OR term_ends >= as_of::DATE - 30)) THEN NULL ELSE term_ends END), as_of::DATE) AS to_on
  FROM closed LEFT JOIN ended USING (customer, contract), cut WHERE number > 0),
paying AS (SELECT * FROM span WHERE annual > 0 AND to_on >= from_on),"""

_CONTRACTS = f"""
WITH {{cut}},
own AS (SELECT customer, commitment_at AS moment FROM journeys
  WHERE cycle = 1 AND commitment_at IS NOT NULL),
{_SPANS}
people AS (SELECT row_number() OVER () AS id, customer, any_value(moment) AS moment,
    min(from_on) AS day, arg_min(annual, from_on) AS base,
    least(datesub('month', min(from_on), any_value(as_of)::DATE), 24) AS last_age
  FROM own JOIN paying USING (customer), cut GROUP BY customer
  HAVING min(from_on) <= any_value(as_of)::DATE),
aged AS (SELECT id, sum(annual) AS annual, age FROM (
    SELECT id, annual, unnest(range(
      CASE WHEN from_on <= day THEN 0 ELSE {{before}} + 1 END,
      least({{through}}, last_age) + 1)) AS age
    FROM people JOIN paying USING (customer)) GROUP BY id, age)
SELECT year(moment) || '-Q' || quarter(moment) AS cohort, age, count(*) AS active,
  sum(annual) / 12 AS mrr,
  sum(least(annual, base)) / 12 AS kept
FROM people JOIN aged USING (id) GROUP BY ALL ORDER BY ALL"""

_USAGE = """
WITH {cut},
people AS (SELECT customer, commitment_at::DATE AS day, commitment_at AS moment,
    least({seen} - 1, 24) AS last_age
  FROM journeys, cut WHERE cycle = 1 AND commitment_at IS NOT NULL),
aged AS (SELECT DISTINCT customer, moment, {age} AS age, last_age
  FROM people JOIN usage_metered u USING (customer)
  WHERE {counts} AND u.occurred_at::DATE >= day)
SELECT year(moment) || '-Q' || quarter(moment) AS cohort, age, count(*) AS active
FROM aged WHERE age <= last_age GROUP BY ALL ORDER BY ALL"""

_REPEAT = """
WITH {cut},
begun AS (SELECT min(occurred_at) + INTERVAL 90 DAY AS since FROM events WHERE {counts}),
day AS (SELECT customer, occurred_at::DATE AS day, min(occurred_at) AS moment FROM order_placed
  WHERE kind IN ('order', 'exchange') AND {counts} GROUP BY ALL HAVING sum(amount) > 0),
buyer AS (SELECT customer, min(moment) AS first, min(moment, 2)[2] AS second
  FROM day GROUP BY customer),
new AS (SELECT buyer.* FROM buyer JOIN (SELECT subject AS customer, min(occurred_at) AS seen
  FROM events WHERE kind = 'customer' AND {counts} GROUP BY ALL) USING (customer), begun
  WHERE seen >= since)
SELECT year(first) || '-Q' || quarter(first) AS cohort, count(*) AS customers, {figures}
FROM new, cut GROUP BY ALL ORDER BY ALL"""


def _picked(*names: str, only: Callable[[dict[str, Any]], bool] = bool) -> Any:
    def pick(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return sorted(tuple(row[name] for name in names) for row in rows if only(row))

    return pick


def _steps() -> str:
    days = (90, 90, 90, 180, 180, 180)
    pairs = [*zip(STAGES, STAGES[1:], days, strict=False)]
    named = [(f"{a}_to_{b}", a, b, window) for a, b, window in pairs]
    named.append(("lead_to_commitment", "education", "commitment", 180))
    named.append(("commitment_to_first_impact", "commitment", "utilization", 360))
    return " UNION ALL ".join(
        f"SELECT '{name}' AS step, {a}_at AS moment, {b}_at AS end_at,"
        f" INTERVAL {window} DAY AS horizon FROM journeys WHERE cycle = 1"
        for name, a, b, window in named
    )


def _months(since: str, day: str) -> str:
    """Whole months as bowtie counts them: the month of a 31st is over on the 1st after next."""
    return (
        f"(year({day}) * 12 + month({day}) - year({since}) * 12 - month({since})"
        f" - (day({day}) < day({since}))::INT)"
    )


def _figures() -> str:
    return ", ".join(
        f"count(*) FILTER (first + INTERVAL {days} DAY <= as_of) AS mature_{days},"
        f" count(*) FILTER (first + INTERVAL {days} DAY <= as_of"
        f" AND second <= first + INTERVAL {days} DAY) AS repeated_{days},"
        " quantile_cont(epoch_us(second) - epoch_us(first), [.25, .5, .75, .9])"
        f" FILTER (first + INTERVAL {days} DAY <= as_of"
        f" AND second <= first + INTERVAL {days} DAY) AS waited_{days}"
        for days in (30, 60, 90, 180, 365)
    )


def questions(position: int) -> list[Asked]:
    """What is asked of the demo's log."""
    counts = counting(position)
    given = {"counts": counts, "cut": cut_of(counts)}
    furthest = " ".join(f"WHEN {stage}_at IS NOT NULL THEN '{stage}'" for stage in reversed(STAGES))
    names = ", ".join(f"'{stage}'" for stage in STAGES)
    times = ", ".join(f"{stage}_at" for stage in STAGES)
    ages = {
        "before": _months("day", "(from_on - 1)"),
        "through": _months("day", "to_on"),
    }
    contracts = _CONTRACTS.format(**given, **ages).replace(
        "datesub('month', min(from_on), any_value(as_of)::DATE)",
        _months("min(from_on)", "any_value(as_of)::DATE"),
    )
    usage = _USAGE.format(
        **given,
        seen=_months("commitment_at::DATE", "(as_of + INTERVAL 1 MICROSECOND)::DATE"),
        age=_months("day", "u.occurred_at::DATE"),
    )
    quarterly = {"cohort": "quarter"}
    return [
        Asked(
            "flow",
            {},
            _FLOW.format(**given, names=names, times=times, furthest=furthest),
            _picked("period", "stage", "entered", "lost", only=lambda row: row["entered"]),
        ),
        Asked(
            "velocity",
            {},
            _VELOCITY.format(**given, steps=_steps()),
            lambda rows: sorted(
                (row["step"], row["cohort"], row["entered"], row["mature"], row["moved"] or 0)
                for row in rows
            ),
        ),
        Asked("retention", quarterly, contracts, _picked("cohort", "age", "active", only=_was)),
        Asked(
            "retention",
            {**quarterly, "active": "usage"},
            usage,
            _picked("cohort", "age", "active", only=_was),
        ),
        Asked("revenue", {"per": "year"}, _SPANS.join(MOVED).format(**given), moved),
    ]


def _was(row: dict[str, Any]) -> bool:
    return bool(row["active"])


def repeat_question(position: int) -> Asked:
    """What is asked of a log of orders."""
    counts = counting(position)
    cut = cut_of(counts)
    return Asked(
        "repeat",
        {},
        _REPEAT.format(counts=counts, cut=cut, figures=_figures()),
        lambda rows: sorted({(row["cohort"], row["customers"]) for row in rows}),
    )


def orders(events: int) -> Iterator[str]:
    """The lines of a log of orders: five a customer, over three years."""
    draw = random.Random(7)
    start = datetime(2023, 1, 1, tzinfo=UTC)
    for number in range(events):
        at = start + timedelta(minutes=draw.randrange(3 * 365 * 24 * 60))
        customer = draw.randrange(max(1, events // 5))
        data = {"order": f"o{number}", "kind": "order", "amount": "12.50", "currency": "EUR"}
        yield json.dumps(
            {
                "specversion": "1.0",
                "id": str(number),
                "source": "shop",
                "type": "bowtie.order_placed",
                "subject": f"c{customer}",
                "time": f"{at:%Y-%m-%dT%H:%M:%S}Z",
                "data": data,
            }
        )
