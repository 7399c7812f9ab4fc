"""Numbers as the closed loop's sentences write them; its tables keep them exact."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["amount", "percent"]

_SHOWN = Decimal("0.01")


def amount(value: Decimal, currency: str | None = None) -> str:
    """Money with at most two decimals; what would round to nothing stays as it is.

    >>> amount(Decimal("15756.657534"), "EUR"), amount(Decimal("2000.000000"), "EUR")
    ('15,756.66 EUR', '2,000 EUR')
    >>> amount(Decimal("1200.5")), amount(Decimal("0.000400"))
    ('1,200.50', '0.0004')
    """
    if value == int(value):
        text = f"{int(value):,}"
    elif abs(value) < _SHOWN:
        text = format(value.normalize(), "f")
    else:
        text = f"{value:,.2f}"
    return f"{text} {currency}" if currency else text


def percent(share: Decimal | float) -> str:
    """A share that somebody chose, with the digits it was given.

    >>> percent(Decimal("0.2")), percent(0.125)
    ('20%', '12.5%')
    """
    return f"{float(share) * 100:.6g}%"
