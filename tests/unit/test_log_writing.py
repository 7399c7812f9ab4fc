"""A log that was written is read back the same, and a failed write leaves what was there."""

from __future__ import annotations

import gzip
import io
import json

import pytest
import zstandard

from bowtie.errors import FileError
from bowtie.logs import open_log, write_log

HEADER = {"bowtie_export": 1, "store_id": "s", "count": 2}
EVENTS = [
    {
        "specversion": "1.0",
        "id": "1",
        "source": "crm",
        "type": "bowtie.touched",
        "subject": 'ac"me, Inc\n',
        "time": "2026-01-05T10:00:00Z",
        "recordedtime": "2026-01-05T11:00:00Z",
        "sequence": "7",
        "myext": "v",
        "other": 1,
        "data": {"channel": "wéb", "direction": "inbound", "cost": "1.10", "currency": "EUR"},
    },
    {
        "specversion": "1.0",
        "id": "2",
        "source": "crm",
        "type": "bowtie.onboarded",
        "subject": "acme",
        "time": "2026-01-06T10:00:00Z",
        "outofsequence": True,
        "data": {},
    },
]
NAMES = [
    f"log.{form}{packing}"
    for form in ("jsonl", "csv", "parquet")
    for packing in ("", ".gz", ".zst")
]


def read(source) -> list[dict]:
    with open_log(source) as log:
        return [json.loads(line) for chunk in log.chunks() for line in chunk.lines]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back(tmp_path, name):
    assert write_log([HEADER, *EVENTS], tmp_path / name) == 3

    back = read(tmp_path / name)
    assert back[0] == HEADER
    for event, wrote in zip(back[1:], EVENTS, strict=True):
        assert {**event, "outofsequence": event.get("outofsequence") in (True, "true")} == {
            **wrote,
            "outofsequence": wrote.get("outofsequence", False),
        }
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_log_of_no_events(tmp_path, name):
    assert write_log([], tmp_path / name) == 0
    assert read(tmp_path / name) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_same_events_give_the_same_bytes(tmp_path, name):
    write_log(EVENTS, tmp_path / f"a-{name}")
    write_log(EVENTS, tmp_path / f"b-{name}")

    assert (tmp_path / f"a-{name}").read_bytes() == (tmp_path / f"b-{name}").read_bytes()


def test_lines_that_are_json_already_pass_as_they_are(tmp_path):
    write_log([b'{"a":  1}\n', b'{"b":2}'], tmp_path / "a.jsonl.gz")

    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b'{"a":  1}\n{"b":2}\n'


def test_a_stream_is_written_and_stays_open():
    out = io.BytesIO()
    write_log(EVENTS, out, format="csv")

    assert out.getvalue().startswith(b"specversion,id,source,type,")


def test_many_events_are_written_in_batches(tmp_path):
    events = ({**EVENTS[1], "id": str(n)} for n in range(25_000))

    assert write_log(events, tmp_path / "a.jsonl.zst") == 25_000
    text = (
        zstandard.ZstdDecompressor()
        .decompressobj()
        .decompress((tmp_path / "a.jsonl.zst").read_bytes())
    )
    assert text.count(b"\n") == 25_000


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_leaves_what_was_there(tmp_path, name):
    def failing():
        yield EVENTS[0]
        raise RuntimeError("half way")

    path = tmp_path / name
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError, match="half way"):
        write_log(failing(), path)

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cant_be_written_says_so(tmp_path):
    with pytest.raises(FileError, match="is a folder: name a file in it"):
        write_log(EVENTS, tmp_path)
    with pytest.raises(FileError, match="can't be written: No such file or directory"):
        write_log(EVENTS, tmp_path / "missing" / "a.jsonl")


def test_a_link_stays_a_link_and_a_device_is_written_to(tmp_path):
    target, link = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.touch()
    link.symlink_to(target)
    write_log(EVENTS, link)
    write_log(EVENTS, "/dev/null")

    assert link.is_symlink()
    assert len(read(target)) == 2
