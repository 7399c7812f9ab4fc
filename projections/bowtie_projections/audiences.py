"""Who is to be reached, or not to be: asked of the views, then made into an audience."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from bowtie.audiences import Audience, Companies, Platform, build_audience
from bowtie.errors import Refused, UsageError
from bowtie.reading import Reading

if TYPE_CHECKING:
    from bowtie_projections.opening import Views
    from bowtie_projections.results import Result

__all__ = ["Chosen", "audience", "chosen"]


class Chosen(NamedTuple):
    """Who is to be in a file.

    Args:
        customers: by their keys.
        answer: of the view that chose them.
        told: in words, how they were chosen.
    """

    customers: list[str]
    answer: Result
    told: str


def chosen(
    views: Views,
    of: str,
    *,
    least: float | None = None,
    top: float | Decimal | str | None = None,
    **asked: Any,
) -> Chosen:
    """The customers who are to be in a file.

    Args:
        views: of the store.
        of: as :func:`bowtie_projections.views.members.members` has it; or ``prospects``.
        least: of prospects, those whose score is so high; the score is the chance to be won and of
            high value, or to be won where too few were of high value to tell.
        top: of prospects, the best so many; of a tier, the share that is of high value.
        asked: the other parameters of the view.

    Raises:
        UsageError: a value that can't be asked.
        Refused: prospects can't be scored yet.
    """
    if of != "prospects":
        if least is not None:
            raise UsageError("least= is of prospects")
        share = {} if top is None else {"top": top}
        answer = views.members(of=of, **asked, **share)  # type: ignore[arg-type]  # it checks that
        return Chosen(_keys(answer), answer, answer.sentence)
    if least is None and top is None:
        raise UsageError(
            "say which prospects: the best so many (top=), or from a score on (least=)"
        )
    if least is not None and not 0 <= least <= 1:
        raise UsageError(f"least is {least:g}; a score is a chance: write one from 0 to 1")
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise UsageError(f"top is {top}; of prospects write how many, such as 500")
    answer = views.prospects(most=0, **asked)
    scored = scores_of(answer)
    kept = [name for name, score in scored.items() if least is None or score >= least]
    kept = kept[:top]
    return Chosen(kept, answer, f"{len(kept):,} of {len(scored):,} open prospects.")


def scores_of(answer: Result, score: str | None = None) -> dict[str, float]:
    """Of each prospect of an answer its score, the best first.

    Args:
        answer: of the view ``prospects``.
        score: which; the one that they are ordered by, unless said.

    Raises:
        Refused: there is no such score yet.
    """
    rows = answer.rows()
    if answer.meta["prospects"] and not rows:
        raise Refused(f"prospects can't be scored yet: {answer.sentence}")
    high = score or ("p_high_value" if rows and rows[0]["p_high_value"] is not None else "p_win")
    if rows and rows[0][high] is None:
        raise Refused(
            "the chance of high value can't be told yet: too few were of high value; see bowtie"
            " prospects --part quality, or go by p_win"
        )
    return {row["customer"]: row[high] for row in rows}


def audience(
    views: Views,
    found: Chosen,
    platform: Platform | Companies,
    *,
    suppress: bool = False,
    identifiers: Mapping[str, str] | None = None,
    traits: Mapping[str, str] | None = None,
    consent: str | None = None,
) -> Audience:
    """The rows of a file for a platform.

    Args:
        views: of the store.
        found: who is to be in it.
        platform: whose file it is, of :data:`bowtie.audiences.PLATFORMS`; or of companies, of
            :data:`bowtie.audiences.COMPANY_LISTS`.
        suppress: it says whom not to reach: so nobody is left out for being held out, and consent
            need not be on record, unless ``consent`` says otherwise.
        identifiers: ``email``, ``phone``, ``purpose`` and ``calling_code``, as
            :func:`bowtie.audiences.build_audience` has them.
        traits: of companies, which trait holds a field, as
            :func:`bowtie.audiences.build_audience` has them.
        consent: ``given`` or ``unless-withdrawn``.

    Raises:
        UsageError: a value that can't be asked; or there are only tables, and no store.
        SealedKeyMissing: personal fields can't be opened.
    """
    if not isinstance(views.engine, Reading):
        raise UsageError("read tables alone hold no addresses: name the store they are of")
    held = [] if suppress else _keys(views.members(of="held_out"))
    return build_audience(
        views.engine,
        found.customers,
        platform,
        consent=consent or ("unless-withdrawn" if suppress else "given"),
        held_out=held,
        withdrew=_keys(views.members(of="withdrew")),
        traits=traits,
        **(identifiers or {}),
    )


def _keys(members: Result) -> list[str]:
    return [row["customer"] for row in members.rows()]
