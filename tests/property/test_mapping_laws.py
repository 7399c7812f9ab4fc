"""Laws of reading and mapping that hold for any file, not only for the examples."""

from __future__ import annotations

import csv
import gzip
import io
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import FileError
from bowtie.fields import DECIMAL_PATTERN
from bowtie.logs import BadRow, Mapping, RowIds, open_log, write_log
from bowtie.logs.mapping_numbers import as_decimal, number_parser, wire_number

amounts = st.decimals(-(10**12), 10**12, places=6, allow_nan=False, allow_infinity=False)
#: Text of a cell: anything that a CSV file in UTF-8 can hold.
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=12)
#: More text than raw lines: a file that begins with no text is refused as a whole.
TEXT = b'{"id": 1}\n' * 250
raw_lines = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=60)


def lines_of(data: bytes) -> list[tuple[int, bytes]]:
    """By the definition: what stands between line ends and is not blank, with its number."""
    lines = enumerate(data.split(b"\n"), 1)
    return [(number, line) for number, line in lines if line.strip()]


@given(raw_lines, st.sampled_from([bytes, gzip.compress, zstandard.compress]))
def test_lines_are_those_of_the_plain_file_whatever_its_packing(lines, pack):
    data = TEXT + b"\n".join(lines)
    packed = pack(data)
    log = open_log(io.BytesIO(packed))

    assert [
        pair for chunk in log.chunks() for pair in zip(chunk.numbers, chunk.lines, strict=True)
    ] == lines_of(data)


@given(raw_lines, st.integers(min_value=1), st.sampled_from([gzip.compress, zstandard.compress]))
def test_a_cut_file_gives_a_beginning_of_the_lines_and_then_an_error(lines, cut, pack):
    data = TEXT + b"\n".join(lines) + b"\n"
    packed = pack(data)
    whole = data.split(b"\n")[:-1]
    read: list[bytes] = []
    with pytest.raises(FileError, match="compressed data") as caught:
        for chunk in open_log(io.BytesIO(packed[: -(cut % (len(packed) - 4)) - 1])).chunks():
            read += chunk.lines

    assert caught.value.line is not None
    assert read == [line for line in whole[: caught.value.line - 1] if line.strip()]


@given(st.lists(st.tuples(cells, cells), max_size=30))
def test_rows_are_what_the_csv_module_wrote(pairs):
    pairs = [("text", "text " * 1000), *pairs]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b"), *pairs])
    rows = list(open_log(io.BytesIO(text.getvalue().encode()), format="csv").rows())

    assert not any(isinstance(row, BadRow) for row in rows)
    assert [tuple(row.values.values()) for row in rows if not isinstance(row, BadRow)] == pairs


@given(amounts)
def test_an_amount_is_the_same_however_it_is_written(amount):
    german = number_parser(",", ".", ["€"])
    digits = format(abs(amount), ",.6f").translate(str.maketrans(",.", ".,"))
    written = f"{'-' if amount < 0 else ''}{digits} €"

    assert german(written) == amount
    assert as_decimal(format(amount, "f")) == amount
    assert Decimal(wire_number(amount)) == amount


@given(amounts)
def test_equal_amounts_are_equal_texts_that_the_wire_takes(amount):
    text = wire_number(amount)

    assert re.fullmatch(DECIMAL_PATTERN.removeprefix("^").removesuffix("$"), text)
    assert wire_number(amount.normalize()) == text
    assert text != "-0"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_a_float_means_its_shortest_text(number):
    assert float(as_decimal(number)) == number
    assert as_decimal(number) == Decimal(repr(number))


@given(
    st.lists(st.integers(0, 10**4), min_size=1, max_size=8),
    st.lists(st.integers(0, 10**4), min_size=1, max_size=8),
)
def test_quantity_times_price_is_exact(quantities, cents):
    mapping = Mapping.load(
        'name = "m"\nsource = "s"\ncustomer = "c"\ntime = { column = "t", format = "unix" }\n'
        '[[events]]\ntype = "order_placed"\n'
        'const = { kind = "order", order = "1", currency = "EUR" }\n'
        'columns = { amount = { column = "q", times = "p", scale = 0.01 } }\n'
    ).begin()
    total = Decimal(0)
    for quantity, price in zip(quantities, cents, strict=False):
        (event,) = mapping.wire({"c": "u", "t": 0, "q": float(quantity), "p": str(price)})
        assert isinstance(event, dict)
        total += Decimal(event["data"]["amount"])

    assert total * 100 == sum(q * p for q, p in zip(quantities, cents, strict=False))


rows = st.lists(st.fixed_dictionaries({"a": st.sampled_from("xyz"), "b": st.integers(0, 2)}))


@given(rows, rows)
def test_ids_of_rows_are_unique_and_dont_change_when_the_file_grows(first, more):
    alone, longer = RowIds(), RowIds()
    short = [alone.take(row) for row in first]
    long = [longer.take(row) for row in first + more]

    assert long[: len(short)] == short
    assert len(set(long)) == len(long)


@given(rows)
def test_ids_of_equal_rows_are_the_same_set_in_any_order(found):
    forwards, backwards = RowIds(), RowIds()

    assert {forwards.take(row) for row in found} == {backwards.take(row) for row in found[::-1]}


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
events = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": st.text(min_size=1, max_size=8),
        "source": st.just("s"),
        "type": st.just("bowtie.noted"),
        "subject": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
        "time": st.just("2026-01-05T10:00:00Z"),
        "data": st.dictionaries(st.text(max_size=5), scalars, max_size=4),
    },
    optional={"myext": st.text(min_size=1, max_size=5), "authid": st.text(min_size=1, max_size=5)},
)


@given(st.lists(events, max_size=8), st.sampled_from(["jsonl", "csv", "parquet"]))
def test_a_log_that_was_written_is_read_back(wrote, form):
    out = io.BytesIO()
    write_log(wrote, out, format=form)
    out.seek(0)
    read: list[Any] = []
    with open_log(out, format=form) as log:
        for chunk in log.chunks():
            read += [msgspec.json.decode(line) for line in chunk.lines]

    assert read == wrote
