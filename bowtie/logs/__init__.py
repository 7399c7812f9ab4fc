r"""Event-log files, and the mappings that turn foreign rows into events.

>>> import io
>>> log = open_log(io.BytesIO(b"shop,day\nweb,2026-01-05\n"), format="csv")
>>> log.columns
['shop', 'day']
"""

from __future__ import annotations

from bowtie.logs.dry_run import DryRun, dry_run
from bowtie.logs.lines import Chunk
from bowtie.logs.mapping import Mapper, Mapping, Unmapped
from bowtie.logs.reading import LogFile, open_log
from bowtie.logs.row_ids import RowIds
from bowtie.logs.rows import BadRow, Format, FormatOptions, Row
from bowtie.logs.writing import write_log

__all__ = [
    "BadRow",
    "Chunk",
    "DryRun",
    "Format",
    "FormatOptions",
    "LogFile",
    "Mapper",
    "Mapping",
    "Row",
    "RowIds",
    "Unmapped",
    "dry_run",
    "open_log",
    "write_log",
]
