"""A mapping that is wrong says so before any row is read, with its line and what to write."""

from __future__ import annotations

import io

import pytest

from bowtie.errors import FileError, MappingError
from bowtie.logs import Mapping, open_log

GOOD = """\
name = "shop"
source = "shop"
customer = "who"
time = { column = "day", zone = "UTC" }

[[events]]
type = "order_placed"
const = { kind = "order", currency = "EUR" }

[events.columns]
order = "nr"
amount = "total"
"""

SECOND = """\
[[events]]
type = "order_placed"
const = { kind = "return", currency = "EUR", order = "1", amount = "1" }
"""


def wrong(text: str) -> MappingError:
    with pytest.raises(MappingError) as caught:
        Mapping.load(text)
    return caught.value


def test_the_good_one_is_good():
    mapping = Mapping.load(GOOD)

    assert (mapping.name, mapping.version, mapping.source) == ("shop", 1, "shop")
    assert mapping.columns == {"who": 3, "day": 4, "nr": 11, "total": 12}


CASES = [
    ('name = "shop"', "name = shop", 1, "not TOML"),
    ('source = "shop"\n', "", 1, '`source` is missing: write source = "..."'),
    ('source = "shop"', 'source = ""', 2, "`source` must not be empty"),
    ('source = "shop"', "source = 7", 2, "`source` must be a text in quotes"),
    ('name = "shop"', 'name = "shop"\nversion = "1"', 2, "`version` must be a whole number"),
    ('customer = "who"', 'custommer = "who"', 3, 'did you mean "customer"?'),
    ('customer = "who"\n', "", 5, '`customer` is missing: write customer = "COLUMN"'),
    ('customer = "who"', 'customer = { column = "who", salt_env = "S" }', 3, "goes with hash"),
    (
        'customer = "who"',
        'customer = { column = "who", hash = true, salt_env = "NO_SUCH_SALT" }',
        3,
        "the environment has no NO_SUCH_SALT: set it",
    ),
    ('customer = "who"', 'customer = { join = "-" }', 3, "say where the value is from"),
    ('zone = "UTC"', 'zone = "Mars/Base"', 4, "zone 'Mars/Base' is not known"),
    ('zone = "UTC"', 'format = "dd/mm"', 4, "format 'dd/mm' is not known: write iso, unix"),
    ('zone = "UTC"', 'precision = "days"', 4, 'did you mean "day"?'),
    ('type = "order_placed"', 'type = "order_place"', 7, 'did you mean "order_placed"?'),
    ('type = "order_placed"', 'type = "order_placed"\nwen = {}', 8, 'did you mean "when"?'),
    ('type = "order_placed"', 'type = "order_placed"\nwhen = {}', 8, "`when` is empty"),
    (
        'type = "order_placed"',
        'type = "order_placed"\nwhen = { nr = { start_with = "C" } }',
        8,
        'did you mean "starts_with"?',
    ),
    (
        'type = "order_placed"',
        'type = "order_placed"\nwhen = { nr = { matches = "(" } }',
        8,
        "no regular expression",
    ),
    ('kind = "order"', 'kind = "ordr"', 8, "kind can't be 'ordr': Input should be 'order'"),
    ('kind = "order", ', "", 7, "order_placed needs `kind`: say its column, or a constant"),
    ('currency = "EUR"', 'currency = "Euro"', 8, "write an ISO 4217 code"),
    ('order = "nr"', 'order = "nr"\nline = 7', 12, "must be a column's name in quotes"),
    ('order = "nr"', 'order = "nr"\nlin = "nr"', 12, 'did you mean "line"?'),
    ('order = "nr"', 'order = "nr"\nkind = "k"', 8, "both a constant and a column"),
    ('order = "nr"', 'order = "nr"\ntraits = "k"', 12, "has no field `traits`"),
    ('order = "nr"', 'order = { column = "nr", negate = true }', 11, "`negate` is for numbers"),
    ('order = "nr"', 'order = { column = "nr", as = "text" }', 11, "`as` is for maps"),
    ('order = "nr"', 'order = { column = "nr", maps = {} }', 11, 'did you mean "map"?'),
    ('order = "nr"', 'order = { column = "nr", map = "x" }', 11, "there is no [maps.x]"),
    ('order = "nr"', 'order = { column = "nr", otherwise = "x" }', 11, "goes with `map`"),
    ('order = "nr"', 'order = { const = "x", column = "nr" }', 11, "`const` stands alone"),
    ('order = "nr"', 'order = { template = "no column" }', 11, "names no column"),
    ('order = "nr"', 'order = { template = "{nr" }', 11, "write {column}"),
    ('amount = "total"', 'amount = { column = "t", decimal = "" }', 12, "two different marks"),
    ('amount = "total"', 'amount = { column = "t", scale = "x" }', 12, "must be a number"),
    ('amount = "total"', 'amount = { column = "t", round = 9 }', 12, "0 to 6"),
    ('amount = "total"', 'amount = "total"\n[format]\ntype = "xls"', 14, "can't be 'xls'"),
    ('amount = "total"', 'amount = "total"\n[format]\ndelimiter = ";;"', 14, "one character"),
    ('amount = "total"', 'amount = "total"\n[format]\nencoding = "utf8x"', 14, "is not known"),
    ('amount = "total"', 'amount = "total"\n[[events]]\ntype = "touched"', 14, "needs `channel`"),
    (
        'amount = "total"',
        f'amount = "total"\n{SECOND}',
        14,
        "a second event would have the same ids (ending in 'order_placed')",
    ),
    (
        'amount = "total"',
        'amount = "total"\n[[events]]\ntype = "traits_observed"',
        13,
        "traits_observed needs [events.traits]",
    ),
    ('amount = "total"', 'amount = "total"\n[events.traits]\na = "b"', 13, "has no traits"),
    ("const = {", 'streamkind = "spend"\nconst = {', 8, "belongs to a stream of kind customer"),
]


@pytest.mark.parametrize(("old", "new", "line", "problem"), CASES, ids=[case[1] for case in CASES])
def test_what_is_wrong_is_said_with_its_line(old, new, line, problem):
    assert old in GOOD
    error = wrong(GOOD.replace(old, new, 1))

    assert problem in error.problem
    assert error.line == line
    assert str(error).startswith(f"mapping:{line}: ")


def test_without_events_there_is_no_mapping():
    assert "at least one [[events]]" in wrong(GOOD[: GOOD.index("[[")]).problem


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(GOOD.replace("customer", "custommer"))
    with pytest.raises(MappingError, match=rf"{path}:3: "):
        Mapping.load(path)
    with pytest.raises(FileError, match="the mapping can't be read: No such file"):
        Mapping.load(tmp_path / "other.toml")
    path.write_bytes(b'name = "\xe9"')
    with pytest.raises(FileError, match="is not UTF-8"):
        Mapping.load(path)


def test_a_column_that_is_not_there_is_one_error_before_any_row():
    log = open_log(io.BytesIO(b"who,day,number,total\n"), format="csv")
    with pytest.raises(FileError) as caught:
        Mapping.load(GOOD).begin(log)

    assert caught.value.problem == (
        "has no column 'nr', which mapping:11 reads: it is one of who, day, number, total"
    )


def test_a_column_that_is_not_there_because_of_the_delimiter():
    log = open_log(io.BytesIO(b"who;day;nr;total\n"), format="csv")
    with pytest.raises(FileError, match="say so, delimiter = ';'"):
        Mapping.load(GOOD).begin(log)
