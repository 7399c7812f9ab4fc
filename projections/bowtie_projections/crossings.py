"""Prospects scored for the endpoints that want to hear who crossed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused
from bowtie.outbox import CrossingRule, Endpoint, Scored, endpoints, note_scores
from bowtie.outbox.crossings import Noted
from bowtie_projections.audiences import scores_of

if TYPE_CHECKING:
    from bowtie_projections.opening import Views
    from bowtie_projections.results import Result

__all__ = ["note_crossings", "waits_for_scores"]

_TOLD = ("stage", "p_win", "p_high", "p_high_value", "expected", "targeted")


def waits_for_scores(endpoint: Endpoint, head: int) -> bool:
    """Whether prospects are to be scored for an endpoint: something was recorded since."""
    return endpoint.rule is not None and endpoint.stopped is None and endpoint.scored < head


def note_crossings(views: Views) -> dict[str, Noted | str]:
    """Score the open prospects where these views stand, and make a message of each crossing.

    Each rule is asked once, however many endpoints have it. Of a prospect whom any target profile
    has held out nobody is told, unless the rule says so; nor of who was forgotten.

    Args:
        views: of the store, as they stand.

    Returns:
        By endpoint what was noted; or, in words, why its prospects can't be scored yet.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    position = views.position
    due = [one for one in endpoints(views.engine) if waits_for_scores(one, position)]
    if not due:
        return {}
    held = {row["customer"] for row in views.members(of="held_out").rows()}
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
                answers[key] = views.prospects(most=0, **asked)  # type: ignore[arg-type]  # two of its names
            scored = _scored(views, answers[key], rule, set() if rule.holdouts else held)
        except Refused as error:
            noted[endpoint.name] = str(error)
            continue
        when = answers[key].meta["as_of"] or datetime.now(UTC)
        noted[endpoint.name] = note_scores(views.engine, endpoint.name, position, when, scored)
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
