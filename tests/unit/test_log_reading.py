"""Log files are read whatever they are packed in, and damage costs only what it hits."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from decimal import Decimal

import pytest
import zstandard

from bowtie.errors import FileError
from bowtie.logs import BadRow, Row, open_log
from bowtie.logs.lines import CHUNK_LINES, line_chunks

LINES = [b'{"id":"%d","text":"%s"}' % (n, os.urandom(40).hex().encode()) for n in range(1, 30_001)]
TEXT = b"\n".join(LINES) + b"\n"


def read(source, **options) -> list[tuple[int, bytes]]:
    with open_log(source, **options) as log:
        return [
            (number, line)
            for chunk in log.chunks()
            for number, line in zip(chunk.numbers, chunk.lines, strict=True)
        ]


def read_until_damage(source) -> tuple[list[bytes], FileError]:
    good: list[bytes] = []
    with pytest.raises(FileError) as caught, open_log(source) as log:
        for chunk in log.chunks():
            good += chunk.lines
    return good, caught.value


PACKED = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "gzip of two members": gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]),
    "gzip, padded": gzip.compress(TEXT) + b"\0" * 100,
    "zstd": zstandard.compress(TEXT),
    "zstd of two frames": zstandard.compress(TEXT[:1000]) + zstandard.compress(TEXT[1000:]),
    "zstd after a skippable frame": b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(TEXT),
    "with a byte order mark": b"\xef\xbb\xbf" + TEXT,
    "without a last line end": TEXT[:-1],
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_the_same_lines_whatever_they_are_packed_in(packed, tmp_path):
    path = tmp_path / "a name that says nothing"
    path.write_bytes(packed)

    assert read(path) == list(enumerate(LINES, 1))
    assert read(io.BytesIO(packed)) == list(enumerate(LINES, 1))


def test_chunks_are_bounded():
    sizes = [
        len(chunk.lines)
        for chunk in open_log(io.BytesIO(b"1\n" * (2 * CHUNK_LINES + 10_001))).chunks()
    ]

    assert sum(sizes) == 2 * CHUNK_LINES + 10_001
    assert CHUNK_LINES / 2 < min(sizes) <= max(sizes) < CHUNK_LINES * 2


def test_blank_lines_are_left_out_and_numbers_stay_right():
    assert read(io.BytesIO(b"\n{1}\n  \r\n\n{2}\r\n{3}\n\n")) == [
        (2, b"{1}"),
        (5, b"{2}\r"),
        (6, b"{3}"),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz", "a.csv.zst"])
def test_an_empty_file_has_no_lines(tmp_path, name):
    (tmp_path / name).touch()

    assert read(tmp_path / name) == []


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_what_is_good_before_the_end_of_half_a_file_is_kept(tmp_path, pack, share):
    packed = pack(TEXT)
    path = tmp_path / "half.jsonl.packed"
    path.write_bytes(packed[: int(len(packed) * share)])

    good, error = read_until_damage(path)

    assert good == LINES[: len(good)]
    assert share < 0.1 or len(good) > share * len(LINES) * 0.8
    assert f"ends in the middle of compressed data; {len(good):,} line" in error.problem
    assert error.line == len(good) + 1
    assert str(error).startswith(f"{path}:{len(good) + 1}: ")


@pytest.mark.parametrize("cut", range(1, 12))
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_not_even_the_last_bytes_may_be_missing(pack, cut):
    packed = pack(b"{1}\n{2}\n")

    good, error = read_until_damage(io.BytesIO(packed[:-cut]))

    assert good == [b"{1}", b"{2}"][: len(good)]
    assert "middle of compressed data" in error.problem


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress],
    ids=["gzip", "zstd"],
)
def test_a_changed_byte_is_found(pack):
    packed = bytearray(pack(TEXT))
    packed[len(packed) // 2] ^= 0xFF

    _, error = read_until_damage(io.BytesIO(bytes(packed)))

    assert "is damaged" in error.problem


def test_a_line_that_is_not_utf8_is_handed_on_as_it_is():
    assert read(io.BytesIO("{1}\n{é}\n{3}\n".encode("latin-1")))[1] == (2, b"{\xe9}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_refused_with_what_to_do(encoding):
    with pytest.raises(FileError, match=r"UTF-(16|32) text, not UTF-8.*iconv"):
        read(io.BytesIO('{"id":"1"}\n'.encode(encoding)))


def test_a_line_that_is_too_long_is_an_error_after_the_lines_before_it():
    good = []
    with pytest.raises(FileError, match="file:3: the line is longer than 8 MiB") as caught:
        for chunk in line_chunks(iter([b"1\n2\n", *[b"x" * (1 << 20)] * 32]), "file", 8 << 20):
            good += chunk.lines

    assert good == [b"1", b"2"]
    assert caught.value.line == 3


def test_a_folder_a_missing_file_and_noise_say_what_to_do(tmp_path):
    noise = tmp_path / "noise.jsonl.gz"
    noise.write_bytes(b"\0\1\2\3" * 10)
    with pytest.raises(FileError, match="is a folder: name the files in it"):
        open_log(tmp_path)
    with pytest.raises(FileError, match="there is no such file"):
        open_log(tmp_path / "missing.jsonl")
    with pytest.raises(FileError, match="not compressed as its name says"):
        read(noise)


def test_no_permission_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.jsonl").touch()
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(FileError, match="no permission to read it"):
        open_log(tmp_path / "a.jsonl")


def test_a_failing_disk_is_an_error_with_the_file_in_it():
    class Failing(io.BytesIO):
        name = "disk"

        def read(self, _size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(FileError, match="disk: can't be read: Input/output error"):
        open_log(Failing())


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"{1}\n"))))

    with open_log("-") as log:
        assert log.name == "standard input"
        assert [chunk.lines for chunk in log.chunks()] == [[b"{1}"]]
    assert not sys.stdin.buffer.closed


def test_progress_counts_the_bytes_as_stored(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(PACKED["gzip"])
    with open_log(path) as log:
        list(log.chunks())

        assert log.consumed == log.size == path.stat().st_size


def test_rows_of_json_lines_keep_numbers_exact_and_bad_lines_apart():
    good, *bad = open_log(io.BytesIO(b'{"a":{"b":0.1}}\n[1]\n{"a":\n')).rows()

    assert good == Row(1, {"a": {"b": Decimal("0.1")}})
    for row, (line, raw) in zip(bad, [(2, b"[1]"), (3, b'{"a":')], strict=True):
        assert isinstance(row, BadRow)
        assert (row.line, row.raw) == (line, raw)
        assert "not a JSON object" in row.problem


def test_memory_stays_small_for_a_file_that_expands_much(tmp_path):
    path = tmp_path / "zeros.jsonl.zst"
    path.write_bytes(zstandard.compress(b"{}\n" * 20_000_000))
    code = (
        "import resource, sys; from bowtie.logs import open_log\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(sum(len(c.lines) for c in open_log(sys.argv[1]).chunks()))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    lines, kilobytes = done.stdout.split()

    assert int(lines) == 20_000_000
    assert int(kilobytes) < 200_000


def test_importing_logs_loads_no_arrow():
    code = "import bowtie.logs, sys; print({'pyarrow', 'pandas', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
