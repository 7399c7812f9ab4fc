"""The left half of the bowtie: from the first touch to the signature, or to a loss."""

from __future__ import annotations

from functools import partial

from bowtie.demo import facts, market
from bowtie.demo.accounts import CENTS_FOR_A_SEAT, Account, pick, wait
from bowtie.demo.clock import DAY, HOUR, MINUTE
from bowtie.demo.ledger import Ledger
from bowtie.demo.serving import commit
from bowtie.demo.touches import any_way, touch

__all__ = ["first_contact"]

_LEADS = market.spread(
    {"lead_created": 50, "content_downloaded": 25, "webinar_attended": 15, "signed_up": 10}
)
_ALTERNATIVES = ("spreadsheets", "planwerk", "fixit", "in_house")
_LOSSES = market.spread(
    {"no_decision": 34, "price": 22, "lost_to_competitor": 18, "no_fit": 16, "no_budget": 10}
)
#: What customers want to reach: kind, metric, unit.
_IMPACTS = (
    ("rational", "downtime_saved", "hours"),
    ("rational", "maintenance_cost_saved", "eur"),
    ("emotional", "calmer_weekends", "points"),
)

_BECOMES_A_LEAD = 0.80
_LOOKED_UP_IF_SILENT = 0.5
_SKIPS_EDUCATION = 0.07
_GOES_ON_TO_SELECTION = 0.78
_SKIPS_SELECTION = 0.05
_WINS = 0.74
_LOSS_IS_NOTED = 0.85
_ASKS_AGAIN_SOON = 0.08
_ASKS_AGAIN_MUCH_LATER = 0.06


def first_contact(ledger: Ledger, account: Account, at: int) -> None:
    """An account appears: it is touched, looked up, and perhaps becomes a lead."""
    random = ledger.random
    ledger.introductions.arrive(account, at)
    touch(ledger, account, at, account.channel, account.campaign)
    looked_up = at + HOUR + int(random() * HOUR)
    for _ in range(int(random() * 3)):
        touch(ledger, account, looked_up + wait(random, DAY, 12 * DAY), *any_way(ledger))
    if random() < _BECOMES_A_LEAD * account.channel.eagerness:
        _look_up(ledger, account, looked_up)
        ledger.react(account, at, looked_up, looked_up=True)
        _become_a_lead(ledger, account, looked_up + wait(random, 2 * HOUR, 12 * DAY))
        return
    silent_but_known = random() < _LOOKED_UP_IF_SILENT
    if silent_but_known:
        _look_up(ledger, account, looked_up)
    ledger.react(account, at, looked_up, looked_up=silent_but_known)


def _look_up(ledger: Ledger, account: Account, at: int) -> None:
    """Firmographics: known before anything else happens, so before any time zero."""
    data = facts.traits_observed(account.firmographics())
    ledger.write(account, "enrichment", "traits_observed", data, at=at, known=at + MINUTE)


def _become_a_lead(ledger: Ledger, account: Account, at: int) -> None:
    random = ledger.random
    if random() < _SKIPS_EDUCATION:
        _select(ledger, account, at)
        return
    ledger.web(account, "noted", at, facts.noted(pick(_LEADS, random), '"form":"website"'))
    person = facts.traits_observed(account.person(random))
    ledger.crm(account, "traits_observed", at, person)
    if random() > _GOES_ON_TO_SELECTION * account.channel.eagerness * account.push:
        return
    if random() < _SKIPS_SELECTION:
        commit(ledger, account, at + wait(random, DAY, 6 * DAY), None)
    else:
        _select(ledger, account, at + wait(random, DAY, 18 * DAY))


def _select(ledger: Ledger, account: Account, at: int) -> None:
    """The account compares, checks the fit, and decides."""
    if at >= ledger.clock.end:
        return
    random = ledger.random
    opportunity = account.next_opportunity()
    asked = "demo_requested" if random() < 0.25 else "opportunity_created"
    ledger.crm(account, "noted", at, facts.noted(asked, f'"opportunity":"{opportunity}"'))
    decided = at + wait(random, 6 * DAY, 32 * DAY)
    _talk(ledger, account, at, decided, opportunity)
    if random() < _WINS * account.channel.eagerness * account.push:
        commit(ledger, account, decided, opportunity)
    elif random() < _LOSS_IS_NOTED:
        _lose(ledger, account, decided, opportunity)


def _talk(ledger: Ledger, account: Account, at: int, decided: int, opportunity: str) -> None:
    """What is said between the opportunity and the decision."""
    random, crm, day = ledger.random, ledger.crm, ledger.clock.day
    span = decided - at - DAY

    def meanwhile() -> int:
        return at + HOUR + int(random() * span)

    if random() < 0.55:
        kind, metric, unit = pick(_IMPACTS, random)
        by_on = day(decided + 180 * DAY)
        wanted = facts.impact(kind, metric, 5 + int(random() * 95), unit, by_on=by_on)
        crm(account, "impact_sought", meanwhile(), wanted)
    hoped_for = int((5 + random() * 30) * CENTS_FOR_A_SEAT)
    if random() < 0.6:
        valued = facts.opportunity_valued(opportunity, hoped_for, day(decided))
        crm(account, "opportunity_valued", meanwhile(), valued)
    if random() < 0.25:
        rival = facts.alternative_weighed(pick(_ALTERNATIVES, random), hoped_for * 4 // 5)
        crm(account, "alternative_weighed", meanwhile(), rival)
    if random() < 0.4:
        selling = facts.cost_incurred("sell", "presales", 15_000 + int(random() * 60_000))
        ledger.nightly("erp", account, "cost_incurred", meanwhile(), selling)
    if random() < 0.2:
        _try_out(ledger, account, meanwhile())
    if random() < 0.08:  # back to learning: an earlier stage is entered again
        guide = facts.noted("content_downloaded", '"form":"guide"')
        ledger.web(account, "noted", meanwhile(), guide)
    if account.channel.name == market.REAL_CHANNEL:
        partner = facts.partner_involved(f"partner-{1 + int(random() * 12):02d}")
        crm(account, "partner_involved", meanwhile(), partner)


def _try_out(ledger: Ledger, account: Account, at: int) -> None:
    day = ledger.clock.day
    trial = facts.contract_signed(
        account.next_contract(),
        "trial",
        f'"offering":"planner","motion":"{account.motion}"',
        cents=0,
        list_cents=0,
        per="month",
        starts_on=day(at),
        ends_on=day(at + 30 * DAY),
        seats=5,
    )
    ledger.crm(account, "contract_signed", at, trial)


def _lose(ledger: Ledger, account: Account, at: int, opportunity: str) -> None:
    """It says no. Some ask again within 90 days, which undoes the loss; some much later."""
    random = ledger.random
    reason = pick(_LOSSES, random)
    ledger.crm(account, "disqualified", at, facts.disqualified(opportunity, reason))
    chance = random()
    if chance < _ASKS_AGAIN_SOON:
        again = at + (15 + int(random() * 60)) * DAY
        ledger.later(again, partial(_select, ledger, account, again))
    elif chance < _ASKS_AGAIN_SOON + _ASKS_AGAIN_MUCH_LATER:
        again = at + (120 + int(random() * 200)) * DAY
        reopened = facts.noted("quote_requested", f'"opportunity":"{account.next_opportunity()}"')
        ledger.crm(account, "noted", again, reopened)
