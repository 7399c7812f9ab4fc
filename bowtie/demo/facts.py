"""The data of each event the demo writes, as the JSON text that goes on the wire.

Text is made directly: it is several times faster than building an object and encoding it. Values
come from the demo's own tables and need no escaping.
"""

from __future__ import annotations

from decimal import Decimal

from bowtie.demo.market import CURRENCY
from bowtie.profiles import Profile

__all__ = [
    "alternative_weighed",
    "amount_on_invoice",
    "cancellation_requested",
    "contract_changed",
    "contract_ended",
    "contract_renewed",
    "contract_signed",
    "cost_incurred",
    "disqualified",
    "entitlement_set",
    "impact",
    "invoiced",
    "money",
    "noted",
    "opportunity_valued",
    "partner_involved",
    "referred",
    "risk_signalled",
    "score_given",
    "spend_recorded",
    "support",
    "targeted",
    "touched",
    "traits_observed",
    "usage_metered",
]


def money(cents: int) -> str:
    """An amount as the wire writes it.

    >>> money(120_005), money(-50)
    ('1200.05', '-0.50')
    """
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def touched(
    channel: str,
    direction: str,
    *,
    touchpoint: str,
    medium: str,
    campaign: str | None = None,
    cost: int = 0,
) -> str:
    """One contact; a touch without a campaign or a cost leaves them out."""
    theme = f',"campaign":"{campaign}"' if campaign else ""
    price = f',"cost":"{money(cost)}","currency":"{CURRENCY}"' if cost else ""
    return (
        f'{{"channel":"{channel}","direction":"{direction}","touchpoint":"{touchpoint}",'
        f'"medium":"{medium}"{theme}{price}}}'
    )


def traits_observed(traits: str) -> str:
    """``traits`` is the inside of a JSON object."""
    return f'{{"traits":{{{traits}}}}}'


def noted(name: str, properties: str) -> str:
    """``properties`` is the inside of a JSON object."""
    return f'{{"name":"{name}","properties":{{{properties}}}}}'


def opportunity_valued(opportunity: str, cents: int, close_on: str) -> str:
    """What an opportunity may bring."""
    return (
        f'{{"opportunity":"{opportunity}","amount":"{money(cents)}","currency":"{CURRENCY}",'
        f'"close_on":"{close_on}"}}'
    )


def alternative_weighed(name: str, cents: int) -> str:
    """A rival and its price."""
    return f'{{"name":"{name}","price":"{money(cents)}","currency":"{CURRENCY}"}}'


def disqualified(opportunity: str, reason_code: str) -> str:
    """An opportunity came to nothing."""
    return f'{{"opportunity":"{opportunity}","reason_code":"{reason_code}"}}'


def impact(kind: str, metric: str, amount: int, unit: str, *, by_on: str = "") -> str:
    """What ImpactSought and ImpactAchieved say."""
    deadline = f',"by_on":"{by_on}"' if by_on else ""
    return f'{{"kind":"{kind}","metric":"{metric}","amount":"{amount}","unit":"{unit}"{deadline}}}'


def contract_signed(
    contract: str,
    kind: str,
    terms: str,
    *,
    cents: int,
    list_cents: int,
    per: str,
    starts_on: str,
    ends_on: str | None,
    seats: int,
) -> str:
    """``terms`` names offering, motion and opportunity, as the inside of a JSON object."""
    term = f'"ends_on":"{ends_on}","auto_renews":false' if ends_on else '"auto_renews":true'
    return (
        f'{{"contract":"{contract}","kind":"{kind}",{terms},"amount":"{money(cents)}",'
        f'"list_amount":"{money(list_cents)}","per":"{per}","currency":"{CURRENCY}",'
        f'"starts_on":"{starts_on}",{term},"notice_days":30,"quantity":"{seats}"}}'
    )


def contract_changed(
    contract: str, *, cents: int, per: str, effective_on: str, list_cents: int
) -> str:
    """Another number of seats, so another amount."""
    return (
        f'{{"contract":"{contract}","kind":"quantity","amount":"{money(cents)}","per":"{per}",'
        f'"list_amount":"{money(list_cents)}","effective_on":"{effective_on}"}}'
    )


def contract_renewed(contract: str, cents: int, per: str, starts_on: str, ends_on: str) -> str:
    """Another term."""
    return (
        f'{{"contract":"{contract}","amount":"{money(cents)}","per":"{per}",'
        f'"starts_on":"{starts_on}","ends_on":"{ends_on}"}}'
    )


def cancellation_requested(contract: str, effective_on: str, code: str, reason: str) -> str:
    """The customer will leave; its own words are personal."""
    return (
        f'{{"contract":"{contract}","effective_on":"{effective_on}","reason_code":"{code}",'
        f'"reason":"{reason}"}}'
    )


def contract_ended(contract: str, effective_on: str, code: str) -> str:
    """The last day of service."""
    return f'{{"contract":"{contract}","effective_on":"{effective_on}","reason_code":"{code}"}}'


def entitlement_set(contract: str, seats: int) -> str:
    """How many seats a contract allows."""
    return f'{{"contract":"{contract}","metric":"seats","quantity":"{seats}","per":"month"}}'


def usage_metered(contract: str, orders: int) -> str:
    """How many work orders were planned."""
    return (
        f'{{"metric":"work_orders","quantity":"{orders}","unit":"orders","contract":"{contract}"}}'
    )


def invoiced(
    invoice: str, contract: str, cents: int, *, due_on: str, service_from: str, service_to: str
) -> str:
    """The one line of an invoice, with a tax of 19%."""
    return (
        f'{{"invoice":"{invoice}","line":"1","kind":"recurring","amount":"{money(cents)}",'
        f'"tax":"{money(cents * 19 // 100)}","currency":"{CURRENCY}","due_on":"{due_on}",'
        f'"service_from":"{service_from}","service_to":"{service_to}","contract":"{contract}"}}'
    )


def amount_on_invoice(invoice: str, cents: int, attempt: int) -> str:
    """What Paid and PaymentFailed say."""
    return (
        f'{{"invoice":"{invoice}","amount":"{money(cents)}","currency":"{CURRENCY}",'
        f'"attempt":{attempt}}}'
    )


def cost_incurred(activity: str, driver: str, cents: int) -> str:
    """What a customer cost."""
    return (
        f'{{"activity":"{activity}","driver":"{driver}","amount":"{money(cents)}",'
        f'"currency":"{CURRENCY}"}}'
    )


def spend_recorded(channel: str, campaign: str | None, cents: int, from_on: str, to_on: str) -> str:
    """What a channel, or its campaign, cost in a month; clicks included."""
    theme = f'"campaign":"{campaign}",' if campaign else ""
    return (
        f'{{"activity":"acquire","channel":"{channel}",{theme}"amount":"{money(cents)}",'
        f'"currency":"{CURRENCY}","from_on":"{from_on}","to_on":"{to_on}",'
        '"includes_touch_cost":true}'
    )


def support(case: str, channel: str, minutes: int, severity: str) -> str:
    """What SupportContacted and SupportResolved say."""
    return (
        f'{{"case":"{case}","channel":"{channel}","minutes":"{minutes}","severity":"{severity}"}}'
    )


def score_given(score: int, comment: str | None) -> str:
    """The customer's own judgement; its words are personal."""
    words = f',"comment":"{comment}"' if comment else ""
    return f'{{"instrument":"nps","score":"{score}","touchpoint":"quarterly_survey"{words}}}'


def risk_signalled(kind: str, note: str) -> str:
    """A sign that the customer may leave; the note is personal."""
    return f'{{"kind":"{kind}","note":"{note}"}}'


def referred(referrer: str, reward_cents: int, who: str | None) -> str:
    """A recommendation and its reward; who came by it, where that is known."""
    came = f',"referred":"{who}"' if who else ""
    return (
        f'{{"referrer":"{referrer}","reward":"{money(reward_cents)}",'
        f'"currency":"{CURRENCY}"{came}}}'
    )


def partner_involved(partner: str) -> str:
    """A partner brought the account."""
    return f'{{"partner":"{partner}","role":"source","share":"0.15"}}'


def targeted(profile: Profile, arm: str, score: Decimal) -> str:
    """A prospect's assignment, as ``bowtie profile assign`` records it."""
    return (
        f'{{"profile":"{profile.name}","version":"{profile.version}","arm":"{arm}",'
        f'"probability":"{profile.chance(arm)}","score":"{score}"}}'
    )
