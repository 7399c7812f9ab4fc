"""The score of prospects: who of the open leads is worth working on, why, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.prospects.learning import Card
from bowtie_projections.views.prospects.model import Model
from bowtie_projections.views.prospects.scores import Scores, scores
from bowtie_projections.views.prospects.words import notes, sentence
from bowtie_projections.views.shares import standing, typed_table
from bowtie_projections.views.stock.places import PLACES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["prospects"]

Ints = NDArray[np.int64]

#: So many reasons are given for each chance of a prospect.
REASONS = 3
#: A weight that changes the odds by less is no reason.
_LEAST = 0.05


def prospects(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    most: int = 50,
    within: str | timedelta = "180d",
    looks: int = 4,
    seed: int = 0,
    model: bool = False,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    horizon: str | timedelta = "365d",
    top: float | Decimal | str = 0.2,
    threshold: Decimal | int | str | None = None,
    value: str = "revenue",
    currency: str | None = None,
    costs_complete: bool = False,
    traits: str | Path | Mapping[str, Any] | None = None,
    backfill_gap: str | timedelta = "7d",
    data_from: Any = None,
    data_through: Any = None,
    include_truncated: bool = False,
    tz: str = "UTC",
    policy: Policy | None = None,
) -> Result:
    """Who of the open prospects is likely to be won, and to be of high value then.

    Learnt from all leads that are old enough, as each looked at random moments of its life: what
    was known of it then, and whether it was won within the time asked for. Ridge logistic
    regression (scikit-learn), judged on leads newer than those it was learnt from.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked of.
        definition: what the entry of a stage is, and which stage makes a lead.
        most: how many prospects are listed, the best of them; all, if it is 0.
        within: won is who commits within so long after the look.
        looks: how often each lead is looked at, from 1 to 10.
        seed: of the random moments.
        model: tell the weights too, in the part ``weights``.
        unit: what is counted: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        horizon: whole days from the commitment over which value counts.
        top: the share of the older half's paying customers that sets the threshold of high value.
        threshold: the value from which on it is high; then ``top`` is not used.
        value: ``revenue``, or ``contribution``: less the costs of onboarding and serving.
        currency: refuse all others.
        costs_complete: a customer without a cost on record had none.
        traits: what kind each trait is: a traits file, its text, or what it holds.
        backfill_gap: a fact recorded so much later than it happened is history loaded later.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when it is complete, if not up to the moment asked of.
        include_truncated: count leads who may be older than the data.
        tz: the zone of days.
        policy: a value policy, whose horizon, value and high then hold.

    Returns:
        A row for each prospect, the best first: by ``p_high_value``, the chance to be won and of
        high value, or by ``p_win`` where too few were of high value to tell; none where too few
        were won. The part ``quality`` has a row for each chance, ``deciles`` their tested scores in
        tenths; with ``model`` the part ``weights`` has a row for each level of each feature.

    Raises:
        UsageError: a value that can't be asked, or scikit-learn is not installed.
        Refused: several currencies, or costs that are missing for too many.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    } | {"strict_known": False}  # fmt: skip
    return _told(scores(reader, cut, definition, asked))


def _told(found: Scores) -> Result:
    question, cards = found.question, found.learnt.cards
    worth = found.worth
    parts = {"quality": _quality(cards), "deciles": _deciles(cards)}
    if question.model:
        parts["weights"] = _weights([found.learnt.win, found.learnt.high])
    parameters = question.parameters()
    del parameters["strict_known"]
    meta = standing(found.definition, parameters, found.cut, found.units)
    meta |= {
        "leads": found.leads.all,
        "left_truncated": found.leads.truncated,
        "mature": found.leads.mature,
        "prospects": found.leads.open,
        "threshold": worth.threshold,
        "currency": worth.currency,
    }
    return Result(
        "prospects",
        found.units.by_name(_listed(found)),
        sentence=sentence(found),
        notes=notes(found),
        sql=found.units.reader.statements,
        meta=meta,
        parts=parts,
    )


def _listed(found: Scores) -> pa.Table:
    import pyarrow as pa

    text, money, number = pa.string(), pa.decimal128(38, 6), pa.float64()
    kinds = {
        "customer": text, "rank": pa.int64(), "decile": pa.int64(), "stage": text,
        "lead_days": number, "p_win": number, "p_high": number, "p_high_value": number,
        "expected": money, "source": text, "open_amount": money, "open_currency": text,
        "why_win": text, "why_high": text, "targeted": text,
    }  # fmt: skip
    return typed_table(list(_rows(found)) if found.p_win is not None else [], kinds, {})


def _rows(found: Scores) -> list[dict[str, Any]]:
    """The prospects that are shown, the best first."""
    stood, p_win = found.known, found.p_win
    assert stood is not None  # noqa: S101 - there are scores
    assert p_win is not None  # noqa: S101 - the same
    size = found.rows.size
    shown = min(found.question.most or size, size)
    rows = found.rows[:shown]
    nothing: list[Any] = [None] * shown
    sources = nothing
    if "channel" in stood.traits:
        levels, codes = stood.traits["channel"]
        sources = [None if code < 0 else levels[code] for code in codes[rows].tolist()]
    columns = {
        "customer": stood.customer.take(rows).to_pylist(),
        "rank": range(1, shown + 1),
        "decile": (1 + np.arange(shown) * 10 // max(size, 1)).tolist(),
        "stage": [PLACES[place] for place in stood.place[rows].tolist()],
        "lead_days": stood.days["lead_for"][rows].tolist(),
        "p_win": p_win[:shown].tolist(),
        "p_high": nothing if found.p_high is None else found.p_high[:shown].tolist(),
        "p_high_value": (
            nothing if found.p_high_value is None else found.p_high_value[:shown].tolist()
        ),
        "expected": nothing if found.expected is None else found.expected[:shown],
        "source": sources,
        "open_amount": stood.amount.take(rows).to_pylist(),
        "open_currency": stood.currency.take(rows).to_pylist(),
        "why_win": _reasons(found.learnt.win.model, rows),
        "why_high": _reasons(found.learnt.high.model, rows),
        "targeted": stood.targeted.take(rows).to_pylist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _reasons(model: Model | None, rows: Ints) -> Sequence[str | None]:
    """What moves each one's odds most, against those of the average lead."""
    if model is None:
        return [None] * rows.size
    parts = model.parts(rows)
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :REASONS]
    words = [
        [
            f"{one.name}: {level} ({_factor(weight)})"
            for level, weight in zip(one.levels, own, strict=True)
        ]
        for one, own in zip(model.features, (w.tolist() for w in model.weights), strict=True)
    ]
    found = []
    for place, own in enumerate(order.tolist()):
        row = int(rows[place])
        found.append(
            "; ".join(
                words[feature][model.features[feature].codes[row]]
                for feature in own
                if abs(parts[place, feature]) >= _LEAST
            )
            or "like the average lead"
        )
    return found


def _factor(weight: float) -> str:
    """By how much a weight changes the odds.

    >>> _factor(0.6931), _factor(-1.2)
    ('odds x2', 'odds x0.3')
    """
    return f"odds x{float(np.exp(weight)):.2g}"


def _quality(cards: Sequence[Card]) -> pa.Table:
    import pyarrow as pa

    whole, number = pa.int64(), pa.float64()
    kinds: dict[str, Any] = {"score": pa.string()}
    for half in ("older", "newer"):
        kinds |= {f"{name}_{half}": whole for name in ("leads", "looks", "with", "without")}
    kinds |= {"observed": whole, "expected_events": number, "expected_to_observed": number}
    kinds |= dict.fromkeys(("auc", "auc_low", "auc_high", "brier", "brier_base", "penalty"), number)
    kinds["why_not"] = pa.string()
    return typed_table([dict.fromkeys(kinds) | _judged(card) for card in cards], kinds, {})


def _judged(card: Card) -> dict[str, Any]:
    """What is known of how good a chance is told."""
    row: dict[str, Any] = {"score": card.name, "why_not": card.why_not or None}
    row["penalty"] = card.penalty
    for half, found in (("older", card.older), ("newer", card.newer)):
        row[f"leads_{half}"], row[f"looks_{half}"] = found.leads, found.looks
        row[f"with_{half}"], row[f"without_{half}"] = found.with_event, found.without
    quality = card.quality
    if quality is None:
        return row
    row |= {
        "observed": quality.observed, "expected_events": quality.expected,
        "auc": quality.auc, "auc_low": quality.auc_low, "auc_high": quality.auc_high,
        "brier": quality.brier, "brier_base": quality.brier_base,
    }  # fmt: skip
    if quality.observed:
        row["expected_to_observed"] = quality.expected / quality.observed
    return row


def _deciles(cards: Sequence[Card]) -> pa.Table:
    import pyarrow as pa

    whole, number = pa.int64(), pa.float64()
    kinds = {
        "score": pa.string(), "decile": whole, "looks": whole, "predicted_rate": number,
        "observed": whole, "observed_rate": number, "observed_rate_low": number,
        "observed_rate_high": number, "lift": number, "captured_share": number,
    }  # fmt: skip
    rows = [
        {
            "score": card.name, "decile": one.decile, "looks": one.looks,
            "predicted_rate": one.predicted, "observed": one.observed, "observed_rate": one.rate,
            "observed_rate_low": one.rate_low, "observed_rate_high": one.rate_high,
            "lift": one.lift, "captured_share": one.captured,
        }
        for card in cards
        for one in card.deciles
    ]  # fmt: skip
    return typed_table(rows, kinds, {})


def _weights(cards: Sequence[Card]) -> pa.Table:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    kinds = {
        "score": text, "feature": text, "level": text, "looks": pa.int64(), "looks_share": number,
        "weight": number, "odds_factor": number,
    }  # fmt: skip
    rows = [
        {
            "score": card.name, "feature": feature.name, "level": level, "looks": looks,
            "looks_share": looks / card.rows.size, "weight": weight,
            "odds_factor": float(np.exp(weight)),
        }
        for card in cards
        if card.model is not None
        for feature, weights, counts in zip(
            card.model.features, card.model.weights, card.model.counts, strict=True
        )
        for level, looks, weight in zip(
            feature.levels, counts.tolist(), weights.tolist(), strict=True
        )
    ]  # fmt: skip
    return typed_table(rows, kinds, {})
