"""Strategies that damage what was right: bytes, JSON lines, TOML documents."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from bowtie.envelope import data_to_wire
from tests.strategies import catalogue_events

__all__ = ["damaged_bytes", "damaged_line", "damaged_text", "good_line", "logs_of_lines"]

_DEEP = "[" * 3_000 + "]" * 3_000
#: JSON texts that some reader, somewhere, takes in another way than it was meant.
HOSTILE = st.sampled_from(
    [
        *("null", "true", "false", "0", "-1", "1.5", "-0", "1e308", "1e999", "-1e-400", "NaN"),
        *("Infinity", "9007199254740993", "18446744073709551616", "1" + "0" * 400, "01", "0x1"),
        *('""', '" "', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udc00x"', '"\\ud83d\\ude00"'),
        *('"\\u202e"', '"\\ufeff"', '"e\\u0301"', '"\u00e9"', '"\\u2028"', '"\\n"', '"\\r"'),
        *('"1e5"', '"\u0663"', '"-0"', '"+1"', '"1\\n"', '"0.0000001"', '"1_000"', '"NaN"'),
        *('"9999-12-31T23:59:59.999999Z"', '"0001-01-01T00:00:00+14:00"', '"2026-02-30"'),
        *('"2026-01-05T24:00:00Z"', '"2026-01-05 10:00:00Z"', '"2026-W01-1"', '"20260105"'),
        *('"2026-01-05T10:00:00.123456789Z"', '"2016-12-31T23:59:60Z"', '"9999-12-31"'),
        *('"0001-01-01"', '"0000-01-01"', '"2026-01-05T10:00:00+25:00"', '"10000-01-01"'),
        *('"sealed:1:AAAA"', '"sealed:1:"', '"sealed:2:AAAA"', '"forgotten"', '"acme~1"'),
        *('"day"', '"spend"', '"customer"', '"bowtie.retracted"', '"bowtie.noted"', '"EUR"'),
        *("[]", "{}", "[1]", '{"a": {"b": 1}}', '{"": ""}', '{"email": "sealed:1:AAAA"}', _DEEP),
        *('"' + "x" * 70_000 + '"', "\"=cmd|'/c calc'!A1\"", '"%s{0}"', '"../../etc/passwd"'),
    ]
)
#: Names that mean something where they weren't expected.
_NAMES = st.sampled_from(
    [
        *("id", "source", "type", "subject", "time", "data", "specversion", "recordedtime"),
        *("storedtime", "streamkind", "dataversion", "timeprecision", "outofsequence", "sequence"),
        *("authid", "correlationid", "causationid", "data_base64", "traits", "properties"),
        *("alias", "email", "amount", "currency", "contract", "of_source", "of_id", "_sealed"),
        *("_at", "_key", "__class__", "", "a\\u0000b", "\\ud800", "bowtie_export", "starts_on"),
    ]
)


@st.composite
def damaged_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some bytes changed, cut out, doubled, or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(start + draw(st.integers(0, 12) | st.integers(0, len(whole))), len(data))
        match draw(st.sampled_from("flip cut put double end".split())):
            case "flip" if start < len(data):
                data[start] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[start:end]
            case "put":
                data[start:start] = draw(st.binary(min_size=1, max_size=8))
            case "double":
                data[start:start] = data[start:end]
            case "end":
                del data[start:]
    return bytes(data)


def damaged_text(whole: str) -> st.SearchStrategy[str]:
    """A document some of whose lines, values or letters are others."""
    return st.one_of(
        damaged_bytes(whole.encode()).map(lambda data: data.decode("utf-8", "replace")),
        _other_values(whole),
        _other_lines(whole),
    )


_VALUES = st.sampled_from(
    [
        *('""', '"\\u0000"', "0", "-1", "1.5", "1e400", "nan", "inf", "true", "[]", "{}", "[[]]"),
        *("99999999999999999999", "2026-01-05", "2026-01-05T10:00:00Z", "10:00:00", '"(*"', '"{"'),
        *('"{x"', '"{0}"', '"{}"', '"{a.b}"', '"a" ', '["a", 1]', "{ a = 1 }", '"Mars/Olympus"'),
        *(
            '"touched"',
            '"order_placed"',
            '"strange"',
            '"90d"',
            '"-1d"',
            '"999999999999d"',
            '"\\\\"',
        ),
        *("{ not = {} }", '{ column = "x" }', '{ template = "{x" }', '{ gt = "x" }', '"utf-99"'),
        *('{ column = "t", format = "%Q" }', '{ column = "t", zone = "x" }', '"\\U0001F600"'),
    ]
)


@st.composite
def _other_values(draw: st.DrawFn, whole: str) -> str:
    lines = whole.splitlines()
    where = [number for number, line in enumerate(lines) if "=" in line]
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.sampled_from(where))
        key = lines[number].partition("=")[0]
        lines[number] = f"{key}= {draw(_VALUES)}"
    return "\n".join(lines) + "\n"


@st.composite
def _other_lines(draw: st.DrawFn, whole: str) -> str:
    lines = whole.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        other = lines[draw(st.integers(0, len(lines) - 1))]
        match draw(st.sampled_from("drop swap copy".split())):
            case "drop" if len(lines) > 1:
                del lines[number]
            case "swap":
                lines[number] = other
            case "copy":
                lines.insert(number, other)
    return "\n".join(lines) + "\n"


@st.composite
def good_line(draw: st.DrawFn) -> bytes:
    """A line that can be taken: any event of the catalogue, its envelope with surprises or none."""
    event = draw(catalogue_events())
    wire: dict[str, Any] = {
        "specversion": "1.0",
        "id": draw(st.sampled_from(["1", "2", "3", "1~1", "1~1.r", "é"])),
        "source": draw(st.sampled_from(["crm", "shop"])),
        "type": f"bowtie.{event.type_name}",
        "subject": draw(st.sampled_from(["acme", "bob", "e\u0301", "\u00e9", "a@b.c"])),
        "time": draw(st.sampled_from(["2026-01-05T10:00:00Z", "2025-12-31T23:30:00.000001-05:00"])),
        "data": data_to_wire(event),
    }
    if event.stream_kind != "customer":
        wire["streamkind"] = event.stream_kind
    wire |= dict(draw(st.lists(_EXTRA, max_size=2)))
    return json.dumps(wire, ensure_ascii=draw(st.booleans())).encode()


_EXTRA = st.sampled_from(
    [
        ("recordedtime", "2026-01-06T00:00:00Z"),
        ("timeprecision", "day"),
        ("authid", "ada"),
        ("correlationid", "x"),
        ("outofsequence", True),
        ("traceparent", "00-1"),
        ("dataversion", 1),
    ]
)


@st.composite
def damaged_line(draw: st.DrawFn) -> bytes:
    """A good line that something happened to."""
    line = draw(good_line())
    for _ in range(draw(st.integers(1, 2))):
        how = draw(st.sampled_from([_replaced, _doubled, _removed, None]))
        line = draw(damaged_bytes(line)) if how is None else how(draw, line)
    return line.replace(b"\n", b"")


def _members(line: bytes) -> dict[str, Any] | None:
    """The object on the line, its values as JSON texts; None where it is none any more."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found else None


def _replaced(draw: st.DrawFn, line: bytes) -> bytes:
    """Another value for an attribute, or for a field of the data."""
    wire = _members(line)
    if wire is None:
        return line
    holder = wire
    if isinstance(wire.get("data"), dict) and wire["data"] and draw(st.booleans()):
        holder = wire["data"]
        inner, deeper = holder.get("traits") or holder.get("properties"), draw(st.booleans())
        if deeper and isinstance(inner, dict):
            holder = inner
    name = draw(st.sampled_from(sorted(holder)) | _NAMES)
    holder[name] = "@@"
    return json.dumps(wire).encode().replace(b'"@@"', draw(HOSTILE).encode(), 1)


def _doubled(draw: st.DrawFn, line: bytes) -> bytes:
    """A name twice in one object, which JSON lets pass."""
    marks = [at for at, byte in enumerate(line) if byte == ord("{")]
    if not marks:
        return line
    at = draw(st.sampled_from(marks)) + 1
    member = f'"{draw(_NAMES)}": {draw(HOSTILE)}, '
    return line[:at] + member.encode() + line[at:]


def _removed(draw: st.DrawFn, line: bytes) -> bytes:
    """An attribute or a field less."""
    wire = _members(line)
    if wire is None:
        return line
    holder = wire["data"] if wire.get("data") and isinstance(wire["data"], dict) else wire
    holder = draw(st.sampled_from([wire, holder]))
    del holder[draw(st.sampled_from(sorted(holder)))]
    return json.dumps(wire).encode()


def logs_of_lines() -> st.SearchStrategy[list[bytes]]:
    """Logs in which good lines stand between damaged ones."""
    return st.lists(good_line() | damaged_line(), min_size=1, max_size=12)
