"""One turn of the loop: the business reads a published profile, and acts by it.

A history in two logs. The first is what a profile can be found in. The second begins on the day
after it, and there the business reacts to the profile: it spends more on the channels that speak
for a prospect and less on those that speak against it; each night it assigns whom it has met, as
``bowtie profile assign`` would; and it takes care of those in the arm ``targeted``, who go on
:data:`~bowtie.demo.market.PUSH` times as often from then on. That is the effect an evaluation is to
find. Those held out are treated as everybody was before.

>>> turn = Turn(customers=100)
>>> turn.day
datetime.date(2024, 7, 1)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import islice

from bowtie.demo import facts, market
from bowtie.demo.accounts import Account
from bowtie.demo.clock import DAY, HOUR, Clock
from bowtie.demo.generator import arrivals_of, history
from bowtie.demo.ledger import Ledger
from bowtie.demo.truth import Tally
from bowtie.errors import UsageError
from bowtie.profiles import Profile

__all__ = ["Turn"]

_MONTHS = market.HISTORY_MONTHS + market.TURN_MONTHS
_CALL_CENTS = 1_800
_CALLS = 3


@dataclass(frozen=True)
class Turn:
    """A history of five and a half years, in two logs: up to a profile, and from there on.

    The same arguments give the same bytes, and the first log doesn't depend on the profile.

    Args:
        customers: about how many accounts appear in the first log.
        seed: which of the possible histories.
        until: the last day of the second log.
    """

    customers: int = 5_000
    seed: int = 7
    until: date = date(2026, 6, 30)

    def __post_init__(self) -> None:
        if self.customers < 1:
            raise UsageError(f"{self.customers} customers: ask for at least one")

    @cached_property
    def _clock(self) -> Clock:
        return Clock(self.until, _MONTHS)

    @property
    def day(self) -> date:
        """The first day of the second log."""
        starts = self._clock.month_spans()[market.HISTORY_MONTHS][0]
        return date.fromisoformat(self._clock.day(starts))

    def before(self) -> Iterator[bytes]:
        """The first log, a line at a time."""
        for batch in islice(self._batches(None), market.HISTORY_MONTHS):
            yield from batch

    def after(self, profile: Profile) -> Iterator[bytes]:
        """The second log, in which the business reacts to a profile.

        Raises:
            UsageError: the profile begins before the second log, when nobody knew of it.
        """
        if profile.starts_on < self.day:
            raise UsageError(
                f"{profile.label} starts on {profile.starts_on}, and the business goes on from"
                f" {self.day}: publish one that starts on that day or later"
            )
        for batch in islice(self._batches(profile), market.HISTORY_MONTHS, None):
            yield from batch

    def _batches(self, profile: Profile | None) -> Iterator[list[bytes]]:
        clock = self._clock
        arrivals = arrivals_of(clock, self.customers * _MONTHS // market.HISTORY_MONTHS)
        turned = market.CHANNELS if profile is None else channels_by(profile)

        def channels(month: int) -> Sequence[market.Channel]:
            return market.CHANNELS if month < market.HISTORY_MONTHS else turned

        reaction = None if profile is None else _Reaction(clock, profile)
        return history(clock, self.seed, arrivals, Tally(), reaction=reaction, channels=channels)

    def truth(self, profile: Profile) -> str:
        """What is planted in the second log, for a person to read."""
        before, after = Counter(market.CHANNELS), Counter(channels_by(profile))
        changed = [
            f"  {one.name}: {before[one]} of 100 accounts before, {after[one]} of"
            f" {after.total()} now"
            for one in before
            if before[one] != after[one]
        ]
        channels = "The channels are as they were."
        if changed:
            channels = (
                "More accounts come through channels that speak for a prospect, fewer through those"
                " that speak against it:"
            )
        said = f"""\
From {self.day} through {self.until} the business reacts to {profile.label}.
Each night from {profile.starts_on} through {profile.ends_on} it assigns whom it has met and who \
fits.
Targeted: {_CALLS} calls; they go on to selection, and are won, {market.PUSH} times as often.
Held out: as everybody was before. Nothing else tells the arms apart.
{channels}"""
        return "\n".join([said, *changed]) + "\n"


def channels_by(profile: Profile) -> tuple[market.Channel, ...]:
    """The ways in which accounts come once the business spends by a profile.

    Twice as many through a channel that speaks for a prospect, half as many through one that speaks
    against it.
    """
    weights = {one.level: one.weight for one in profile.traits if one.trait == "channel"}

    def share(channel: market.Channel) -> int:
        weight = weights.get(channel.name, 0)
        return channel.share * 2 if weight > 0 else channel.share // (2 if weight < 0 else 1)

    return market.spread({channel: max(1, share(channel)) for channel in Counter(market.CHANNELS)})


class _Reaction:
    """What the business does about each account that it meets."""

    def __init__(self, clock: Clock, profile: Profile) -> None:
        self.profile = profile
        self._first = (profile.starts_on - clock.first).days * DAY
        self._end = ((profile.ends_on - clock.first).days + 1) * DAY

    def meet(
        self, ledger: Ledger, account: Account, seen: int, at: int, *, looked_up: bool
    ) -> None:
        """Assign an account at the night after it was met, and take care of it if targeted."""
        night = (at // DAY + 1) * DAY + HOUR
        if seen < self._first or night >= self._end:
            return
        profile, known = self.profile, account.known(looked_up=looked_up)
        score = profile.score(known)
        drawn = account.key if profile.by is None else known.get(profile.by)
        if score is None or score <= profile.least or drawn is None:
            return
        arm = profile.arm(drawn)
        data = facts.targeted(profile, arm, score)
        ledger.write(
            account,
            "bowtie",
            "targeted",
            data,
            at=night,
            known=night + 1,
            id=f"targeted/{profile.name}/{account.key}",
        )
        if arm == "targeted":
            self._take_care(ledger, account, night)

    def _take_care(self, ledger: Ledger, account: Account, night: int) -> None:
        account.push = market.PUSH
        for call in range(_CALLS):
            at = night + 8 * HOUR + 3 * call * DAY + int(ledger.random() * 8 * HOUR)
            call_made = facts.touched(
                "direct_outreach", "outbound", touchpoint="call", medium="phone", cost=_CALL_CENTS
            )
            ledger.crm(account, "touched", at, call_made)
