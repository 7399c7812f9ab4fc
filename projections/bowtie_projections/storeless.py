"""Read tables that were made straight from log files: asked as they stand, without a store.

>>> import tempfile, pathlib
>>> with tempfile.TemporaryDirectory() as folder:
...     storeless_views(pathlib.Path(folder) / "none.duckdb")
Traceback (most recent call last):
bowtie.errors.TablesError: ...none.duckdb: there are no read tables: make them with replay LOG...
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from bowtie.errors import BowtieError, TablesError, UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition, load_definition
from bowtie_projections.databases import tables_at
from bowtie_projections.databases.contract import WAIT
from bowtie_projections.opening import Views
from bowtie_projections.standing import Standing

if TYPE_CHECKING:
    from bowtie import Bowtie

__all__ = ["storeless_views"]


def storeless_views(
    url: str | Path, definition: str | Path | None = None, wait: float | None = None
) -> Views:
    """The views over tables that ``replay LOG...`` made.

    Args:
        url: where the tables are.
        definition: the one that they were made with, where it is a file of your own.
        wait: how long to wait for other processes, in seconds (30).

    Raises:
        TablesError: there are no tables.
        UsageError: they follow a definition that must be named.
    """
    file = tables_at(url, WAIT if wait is None else wait)
    standing = file.standing()
    if standing is None:
        raise TablesError(f"{file.name}: there are no read tables: make them with replay LOG...")
    engine = _Tables(standing, _definition(standing, definition))
    return Views.open(cast("Bowtie", engine), url, refresh=False, wait=wait)


def _definition(standing: Standing, given: str | Path | None) -> Definition:
    """The definition of the tables: by its label, or as given."""
    for source in (standing.definition, given):
        try:
            found = None if source is None else load_definition(source)
        except BowtieError:
            if source is given:
                raise
            continue
        if found is not None and found.sha256 == standing.definition_hash:
            return found
    raise UsageError(
        f"the tables follow {standing.definition}, which doesn't come with bowtie: name the file"
        " that they were made with as the definition"
    )


class _Tables:
    """What views ask of an engine, answered from the tables alone."""

    def __init__(self, standing: Standing, definition: Definition) -> None:
        self.definition, self.personal_names = definition, PERSONAL_NAMES
        self.store = self
        self.store_id, self.path = standing.store_id, None
        self._position = standing.position

    def head(self) -> int:
        """Nothing is newer than the tables."""
        return self._position

    def changed(self, after: int, timeout: float) -> bool:  # noqa: ARG002 - nothing will come
        """Whether the tables are past a position; they stay where they are."""
        return self._position > after

    def parked_counts(self) -> dict[str, int]:
        """What was refused was told when the tables were made, and kept nowhere."""
        return {}

    def dropped_counts(self) -> dict[str, int]:
        """Nothing was parked."""
        return {}
