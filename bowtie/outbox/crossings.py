"""Prospects that cross a threshold: each crossing is told once.

Scores are computed elsewhere, by models that are learnt anew each time; here is kept who was above
an endpoint's threshold when they were last computed. Scores tremble, so who has crossed must fall
below a second, lower one before it can cross again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from bowtie.errors import UsageError
from bowtie.outbox.messages import body_of, insert_message, message_id
from bowtie.times import to_micros

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.stores.contract import Writing

__all__ = ["CrossingRule", "Noted", "Scored", "note_scores"]

_TOPIC = "prospect_crossed"
#: Below so much of the threshold a prospect may cross again.
_AGAIN = 0.8
SCORES = ("p_win", "p_high_value")
_SIDE = (
    "INSERT INTO bowtie_crossings VALUES (?, ?, ?, ?) ON CONFLICT (endpoint, customer)"
    " DO UPDATE SET above = excluded.above, crossings = excluded.crossings"
)


@dataclass(frozen=True, slots=True)
class CrossingRule:
    """When a prospect crosses.

    Args:
        least: the threshold: over 0 and up to 1.
        again: who has crossed must fall below this to cross again; 0.8 of ``least`` unless said.
        score: ``p_win``, or ``p_high_value``.
        policy: a published value policy, which says what high value is.
        within: won is who commits within this time, as ``bowtie prospects --within`` has it.
        holdouts: tell of those too whom a target profile has held out.

    Raises:
        UsageError: a threshold is none, or there is no such score.
    """

    least: float
    again: float | None = None
    score: str = "p_high_value"
    policy: str | None = None
    within: str | None = None
    holdouts: bool = False

    def __post_init__(self) -> None:
        """Refuse what can't be crossed."""
        if not 0 < self.least <= 1:
            raise UsageError(f"least is {self.least:g}; a chance is over 0 and up to 1")
        if self.again is None:
            object.__setattr__(self, "again", self.least * _AGAIN)
        elif not 0 <= self.again <= self.least:
            raise UsageError(f"again is {self.again:g}; it is at most the threshold {self.least:g}")
        if self.score not in SCORES:
            raise UsageError(f"{self.score!r} is no score: write {' or '.join(SCORES)}")

    @property
    def text(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> CrossingRule:
        """As it was kept."""
        return cls(**json.loads(text))


class Scored(NamedTuple):
    """A prospect, its score, and what is told of it if it crosses."""

    customer: str
    score: float
    data: Mapping[str, Any]


class Noted(NamedTuple):
    """What scores came to.

    Args:
        crossed: how many prospects crossed.
        above: how many are above now.
        first: these are the first scores for the endpoint: who is above has not crossed.
        stale: newer ones were noted already, and these changed nothing.
    """

    crossed: int = 0
    above: int = 0
    first: bool = False
    stale: bool = False


def note_scores(
    engine: Bowtie, endpoint: str, position: int, when: datetime, scores: Iterable[Scored]
) -> Noted:
    """Note the scores of all open prospects, and make a message of each crossing.

    The first scores for an endpoint tell nobody: who stands above then has not crossed. Who is no
    longer a prospect is below; coming back above later is a crossing. Scores of an older position
    change nothing, nor do those of the same one as of the same moment or an earlier one.

    Args:
        engine: the store.
        endpoint: of whose rule.
        position: of the log, at which they were scored.
        when: as of when.
        scores: of all that may be told of.
    """
    with engine.store.writing() as tx:
        found = tx.rows(
            "SELECT rule, nonce, scored, scored_as_of FROM bowtie_endpoints WHERE endpoint = ?",
            (endpoint,),
        )
        as_of = to_micros(when)
        if not found or (found[0][2], found[0][3] or 0) >= (position, as_of):
            return Noted(stale=True)
        text, nonce, scored, _ = found[0]
        rule, first = CrossingRule.read(text), scored < 0
        assert rule.again is not None  # noqa: S101 - set when it is made
        before = _sides(tx, endpoint)
        crossed, above, sides = 0, 0, list[tuple[str, str, int, int]]()
        for one in scores:
            was, times = before.pop(one.customer, (False, 0))
            now = one.score >= (rule.again if was else rule.least)
            above += now
            if now == was:
                continue
            if now and not first:
                times += 1
                message = message_id(
                    engine.store.store_id, nonce, _TOPIC, f"{one.customer}\0{times}"
                )
                body = body_of(_TOPIC, when, one.data)
                crossed += insert_message(tx, message, endpoint, _TOPIC, body)
            sides.append((endpoint, one.customer, int(now), times))
        sides += [(endpoint, name, 0, times) for name, (was, times) in before.items() if was]
        tx.run_many(_SIDE, sides)
        tx.run(
            "UPDATE bowtie_endpoints SET scored = ?, scored_as_of = ? WHERE endpoint = ?",
            (position, as_of, endpoint),
        )
        return Noted(crossed, above, first)


def _sides(tx: Writing, endpoint: str) -> dict[str, tuple[bool, int]]:
    rows = tx.rows(
        "SELECT customer, above, crossings FROM bowtie_crossings WHERE endpoint = ?", (endpoint,)
    )
    return {customer: (bool(above), times) for customer, above, times in rows}
