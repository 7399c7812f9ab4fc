"""Files of columns: CSV is read strictly, Parquet exactly, and both as event logs."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bowtie.errors import FileError
from bowtie.logs import BadRow, FormatOptions, Row, open_log

_NOT_PYTHON = "text that is not UTF-8, or a time beyond the years there are"
HEADER = "id,source,type,subject,time,data\n"


def rows(text: str | bytes, **options) -> list:
    data = text.encode() if isinstance(text, str) else text
    return list(open_log(io.BytesIO(data), format="csv", options=FormatOptions(**options)).rows())


def wire(text: str) -> list:
    log = open_log(io.BytesIO(text.encode()), format="csv")
    return [
        (number, line)
        for chunk in log.chunks()
        for number, line in zip(chunk.numbers, chunk.lines, strict=True)
    ]


def test_rows_are_dicts_of_text_with_the_line_they_begin_on():
    assert rows('a,b\n1,"x\n\ny"\n\n2,\n') == [
        Row(2, {"a": "1", "b": "x\n\ny"}),
        Row(6, {"a": "2", "b": ""}),
    ]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("1,2,3", "3 cells, but the header has 2"),
        ("1", "1 cells, but the header has 2"),
        ('1,"x"y', "not CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_costs_only_itself(bad, problem):
    assert rows(f"a,b\n1,2\n{bad}\n3,4\n") == [
        Row(2, {"a": "1", "b": "2"}),
        BadRow(3, bad.encode(), problem),
        Row(4, {"a": "3", "b": "4"}),
    ]


def test_a_quote_that_never_ends_is_said_with_its_lines():
    good, bad = rows('a,b\n1,2\n3,"4\n5,6\n')

    assert good == Row(2, {"a": "1", "b": "2"})
    assert (bad.line, bad.raw) == (3, b'3,"4\n5,6')
    assert "unexpected end of data (lines 3 to 4)" in bad.problem


def test_a_row_that_is_not_utf8_costs_only_itself():
    first, bad, last = rows("a,b\né,1\né,2\né,3\n".encode().replace(b"\xc3\xa9,2", b"\xe9,2"))

    assert (first.values["a"], last.values["a"]) == ("é", "é")
    assert (bad.line, bad.raw) == (3, b"\xe9,2")
    assert "not UTF-8" in bad.problem


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8"])
def test_other_encodings_are_read_when_said(encoding):
    assert rows("a,b\né,1\n".encode(encoding), encoding=encoding)[0].values["a"] == "é"


def test_delimiters_and_quotes():
    assert rows("a;b\n'x;y';2\n", delimiter=";", quote="'")[0].values == {"a": "x;y", "b": "2"}


def test_tabs_are_told_by_the_name(tmp_path):
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1\t2\n"))

    with open_log(tmp_path / "a.tsv.gz") as log:
        assert list(log.rows()) == [Row(2, {"a": "1", "b": "2"})]


def test_a_header_that_repeats_itself_or_is_not_utf8_is_refused():
    with pytest.raises(FileError, match=r":1: the header has 'a' twice"):
        rows("a,b,a\n")
    with pytest.raises(FileError, match="the header is not UTF-8"):
        rows(b"\xe9,b\n")


def test_half_a_gzip_of_csv_keeps_the_rows_before():
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000)))
    log = open_log(io.BytesIO(packed[: len(packed) // 2]), format="csv")
    seen: list = []
    with pytest.raises(FileError, match=r"middle of compressed data; [0-9,]+ lines were read"):
        seen.extend(log.rows())

    assert len(seen) > 10_000
    assert all(isinstance(row, Row) for row in seen)


def test_a_log_as_csv_becomes_wire_lines():
    lines = wire(
        "id,source,type,subject,time,recordedtime,myext,data\n"
        '1,crm,bowtie.touched,acme,2026-01-05T10:00:00Z,,v,"{""channel"":""web"",""cost"":""1.10""}"\n'
        "2,crm,bowtie.onboarded,acme,2026-01-06T10:00:00Z,,,\n"
    )

    assert [number for number, _ in lines] == [2, 3]
    assert lines[0][1] == (
        b'{"specversion":"1.0","id":"1","source":"crm","type":"bowtie.touched",'
        b'"subject":"acme","time":"2026-01-05T10:00:00Z","myext":"v",'
        b'"data":{"channel":"web","cost":"1.10"}}'
    )
    assert lines[1][1] == (
        b'{"specversion":"1.0","id":"2","source":"crm","type":"bowtie.onboarded",'
        b'"subject":"acme","time":"2026-01-06T10:00:00Z","data":{}}'
    )


def test_rows_without_an_id_get_one_that_doesnt_change_when_the_file_is_longer():
    row = ",crm,bowtie.onboarded,acme,2026-01-06T10:00:00Z,\n"
    other = ",crm,bowtie.onboarded,beta,2026-01-06T10:00:00Z,\n"

    first = [json.loads(line)["id"] for _, line in wire(HEADER + row + row)]
    again = [json.loads(line)["id"] for _, line in wire(HEADER + row + row + other)]

    assert first == again[:2]
    assert first[1] == f"{first[0]}-2"
    assert len(set(again)) == 3


def test_data_that_is_no_json_or_tries_to_be_more_is_handed_on_as_unreadable():
    lines = wire(HEADER + '1,s,bowtie.noted,a,t,"{} , ""subject"":""b"""\n2,s,bowtie.noted,a,t,{\n')

    for _, line in lines:
        with pytest.raises(json.JSONDecodeError):
            json.loads(line)


def test_a_log_without_a_column_it_needs_is_refused_before_any_row():
    with pytest.raises(FileError, match="no column time: an event log has source"):
        wire("id,source,type,subject,data\n")
    with pytest.raises(FileError, match="'Order No' is no attribute"):
        wire("Order No,source,type,subject,time\n")
    with pytest.raises(FileError, match="between semicolons: say so, delimiter = ';'"):
        wire("source;type;subject;time\n")


def parquet(**columns) -> io.BytesIO:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    out.seek(0)
    return out


def test_parquet_values_lose_nothing():
    nanos = pa.array([1767607200123456789], pa.timestamp("ns"))
    zoned = pa.array([datetime(2026, 1, 5, 10, tzinfo=UTC)], pa.timestamp("ms", "America/New_York"))
    source = parquet(
        text=["x"],
        floats=pa.array([2.55], pa.float64()),
        short=pa.array([2.55], pa.float32()),
        nan=pa.array([float("nan")]),
        amount=pa.array([Decimal("1.10")], pa.decimal128(10, 2)),
        nanos=nanos,
        zoned=zoned,
        day=[date(2026, 1, 5)],
        words=pa.array(["a"]).dictionary_encode(),
        flag=[True],
        nested=[{"a": [1]}],
    )

    with open_log(source) as log:
        found = list(log.rows())

    expected = {
        "text": "x",
        "floats": 2.55,
        "short": 2.55,
        "nan": None,
        "amount": Decimal("1.10"),
        "nanos": datetime(2026, 1, 5, 10, 0, 0, 123456),  # noqa: DTZ001  # naive, as it stands there
        "zoned": datetime(2026, 1, 5, 10, tzinfo=UTC),
        "day": date(2026, 1, 5),
        "words": "a",
        "flag": True,
        "nested": {"a": [1]},
    }
    assert found == [Row(1, expected)]


def test_parquet_in_batches_compressed_or_from_a_pipe(tmp_path):
    data = parquet(n=list(range(45_000))).getvalue()
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(data))
    (tmp_path / "a.parquet").write_bytes(data)

    for source in (tmp_path / "a.parquet.gz", tmp_path / "a.parquet", io.BytesIO(data)):
        with open_log(source) as log:
            assert log.columns == ["n"]
            assert list(log.rows()) == [Row(n + 1, {"n": n}) for n in range(45_000)]


def test_a_cut_parquet_file_is_refused():
    data = parquet(n=[1, 2, 3]).getvalue()
    with pytest.raises(FileError, match="is no whole Parquet file"):
        open_log(io.BytesIO(data[:-10]))


def test_a_log_as_parquet_becomes_wire_lines():
    source = parquet(
        id=["1"],
        source=["crm"],
        type=["bowtie.noted"],
        subject=["acme"],
        time=pa.array([datetime(2026, 1, 5, 10, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        data=[{"name": "x"}],
    )
    with open_log(source) as log:
        (chunk,) = log.chunks()

    assert json.loads(chunk.lines[0]) == {
        "specversion": "1.0",
        "id": "1",
        "source": "crm",
        "type": "bowtie.noted",
        "subject": "acme",
        "time": "2026-01-05T10:00:00Z",
        "data": {"name": "x"},
    }


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_csv_log_from_a_pipe_is_told_by_its_header(pack):
    log = open_log(io.BytesIO(pack(HEADER.encode())))

    assert log.format == "csv"


def test_a_foreign_file_from_a_pipe_is_csv_unless_it_opens_with_an_object():
    def told(data: bytes) -> str:
        return open_log(io.BytesIO(data), options=FormatOptions()).format

    assert told(b"who,when\n") == "csv"
    assert told(b' {"who": 1}\n') == "jsonl"
    assert open_log(io.BytesIO(b"no, json\n")).format == "jsonl"


def test_a_parquet_value_that_python_cannot_hold_costs_only_its_row():
    """Text that is no UTF-8, and days and times of years that there are not."""
    text = pa.array([b"a", b"\x80", b"c"], pa.binary()).view(pa.string())
    when = pa.array([0, 0, 2**62], pa.int64()).view(pa.timestamp("ms"))
    out = io.BytesIO()
    pq.write_table(pa.table({"text": text, "when": when}), out)
    with open_log(io.BytesIO(out.getvalue())) as log:
        first, *bad = log.rows()
    assert first == Row(1, {"text": "a", "when": datetime(1970, 1, 1)})  # noqa: DTZ001
    assert [str(row) for row in bad] == [
        str(BadRow(number, raw, f"column {name!r} holds {_NOT_PYTHON}"))
        for number, raw, name in [
            (2, b'{"when":"1970-01-01 00:00:00"}', "text"),
            (3, b'{"text":"c"}', "when"),
        ]
    ]


def test_a_row_that_says_to_be_a_header_and_has_no_data_is_a_line_as_any():
    assert wire("source,type,subject,time\ncrm,bowtie_export,a,b\n") == [(2, b"{}")]
