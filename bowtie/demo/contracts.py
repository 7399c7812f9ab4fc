"""What happens to a contract: signed, invoiced, changed, renewed, ended."""

from __future__ import annotations

from bowtie.demo import facts
from bowtie.demo.accounts import Account, pick
from bowtie.demo.clock import DAY, HOUR, MINUTE
from bowtie.demo.ledger import Ledger

__all__ = ["add_on", "cancel", "change", "end", "invoice", "renew", "sign"]

YEAR = 365 * DAY

_SIGNED_BEFORE_WRITTEN_DOWN = 0.003
_REASONS = (
    ("price", "Budget was cut by a third."),
    ("no_impact", "We never got the planners to use it."),
    ("competitor", "The group decided on another vendor."),
    ("site_closed", "The plant closes at the end of the year."),
)


def sign(ledger: Ledger, account: Account, at: int, opportunity: str | None) -> bool:
    """Sign a paid contract; whether it is in the log."""
    account.contract = account.next_contract()
    account.starts = at - at % DAY + int(ledger.random() * 15) * DAY
    data = _terms(ledger, account, opportunity)
    if ledger.random() < _SIGNED_BEFORE_WRITTEN_DOWN:
        return _sign_on_paper(ledger, account, at, data)
    return ledger.crm(account, "contract_signed", at, data)


def _terms(ledger: Ledger, account: Account, opportunity: str | None) -> str:
    day = ledger.clock.day
    won = f',"opportunity":"{opportunity}"' if opportunity else ""
    return facts.contract_signed(
        account.contract,
        "paid",
        f'"offering":"planner","motion":"{account.motion}"{won}',
        cents=account.in_contract(account.year_cents),
        list_cents=account.in_contract(account.list_cents),
        per=account.per,
        starts_on=day(account.starts),
        ends_on=None if account.monthly else day(account.starts + YEAR - DAY),
        seats=account.seats,
    )


def _sign_on_paper(ledger: Ledger, account: Account, at: int, data: str) -> bool:
    """Seats are added before anybody typed the signature in: out of sequence in the log."""
    known = at + (16 + int(ledger.random() * 8)) * DAY
    if not ledger.write(account, "crm", "contract_signed", data, at=at, known=known):
        return False
    change(ledger, account, at + 5 * DAY, account.seats + 1)
    ledger.tally.out_of_sequence += 1
    return True


def change(ledger: Ledger, account: Account, at: int, seats: int) -> None:
    """Another number of seats at the same discount."""
    account.seats = seats
    data = facts.contract_changed(
        account.contract,
        cents=account.in_contract(account.year_cents),
        per=account.per,
        effective_on=ledger.clock.day(at + DAY),
        list_cents=account.in_contract(account.list_cents),
    )
    ledger.crm(account, "contract_changed", at, data)


def renew(ledger: Ledger, account: Account, at: int) -> None:
    """Another year, mostly a little dearer."""
    account.discount = max(0, account.discount - int(ledger.random() * 5))
    starts = account.starts + (account.quarter // 4 + 1) * YEAR
    day = ledger.clock.day
    data = facts.contract_renewed(
        account.contract,
        account.in_contract(account.year_cents),
        account.per,
        day(starts),
        day(starts + YEAR - DAY),
    )
    ledger.crm(account, "contract_renewed", at, data)


def cancel(ledger: Ledger, account: Account, at: int, last_day: int) -> None:
    """The customer says that it leaves."""
    code, reason = pick(_REASONS, ledger.random)
    effective_on = ledger.clock.day(last_day)
    data = facts.cancellation_requested(account.contract, effective_on, code, reason)
    ledger.crm(account, "cancellation_requested", at, data)
    if ledger.random() < 0.5:
        risk = facts.risk_signalled("intention_to_leave", reason)
        ledger.crm(account, "risk_signalled", at - 10 * DAY, risk)
    end(ledger, account, last_day, code)


def end(ledger: Ledger, account: Account, last_day: int, code: str) -> None:
    """The last day of service is over."""
    data = facts.contract_ended(account.contract, ledger.clock.day(last_day), code)
    ledger.crm(account, "contract_ended", last_day + 18 * HOUR, data)


def add_on(ledger: Ledger, account: Account, at: int, ends: int) -> None:
    """A further contract for another product, through the year of the first one."""
    day = ledger.clock.day
    price = account.year_cents // 8
    starts = at - at % DAY + DAY
    data = facts.contract_signed(
        account.next_contract(),
        "paid",
        f'"offering":"spare_parts","motion":"{account.motion}"',
        cents=price,
        list_cents=price,
        per="year",
        starts_on=day(starts),
        ends_on=day(max(starts, ends)),
        seats=1,
    )
    ledger.crm(account, "contract_signed", at, data)


def invoice(ledger: Ledger, account: Account, at: int, cents: int, until: int) -> None:
    """An invoice line and its payment; a few payments fail at first."""
    random, day = ledger.random, ledger.clock.day
    number = f"inv-{account.number}-{account.events}"
    due = at + 30 * DAY
    data = facts.invoiced(
        number,
        account.contract,
        cents,
        due_on=day(due),
        service_from=day(at),
        service_to=day(until),
    )
    ledger.nightly("billing", account, "invoiced", at + 9 * HOUR, data)
    gross = cents + cents * 19 // 100
    paid_at = at + int((10 + random() * 25) * DAY)
    attempt = 1
    if random() < 0.04:
        failed = facts.amount_on_invoice(number, gross, attempt)
        ledger.nightly("billing", account, "payment_failed", paid_at - 5 * DAY + MINUTE, failed)
        attempt = 2
    paid = facts.amount_on_invoice(number, gross, attempt)
    ledger.nightly("billing", account, "paid", paid_at, paid)
