"""The catalogue of facts: every event bowtie knows, as a frozen pydantic model in the past tense.

A model holds the *data* of an event; who it happened to, when, and where it came from is the
envelope's business (:mod:`bowtie.envelope`). Fields are scalars, but for the maps ``traits`` and
``properties`` whose values are scalars. Each module here defines a family of them; this one names
them all.

>>> Touched(channel="webinar", direction="inbound", cost="120.00", currency="EUR")
Touched(channel='webinar', direction='inbound', cost=Decimal('120.00'), currency='EUR')
>>> Touched.type_name, CATALOGUE["touched"] is Touched
('touched', True)
"""

from __future__ import annotations

from types import ModuleType

from bowtie.events import (
    acting,
    bookkeeping,
    contracts,
    customers,
    journeys,
    money,
    relations,
)
from bowtie.events.acting import ActionDone, ActionDue, ActionSnoozed, Targeted
from bowtie.events.base import Event
from bowtie.events.bookkeeping import (
    DocumentPublished,
    Forgotten,
    ProfileEvaluated,
    ProfilePublished,
    Retracted,
)
from bowtie.events.contracts import (
    CancellationRequested,
    ContractChanged,
    ContractEnded,
    ContractRenewed,
    ContractSigned,
    EntitlementSet,
    Onboarded,
    UsageMetered,
)
from bowtie.events.customers import (
    IdentityLinked,
    IdentityUnlinked,
    MembershipEnded,
    MembershipStarted,
    TraitsObserved,
)
from bowtie.events.journeys import (
    AlternativeWeighed,
    Disqualified,
    ImpactAchieved,
    ImpactSought,
    OpportunityValued,
    StageEntered,
    Touched,
)
from bowtie.events.money import (
    CostIncurred,
    Credited,
    Invoiced,
    OrderPlaced,
    Paid,
    PaymentFailed,
    Refunded,
    SpendRecorded,
    WrittenOff,
)
from bowtie.events.relations import (
    Noted,
    PartnerInvolved,
    Referred,
    RiskSignalled,
    ScoreGiven,
    SupportContacted,
    SupportResolved,
)
from bowtie.fields import PERSONAL

__all__ = [
    "CATALOGUE",
    "DOCUMENT_KINDS",
    "PERSONAL_NAMES",
    "STREAM_KINDS",
    "ActionDone",
    "ActionDue",
    "ActionSnoozed",
    "AlternativeWeighed",
    "CancellationRequested",
    "ContractChanged",
    "ContractEnded",
    "ContractRenewed",
    "ContractSigned",
    "CostIncurred",
    "Credited",
    "Disqualified",
    "DocumentPublished",
    "EntitlementSet",
    "Event",
    "Forgotten",
    "IdentityLinked",
    "IdentityUnlinked",
    "ImpactAchieved",
    "ImpactSought",
    "Invoiced",
    "MembershipEnded",
    "MembershipStarted",
    "Noted",
    "Onboarded",
    "OpportunityValued",
    "OrderPlaced",
    "Paid",
    "PartnerInvolved",
    "PaymentFailed",
    "ProfileEvaluated",
    "ProfilePublished",
    "Referred",
    "Refunded",
    "Retracted",
    "RiskSignalled",
    "ScoreGiven",
    "SpendRecorded",
    "StageEntered",
    "SupportContacted",
    "SupportResolved",
    "Targeted",
    "Touched",
    "TraitsObserved",
    "UsageMetered",
    "WrittenOff",
    "personal_fields",
    "stream_kinds",
]


def _events_of(family: ModuleType) -> list[type[Event]]:
    """The events that a module defines, in their order; one with an underscore is a base."""
    return [
        model
        for name, model in vars(family).items()
        if isinstance(model, type)
        and issubclass(model, Event)
        and model.__module__ == family.__name__
        and not name.startswith("_")
    ]


#: Each event by its ``type_name``, in the catalogue's order.
CATALOGUE: dict[str, type[Event]] = {
    model.type_name: model
    for family in (customers, journeys, contracts, money, relations, acting, bookkeeping)
    for model in _events_of(family)
}

#: The kinds of stream a document may be published in.
DOCUMENT_KINDS = frozenset({"definition", "policy", "segment", "rates", "playbook"})

#: Names of traits and properties that are personal unless the store says otherwise.
PERSONAL_NAMES = (
    "email",
    "phone",
    "name",
    "first_name",
    "last_name",
    "address",
    "ip",
    "birthdate",
)


#: All kinds of stream.
STREAM_KINDS = DOCUMENT_KINDS | {"customer", "spend", "profile"}


def stream_kinds(model: type[Event]) -> frozenset[str]:
    """The kinds of stream that may hold an event of this model.

    >>> sorted(stream_kinds(SpendRecorded))
    ['spend']
    """
    if model is Retracted:
        return STREAM_KINDS
    return DOCUMENT_KINDS if model is DocumentPublished else frozenset({model.stream_kind})


def personal_fields(model: type[Event]) -> frozenset[str]:
    """The fields of a model that are always sealed."""
    return frozenset(
        name for name, field in model.model_fields.items() if PERSONAL in field.metadata
    )
