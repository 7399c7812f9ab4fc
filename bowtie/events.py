"""The catalogue of facts: every event bowtie knows, as a frozen pydantic model in the past tense.

A model holds the *data* of an event; who it happened to, when, and where it came from is the
envelope's business (:mod:`bowtie.envelope`). Fields are scalars, but for the maps ``traits`` and
``properties`` whose values are scalars.

>>> Touched(channel="webinar", direction="inbound", cost="120.00", currency="EUR")
Touched(channel='webinar', direction='inbound', cost=Decimal('120.00'), currency='EUR')
>>> Touched.type_name, CATALOGUE["touched"] is Touched
('touched', True)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bowtie.fields import (
    PERSONAL,
    Currency,
    Day,
    Flag,
    MaybePersonal,
    Money,
    Number,
    Per,
    Personal,
    ScalarMap,
    Stage,
    Text,
    Whole,
)
from bowtie.lifting import Lift, check_lifts

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


def _order(first: date | None, last: date | None, first_name: str, last_name: str) -> str | None:
    if first is not None and last is not None and last < first:
        return f"{last_name} lies before {first_name}"
    return None


class Event(BaseModel):
    """What all facts share: frozen, no field beyond the catalogue's, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    #: the name on the wire is ``bowtie.`` and this
    type_name: ClassVar[str] = ""
    #: the kind of stream it belongs to
    stream_kind: ClassVar[str] = "customer"
    #: what lifts version 1 to 2, 2 to 3, ...; see :mod:`bowtie.lifting`
    lifts: ClassVar[tuple[Lift, ...]] = ()
    #: the newest version of its fields; older ones, stored or sent, are lifted on the way in
    data_version: ClassVar[int] = 1

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.type_name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.data_version = len(cls.lifts) + 1
        check_lifts(cls)

    @staticmethod
    def problem(data: Any) -> str | None:  # noqa: ARG004  # what a model without such rules says
        """What its fields contradict each other in, or None; takes anything with the fields."""
        return None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problem = self.problem(self)
        if problem is not None:
            raise PydanticCustomError("contradiction", "{problem}", {"problem": problem})
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if value is not None:
                yield name, value


class _Costed(Event):
    @staticmethod
    def problem(data: Any) -> str | None:
        """An amount needs a currency."""
        if data.currency is None:
            for name in ("cost", "price", "value", "reward"):
                if getattr(data, name, None) is not None:
                    return f"name the currency of {name}"
        return None


class TraitsObserved(Event):
    """Something is known about the customer; a null unsets the trait."""

    traits: Annotated[ScalarMap, Field(min_length=1)]


class IdentityLinked(Event):
    """Another key of the same customer."""

    alias: Personal


class IdentityUnlinked(Event):
    """A link taken back."""

    alias: Personal


class MembershipStarted(Event):
    """The person (the stream) became part of an account."""

    account: Text
    role: Text | None = None


class MembershipEnded(Event):
    """The person (the stream) left the account."""

    account: Text
    role: Text | None = None


class Touched(_Costed):
    """One contact at one touchpoint, in either direction."""

    channel: Text
    direction: Literal["inbound", "outbound"]
    touchpoint: Text | None = None
    campaign: Text | None = None
    content: Text | None = None
    medium: Text | None = None
    opportunity: Text | None = None
    cost: Money | None = None
    currency: Currency | None = None


class StageEntered(Event):
    """The sender says that a stage was entered; always counts, whatever the definition."""

    stage: Stage
    opportunity: Text | None = None
    motion: Text | None = None
    reason: MaybePersonal = None


class OpportunityValued(Event):
    """An opportunity's expected amount."""

    opportunity: Text
    amount: Money
    currency: Currency
    close_on: Day | None = None


class Disqualified(Event):
    """An opportunity, or without one all of them, came to nothing."""

    opportunity: Text | None = None
    reason_code: Text | None = None
    competitor: Text | None = None
    reason: MaybePersonal = None


class AlternativeWeighed(_Costed):
    """The customer compared us with an alternative."""

    name: Text
    price: Money | None = None
    value: Money | None = None
    currency: Currency | None = None


class _Impact(Event):
    kind: Literal["rational", "emotional"]
    metric: Text
    amount: Number | None = None
    unit: Text | None = None
    by_on: Day | None = None
    validated_by: Text | None = None


class ImpactSought(_Impact):
    """The impact the customer wants, written down."""


class ImpactAchieved(_Impact):
    """An impact the customer reached."""


class ContractSigned(Event):
    """A contract was agreed. Only kind ``paid`` is revenue."""

    contract: Text
    kind: Literal["paid", "trial", "free", "pilot"]
    offering: Text | None = None
    motion: Text | None = None
    opportunity: Text | None = None
    partner: Text | None = None
    amount: Money
    list_amount: Money | None = None
    per: Per
    currency: Currency
    starts_on: Day
    ends_on: Day | None = None
    auto_renews: Flag | None = None
    notice_days: Whole | None = None
    quantity: Number | None = None
    minimum: Money | None = None
    replaces: Text | None = None

    @staticmethod
    def problem(data: Any) -> str | None:
        """A contract ends on or after its start."""
        return _order(data.starts_on, data.ends_on, "starts_on", "ends_on")


class ContractChanged(Event):
    """A contract's amount became another."""

    contract: Text
    kind: Literal["quantity", "price", "plan", "discount", "contracted_step"]
    amount: Money
    per: Per
    list_amount: Money | None = None
    effective_on: Day | None = None
    reason: MaybePersonal = None


class ContractRenewed(Event):
    """A contract was extended by another term."""

    contract: Text
    amount: Money
    per: Per
    list_amount: Money | None = None
    starts_on: Day | None = None
    ends_on: Day | None = None

    @staticmethod
    def problem(data: Any) -> str | None:
        """A term ends on or after its start."""
        return _order(data.starts_on, data.ends_on, "starts_on", "ends_on")


class CancellationRequested(Event):
    """The customer said that the contract shall end."""

    contract: Text
    effective_on: Day | None = None
    reason_code: Text | None = None
    reason: MaybePersonal = None


class ContractEnded(Event):
    """A contract ended; ``effective_on`` is the last day of service (default: that day)."""

    contract: Text
    effective_on: Day | None = None
    reason_code: Text | None = None
    reason: MaybePersonal = None


class EntitlementSet(Event):
    """What a contract allows."""

    contract: Text
    metric: Text
    quantity: Number
    per: Text


class Onboarded(Event):
    """First impact was reached."""


class UsageMetered(Event):
    """How much the customer used."""

    metric: Text
    quantity: Number
    unit: Text | None = None
    contract: Text | None = None


class OrderPlaced(Event):
    """An order or one of its lines; a return's amount is what was given back."""

    order: Text
    line: Text | None = None
    kind: Literal["order", "return", "exchange"]
    amount: Money
    currency: Currency
    offering: Text | None = None
    cost: Money | None = None
    returns: Text | None = None

    @staticmethod
    def problem(data: Any) -> str | None:
        """A return's amount is not signed."""
        if data.kind == "return" and str(data.amount).startswith("-"):
            return "amount: a return's is what was given back, not below 0; it is subtracted"
        return None


class Invoiced(Event):
    """One line of an invoice, net of tax."""

    invoice: Text
    line: Text | None = None
    kind: Literal["recurring", "usage", "one_time", "service", "outcome", "discount"]
    amount: Money
    tax: Money | None = None
    currency: Currency
    offering: Text | None = None
    quantity: Number | None = None
    due_on: Day | None = None
    service_from: Day | None = None
    service_to: Day | None = None
    contract: Text | None = None


class _OnInvoice(Event):
    invoice: Text
    line: Text | None = None
    amount: Money
    currency: Currency
    attempt: Whole | None = None
    reason: MaybePersonal = None


class Credited(_OnInvoice):
    """Part of an invoice was taken back."""


class Refunded(_OnInvoice):
    """Money was returned."""


class WrittenOff(_OnInvoice):
    """Money that will not come."""


class Paid(_OnInvoice):
    """Money that came."""


class PaymentFailed(_OnInvoice):
    """A payment that was tried and failed."""


class CostIncurred(Event):
    """What a customer cost us."""

    activity: Literal["acquire", "sell", "onboard", "serve"]
    driver: Text | None = None
    channel: Text | None = None
    campaign: Text | None = None
    quantity: Number | None = None
    amount: Money
    currency: Currency


class SpendRecorded(Event):
    """What a channel cost over a span of days (stream ``spend``, key: the channel)."""

    stream_kind: ClassVar[str] = "spend"

    activity: Literal["acquire", "sell", "onboard", "serve"]
    channel: Text
    campaign: Text | None = None
    amount: Money
    currency: Currency
    from_on: Day
    to_on: Day
    includes_touch_cost: Flag

    @staticmethod
    def problem(data: Any) -> str | None:
        """A span ends on or after its start."""
        return _order(data.from_on, data.to_on, "from_on", "to_on")


class SupportContacted(Event):
    """The customer asked for help."""

    case: Text
    channel: Text | None = None
    minutes: Number | None = None
    severity: Text | None = None


class SupportResolved(Event):
    """The customer was helped."""

    case: Text
    channel: Text | None = None
    minutes: Number | None = None
    severity: Text | None = None


class ScoreGiven(Event):
    """The customer's own judgement."""

    instrument: Literal["nps", "csat", "ces"]
    score: Number
    touchpoint: Text | None = None
    comment: MaybePersonal = None


class RiskSignalled(Event):
    """A sign that the customer may leave, such as ``intention_to_leave`` or ``champion_left``."""

    kind: Text
    note: MaybePersonal = None


class Referred(_Costed):
    """The customer brought another, ``referred`` is its key; ``referrer`` is who did it.

    The referrer is the customer's own key, or a person's.
    """

    referrer: Text
    reward: Money | None = None
    currency: Currency | None = None
    referred: Text | None = None


class PartnerInvolved(Event):
    """A partner took part."""

    partner: Text
    role: Literal["source", "reseller", "supplier", "financier"]
    share: Number | None = None


class Noted(Event):
    """All else; stage definitions may refer to it by name."""

    name: Text
    properties: ScalarMap = Field(default_factory=dict)


class Targeted(Event):
    """A prospect was chosen (or held out) by a target profile."""

    profile: Text
    version: Text
    arm: Literal["targeted", "holdout"]
    probability: Number | None = None
    score: Number | None = None


class _Action(Event):
    action: Text
    playbook: Text
    until_on: Day | None = None
    outcome: Text | None = None


class ActionDue(_Action):
    """A playbook asks for an action."""


class ActionDone(_Action):
    """An action was carried out."""


class ActionSnoozed(_Action):
    """An action was put off."""


class Retracted(Event):
    """The fact named doesn't count from this recording on."""

    of_source: Text
    of_id: Text
    reason: MaybePersonal = None


class Forgotten(Event):
    """The customer's personal data was erased."""


class _Document(Event):
    name: Text
    version: Text
    body: Text
    sha256: Text

    @staticmethod
    def problem(data: Any) -> str | None:
        """The hash is that of the body."""
        if hashlib.sha256(data.body.encode()).hexdigest() != data.sha256:
            return "sha256: is not that of the body (hex, lower case)"
        return None


class DocumentPublished(_Document):
    """A definition, policy, segment, rates or playbook (streams of those kinds), as TOML."""

    stream_kind: ClassVar[str] = "definition"


class ProfilePublished(_Document):
    """A target profile, as JSON."""

    stream_kind: ClassVar[str] = "profile"


class ProfileEvaluated(_Document):
    """How a target profile fared, as JSON."""

    stream_kind: ClassVar[str] = "profile"


#: Each event by its ``type_name``, in the catalogue's order.
CATALOGUE: dict[str, type[Event]] = {
    model.type_name: model
    for model in list(globals().values())
    if isinstance(model, type)
    and issubclass(model, Event)
    and model is not Event
    and not model.__name__.startswith("_")
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
