"""The rules of sequence of a contract: signed first, one currency, no end before the start.

They look at fields by name, so they take a catalogue event or anything that has its fields.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple, Self

from bowtie.errors import RuleViolation

__all__ = ["SEQUENCED", "Signing", "broken_rule"]

_NEED_A_SIGNING = frozenset(
    {
        "contract_changed",
        "contract_renewed",
        "contract_ended",
        "cancellation_requested",
        "entitlement_set",
    }
)
_HAVE_A_CURRENCY = frozenset({"contract_signed", "invoiced"})
#: The types that a rule of sequence is about.
SEQUENCED = _NEED_A_SIGNING | _HAVE_A_CURRENCY


class Signing(NamedTuple):
    """What the rules need to know of a contract: its first signing."""

    signed_at: datetime
    currency: str
    starts_on: date

    @classmethod
    def of(cls, data: Any, occurred_at: datetime) -> Self:
        """The signing that a ``contract_signed`` states."""
        return cls(occurred_at, data.currency, data.starts_on)


def broken_rule(
    type_name: str, data: Any, signing: Signing | None, occurred_at: datetime
) -> RuleViolation | None:
    """The rule that an event breaks, knowing the first signing of its contract, if there is one."""
    if type_name in _HAVE_A_CURRENCY:
        return _other_currency(data, signing)
    if type_name not in _NEED_A_SIGNING:
        return None
    if signing is None:
        return RuleViolation(
            "not_signed", f"contract {data.contract} was never signed: record contract_signed first"
        )
    if signing.signed_at > occurred_at:
        return RuleViolation(
            "not_signed_yet",
            f"contract {data.contract} was signed only at {signing.signed_at.isoformat()}",
        )
    return _ends_early(data, signing, occurred_at) if type_name == "contract_ended" else None


def _other_currency(data: Any, signing: Signing | None) -> RuleViolation | None:
    if data.contract is None or signing is None or signing.currency == data.currency:
        return None
    return RuleViolation(
        "other_currency",
        f"contract {data.contract} is in {signing.currency}, not in {data.currency}:"
        " sign a contract of its own for another currency",
    )


def _ends_early(data: Any, signing: Signing, occurred_at: datetime) -> RuleViolation | None:
    last = data.effective_on or occurred_at.date()
    if last >= signing.starts_on:
        return None
    return RuleViolation(
        "end_before_start",
        f"contract {data.contract} starts on {signing.starts_on}, it can't end on {last}",
    )
