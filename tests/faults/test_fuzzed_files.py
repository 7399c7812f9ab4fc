"""CSV, Parquet and packed files that something happened to: said, and nothing lost in silence."""

from __future__ import annotations

import gzip
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie import Bowtie, Mapping
from bowtie.errors import FileError, MappingError
from bowtie.ingest import IngestReport
from bowtie.logs import write_log
from bowtie.logs.rows import Format
from tests.faults.damaging import HOSTILE, damaged_bytes

_EXAMPLES = Path(__file__).parents[2] / "examples"


def _event(number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "crm",
        "type": "bowtie.touched",
        "subject": f"c{number % 3}",
        "time": "2026-01-05T10:00:00Z",
        "traceparent": "00",
        "data": {"channel": 'a "web", shop\nfront', "direction": "inbound"},
    }


@cache
def _written(form: Format) -> bytes:
    out = io.BytesIO()
    write_log([_event(number) for number in range(6)], out, format=form)
    return out.getvalue()


def _taken(data: bytes, form: Format | None = None, mapping: Mapping | None = None) -> IngestReport:
    """The report of an ingest that ends, well or with an error that says what is wrong."""
    with Bowtie.open("memory://") as engine:
        try:
            report = engine.ingest(io.BytesIO(data), format=form, mapping=mapping)
        except (FileError, MappingError) as error:
            report = getattr(error, "report", None) or IngestReport()
        assert report.read == (
            report.appended - report.corrected + report.duplicates + report.parked
        )
        assert engine.store.head() == report.appended
        return report


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@given(data=st.data())
def test_a_damaged_file_ends_in_a_report_or_an_error(form: Format, pack: Any, data: Any) -> None:
    packed = pack(_written(form))
    assert _taken(packed, form).appended == 6
    _taken(data.draw(damaged_bytes(packed)), form)
    _taken(pack(data.draw(damaged_bytes(_written(form)))), form)


_CELLS = st.one_of(
    st.text(max_size=6),
    HOSTILE,
    st.sampled_from(["bowtie_export", "bowtie.noted", "{", '{"a": 1}', '"a\nb"', "acme"]),
)
_COLUMNS = ["id", "source", "type", "subject", "time", "extensions", "data", "sequence", "authid"]


@given(st.data())
def test_a_csv_log_of_any_cells_is_accounted_for(data: st.DataObject) -> None:
    """Each row is an event, or is parked."""
    columns = data.draw(st.permutations(_COLUMNS))[: data.draw(st.integers(4, len(_COLUMNS)))]
    columns = list(dict.fromkeys([*columns, "source", "type", "subject", "time"]))
    rows = []
    for _ in range(data.draw(st.integers(1, 5))):
        row = {"source": "crm", "type": "bowtie.touched", "subject": "a"}
        row |= {"time": "2026-01-05T10:00:00Z", "data": json.dumps(_event(0)["data"])}
        row |= data.draw(st.dictionaries(st.sampled_from(_COLUMNS), _CELLS, max_size=2))
        rows.append([row.get(name, "") for name in columns])
    text = "\n".join(
        ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
        for cells in [columns, *rows]
    )
    report = _taken(text.encode("utf-8", "surrogatepass"), "csv")
    headers = sum(row[columns.index("type")] == "bowtie_export" for row in rows)
    assert len(rows) - headers <= report.read <= len(rows)


_TYPES: list[Any] = [
    *(pa.string(), pa.large_string(), pa.binary(), pa.bool_(), pa.null(), pa.int8(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(38, 6), pa.decimal256(60, 30)),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.duration("us")),
    *(pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "Europe/Amsterdam")),
    *(pa.list_(pa.int8()), pa.struct([("a", pa.string())]), pa.map_(pa.string(), pa.string())),
    pa.dictionary(pa.int8(), pa.string()),
]


@st.composite
def _columns(draw: st.DrawFn, count: int) -> Any:
    """A column of any type, of values that its bytes may hold, whether they make sense or not."""
    kind = draw(st.sampled_from(_TYPES))
    if pa.types.is_temporal(kind):
        width = pa.int64() if kind.bit_width == 64 else pa.int32()
        limit = 2 ** (kind.bit_width - 1)
        values = draw(st.lists(st.integers(-limit, limit - 1), min_size=count, max_size=count))
        return pa.array(values, width).view(kind)
    if kind in (pa.string(), pa.binary()):
        texts = draw(st.lists(st.binary(max_size=6), min_size=count, max_size=count))
        return pa.array(texts, pa.binary()).view(kind)
    if pa.types.is_floating(kind):
        floats = draw(st.lists(st.floats(), min_size=count, max_size=count))
        return pa.array(floats, pa.float64()).cast(kind, safe=False)
    return pa.nulls(count, kind)


@given(st.data())
def test_a_parquet_log_of_any_columns_ends_in_a_report_or_an_error(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 3))
    columns: dict[str, Any] = {
        "source": pa.array(["crm"] * count),
        "type": pa.array(["bowtie.noted"] * count),
        "subject": pa.array(["acme"] * count),
        "time": pa.array(["2026-01-05T10:00:00Z"] * count),
        "data": pa.array(['{"name": "x"}'] * count),
    }
    names = st.sampled_from([*columns, "id", "extensions", "authid", "sequence"])
    for name in data.draw(st.lists(names, min_size=1, max_size=2, unique=True)):
        columns[name] = data.draw(_columns(count))
    out = io.BytesIO()
    try:
        pq.write_table(pa.table(columns), out)
    except pa.ArrowException:
        assume(False)  # no writer writes that
    with_mapping = Mapping.load(_MAPPING) if data.draw(st.booleans()) else None
    _taken(out.getvalue(), "parquet", with_mapping)


_MAPPING = """
name = "any"
version = 1
source = "any"
customer = "subject"
time = "time"
[[events]]
type = "noted"
columns = { name = "data" }
properties = { source = "source", type = "type" }
"""

_SHOP = b"""InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,a,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
1,b,6,2010-12-01 08:26:00,3.39,17850,United Kingdom
C2,b,-1,2010-12-02 08:26:00,3.39,17850,France
3,c,8,2010-12-02 09:00:00,2.75,,France
"""


@given(damaged_bytes(_SHOP))
def test_a_damaged_foreign_file_is_accounted_for(data: bytes) -> None:
    mapping = Mapping.load(str(_EXAMPLES / "online_retail" / "retail.toml"))
    _taken(data, "csv", mapping)
