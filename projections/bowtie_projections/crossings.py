"""Prospects scored for the endpoints that want to hear who crossed.

A score changes by what is recorded, and by age alone: a lead that stays silent grows old. So it is
asked for again when something was recorded, and when a day has passed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused
from bowtie.outbox import CrossingRule, Endpoint, Scored, endpoints, note_scores
from bowtie.outbox.crossings import Noted
from bowtie_projections.audiences import scores_of
from bowtie_projections.moments import SILENCE

if TYPE_CHECKING:
    from bowtie_projections.opening import Views
    from bowtie_projections.results import Result

__all__ = ["note_crossings", "waits_for_scores"]

_TOLD = ("stage", "p_win", "p_high", "p_high_value", "expected", "targeted")


#: After so long prospects are scored again, though nothing was recorded.
_AGAIN = timedelta(days=1)


def waits_for_scores(endpoint: Endpoint, head: int, now: datetime) -> bool:
    """Whether prospects are to be scored for an endpoint: something was recorded, or a day passed.

    Args:
        endpoint: which.
        head: the position of the log.
        now: as of when they would be scored.
    """
    if endpoint.rule is None or endpoint.stopped is not None:
        return False
    since = endpoint.scored_as_of
    return endpoint.scored < head or (since is not None and now - since >= _AGAIN)


def note_crossings(views: Views, now: datetime | None = None) -> dict[str, Noted | str]:
    """Score the open prospects where these views stand, and make a message of each crossing.

    They are scored as of now; but where the newest fact of the log is older than a week, as of a
    week after it: a log that is silent for longer is not being fed, and tells of nobody's silence.
    Each rule is asked once, however many endpoints have it. Of a prospect whom any target profile
    has held out nobody is told, unless the rule says so; nor of who was forgotten.

    Args:
        views: of the store, as they stand.
        now: what time it is.

    Returns:
        By endpoint what was noted; or, in words, why its prospects can't be scored yet.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    position, now = views.position, now or datetime.now(UTC)
    due = [one for one in endpoints(views.engine) if waits_for_scores(one, position, now)]
    if not due:
        return {}
    held_out = views.members(of="held_out")
    newest = held_out.meta["as_of"]
    if newest is not None:
        now = max(newest, min(now, newest + SILENCE))
        due = [one for one in due if waits_for_scores(one, position, now)]
    held = {row["customer"] for row in held_out.rows()}
    answers: dict[tuple[Any, ...], Result] = {}
    noted: dict[str, Noted | str] = {}
    for endpoint in due:
        rule = endpoint.rule
        assert rule is not None  # noqa: S101 - no other is due
        asked = {"policy": rule.policy, "within": rule.within}
        asked = {name: value for name, value in asked.items() if value is not None}
        key = tuple(sorted(asked.items()))
        try:
            if key not in answers:
                answers[key] = views.prospects(most=0, as_of=now, **asked)  # type: ignore[arg-type]  # two of its names
            scored = _scored(views, answers[key], rule, set() if rule.holdouts else held)
        except Refused as error:
            noted[endpoint.name] = str(error)
            continue
        noted[endpoint.name] = note_scores(views.engine, endpoint.name, position, now, scored)
    return noted


def _scored(views: Views, answer: Result, rule: CrossingRule, held: set[str]) -> list[Scored]:
    scores = scores_of(answer, rule.score)
    forgotten, hashed = views.engine.store.forgotten(), views.engine.store.secrets.alias_hash
    found = []
    for row in answer.rows():
        customer = row["customer"]
        if customer in held or (forgotten and hashed(customer) in forgotten):
            continue
        told = {name: _plain(row[name]) for name in _TOLD}
        data = {
            "customer": customer,
            "score": rule.score,
            "value": scores[customer],
            "least": rule.least,
            "policy": rule.policy,
            "position": answer.meta["position"],
            **told,
        }
        found.append(Scored(customer, scores[customer], data))
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it; money is a text."""
    return value if value is None or isinstance(value, str | int | float) else str(value)
