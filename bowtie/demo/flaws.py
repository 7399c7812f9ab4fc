"""What is wrong in a real log: lines sent twice, corrected, or no use at all. Each is counted."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

from bowtie.demo.clock import DAY, HOUR, MINUTE, Clock
from bowtie.demo.ledger import Line
from bowtie.demo.truth import Tally

__all__ = ["MALFORMED", "Flaws"]

_SHARE_SENT_TWICE = 0.004
_SHARE_CORRECTED = 0.002
_SHARE_ID_REUSED = 0.0008
#: Of each kind of malformed line.
_SHARE_MALFORMED = 0.00012

#: Each kind of malformed line, and the reason under which it is parked.
MALFORMED: Final = {
    "cut_off": "unreadable",
    "unknown_type": "unknown_type",
    "missing_field": "invalid",
    "extra_field": "invalid",
    "bad_currency": "invalid",
    "money_as_number": "invalid",
    "naive_time": "naive_time",
    "future_time": "future_time",
    "no_customer": "no_customer",
}


class Flaws:
    """Plants lines beside the genuine ones of a month, and counts what must become of them.

    No genuine line is the ground of two planted ones, so that each has a single, certain fate.
    """

    def __init__(self, clock: Clock, dice: Random, tally: Tally) -> None:
        self._clock = clock
        self._dice = dice
        self._tally = tally
        self._months: list[list[Line]] = [[] for _ in range(clock.months)]
        self._forms = 0

    def planted(self, month: int, lines: list[Line]) -> list[Line]:
        """The lines planted for this month, now or before, given its genuine lines."""
        corrected = self._how_many(_SHARE_CORRECTED, lines)
        reused = self._how_many(_SHARE_ID_REUSED, lines)
        usage = self._usage(corrected + reused, lines)
        for line in usage[:corrected]:
            self._correct(line)
        for line in usage[corrected:]:
            self._reuse_id(line)
        taken = set(usage)
        for line in self._dice.sample(lines, self._how_many(_SHARE_SENT_TWICE, lines)):
            if line not in taken:
                self._send_twice(line)
        for kind in MALFORMED:
            for line in self._dice.sample(lines, self._how_many(_SHARE_MALFORMED, lines)):
                self._malform(kind, line)
        planted, self._months[month] = self._months[month], []
        return planted

    def _how_many(self, share: float, lines: list[Line]) -> int:
        return int(len(lines) * share + self._dice.random()) if lines else 0

    def _usage(self, count: int, lines: list[Line]) -> list[Line]:
        """Some lines about usage: a wrong quantity is easily sent."""
        drawn = self._dice.sample(lines, min(len(lines), 20 * count))
        return [line for line in drawn if b'"type":"bowtie.usage_metered"' in line[1]][:count]

    def _plant(self, known: int, line: bytes) -> bool:
        """Put a line into the log where it would have come; whether the log lasts that long."""
        if known >= self._clock.end:
            return False
        self._months[self._clock.month(known)].append((known, line))
        return True

    def _send_twice(self, line: Line) -> None:
        known, text = line
        if self._plant(known + 10 * MINUTE + int(self._dice.random() * DAY), text):
            self._tally.duplicates += 1

    def _reuse_id(self, line: Line) -> None:
        """The same source and id with another content."""
        known, text = line
        event = json.loads(text)
        event["data"]["quantity"] = str(int(event["data"]["quantity"]) + 7)
        if self._plant(known + HOUR + int(self._dice.random() * DAY), _line(event)):
            self._tally.parked["id_reused"] += 1

    def _correct(self, line: Line) -> None:
        """A quantity that was ten times too high: taken back, and sent right under a new id."""
        known, text = line
        now = known + HOUR + int(self._dice.random() * 10 * DAY)
        if now >= self._clock.end - MINUTE:
            return
        wrong = json.loads(text)
        stamp = self._clock.stamp(now)
        retracted = wrong | {
            "id": f"{wrong['id']}-retracted",
            "type": "bowtie.retracted",
            "time": stamp,
            "recordedtime": stamp,
            "data": {"of_source": wrong["source"], "of_id": wrong["id"]},
        }
        quantity = str(int(wrong["data"]["quantity"]) // 10)
        right = wrong | {
            "id": f"{wrong['id']}-corrected",
            "recordedtime": self._clock.stamp(now + 1),
            "causationid": retracted["id"],
            "data": wrong["data"] | {"quantity": quantity},
        }
        self._plant(now, _line(retracted))
        self._plant(now + 1, _line(right))
        self._tally.corrected += 1
        self._tally.events_by_type["retracted"] += 1
        self._tally.events_by_type["usage_metered"] += 1

    def _malform(self, kind: str, line: Line) -> None:
        """A line of a badly built web form, about the customer of a genuine line."""
        known = line[0] + int(self._dice.random() * HOUR)
        self._forms += 1
        subject = json.loads(line[1])["subject"]
        if self._plant(known, _malformed(kind, f"form-{self._forms}", subject, self._clock, known)):
            self._tally.malformed[kind] += 1
            self._tally.parked[MALFORMED[kind]] += 1


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _malformed(kind: str, number: str, subject: str, clock: Clock, known: int) -> bytes:
    stamp = clock.stamp(known)
    data: dict[str, Any] = {"channel": "search", "direction": "inbound"}
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": number,
        "source": "form",
        "type": "bowtie.touched",
        "subject": subject,
        "time": stamp,
        "recordedtime": stamp,
        "data": data,
    }
    match kind:
        case "unknown_type":
            event["type"] = "bowtie.page_viewed"
        case "missing_field":
            del data["direction"]
        case "extra_field":
            data["colour"] = "blue"
        case "bad_currency":
            data |= {"cost": "12.00", "currency": "EURO"}
        case "money_as_number":
            data |= {"cost": 12.5, "currency": "EUR"}
        case "naive_time":
            event["time"] = stamp.removesuffix("Z")
        case "future_time":
            event["time"] = "2199-01-01T00:00:00Z"
        case "no_customer":
            del event["subject"]
    text = _line(event)
    return text[: len(text) * 2 // 3] + b"\n" if kind == "cut_off" else text
