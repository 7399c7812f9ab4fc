"""Stock, touchpoints, pipeline and paths in SQL as a person would write it for DuckDB.

The person knows the demo's business: nobody linked, one currency, an opportunity named by what
comes before its close, and asks for no more than the tables of the answer.
"""

from __future__ import annotations

from typing import Any

from asking import STAGES, Asked, counting, cut_of

_PASSES = """
WITH {cut}, j AS (SELECT *, CASE WHEN lost_seen_at <= as_of THEN lost_at END AS lost
  FROM journeys, cut)"""

_STOCK = (
    _PASSES
    + """,
stay AS (SELECT as_of, lost, unnest([{names}]) AS stage, unnest([{times}]) AS since,
    unnest([{laters}]) AS moved_at, unnest([{days}]) AS longest FROM j),
pass AS (SELECT stage, epoch_us(moved_at) - epoch_us(since) AS moved,
    epoch_us(coalesce(moved_at, lost)) - epoch_us(since) AS ended, longest,
    epoch_us(as_of) - epoch_us(since) AS watched FROM stay
  WHERE since + to_days(longest) <= as_of AND (moved_at IS NULL OR moved_at >= since)),
judged AS (SELECT stage, count(*) AS mature,
    count(*) FILTER (moved <= longest * 86400000000) AS moved,
    count(*) FILTER (moved <= 30 * 86400000000) AS soon,
    quantile_cont(moved, .9) FILTER (moved <= longest * 86400000000) AS late
  FROM pass GROUP BY stage),
age AS (SELECT stage, CASE WHEN moved IS NOT NULL THEN ceil(ended / 86400e6) END AS day,
    least(ceil(ended / 86400e6) - 1, floor(watched / 86400e6) - 30) AS last, count(*) AS members
  FROM pass GROUP BY ALL),
ages AS (SELECT stage, count(*) AS ages, sum(members) AS members FROM age GROUP BY stage),
everybody AS (SELECT DISTINCT subject AS customer FROM events
  WHERE kind = 'customer' AND {counts}),
place AS (SELECT customer, CASE {furthest} END AS stage, coalesce({backward}) AS since
  FROM j WHERE lost IS NULL),
stood AS (SELECT CASE WHEN place.customer IS NOT NULL THEN stage
    WHEN journeys.customer IS NOT NULL THEN 'lost' ELSE 'no stage' END AS stage,
    epoch_us(as_of) - epoch_us(since) AS micros
  FROM everybody LEFT JOIN place USING (customer)
    LEFT JOIN (SELECT DISTINCT customer FROM journeys) AS journeys USING (customer), cut)
SELECT stage, count(*), any_value(mature), any_value(judged.moved), any_value(soon),
  any_value(late), any_value(ages), quantile_cont(micros, [.5, .75, .9]),
  count(*) FILTER (micros > late)
FROM stood LEFT JOIN judged USING (stage) LEFT JOIN ages USING (stage) GROUP BY stage ORDER BY 1"""
)

_TOUCHPOINTS = (
    _PASSES
    + """,
placed AS (SELECT t.customer, touchpoint, direction, cost, currency, CASE
    WHEN j.customer IS NULL THEN 'no stage' WHEN lost <= t.occurred_at THEN 'lost'
    {at_touch} ELSE 'no stage' END AS stage
  FROM touched t ASOF LEFT JOIN j
    ON j.customer = t.customer AND j.opened_at <= t.occurred_at WHERE {counts})
SELECT coalesce(touchpoint, ''), stage, count(*), count(*) FILTER (direction = 'inbound'),
  count(DISTINCT customer), count(*) FILTER (cost IS NULL), sum(cost), max(currency)
FROM placed GROUP BY ALL ORDER BY 1, 2"""
)

_PIPELINE = (
    _PASSES
    + """,
naming AS (
  SELECT customer, (properties->>'/opportunity') AS opportunity, occurred_at, 'noted' AS event
  FROM noted WHERE {counts} AND (properties->>'/opportunity') <> ''
  UNION ALL SELECT customer, opportunity, occurred_at, 'valued' FROM opportunity_valued
  WHERE {counts}
  UNION ALL SELECT customer, opportunity, occurred_at, 'won' FROM contract_signed
  WHERE {counts} AND opportunity IS NOT NULL
  UNION ALL SELECT customer, opportunity, occurred_at, 'lost' FROM disqualified
  WHERE {counts} AND opportunity IS NOT NULL),
alone AS (SELECT customer, occurred_at AS gone_at FROM disqualified
  WHERE {counts} AND opportunity IS NULL),
named AS (SELECT customer, opportunity, min(occurred_at) AS opened_at,
    min(occurred_at) FILTER (event = 'won') AS won_at,
    min(occurred_at) FILTER (event = 'lost') AS lost_at FROM naming GROUP BY ALL),
closing AS (SELECT named.*, min(gone_at) AS all_at FROM named LEFT JOIN alone
    ON alone.customer = named.customer AND gone_at >= opened_at GROUP BY ALL),
deal AS (SELECT *, least(won_at, lost_at, all_at) AS closed_at FROM closing),
aged AS (SELECT *, epoch_us(coalesce(closed_at, as_of)) - epoch_us(opened_at) AS age
  FROM deal, cut),
event AS (SELECT age, count(*) FILTER (won_at = closed_at) AS won,
    count(*) FILTER (closed_at IS NOT NULL) AS closed, count(*) AS n FROM aged GROUP BY age),
risk AS (SELECT *, sum(n) OVER (ORDER BY age DESC) AS at_risk FROM event),
alive AS (SELECT *, exp(sum(CASE WHEN closed < at_risk THEN ln(1 - closed / at_risk)
    ELSE -50 END) OVER (ORDER BY age)) AS still FROM risk),
step AS (SELECT *, coalesce(lag(still) OVER (ORDER BY age), 1) * won / at_risk AS gain FROM alive),
share AS (SELECT age, still, sum(gain) OVER (ORDER BY age) AS won,
    sum(gain) OVER () AS most FROM step),
last AS (SELECT customer, opportunity, arg_max(amount, (occurred_at, position)) AS amount,
    arg_max(currency, (occurred_at, position)) AS currency,
    arg_max(close_on, (occurred_at, position)) AS close_on
  FROM opportunity_valued WHERE {counts} GROUP BY ALL),
place AS (SELECT customer, CASE WHEN lost IS NOT NULL THEN 'lost' {walked} END AS stage
  FROM j QUALIFY cycle = max(cycle) OVER (PARTITION BY customer))
SELECT stage, coalesce(currency, ''), count(*), coalesce(sum(amount), 0),
  sum(amount * (most - won) / still),
  count(*) FILTER (close_on < as_of::DATE), quantile_cont(open.age, [.5, .75, .9])
FROM (SELECT * FROM aged WHERE closed_at IS NULL) AS open
  LEFT JOIN last USING (customer, opportunity) LEFT JOIN place USING (customer)
  ASOF LEFT JOIN share ON share.age <= open.age
GROUP BY ALL ORDER BY 1, 2"""
)

_PATHS = (
    _PASSES
    + """,
node AS (SELECT customer, lost, unnest([{names}]) AS stage, unnest([{times}]) AS moment,
    unnest(range(7)) AS tie FROM j WHERE cycle = 1),
walk AS (SELECT customer, lost, stage, moment, row_number() OVER passed AS place,
    lead(stage) OVER passed AS next, lead(moment) OVER passed AS next_at
  FROM node WHERE moment IS NOT NULL WINDOW passed AS (PARTITION BY customer ORDER BY moment, tie))
SELECT place, stage, coalesce(next, CASE WHEN lost IS NULL THEN '(open)' ELSE '(lost)' END),
  count(*), quantile_cont(epoch_us(next_at) - epoch_us(moment), .5)
FROM walk WHERE place < 4 GROUP BY ALL
UNION ALL SELECT NULL, stage, next, count(*),
  quantile_cont(epoch_us(next_at) - epoch_us(moment), .5)
FROM walk WHERE next IS NOT NULL GROUP BY ALL
UNION ALL SELECT NULL, path, lost, count(*), median(micros) FROM (
  SELECT string_agg(stage, ' ' ORDER BY place) AS path, any_value(lost)::VARCHAR AS lost,
    epoch_us(max(moment)) - epoch_us(min(moment)) AS micros
  FROM walk WHERE place <= 5 GROUP BY customer) GROUP BY ALL
ORDER BY 1 NULLS LAST, 2, 3"""
)


def _laters() -> str:
    """When a later stage than each was entered first."""
    return ", ".join(
        "least(" + ", ".join(f"{later}_at" for later in STAGES[number + 1 :]) + ")"
        for number in range(len(STAGES) - 1)
    )


def questions(position: int) -> list[Asked]:
    """What is asked of the demo's log."""
    backward = [*reversed(STAGES)]
    counts = counting(position)
    given = {
        "counts": counts,
        "cut": cut_of(counts),
        "names": ", ".join(f"'{stage}'" for stage in STAGES),
        "times": ", ".join(f"{stage}_at" for stage in STAGES),
        "laters": _laters(),
        "days": "90, 90, 90, 180, 180, 180",
        "backward": ", ".join(f"{stage}_at" for stage in backward),
        "furthest": " ".join(f"WHEN {one}_at IS NOT NULL THEN '{one}'" for one in backward),
        "at_touch": " ".join(f"WHEN {one}_at <= t.occurred_at THEN '{one}'" for one in backward),
    }
    given["walked"] = given["furthest"]
    return [
        Asked("stock", {}, _STOCK.format(**given), _by(["stage", "customers"])),
        Asked(
            "touchpoints",
            {},
            _TOUCHPOINTS.format(**given),
            _by(["touchpoint", "stage", "touches", "inbound", "customers"], _touched),
        ),
        Asked(
            "pipeline",
            {},
            _PIPELINE.format(**given),
            _by(["stage", "currency", "opportunities", "amount"]),
        ),
        Asked(
            "paths",
            {},
            _PATHS.format(**given),
            _by(["step", "source", "target", "customers"], lambda row: 0 < row["step"] < 4),
        ),
    ]


#: What stands by hand where a row has no value.
_EMPTY = {"currency": "", "touchpoint": "", "amount": 0}


def _touched(row: dict[str, Any]) -> bool:
    """Not a row of scores alone."""
    return bool(row["touches"])


def _by(names: list[str], only: Any = lambda _: True) -> Any:
    def figures(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        found = [tuple(row[one] or _EMPTY.get(one, row[one]) for one in names) for row in rows]
        return sorted(one for row, one in zip(rows, found, strict=True) if only(row))

    return figures
