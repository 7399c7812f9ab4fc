"""An account of the demo: what is true of it from the start, and where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Final, TypeVar

from bowtie.demo import market
from bowtie.demo.clock import DAY
from bowtie.demo.market import Channel

__all__ = ["CENTS_FOR_A_SEAT", "Account", "pick", "wait"]

T = TypeVar("T")

#: Personal data of invented people, so that sealing has something to seal. Escaped for JSON.
_FIRST_NAMES = ("Ada", "Bj\\u00f6rn", "Chlo\\u00e9", "Dirk", "Elif", "Femke", "Greta", "Hugo")
_LAST_NAMES = ("Arnesen", "Bakker", "Costa", "Dvorak", "Evans", "Fischer", "Garc\\u00eda", "Holm")

#: The list price of a seat for a year.
CENTS_FOR_A_SEAT: Final = 60_000


def pick(values: Sequence[T], random: Callable[[], float]) -> T:
    """One of the values, each as likely."""
    return values[int(random() * len(values))]


def wait(random: Callable[[], float], least: int, mean: int) -> int:
    """Seconds until what may happen at any moment after ``least``, ``mean`` later on average."""
    return least - int(log(1.0 - random()) * mean)


class Account:
    """One customer, from the first touch on."""

    __slots__ = (
        "campaign",
        "channel",
        "contract",
        "contracts",
        "discount",
        "events",
        "industry",
        "key",
        "monthly",
        "motion",
        "multi_site",
        "number",
        "on_premise",
        "onboarded",
        "opportunities",
        "paying",
        "push",
        "quarter",
        "referrer",
        "region",
        "seats",
        "size",
        "starts",
    )

    def __init__(
        self,
        number: int,
        progress: float,
        random: Callable[[], float],
        channels: Sequence[Channel] = market.CHANNELS,
    ) -> None:
        self.number = str(number)
        self.key = f"acct-{number:06d}"
        self.events = 0
        self.channel: Channel = pick(channels, random)
        self.campaign = pick(market.CAMPAIGNS, random)
        self.industry = pick(market.INDUSTRIES, random)
        self.size = pick(market.SIZES, random)
        self.motion = pick(market.MOTIONS[self.size], random)
        self.multi_site = random() < market.SHARE_OF_REAL_TRAIT
        self.on_premise = random() < market.older_trait_share(progress)
        unknown = random() < market.SHARE_WITHOUT_REGION
        self.region = None if unknown else pick(market.REGIONS, random)
        self.opportunities = self.contracts = 0
        self.contract = ""
        self.paying = self.monthly = self.onboarded = False
        self.seats = self.discount = 0
        #: by whose recommendation it came
        self.referrer: Account | None = None
        #: multiplies its chance to go on, while somebody takes care of it
        self.push = 1.0
        self.starts = self.quarter = 0

    def levels(self) -> tuple[str, ...]:
        """What the loop may ask of its value, one text a trait."""
        return (
            self.channel.name,
            f"campaign {self.campaign}",
            self.industry,
            self.size,
            f"region {self.region}",
            f"on_premise {self.on_premise}",
        )

    @property
    def referrals_before(self) -> int:
        """How many recommendations led to it, one after the other."""
        number, one = 0, self.referrer
        while one is not None:
            number, one = number + 1, one.referrer
        return number

    @property
    def list_cents(self) -> int:
        """The list price of a year."""
        return self.seats * CENTS_FOR_A_SEAT

    @property
    def year_cents(self) -> int:
        """What a year costs it."""
        return self.list_cents * (100 - self.discount) // 100

    @property
    def per(self) -> str:
        """What its contract's amounts are for."""
        return "month" if self.monthly else "year"

    def in_contract(self, year_cents: int) -> int:
        """An amount of a year as its contract says it."""
        return year_cents // 12 if self.monthly else year_cents

    @property
    def quarter_starts(self) -> int:
        """When the quarter of its contract begins that it stands in."""
        return self.starts + self.quarter * 365 // 4 * DAY

    @property
    def ends_a_year(self) -> bool:
        """Whether the quarter is the last of a year of its contract."""
        return self.quarter % 4 == 3

    def next_opportunity(self) -> str:
        """The name of the opportunity that opens now."""
        self.opportunities += 1
        return f"opp-{self.number}-{self.opportunities}"

    def next_contract(self) -> str:
        """The name of the contract that is signed now."""
        self.contracts += 1
        return f"con-{self.number}-{self.contracts}"

    def known(self, *, looked_up: bool) -> dict[str, str | None]:
        """What a profile may ask of it, by the names of the traits, as texts.

        Args:
            looked_up: an enrichment service was asked.
        """
        touch = {"channel": self.channel.name, "campaign": self.campaign}
        # at a fair names are typed in the next morning
        told: dict[str, str | None] = {**touch} if self.channel.precise else {}
        if looked_up:
            told |= {
                "industry": self.industry,
                "company_size": self.size,
                market.MISSING_TRAIT: self.region,
                market.REAL_TRAIT: "true" if self.multi_site else "false",
                market.OLDER_TRAIT: "true" if self.on_premise else "false",
            }
        return told

    def firmographics(self) -> str:
        """What an enrichment service says about it, as the inside of a JSON object."""
        region = f',"{market.MISSING_TRAIT}":"{self.region}"' if self.region else ""
        return (
            f'"industry":"{self.industry}","company_size":"{self.size}"{region},'
            f'"{market.REAL_TRAIT}":{"true" if self.multi_site else "false"},'
            f'"{market.OLDER_TRAIT}":{"true" if self.on_premise else "false"}'
        )

    def person(self, random: Callable[[], float]) -> str:
        """The contact: personal traits, as the inside of a JSON object."""
        first, last = pick(_FIRST_NAMES, random), pick(_LAST_NAMES, random)
        return f'"name":"{first} {last}","email":"contact.{self.number}@customer.example"'
