"""Recurring revenue in SQL as a person would write it for DuckDB: by customer and month.

What stands between the two parts are the spans of days over which each contract cost the same.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MOVED", "moved"]

MOVED = (
    "WITH {cut},",
    """
begun AS (SELECT min(from_on) AS first FROM paying),
month AS (SELECT unnest(generate_series(date_trunc('month', first), as_of, INTERVAL 1 MONTH))::DATE
    AS m FROM begun, cut),
ending AS (SELECT m, least((m + INTERVAL 1 MONTH)::DATE - 1, as_of::DATE) AS day FROM month, cut),
level AS (SELECT customer, m, sum(annual) AS arr
  FROM paying JOIN ending ON from_on <= day AND to_on >= day GROUP BY ALL),
first AS (SELECT customer, date_trunc('month', min(from_on))::DATE AS first FROM paying, cut
  WHERE from_on <= as_of::DATE GROUP BY customer),
pair AS (SELECT coalesce(a.customer, b.customer) AS customer,
    coalesce(b.m, (a.m + INTERVAL 1 MONTH)::DATE) AS m,
    coalesce(a.arr, 0) AS before, coalesce(b.arr, 0) AS arr
  FROM level a FULL JOIN level b
    ON a.customer = b.customer AND b.m = (a.m + INTERVAL 1 MONTH)::DATE),
year AS (SELECT b.m, sum(least(a.arr, b.arr)) AS kept, sum(b.arr) AS still
  FROM level a JOIN level b ON a.customer = b.customer AND b.m = (a.m + INTERVAL 12 MONTH)::DATE
  GROUP BY ALL),
moved AS (SELECT m, sum(before) AS start,
    sum(arr) FILTER (before = 0 AND m = first) AS new,
    sum(arr - before) FILTER (before > 0 AND arr > before) AS expansion,
    sum(arr - before) FILTER (arr > 0 AND arr < before) AS contraction,
    sum(-before) FILTER (arr = 0) AS churned,
    sum(arr) FILTER (before = 0 AND m > first) AS reactivated,
    sum(arr) AS ended,
    count(*) FILTER (before > 0) AS customers_start,
    count(*) FILTER (before = 0 AND m = first) AS customers_new,
    count(*) FILTER (arr = 0) AS customers_lost, count(*) FILTER (arr > 0) AS customers_end
  FROM pair JOIN first USING (customer), cut WHERE m <= as_of::DATE GROUP BY m)
SELECT strftime(m, '%Y-%m'), start, coalesce(new, 0), coalesce(expansion, 0),
  coalesce(contraction, 0), coalesce(churned, 0), coalesce(reactivated, 0), ended,
  customers_start, customers_new, customers_lost, customers_end, kept, still
FROM moved LEFT JOIN year USING (m) ORDER BY m""",
)
_FIGURES = (
    "period", "start", "new", "expansion", "contraction", "churned", "reactivated", "end",
    "customers_start", "customers_new", "customers_lost", "customers_end",
)  # fmt: skip


def moved(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The figures of the view, as they are by hand."""
    return [tuple(row[name] for name in _FIGURES) for row in rows]
