"""What an amount of a later day is worth at time zero: the factors of discounting, as a relation.

An amount that comes ``k`` days after time zero counts for ``(1 + rate) ** (-k / 365)`` of itself:
its present value at a rate by the year, compounded by the day (R. A. Brealey, S. C. Myers,
F. Allen, *Principles of Corporate Finance*, ch. 2; of customers S. Gupta et al., *Modeling Customer
Lifetime Value*, Journal of Service Research 9, 2006). Databases differ in the last digit of a
power, so the factors are reckoned here, to 12 decimals, and stand in the statement.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import accumulate

import sqlalchemy as sa

__all__ = ["FINE", "factor", "factors"]

#: The type of discounted money, until it is rounded: 6 decimals of money and 12 of a factor.
FINE = sa.Numeric(38, 18)
_PLACES = Decimal("0.000000000001")
_FACTOR = sa.Numeric(20, 12)


def factor(rate: Decimal, days: int) -> Decimal:
    """The part of itself that an amount counts for, so many days after time zero.

    >>> factor(Decimal("0.1"), 0), factor(Decimal("0.1"), 365), factor(Decimal("0.1"), 730)
    (Decimal('1.000000000000'), Decimal('0.909090909091'), Decimal('0.826446280992'))
    """
    with localcontext(prec=40):
        return ((1 + rate) ** (Decimal(-days) / 365)).quantize(_PLACES)


@lru_cache(maxsize=8)
def factors(rate: Decimal, days: int) -> sa.CTE:
    """A relation of the days from time zero on, one more than the last that can be asked for.

    Args:
        rate: by the year.
        days: whole days of the horizon.

    Returns:
        The columns ``day``, from 0; ``factor``, what an amount of that day counts for; and
        ``before``, the sum of the factors of all days before it.
    """
    # a horizon of so many times 24 hours can reach one day further on the calendar, and one more
    # where clocks are put forward
    found = [factor(rate, day) for day in range(days + 2)]
    sums = accumulate(found[:-1], initial=Decimal(0))
    rows = sa.values(
        sa.column("day", sa.Integer()), sa.column("factor", _FACTOR), sa.column("before", _FACTOR),
        name="day_factors", literal_binds=True,
    ).data(list(zip(range(days + 2), found, sums, strict=True)))  # fmt: skip
    c = rows.c
    return (
        sa.select(
            c.day,
            sa.cast(c.factor, _FACTOR).label("factor"),
            sa.cast(c.before, _FACTOR).label("before"),
        )
        .cte("factors")
        .prefix_with("MATERIALIZED")
    )
