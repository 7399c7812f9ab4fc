"""What a loop or the referrals found in a demo log, against what was built into it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowtie_cli.output import Answer

if TYPE_CHECKING:
    from bowtie.demo import Truth

__all__ = ["check_answer"]

_FINDINGS = ("mark", "anti-mark")


def check_answer(source: str, truth: Truth) -> Answer:
    """Hold the JSON of a loop, or of referrals, against the truth.

    Args:
        source: the file with the answer of ``bowtie loop --json``, or of ``bowtie referrals
            --json``; or ``-``.
        truth: of the log that was asked.

    Raises:
        FileError: the file can't be read, or is no such answer.
    """
    view, rows = _answered(source)
    if view == "referrals":
        return _check_referrals(rows, truth)
    return _check_loop({(row["trait"], row["level"]): row["verdict"] for row in rows}, truth)


def _check_referrals(found: list[dict[str, Any]], truth: Truth) -> Answer:
    """Who was brought by how many referrals, one after the other."""
    counted = {row["referrals_before"]: row["customers"] for row in found}
    referred = {str(number): count for number, count in truth.referred_customers.items()}
    built_in = {"nobody": truth.paying_customers - sum(referred.values()), **referred}
    rows = [
        {
            "referrals_before": number,
            "built_in": built_in.get(number, 0),
            "found": counted.get(number, 0),
            "right": built_in.get(number, 0) == counted.get(number, 0),
        }
        for number in dict.fromkeys((*built_in, *counted))
    ]
    right = sum(row["right"] for row in rows)
    sentence = f"The referrals are right about {right} of {len(rows)} truths built into the log."
    whole = {"ok": right == len(rows), "right": right, "of": len(rows), "truths": rows}
    return Answer(list(rows[0]), rows, whole, sentence, [])


def _check_loop(verdicts: dict[tuple[str, str | None], str], truth: Truth) -> Answer:
    rows = [_row(verdicts, level, "mark") for level in truth.marks]
    rows += [_row(verdicts, level, "anti-mark") for level in truth.anti_marks]
    rows += [_trait_row(verdicts, truth.leak_trait, "leak")]
    for trait in (truth.older_trait, truth.missing_trait, *truth.neutral_traits):
        rows.append(_trait_row(verdicts, trait, "no finding"))
    right = sum(row["right"] for row in rows)
    known = {*truth.marks, *truth.anti_marks, *truth.mirrors}
    others = [
        f"beside these the loop calls {trait} = {level} {verdict}"
        for (trait, level), verdict in verdicts.items()
        if verdict in _FINDINGS
        and (trait, level) not in known
        and trait not in {row["trait"] for row in rows if row["level"] is None}
    ]
    sentence = f"The loop is right about {right} of {len(rows)} truths built into the log."
    whole = {"ok": right == len(rows), "right": right, "of": len(rows), "truths": rows}
    return Answer(list(rows[0]), rows, whole, sentence, others)


def _answered(source: str) -> tuple[str, list[dict[str, Any]]]:
    """Which view answered, and its rows; of referrals those by depth."""
    from bowtie.errors import FileError

    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text("utf-8")
        answer = json.loads(text)
        parts = {"loop": lambda: answer, "referrals": lambda: answer["parts"]["depth"]}
        rows = parts[answer["view"]]()["rows"]
    except OSError as error:
        raise FileError(source, f"can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        rows = None
    if rows is None:
        raise FileError(
            source,
            "is no answer of the loop or of referrals: write one with bowtie loop --json, or"
            " bowtie referrals --json",
        )
    return answer["view"], rows


def _row(
    verdicts: dict[tuple[str, str | None], str], level: tuple[str, str], expected: str
) -> dict[str, Any]:
    found = verdicts.get(level, "not in the answer")
    return {
        "trait": level[0],
        "level": level[1],
        "built_in": expected,
        "found": found,
        "right": found == expected,
    }


def _trait_row(
    verdicts: dict[tuple[str, str | None], str], trait: str, expected: str
) -> dict[str, Any]:
    """A trait all of whose levels must come to the same: nothing, or a leak."""
    found = {verdict for (name, _), verdict in verdicts.items() if name == trait}
    wrong = found & {*_FINDINGS} if expected == "no finding" else found - {expected}
    verdict = ", ".join(sorted(wrong or found)) or "not in the answer"
    return {
        "trait": trait,
        "level": None,
        "built_in": expected,
        "found": verdict,
        "right": bool(found) and not wrong,
    }
