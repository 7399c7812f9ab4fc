"""What an ingest did, for a person: counts, what was parked and why, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bowtie_cli.output import Answer
from bowtie_projections.cells import cell

if TYPE_CHECKING:
    from bowtie import IngestReport

__all__ = ["ingest_answer", "total"]

_COUNTS = ("read", "appended", "duplicates", "corrected", "parked", "out_of_sequence", "position")
_EXAMPLES = 20


def total(reports: Sequence[IngestReport]) -> IngestReport:
    """Several reports as one; the position is the last one's."""
    from bowtie import IngestReport

    sum_of = IngestReport()
    for report in reports:
        for one in fields(report):
            mine, more = getattr(sum_of, one.name), getattr(report, one.name)
            if isinstance(more, Mapping):
                for key, value in more.items():
                    mine[key] = mine.get(key, 0) + value
            else:
                setattr(sum_of, one.name, mine + more)
        sum_of.position = report.position
    return sum_of


def ingest_answer(reports: Mapping[str, IngestReport]) -> Answer:
    """The answer of an ingest of some files."""
    report = total(list(reports.values()))
    whole = report.as_dict()
    if len(reports) > 1:
        whole["files"] = [{"file": name} | one.as_dict() for name, one in reports.items()]
    columns = [name for name in _COUNTS if name != "corrected" or report.corrected]
    rows = [{name: getattr(one, name) for name in columns} for one in reports.values()]
    if len(reports) > 1:
        columns = ["file", *columns]
        rows = [{"file": name} | row for name, row in zip(reports, rows, strict=True)]
        rows.append({"file": "all"} | {name: getattr(report, name) for name in columns[1:]})
    return Answer(columns, rows, whole, _speed(report), _notes(report), _parked(report))


def _speed(report: IngestReport) -> str:
    rate = f", {report.read / report.seconds:,.0f} events/s" if report.seconds > 1 else ""
    return f"{report.appended:,} of {report.read:,} events appended{rate}."


def _parked(report: IngestReport) -> dict[str, Answer]:
    """The refused by reason with their sums, and the first of them."""
    if not report.parked:
        return {}
    reasons: list[dict[str, Any]] = []
    for reason, count in sorted(report.parked_by_reason.items()):
        sums = {key[1]: value for key, value in report.parked_amounts.items() if key[0] == reason}
        amounts = ", ".join(f"{cell('amount', sums[code])} {code}" for code in sorted(sums))
        reasons.append({"reason": reason, "events": count, "amounts": amounts or None})
    examples = [
        {"line": f"{one.origin}:{one.line}", "reason": one.reason, "problem": one.problem}
        for one in report.examples[:_EXAMPLES]
    ]
    return {
        "parked": Answer(["reason", "events", "amounts"], reasons, {}),
        "first_of_them": Answer(["line", "reason", "problem"], examples, {}),
    }


def _notes(report: IngestReport) -> list[str]:
    notes = []
    if report.parked:
        notes.append(
            "what is parked is kept, sealed, outside of the log. Send the right lines again, or"
            " see: bowtie parked list; and: bowtie parked retry"
        )
        if report.parked_by_reason["id_reused"]:
            notes.append(
                "id_reused: the id names an event of other content; where the new one is right:"
                " bowtie ingest --correct"
            )
    if report.out_of_sequence:
        first = "; ".join(report.violations[:3])
        notes.append(
            f"{report.out_of_sequence:,} recorded, and marked as out of sequence, such as: {first}"
        )
    if report.unused_rows:
        notes.append(f"{report.unused_rows:,} rows for which the mapping makes no event")
    if report.unchanged_events:
        notes.append(
            f"{report.unchanged_events:,} events left out by the mapping: they say nothing, or what"
            " the customer's last one said"
        )
    if report.keys_like_addresses:
        notes.append(
            f"{report.keys_like_addresses:,} customers' keys hold an @: keys are not sealed, so"
            " send pseudonyms (in a mapping: customer.hash)"
        )
    return notes
