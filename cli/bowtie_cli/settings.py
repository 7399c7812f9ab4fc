"""Defaults from the working folder: ``bowtie.toml``, or ``[tool.bowtie]`` in ``pyproject.toml``.

::

    store = "journeys.db"

    [funnel]
    within = "60d"
    by = ["channel"]

Names are those of the options, with ``-`` or ``_``. A flag wins over an environment variable, and
that over a file.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from bowtie_cli.failures import Failure

__all__ = ["read_settings"]


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of a folder, by the names of the commands' parameters.

    Raises:
        Failure: the file can't be read, or is no TOML.
    """
    own, shared = folder / "bowtie.toml", folder / "pyproject.toml"
    if own.is_file():
        return _named(_read(own))
    if shared.is_file():
        tools = _read(shared).get("tool", {})
        return _named(tools.get("bowtie", {}))
    return {}


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(f"{file.name}: is no TOML: {error}", exit_code=2) from None
    except OSError as error:
        raise Failure(f"{file.name}: can't be read: {error.strerror}") from None


def _named(table: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): _value(value) for name, value in table.items()}


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return _named(value)
    if isinstance(value, (date, datetime)):  # TOML has days and times, options have texts
        return value.isoformat()
    return value
