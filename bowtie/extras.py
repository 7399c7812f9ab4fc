"""What is only there if an extra was installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bowtie.errors import UsageError

__all__ = ["need"]

#: Under which name pip knows a module, where that is another one.
_PACKAGES = {
    "opentelemetry.metrics": "opentelemetry-api",
    "opentelemetry.trace": "opentelemetry-api",
    "psycopg_pool": "psycopg[pool]",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
}


def need(module: str, extra: str | None = None) -> Any:
    """A module that an extra brings.

    Args:
        module: its name.
        extra: of this package, that installs it; called like the module if not given.

    Raises:
        UsageError: it is not; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{_PACKAGES.get(module, module)} is not installed;"
            f" run: pip install 'bowtie-journeys[{extra or module}]'"
        ) from error
