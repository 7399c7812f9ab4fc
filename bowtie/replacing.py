"""A file that is put in place as a whole: whoever reads it finds the old one or the new one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bowtie.errors import BowtieError, FileError

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside a path, put in its place when the block ends without an error.

    A link stays, and what it points to is replaced; a device such as ``/dev/null`` is written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "new.txt") as file:
    ...         _ = file.write(b"all of it")
    ...     [one.name for one in Path(folder).iterdir()]
    ['new.txt']

    Raises:
        FileError: it can't be written; what stood there before still does.
    """
    there = path.resolve()
    try:
        if there.is_dir():
            raise FileError(str(path), "is a folder: name a file in it")
        if there.exists() and not there.is_file():
            with there.open("wb") as device:
                yield device
            return
        temporary = there.with_name(f".{there.name}.{secrets.token_hex(4)}")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(there)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except BowtieError:
        raise
    except OSError as error:
        raise FileError(str(path), f"can't be written: {error.strerror or error}") from None
