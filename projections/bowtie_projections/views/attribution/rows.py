"""The rows of an answer: credits beside what their sources cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from bowtie.wording import are, counted
from bowtie_projections.value import money
from bowtie_projections.views.attribution.credits import Credit, Credits, apportioned
from bowtie_projections.views.labels import apart
from bowtie_projections.views.loop.sources import NO_SOURCE, Ledger, money_of, unusable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "Spend", "attribution_table", "model_rows"]

#: After the source and the model.
COLUMNS = (
    "wins", "share_of_wins", "mature", "value", "share_of_value", "high", "spend", "cost_per_win",
    "cost_per_high", "value_to_cost", "payback_months", "reason",
)  # fmt: skip
_MONEY = {"value", "spend", "cost_per_win", "cost_per_high"}
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Spend:
    """What each source cost.

    Args:
        ledgers: by source.
        days: over which the value they are set against is counted.
        currency: that of the value they are set against.
    """

    ledgers: Mapping[str, Ledger]
    days: int
    currency: str | None


def model_rows(
    model: str, credits: Credits, alone: Credits, spend: Spend | None
) -> list[dict[str, Any]]:
    """A row for each source under one model, the one with the most credit first.

    Args:
        model: its name.
        credits: by source and month.
        alone: the commitments that no source can be credited with.
        spend: what each source cost; None where spend is not kept by such sources.
    """
    found: Credits = {apart(name, (NO_SOURCE,)): months for name, months in credits.items()}
    found |= alone
    ledgers = {} if spend is None else spend.ledgers
    booked = {apart(name, (NO_SOURCE,)): ledger for name, ledger in ledgers.items()}
    sums = {source: _sum(months.values()) for source, months in found.items()}
    for source in booked:
        sums.setdefault(source, Credit())
    whole = _sum(sums.values())
    order = sorted(sums, key=lambda source: (source == NO_SOURCE, -sums[source].wins, source))
    total = money(money_of(whole.worth)).quantize(_CENT)
    values = apportioned(total, [sums[source].worth for source in order], _CENT)
    rows = []
    for source, value in zip(order, values, strict=True):
        credit = sums[source]
        row: dict[str, Any] = {"source": source, "model": model} | dict.fromkeys(COLUMNS)
        row |= {
            "wins": float(credit.wins),
            "share_of_wins": float(credit.wins / whole.wins) if whole.wins else None,
            "mature": float(credit.mature),
            "value": value,
            "share_of_value": float(credit.worth / whole.worth) if whole.worth else None,
            "high": float(credit.high),
        }
        if spend is None:
            row["reason"] = "spend is on record by channel and campaign only"
        else:
            row |= _costs(source, found.get(source, {}), booked.get(source), spend)
        rows.append(row)
    return rows


def _costs(
    source: str, months: Mapping[int, Credit], ledger: Ledger | None, spend: Spend
) -> dict[str, Any]:
    """What a source cost, against its credit in the same months."""
    if source == NO_SOURCE:
        return {"reason": "these commitments had no such touch in the window"}
    reason = unusable(source, ledger, spend.currency)
    if ledger is None or reason is not None:
        return {"reason": reason}
    inside = _sum(credit for month, credit in months.items() if month in ledger.months)
    spent, mature = sum(ledger.months.values()), sum(ledger.mature.values())
    per_win = Fraction(spent) / inside.wins if inside.wins else None
    found: dict[str, Any] = {
        "spend": money_of(Fraction(spent)),
        "cost_per_win": None if per_win is None else money_of(per_win),
        "cost_per_high": money_of(Fraction(mature) / inside.high) if inside.high else None,
        "value_to_cost": float(inside.worth / 365 / mature) if mature else None,
        "reason": _left_out(months, ledger, inside),
    }
    if per_win is not None and inside.mature and inside.worth > 0:
        # a twelfth of a year at what the mature were worth a day
        a_month = inside.worth / 365 / inside.mature / spend.days * Fraction(365, 12)
        found["payback_months"] = float(per_win / a_month)
    return found


def _left_out(months: Mapping[int, Credit], ledger: Ledger, inside: Credit) -> str | None:
    missing = [month for month in months if month not in ledger.months]
    if missing:
        number = len(missing)
        return (
            f"credit in {counted(number, 'month')} without spend on record {are(number)} not in"
            " the costs"
        )
    if not inside.wins:
        return "spend is on record, but no credit falls on it in those months"
    return None


def _sum(credits: Any) -> Credit:
    total = Credit()
    for credit in credits:
        total = total.plus(credit)
    return total


def attribution_table(rows: Sequence[Mapping[str, Any]], by: str) -> pa.Table:
    """The rows as Arrow, the source under the name of what it is."""
    import pyarrow as pa

    def kind(name: str) -> pa.DataType:
        if name in _MONEY:
            return pa.decimal128(38, 6)
        return pa.string() if name in {"source", "model", "reason"} else pa.float64()

    schema = pa.schema([(name, kind(name)) for name in ("source", "model", *COLUMNS)])
    table = pa.Table.from_pylist([dict(row) for row in rows], schema)
    return table.rename_columns([by, "model", *COLUMNS])
