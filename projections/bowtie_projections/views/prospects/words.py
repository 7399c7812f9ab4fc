"""What the answer about prospects says: who is scored, from whom it was learnt, how good it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bowtie.durations import format_duration
from bowtie.wording import are
from bowtie_projections.traits import TOUCH_TRAITS, rule_of
from bowtie_projections.views.loop.numbers import amount
from bowtie_projections.views.prospects.scores import Scores

__all__ = ["notes", "sentence"]


def sentence(found: Scores) -> str:
    """Who is scored, and who was learnt from."""
    if found.cut.moment is None:
        return "No facts at this position, so nobody is scored."
    leads, question = found.leads, found.question
    within = format_duration(question.within)
    young = leads.all - leads.mature
    if not question.value.include_truncated:
        young -= leads.truncated
    said = (
        f"{found.units.count(leads.open)} {are(leads.open)} open prospects on"
        f" {found.cut.moment:%Y-%m-%d}: entered {question.lead}, neither won nor lost."
        f" Of {leads.all:,} leads {leads.mature:,} {are(leads.mature)} old enough for {within} and"
        f" learnt from; {young:,} {are(young)} too young and left out"
    )
    if leads.truncated and not question.value.include_truncated:
        said += f"; {leads.truncated:,} may be older than the data and {are(leads.truncated)} out"
    said += "."
    if found.learnt.win.model is None:
        return f"{said} Insufficient to tell a chance: {found.learnt.win.why_not}."
    shown = min(question.most or found.rows.size, found.rows.size)
    return f"{said} The best {shown:,} are listed." if shown < found.rows.size else said


def notes(found: Scores) -> list[str]:
    """What to know before believing the figures."""
    if found.known is None:
        return []
    return [
        note for part in (_on_learning, _on_value, _on_traits, _on_people) for note in part(found)
    ]


def _on_learning(found: Scores) -> Iterator[str]:
    question, stood, win = found.question, found.known, found.learnt.win
    assert stood is not None  # noqa: S101 - there are facts
    within, past = format_duration(question.within), ~stood.now
    if win.model is None:
        return
    closed = found.leads.mature * question.looks - int(past.sum())
    yield (
        f"Each of the old enough was looked at {question.looks} times, at random ages (seed"
        f" {question.seed}), and at {int(past.sum()):,} of these looks was an open prospect; at"
        f" {closed:,} it was not yet, won, or lost. Won is who committed within {within} of the"
        f" look: {int((stood.won & past).sum()):,} looks. Only what was known by then counts."
    )
    if win.quality is not None:
        ratio = win.quality.expected / win.quality.observed if win.quality.observed else np.nan
        yield (
            f"Judged out of time, on {win.newer.leads:,} leads newer than the {win.older.leads:,}"
            f" learnt from: an area under the ROC curve of {win.quality.auc:.2f}"
            f" ({win.quality.auc_low:.2f} to {win.quality.auc_high:.2f}); {ratio:.2f} wins were"
            " expected for each that came (part quality, deciles)."
        )
        if ratio > _FAR or ratio < 1 / _FAR:
            yield (
                "Times have changed: chances learnt from the older leads are off for the newer"
                " ones; the order of prospects may still hold."
            )
        if win.quality.auc_low < _CHANCE:
            yield "The order of prospects can't be told from one by chance: don't work by it."


#: More expected than came by so much, or fewer, is said.
_FAR = 1.25
_CHANCE = 0.5


def _on_value(found: Scores) -> Iterator[str]:
    worth, question = found.worth, found.question
    horizon = format_duration(question.value.horizon)
    if worth.threshold is None:
        yield f"No chance of high value is told: {worth.unfitted}."
        return
    reached = amount(worth.threshold, worth.currency)
    if found.learnt.win.model is None:
        return
    if found.learnt.high.model is None:
        yield (
            f"No chance of high value ({reached} or more of {question.value.value} over {horizon})"
            f" is told, and prospects are ordered by p_win: {found.learnt.high.why_not}."
        )
        return
    said = (
        f"p_high is the chance that who is won is of high value, {reached} or more of"
        f" {question.value.value} over the first {horizon}; p_high_value, of both, orders the"
        " prospects."
    )
    if worth.high is not None and worth.other is not None:
        said += (
            f" expected takes {amount(worth.high, worth.currency)} for one of high value and"
            f" {amount(worth.other, worth.currency)} for another win, the means of those learnt"
            " from."
        )
    yield said


def _on_traits(found: Scores) -> Iterator[str]:
    rules, stood = found.question.rules, found.known
    assert stood is not None  # noqa: S101 - there are facts
    for name in found.refused:
        yield f"{name}: off, {rule_of(name, rules).refusal}."
    undeclared = [name for name in stood.traits if name not in rules and name not in TOUCH_TRAITS]
    if undeclared:
        yield (
            f"{', '.join(undeclared)}: used, though no traits file says what kind they are; what"
            " customers must not be chosen by is to be declared protected."
        )
    if len(stood.currencies) > 1:
        yield "Open amounts are in several currencies, so they have no part in the score."


def _on_people(found: Scores) -> Iterator[str]:
    stood, leads = found.known, found.leads
    assert stood is not None  # noqa: S101 - there are facts
    if found.units.clustered and found.learnt.win.model is not None:
        yield found.units.note
    if leads.returned:
        yield (
            f"{found.units.count(leads.returned)} came back after having been won and lost,"
            f" and {are(leads.returned)} not among the prospects."
        )
    targeted = np.array(stood.targeted.is_valid().to_numpy(), bool)
    now, past = int(targeted[stood.now].sum()), int(targeted[~stood.now].sum())
    if now or past:
        yield (
            f"{now:,} of the prospects, and {past:,} of the looks learnt from, had been chosen or"
            " held out by a target profile: who is treated better is won more often, so the score"
            " may learn the treatment. Judge a profile by its holdout, not by this score."
        )
    if found.learnt.win.model is not None:
        yield (
            "A score is an association, not a cause: it says who is likely to be won as things are"
            " done now, not who is won over by more work."
        )
