"""What many pages begin with, made once: a demo's log, and the store it is read into.

The commands that only make are run by the first page that begins so. The others get a copy of what
they left in its folder, and of what they printed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Beginnings", "Printed"]

#: What makes something of nothing but what the page's commands before it made.
_MAKES = ("bowtie demo ", "bowtie ingest ")
_PRINTED, _FOLDER = "printed.json", "folder"


class Printed(NamedTuple):
    """What a command printed, and how it ended."""

    text: str
    exit_code: int


class Beginnings:
    """The beginnings of one page.

    Args:
        cache: where those of all pages are kept.
        folder: where the page's commands run.
    """

    def __init__(self, cache: Path, folder: Path) -> None:
        self._cache, self._folder = cache, folder
        self._so_far = hashlib.sha256()
        self._only_made = True

    def run(self, command: str, run: Callable[[], Printed]) -> Printed:
        """What the command prints: of a run, or of that of another page which began the same."""
        self._only_made = self._only_made and command.startswith(_MAKES)
        if not self._only_made:
            return run()
        self._so_far.update(command.encode() + b"\0")
        kept = self._cache / self._so_far.hexdigest()
        if kept.exists():
            shutil.copytree(kept / _FOLDER, self._folder, symlinks=True, dirs_exist_ok=True)
            return Printed(*json.loads((kept / _PRINTED).read_text("utf-8")))
        printed = run()
        self._keep(kept, printed)
        return printed

    def _keep(self, kept: Path, printed: Printed) -> None:
        """All of it or nothing: another process may be looking."""
        made = self._folder.with_name(f"{self._folder.name}-{kept.name[:8]}")
        own = shutil.ignore_patterns("examples", "data")
        shutil.copytree(self._folder, made / _FOLDER, symlinks=True, ignore=own)
        (made / _PRINTED).write_text(json.dumps(printed), "utf-8")
        self._cache.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # another page was faster
            made.rename(kept)
