"""The right half of the bowtie: from the signature on, a quarter at a time, and back again."""

from __future__ import annotations

from functools import partial

from bowtie.demo import contracts, facts, market
from bowtie.demo.accounts import Account, pick, wait
from bowtie.demo.clock import DAY, HOUR
from bowtie.demo.ledger import Ledger
from bowtie.demo.luck import BIG_YEAR_CENTS
from bowtie.demo.touches import any_way, check_in, touch

__all__ = ["commit"]

QUARTER = 91 * DAY
#: The horizon of the loop: customers signed that long before the end are mature.
HORIZON = 365 * DAY

_LEAVES_A_MONTHLY_CONTRACT = 0.05  # a quarter
_LEAVES_AT_THE_END_OF_A_YEAR = 0.15
_LAPSES = 0.02
_IS_WON_BACK = 0.2
_COMMENTS = ("Quick help, thank you.", "Too many clicks.", None, None, "The planners like it.")


def commit(ledger: Ledger, account: Account, at: int, opportunity: str | None) -> None:
    """The knot: a paid contract. From here on the customer lives on in quarters."""
    if at >= ledger.clock.end:
        return
    ledger.luck.deal(account)
    if not contracts.sign(ledger, account, at, opportunity):
        return
    account.quarter = 0
    if not account.paying:
        account.paying = True
        ledger.tally.paying += 1
        ledger.tally.mature += at + HORIZON < ledger.clock.end
        _set_tier(ledger, account, at)
    _onboard(ledger, account)
    ledger.later(account.starts, partial(_quarter, ledger, account))


def _set_tier(ledger: Ledger, account: Account, at: int) -> None:
    """The leak: what the account team writes down long after the sale, looking at the sale."""
    random = ledger.random
    looks_big = account.year_cents >= BIG_YEAR_CENTS
    tier = "strategic" if looks_big != (random() < 0.06) else "standard"
    data = facts.traits_observed(f'"{market.LEAK_TRAIT}":"{tier}"')
    ledger.crm(account, "traits_observed", at + int((45 + random() * 75) * DAY), data)


def _onboard(ledger: Ledger, account: Account) -> None:
    random, starts = ledger.random, account.starts + 9 * HOUR
    if random() < 0.4:
        allowed = facts.entitlement_set(account.contract, account.seats)
        ledger.nightly("product", account, "entitlement_set", starts + 30 * DAY, allowed)
    kickoff = starts + int((1 + random() * 20) * DAY)
    if random() < 0.9:  # the others begin by themselves: usage shows it
        ledger.crm(account, "noted", kickoff, facts.noted("kickoff_held", '"format":"remote"'))
    if random() < 0.995:
        cost = facts.cost_incurred("onboard", "training_days", 40_000 + account.year_cents // 25)
        ledger.nightly("erp", account, "cost_incurred", kickoff, cost)
    account.onboarded = random() < 0.85
    if account.onboarded:
        ledger.nightly(
            "product", account, "onboarded", kickoff + wait(random, 10 * DAY, 30 * DAY), "{}"
        )


def _quarter(ledger: Ledger, account: Account) -> None:
    """A quarter of service, and whether another follows."""
    starts = account.quarter_starts
    last_day = _last_day(ledger, account, starts)
    _use_and_serve(ledger, account, starts, (last_day or starts + QUARTER) - starts - DAY)
    _bill(ledger, account, starts)
    if last_day:
        _leave(ledger, account, last_day)
        return
    _grow(ledger, account, starts)
    if account.ends_a_year and not account.monthly:
        contracts.renew(ledger, account, starts + int((45 + ledger.random() * 40) * DAY))
    account.quarter += 1
    ledger.later(account.quarter_starts, partial(_quarter, ledger, account))


def _last_day(ledger: Ledger, account: Account, starts: int) -> int:
    """The last day of service if it leaves in this quarter, else 0."""
    chance = ledger.random() / account.channel.churn
    if account.monthly:
        if chance >= _LEAVES_A_MONTHLY_CONTRACT:
            return 0
        return starts + (60 + int(ledger.random() * 28)) * DAY
    if account.ends_a_year and chance < _LEAVES_AT_THE_END_OF_A_YEAR + _LAPSES:
        return account.starts + (account.quarter // 4 + 1) * contracts.YEAR - DAY
    return 0


def _use_and_serve(ledger: Ledger, account: Account, starts: int, span: int) -> None:
    """Usage, cost, support, scores, impact: what a quarter is made of."""
    random, nightly = ledger.random, ledger.nightly

    def sometime() -> int:
        return starts + DAY + int(random() * span)

    used = facts.usage_metered(account.contract, 10 + int(account.seats * 40 * random()))
    nightly("product", account, "usage_metered", sometime(), used)
    cost = facts.cost_incurred("serve", "hosting_and_support", 3_000 + account.year_cents // 60)
    nightly("erp", account, "cost_incurred", sometime(), cost)
    if random() < 0.22:
        _help(ledger, account, sometime())
    if random() < 0.15:
        scored = facts.score_given(10 - int(random() * random() * 11), pick(_COMMENTS, random))
        ledger.web(account, "score_given", sometime(), scored)
    if account.onboarded and random() < 0.3:
        reached = facts.impact("rational", "downtime_saved", 3 + int(random() * 60), "hours")
        ledger.crm(account, "impact_achieved", sometime(), reached)
    if random() < 0.2:
        check_in(ledger, account, sometime())
    if random() < 0.08:  # a customer that learns again: an earlier stage, entered again
        ledger.web(account, "noted", sometime(), facts.noted("webinar_attended", '"form":"live"'))


def _help(ledger: Ledger, account: Account, at: int) -> None:
    random = ledger.random
    case = f"case-{account.number}-{account.events}"
    severity = "high" if random() < 0.15 else "normal"
    asked = facts.support(case, "email", 0, severity)
    if ledger.crm(account, "support_contacted", at, asked):
        helped = facts.support(case, "email", 5 + int(random() * 90), severity)
        ledger.crm(account, "support_resolved", at + wait(random, HOUR, 20 * HOUR), helped)


def _bill(ledger: Ledger, account: Account, starts: int) -> None:
    if account.monthly:
        contracts.invoice(ledger, account, starts, account.year_cents // 4, starts + QUARTER)
    elif account.quarter % 4 == 0:
        end = starts + contracts.YEAR - DAY
        contracts.invoice(ledger, account, starts, account.year_cents, end)


def _grow(ledger: Ledger, account: Account, starts: int) -> None:
    """More seats, fewer seats, another product, a recommendation: once a quarter at most."""
    random = ledger.random
    at = starts + int((30 + random() * 12) * DAY)
    chance = random()
    if chance < 0.08:
        contracts.change(ledger, account, at, account.seats + 1 + int(account.seats * random() / 2))
    elif chance < 0.11:
        contracts.change(ledger, account, at, max(2, account.seats - 1 - account.seats // 5))
    elif chance < 0.12:
        ends = account.starts + (account.quarter // 4 + 1) * contracts.YEAR - DAY
        contracts.add_on(ledger, account, at, ends)
    elif chance < 0.145:
        ledger.refer(account, at)


def _leave(ledger: Ledger, account: Account, last_day: int) -> None:
    """It cancels, or lets the contract lapse without a word; some come back."""
    random = ledger.random
    share = _LAPSES / (_LAPSES + _LEAVES_AT_THE_END_OF_A_YEAR)
    if account.monthly or random() >= share:
        contracts.cancel(ledger, account, last_day - int((15 + random() * 15) * DAY), last_day)
    if random() < _IS_WON_BACK:
        back = last_day + (60 + int(random() * 240)) * DAY
        ledger.later(back, partial(_win_back, ledger, account, back))


def _win_back(ledger: Ledger, account: Account, at: int) -> None:
    """Touched again, asked again, signed again: the next cycle."""
    random = ledger.random
    touch(ledger, account, at, *any_way(ledger))
    opportunity = account.next_opportunity()
    asked = at + wait(random, DAY, 5 * DAY)
    note = facts.noted("opportunity_created", f'"opportunity":"{opportunity}"')
    ledger.crm(account, "noted", asked, note)
    commit(ledger, account, asked + wait(random, 3 * DAY, 15 * DAY), opportunity)
