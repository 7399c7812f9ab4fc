"""Files of targets, read with the line of each, so that what is wrong can be found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bowtie.errors import FileError, UsageError
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.records import number, records

__all__ = ["Target", "read_targets"]

_COLUMNS = ("month", "measure", "breakdown", "value")


@dataclass(frozen=True, slots=True)
class Target:
    """One figure that was planned.

    Args:
        file: where it stands.
        line: and in which line.
        month: the period it is of, as written.
        measure: the column it plans, as written.
        value: how much.
        written: the value as it was written.
        breakdown: the value of each breakdown it is of.
    """

    file: str
    line: int
    month: str
    measure: str
    value: Decimal
    written: str
    breakdown: Mapping[str, str] = field(default_factory=dict)

    def error(self, problem: str) -> FileError:
        """What is wrong with it, with its line."""
        return FileError(self.file, problem, self.line)


def read_targets(file: Path) -> list[Target]:
    """The targets of a CSV or TOML file, in its order.

    Args:
        file: ``.toml``, or CSV by any other name.

    Raises:
        FileError: it can't be read, or a line can't; the message names the line.
    """
    return [_target(str(file), line, found) for line, found in records(file, "target", _check)]


def _check(names: Sequence[str]) -> str | None:
    unknown = [name for name in names if name not in _COLUMNS]
    missing = [name for name in _COLUMNS if name not in names and name != "breakdown"]
    if not unknown and not missing:
        return None
    what = f"has no {missing[0]}" if missing else f"has {unknown[0]!r}"
    return f"{what}; the columns are {', '.join(_COLUMNS)}"


def _target(file: str, line: int, found: Mapping[str, Any]) -> Target:
    month = str(found["month"]).strip()
    try:
        period(month)
        breakdown = _breakdown(found.get("breakdown", ""))
        value = number(found["value"])
    except UsageError as error:
        raise FileError(file, str(error), line) from None
    measure = str(found["measure"]).strip()
    return Target(file, line, month, measure, value, str(found["value"]), breakdown)


def _breakdown(written: Any) -> dict[str, str]:
    """The pairs of ``NAME=VALUE;NAME=VALUE``, or of an object."""
    if isinstance(written, str) and written.startswith("{"):
        try:
            written = json.loads(written)
        except json.JSONDecodeError as error:
            raise UsageError(f"breakdown is no JSON: {error}") from None
    if isinstance(written, Mapping):
        return {str(name): _text(value) for name, value in written.items()}
    pairs = [pair.partition("=") for pair in str(written).split(";") if pair.strip()]
    if any(not equals or not name.strip() for name, equals, _ in pairs):
        raise UsageError(
            f"breakdown {written!r} is no NAME=VALUE; write channel=ads, or several with ; between"
        )
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if len(found) < len(pairs):
        raise UsageError(f"breakdown {written!r} names one breakdown twice")
    return found


def _text(value: Any) -> str:
    """A value as the tables write it."""
    return value if isinstance(value, str) else json.dumps(value)
