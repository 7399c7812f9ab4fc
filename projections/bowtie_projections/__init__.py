"""What the log means: read tables, replay and views.

>>> from bowtie_projections import Views
>>> Views.open.__self__ is Views
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bowtie_projections.following import follow
    from bowtie_projections.opening import Views, tables_of
    from bowtie_projections.results import Result

__all__ = ["Result", "Views", "follow", "tables_of"]

_HOMES = {
    "Result": "results",
    "Views": "opening",
    "follow": "following",
    "tables_of": "opening",
}


def __getattr__(name: str) -> object:
    # SQLAlchemy and DuckDB take a third of a second to load: only who asks a view pays for it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
