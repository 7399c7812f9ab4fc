"""What a mapping makes of rows: events in the wire's form, or a reason why not."""

from __future__ import annotations

import hashlib
import hmac
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bowtie import Bowtie, IngestReport
from bowtie.errors import EventRejected
from bowtie.logs import FormatOptions, Mapping, Unmapped, dry_run, open_log
from bowtie_cli.reports import ingest_answer

TOP = 'name = "m"\nsource = "s"\ncustomer = "who"\ntime = { column = "at", zone = "UTC" }\n'
NOTED = TOP + '[[events]]\ntype = "noted"\nconst = { name = "x" }\n'
ROW = {"who": "u1", "at": "2026-01-05T10:00:00"}


def make(mapping: str, row: dict[str, Any]) -> Any:
    """The one event, or the one Unmapped, of a row."""
    (made,) = Mapping.load(mapping).begin().wire({**ROW, **row})
    return made


def value(spec: str, row: dict[str, Any]) -> Any:
    """What a property becomes; a problem where it can't."""
    made = make(f"{NOTED}properties = {{ p = {spec} }}\n", row)
    if isinstance(made, Unmapped):
        return made.problem
    return made["data"].get("properties", {}).get("p")


def amount(spec: str, row: dict[str, Any]) -> Any:
    made = make(
        f"{TOP}[[events]]\ntype = 'order_placed'\n"
        f"const = {{ kind = 'order', order = '1', currency = 'EUR' }}\n[events.columns]\namount = {spec}\n",
        row,
    )
    return made.problem if isinstance(made, Unmapped) else made["data"]["amount"]


def test_an_event_in_the_form_of_the_wire():
    mapping = Mapping.load(
        TOP
        + 'id = "nr"\nrecordedtime = { column = "seen", zone = "UTC" }\n'
        + '[[events]]\ntype = "touched"\ncorrelationid = "visit"\nconst = { direction = "inbound" }\n'
        + 'columns = { channel = "via", campaign = "ad" }\n'
    )
    row = {**ROW, "nr": 7, "seen": "2026-01-05 11:00", "visit": "v1", "via": "mail", "ad": ""}

    assert mapping.begin().wire(row) == [
        {
            "specversion": "1.0",
            "id": "7:touched",
            "source": "s",
            "type": "bowtie.touched",
            "subject": "u1",
            "time": "2026-01-05T10:00:00Z",
            "recordedtime": "2026-01-05T11:00:00Z",
            "correlationid": "v1",
            "data": {"direction": "inbound", "channel": "mail"},
        }
    ]


@pytest.mark.parametrize(
    ("condition", "cell", "holds"),
    [
        ('"C"', "C", True),
        ('"C"', "D", False),
        ('"17850"', 17850.0, True),
        ("7", "7.0", True),
        ("7", "seven", False),
        ("true", True, True),
        ("true", "TRUE", True),
        ("false", "true", False),
        ('["a", "b"]', "b", True),
        ("[1, 2]", "3", False),
        ('{ in = ["a"] }', "a", True),
        ('{ is = "a" }', "a", True),
        ('{ not = "a" }', "a", False),
        ('{ not = "a" }', None, True),
        ('{ not = ["a", "b"] }', "c", True),
        ('{ not = { starts_with = "C" } }', "C1", False),
        ("{ present = true }", "  ", False),
        ("{ present = false }", "", True),
        ("{ gt = 0 }", "0.01", True),
        ("{ gt = 0 }", Decimal(-1), False),
        ("{ gt = 0 }", None, False),
        ("{ ge = 1, lt = 2 }", 1.5, True),
        ("{ ge = 1, lt = 2 }", 2, False),
        ("{ le = 1.5 }", "1.5", True),
        ('{ ge = "2026-01-01" }', "2026-02-01", True),
        ('{ starts_with = "C" }', "C1", True),
        ('{ ends_with = "1" }', None, False),
        ('{ matches = "^[A-Z]\\\\d$" }', "C1", True),
    ],
)
def test_conditions(condition, cell, holds):
    made = Mapping.load(f"{NOTED}when = {{ c = {condition} }}\n").begin().wire({**ROW, "c": cell})

    assert bool(made) is holds


def test_all_columns_of_a_table_and_any_table_of_a_list():
    begin = Mapping.load(NOTED + 'when = [{ a = "1", b = "2" }, { c = "3" }]\n').begin

    assert begin().wire({**ROW, "a": "1", "b": "2"})
    assert begin().wire({**ROW, "a": "1", "c": "3"})
    assert not begin().wire({**ROW, "a": "1", "b": "3"})


def test_a_comparison_with_what_is_no_number_is_said_and_not_passed_over():
    made = make(NOTED + "when = { c = { gt = 0 } }\n", {"c": "many"})

    assert (made.reason, made.problem) == ("invalid", "noted.when, column c: 'many' is no number")


@pytest.mark.parametrize(
    ("spec", "cell", "expected"),
    [
        ('"c"', "120.00", "120"),
        ('"c"', 2.55, "2.55"),
        ('"c"', 1e-6, "0.000001"),
        ('"c"', Decimal("1.10"), "1.1"),
        ('"c"', "-0.00", "0"),
        ('"c"', "+007.50", "7.5"),
        ('{ column = "c", decimal = ",", thousands = "." }', "1.234.567,89", "1234567.89"),
        ('{ column = "c", decimal = ",", thousands = "." }', "12,5", "12.5"),
        ('{ column = "c", thousands = "," }', "1,234", "1234"),
        ('{ column = "c", remove = ["£", " "] }', "£ 12.50", "12.5"),
        ('{ column = "c", negate = true }', "-3", "3"),
        ('{ column = "c", abs = true }', "-3.1", "3.1"),
        ('{ column = "c", scale = 0.01 }', "1999", "19.99"),
        ('{ column = "c", scale = 0.001, round = 2 }', "1005", "1"),
        ('{ column = "c", times = "q" }', 0.1, "0.3"),
        ('{ column = "c", times = ["q", "q"], negate = true }', "1.15", "-10.35"),
    ],
)
def test_numbers_are_exact(spec, cell, expected):
    assert amount(spec, {"c": cell, "q": 3.0}) == expected


@pytest.mark.parametrize(
    ("spec", "cell", "problem"),
    [
        ('"c"', "", "amount: column c is empty, and the event needs it"),
        ('"c"', "1,5", "'1,5' is no number"),
        ('"c"', "1e3", "'1e3' is no number"),
        ('"c"', "nan", "'nan' is no number"),
        ('"c"', float("inf"), "'inf' is no number"),
        ('"c"', True, "'True' is no number"),
        ('"c"', [1], "'[1]' is no number"),
        ('"c"', "0.1234567", "has more than 6 decimals"),
        ('"c"', "9" * 33, "is no number"),
        ('{ column = "c", thousands = "," }', "1,23", "'1,23' is no number"),
        ('{ column = "c", times = "missing" }', "1", "times: column missing is empty"),
    ],
)
def test_what_is_no_number_is_not_guessed_at(spec, cell, problem):
    assert problem in amount(spec, {"c": cell})


@pytest.mark.parametrize(
    ("spec", "cell", "expected"),
    [
        ('"c"', "x", "x"),
        ('"c"', 3, 3),
        ('"c"', True, True),
        ('"c"', Decimal("3.0"), 3),
        ('"c"', Decimal("3.5"), 3.5),
        ('"c"', date(2026, 1, 5), "2026-01-05"),
        ('"c"', "  ", None),
        ('"c"', None, None),
        ('{ column = "c", as = "number" }', "3.50", 3.5),
        ('{ column = "c", as = "whole" }', "3", 3),
        ('{ column = "c", as = "flag" }', "Yes", True),
        ('{ column = "c", as = "text" }', 17850.0, "17850"),
        ('{ column = "c", as = "day", format = "%d.%m.%Y" }', "05.01.2026", "2026-01-05"),
        ('{ column = "c", as = "day" }', datetime(2026, 1, 5, 23, tzinfo=UTC), "2026-01-05"),
        ('{ column = "c", default = "none" }', "", "none"),
        ('{ column = "c", trim = true, case = "lower" }', " Foo ", "foo"),
        ('{ column = "c", case = "upper" }', "foo", "FOO"),
        ('{ columns = ["c", "d"], join = "-" }', "x", "x-y"),
        ('{ columns = ["c", "d"] }', "", "y"),
        ('{ template = "{{{c}}}/{d}!" }', "x", "{x}/y!"),
        ('{ template = "{c}/{d}" }', "", None),
        ('{ const = "k" }', "", "k"),
        ("{ const = 1.5 }", "", 1.5),
        ('{ column = "c", map = { a = "A" } }', "a", "A"),
        ('{ column = "c", map = { a = "A" }, otherwise = "other" }', "b", "other"),
        ('{ column = "c", map = { a = "A" }, unmapped = "keep" }', "b", "b"),
        ('{ column = "c", map = { a = "A" }, unmapped = "drop" }', "b", None),
        ('{ column = "c", map = { a = "A" }, default = "D" }', "", "D"),
        ('{ column = "n.a.1", as = "text" }', "", "in"),
        ('"n.b.c"', "", None),
    ],
)
def test_values(spec, cell, expected):
    assert value(spec, {"c": cell, "d": "y", "n": {"a": ["no", "in"], "b": "flat"}}) == expected


@pytest.mark.parametrize(
    ("spec", "cell", "problem"),
    [
        ('{ column = "c", map = { a = "A" } }', "b", "'b' is not in the value map: add it"),
        ('{ column = "c", as = "whole" }', "3.5", "3.5 is no whole number"),
        ('{ column = "c", as = "flag" }', "maybe", "neither true nor false"),
        ('{ column = "c", as = "day" }', "5.1.2026", "is no ISO time"),
        ('"c"', {"a": 1}, "holds several values: name one inside"),
    ],
)
def test_values_that_cant_be_made(spec, cell, problem):
    found = value(spec, {"c": cell})

    assert problem in found
    assert found.startswith("noted.p: column c: ")


def test_a_column_whose_name_has_a_dot_is_found_first():
    assert value('"a.b"', {"a.b": "flat", "a": {"b": "deep"}}) == "flat"


def test_maps_shared_by_name_and_marks_of_what_is_missing():
    mapping = (
        f'{NOTED}properties = {{ p = {{ column = "c", map = "words" }} }}\n'
        '[maps.words]\na = "A"\n[format]\nmissing = ["NA"]\n'
    )
    assert make(mapping, {"c": "a"})["data"]["properties"] == {"p": "A"}
    assert make(mapping, {"c": "NA"})["data"] == {"name": "x"}
    assert make(mapping, {"c": ""})["data"] == {"name": "x"}


@pytest.mark.parametrize(
    ("spec", "cell", "expected"),
    [
        ('zone = "UTC"', "2026-01-05 10:00", "2026-01-05T10:00:00Z"),
        ('zone = "UTC"', "2026-01-05T10:00:00+02:00", "2026-01-05T08:00:00Z"),
        ('zone = "Europe/London"', "2011-07-01 12:00:00", "2011-07-01T11:00:00Z"),
        ('zone = "Europe/London"', datetime(2011, 1, 1, 12), "2011-01-01T12:00:00Z"),  # noqa: DTZ001
        ('zone = "+01:00"', "2026-01-05 10:00", "2026-01-05T09:00:00Z"),
        ('zone = "-03:30"', "2026-01-05 10:00", "2026-01-05T13:30:00Z"),
        # an hour that comes twice is the first one, one that is skipped is counted on
        ('zone = "Europe/London"', "2011-10-30 01:30", "2011-10-30T00:30:00Z"),
        ('zone = "Europe/London"', "2011-03-27 01:30", "2011-03-27T01:30:00Z"),
        ('zone = "UTC", format = "%d/%m/%Y %H:%M"', "05/01/2026 10:30", "2026-01-05T10:30:00Z"),
        ('format = "unix"', 1767607200, "2026-01-05T10:00:00Z"),
        ('format = "unix"', "1767607200.5", "2026-01-05T10:00:00.500000Z"),
        ('format = "unix_ms"', 1767607200123, "2026-01-05T10:00:00.123000Z"),
        ('format = "unix_us"', 1767607200123456.0, "2026-01-05T10:00:00.123456Z"),
        ('format = "iso"', "2026-01-05T10:00:00.123456789Z", "2026-01-05T10:00:00.123456Z"),
    ],
)
def test_times(spec, cell, expected):
    mapping = NOTED.replace('zone = "UTC"', spec)

    assert make(mapping, {"at": cell})["time"] == expected
    assert "timeprecision" not in make(mapping, {"at": cell})


@pytest.mark.parametrize(
    ("spec", "cell"),
    [
        ('zone = "UTC"', "2026-01-05"),
        ('zone = "UTC"', date(2026, 1, 5)),
        ('zone = "UTC", format = "%d.%m.%y"', "05.01.26"),
        ('zone = "UTC", precision = "day"', "2026-01-05T00:00:00"),
    ],
)
def test_a_day_is_marked_as_one(spec, cell):
    made = make(NOTED.replace('zone = "UTC"', spec), {"at": cell})

    assert (made["time"], made["timeprecision"]) == ("2026-01-05T00:00:00Z", "day")


@pytest.mark.parametrize(
    ("spec", "cell", "expected"),
    [
        ('zone = "UTC"', "2026-01-05", "2026-01-05T23:59:59.999999Z"),
        ('zone = "UTC"', date(2026, 1, 5), "2026-01-05T23:59:59.999999Z"),
        ('zone = "Europe/Berlin"', "2026-01-05", "2026-01-05T22:59:59.999999Z"),
        ('zone = "America/New_York"', "2026-01-05", "2026-01-06T04:59:59.999999Z"),
        # the day on which clocks go back has 25 hours
        ('zone = "Europe/Berlin"', "2025-10-26", "2025-10-26T22:59:59.999999Z"),
        (
            'zone = "Europe/Berlin", format = "%d.%m.%Y"',
            "05.01.2026",
            "2026-01-05T22:59:59.999999Z",
        ),
        (
            'zone = "Europe/Berlin", precision = "day"',
            "2026-01-05T10:00",
            "2026-01-05T22:59:59.999999Z",
        ),
        ('zone = "Europe/Berlin"', "2026-01-05T10:00", "2026-01-05T09:00:00Z"),
    ],
)
@pytest.mark.parametrize("where", ["top", "event"])
def test_a_day_of_recording_counts_from_its_end(where, spec, cell, expected):
    known = f'recordedtime = {{ column = "seen", {spec} }}\n'
    mapping = known + NOTED if where == "top" else NOTED + known
    made = make(mapping, {"seen": cell})

    assert made["recordedtime"] == expected
    assert (made["time"], "timeprecision" in made) == ("2026-01-05T10:00:00Z", False)


@pytest.mark.parametrize(
    ("spec", "cell", "reason", "problem"),
    [
        ('format = "iso"', "2026-01-05 10:00", "naive_time", "say in the mapping which it is"),
        ('format = "iso"', "2026-01-05", "naive_time", "has no zone"),
        ('zone = "UTC"', "05/01/2026", "invalid", "name its format in the mapping"),
        ('zone = "UTC", format = "%d/%m/%Y"', "2026-01-05", "invalid", "not written as %d/%m/%Y"),
        ('zone = "UTC"', "", "invalid", "time: its column is empty"),
        ('zone = "UTC"', {"a": 1}, "invalid", "holds no time"),
        ('zone = "+14:00"', "0001-01-01", "invalid", "out of range"),
        ('format = "unix"', "soon", "invalid", "is no unix time"),
        ('format = "unix"', 1e40, "invalid", "is no unix time"),
    ],
)
def test_times_that_cant_be_read(spec, cell, reason, problem):
    made = make(NOTED.replace('zone = "UTC"', spec), {"at": cell})

    assert made.reason == reason
    assert problem in made.problem


def test_a_row_without_a_customer_keeps_its_amount_for_the_report():
    made = make(
        TOP + '[[events]]\ntype = "order_placed"\n'
        'const = { kind = "order", order = "1", currency = "EUR" }\ncolumns = { amount = "c" }\n',
        {"who": "", "c": "5"},
    )

    assert "subject" not in made
    assert made["data"]["amount"] == "5"


def test_customers_keys(monkeypatch):
    monkeypatch.setenv("SALT", "s3cret")

    def key(spec: str, **row: Any) -> str:
        return make(NOTED.replace('customer = "who"', f"customer = {spec}"), row)["subject"]

    assert key('"who"', who=17850.0) == "17850"
    assert key('{ columns = ["shop", "who"] }', shop="de", who="7") == "de/7"
    assert key('{ template = "{shop}-{who}" }', shop="de", who="7") == "de-7"
    plain = '{ column = "who", trim = true, case = "lower", hash = true }'
    assert key(plain, who=" A@b.c ") == hashlib.sha256(b"a@b.c").hexdigest()[:32]
    salted = '{ column = "who", hash = true, salt_env = "SALT" }'
    assert key(salted, who="a@b.c") == hmac.new(b"s3cret", b"a@b.c", "sha256").hexdigest()[:32]


def ids(spec: str, *rows: dict[str, Any]) -> list[str]:
    mapper = Mapping.load(f"{spec}\n{NOTED}").begin()
    made: list[Any] = [one for row in rows for one in mapper.wire({**ROW, **row})]
    return [one["id"] for one in made]


def test_ids_from_columns():
    assert ids('id = "a"', {"a": 1}) == ["1:noted"]
    assert ids('id = { template = "{a}.{b}" }', {"a": 1, "b": 2}) == ["1.2:noted"]
    # two values are never confused with two others
    assert ids('id = { columns = ["a", "b"] }', {"a": "x/y", "b": "z"}, {"a": "x", "b": "y/z"}) == [
        "x%2Fy/z:noted",
        "x/y%2Fz:noted",
    ]
    assert ids('id = { column = "a", numbered = true }', {"a": 1}, {"a": 1}, {"a": 1}) == [
        "1:noted",
        "1-2:noted",
        "1-3:noted",
    ]


def test_ids_of_rows_without_any():
    first, second, third = ids("", {"a": 1}, {"a": 1}, {"a": 2})

    assert second == first.replace(":", "-2:")
    assert third not in (first, second)
    # a column that is empty, or columns in another order, change nothing
    assert ids("", {"b": "", "a": 1}) == [first]


def test_several_events_of_a_row_have_ids_of_their_own():
    mapper = Mapping.load(
        TOP + '[[events]]\ntype = "noted"\nsuffix = ""\nconst = { name = "a" }\n'
        '[[events]]\ntype = "noted"\nsuffix = "b"\nconst = { name = "b" }\n'
        '[[events]]\ntype = "onboarded"\n'
    ).begin()
    made: list[Any] = [one for _ in range(2) for one in mapper.wire(ROW)]
    base = made[0]["id"]

    assert [one["id"] for one in made] == [
        f"{row}{event}" for row in (base, f"{base}-2") for event in ("", ":b", ":onboarded")
    ]


def test_an_event_that_cant_be_made_doesnt_take_the_others_with_it():
    mapping = (
        TOP + '[[events]]\ntype = "order_placed"\n'
        'const = { kind = "order", order = "1", currency = "EUR" }\ncolumns = { amount = "c" }\n'
        '[[events]]\ntype = "onboarded"\n'
    )
    bad, good = Mapping.load(mapping).begin().wire({**ROW, "c": "x"})

    assert isinstance(bad, Unmapped)
    assert bad.problem == "order_placed.amount: column c: 'x' is no number"
    assert isinstance(good, dict)
    assert good["id"] == f"{bad.row_id}:onboarded"


def test_a_parked_row_is_retried_under_the_id_it_had():
    broken = f'{NOTED}properties = {{ p = {{ column = "c", map = {{ a = "A" }} }} }}\n'
    mended = broken.replace('a = "A"', 'a = "A", b = "B"')
    mapper = Mapping.load(broken).begin()
    row = {**ROW, "c": "b", "n": Decimal("0.1"), "f": 6.0}
    parked = [made for _ in range(3) for made in mapper.wire(row)]
    all_at_once = [made for _ in range(3) for made in Mapping.load(mended).begin().wire(row)][:1]

    retried: list[Any] = []
    for one in parked:
        assert isinstance(one, Unmapped)
        retried += Mapping.load(mended).retry(one.raw)

    assert retried[:1] == all_at_once
    assert [one["id"].split(":")[0][32:] for one in retried] == ["", "-2", "-3"]
    with pytest.raises(EventRejected, match="no row that a mapping reads"):
        Mapping.load(mended).retry(b'{"specversion":"1.0"}')


def test_only_changes_of_traits_are_said():
    mapper = Mapping.load(
        TOP + '[[events]]\ntype = "traits_observed"\nonly_changes = true\n'
        'traits = { land = "c", size = "d" }\n'
    ).begin()
    cells = [("u1", "de"), ("u1", "de"), ("u2", "de"), ("u1", "fr"), ("u1", "de"), ("u1", "")]
    made: list[Any] = [one for who, c in cells for one in mapper.wire({**ROW, "who": who, "c": c})]

    assert [(one["subject"], one["data"]["traits"]) for one in made] == [
        ("u1", {"land": "de"}),
        ("u2", {"land": "de"}),
        ("u1", {"land": "fr"}),
        ("u1", {"land": "de"}),
    ]
    assert (mapper.rows, mapper.unused, mapper.unchanged) == (6, 0, 2)


def test_an_ingest_reports_the_events_that_say_nothing_new():
    mapping = Mapping.load(
        TOP + '[[events]]\ntype = "traits_observed"\nonly_changes = true\ntraits = { land = "c" }\n'
        '[[events]]\ntype = "onboarded"\nwhen = { c = "fr" }\n'
    )
    at = ROW["at"]
    rows = f"who,at,c\nu1,{at},de\nu1,{at},de\nu1,{at},\nu2,{at},fr\n".encode()
    with Bowtie.open("memory://") as engine:
        report = engine.ingest(io.BytesIO(rows), mapping=mapping, format="csv")

    assert (report.appended, report.unused_rows, report.unchanged_events) == (3, 0, 2)
    assert report.as_dict()["unchanged_events"] == 2
    answer = ingest_answer({"rows": report, "again": report})
    assert any(note.startswith("4 events left out by the mapping") for note in answer.notes)
    assert not any("left out" in note for note in ingest_answer({"none": IngestReport()}).notes)


def test_rows_to_which_nothing_applies_are_counted():
    mapper = Mapping.load(NOTED + 'when = { c = "x" }\n').begin()
    for cell in ("x", "y", "z"):
        mapper.wire({**ROW, "c": cell})

    assert (mapper.rows, mapper.unused) == (3, 2)


def test_spend_goes_to_its_own_kind_of_stream():
    made = make(
        NOTED.replace('type = "noted"\nconst = { name = "x" }', 'type = "spend_recorded"')
        + 'const = { activity = "acquire", currency = "EUR", includes_touch_cost = false }\n'
        'columns = { channel = "who", amount = "a", from_on = "d", to_on = "d" }\n',
        {"a": "10", "d": "2026-01-05"},
    )

    assert made["streamkind"] == "spend"
    assert made["data"]["from_on"] == "2026-01-05"
    assert made["data"]["includes_touch_cost"] is False


def test_rows_that_cant_be_read_are_handed_on():
    log = open_log(io.BytesIO(b"who,at\nu1,2026-01-05\nu1\n"), format="csv")
    mapper = Mapping.load(NOTED).begin(log)
    (_, good), (row, bad) = mapper.over(log)

    assert isinstance(good[0], dict)
    assert row.line == 3
    assert bad == [Unmapped("unreadable", "1 cells, but the header has 2", b"u1")]
    assert mapper.rows == 2


def test_how_the_file_is_written():
    mapping = Mapping.load(
        TOP + '[format]\ntype = "csv"\ndelimiter = ";"\nencoding = "latin-1"\ndecimal = ","\n'
        '[[events]]\ntype = "noted"\nconst = { name = "x" }\n'
        'properties = { p = { column = "c", as = "number" }, land = "land" }\n'
    )
    data = "who;at;c;land\nu1;2026-01-05;1,5;Österreich\n".encode("latin-1")
    log = open_log(io.BytesIO(data), options=mapping.options)
    ((_, (made,)),) = mapping.begin(log).over(log)

    assert mapping.options == FormatOptions("csv", ";", '"', "latin-1")
    assert isinstance(made, dict)
    assert made["data"]["properties"] == {"p": 1.5, "land": "Österreich"}


def test_a_dry_run_shows_what_the_first_rows_become():
    log = open_log(
        io.BytesIO(
            b"who,at,c\nu1,2026-01-05,1\n,2026-01-05,2\nu1,soon,3\nu1\nu1,2026-01-05,\nu9,,\n"
        ),
        format="csv",
    )
    mapping = Mapping.load(
        TOP + 'version = 2\n[[events]]\ntype = "noted"\nconst = { name = "x" }\n'
        "when = { c = { present = true } }\n"
    )
    shown = dry_run(mapping, log, rows=5)

    assert [row.line for row in shown.rows] == [2, 3, 4, 5, 6]
    assert [len(row.events) for row in shown.rows] == [1, 0, 0, 0, 0]
    assert [parked.reason for row in shown.rows for parked in row.parked] == [
        "no_customer",
        "invalid",
        "unreadable",
    ]
    assert (shown.mapping, shown.source, shown.events, shown.parked, shown.unused) == (
        "m/2",
        "s",
        1,
        3,
        1,
    )
    assert shown.to_dict()["rows"][0]["events"][0]["subject"] == "u1"


def test_a_dry_run_asks_whoever_it_is_told_to():
    def refuse(_wire: object) -> None:
        raise EventRejected("id_reused", "taken")

    log = open_log(io.BytesIO(b"who,at\nu1,2026-01-05\n"), format="csv")
    shown = dry_run(Mapping.load(NOTED), log, validate=refuse)

    assert shown.rows[0].parked[0].reason == "id_reused"
    assert shown.rows[0].parked[0].event is not None


def test_a_parked_row_says_whose_it_is_and_keeps_its_place_among_equal_ones():
    mapper = Mapping.load(NOTED + "when = { c = { gt = 0 } }\n").begin()
    first, second = (mapper.wire({**ROW, "c": "x"})[0] for _ in range(2))

    assert isinstance(first, Unmapped)
    assert isinstance(second, Unmapped)
    assert first.subject == "u1"
    assert second.row_id == f"{first.row_id}-2"


def test_a_parked_row_without_an_id_is_still_without_one_when_retried():
    mapping = Mapping.load(f'id = "nr"\n{NOTED}')
    (parked,) = mapping.begin().wire(ROW)
    assert isinstance(parked, Unmapped)
    (again,) = mapping.retry(parked.raw)

    assert isinstance(again, Unmapped)
    assert again.problem == "noted.id: column nr is empty"
