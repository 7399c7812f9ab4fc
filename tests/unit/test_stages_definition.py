"""Reading a definition: what it says, and what is wrong with it, by line."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from decimal import Decimal

import pytest

from bowtie.errors import DefinitionError, FileError, UnknownName
from bowtie.fields import Stage
from bowtie.stages import (
    STAGES,
    Comparison,
    DayTotal,
    Within,
    builtin_definitions,
    load_definition,
)
from tests.stages import define

HEAD = 'name = "mine"\nversion = 2\n'
TOUCHED = '[[stages.awareness]]\nevent = "touched"\n'


def condition(body: str, stage: Stage = "awareness"):
    """The only condition of a stage, from its keys."""
    found = load_definition(f"{HEAD}[[stages.{stage}]]\n{body}\n")
    return found.conditions[stage][0]


def test_seven_stages_in_order():
    assert STAGES == (
        "awareness",
        "education",
        "selection",
        "commitment",
        "onboarding",
        "utilization",
        "growth",
    )


def test_what_is_not_said_has_a_default():
    found = load_definition(HEAD + TOUCHED)
    assert (found.name, found.version, found.label, found.title) == ("mine", 2, "mine/2", "")
    assert found.requalify_within == timedelta(days=90)
    assert (found.loss, found.burn_in, found.lead) == ("events", timedelta(), "education")
    assert set(found.conditions) == set(STAGES)
    assert found.conditions["growth"] == ()
    assert found.text == HEAD + TOUCHED
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()


def test_what_is_said_is_kept():
    found = load_definition(
        HEAD + 'title = "T"\nrequalify_within = "36h"\nloss = "none"\nburn_in = "2w"\n'
        'lead = "selection"\n' + TOUCHED
    )
    assert (found.title, found.loss, found.lead) == ("T", "none", "selection")
    assert (found.requalify_within, found.burn_in) == (timedelta(hours=36), timedelta(days=14))


def test_definitions_are_equal_when_their_texts_are():
    one, same = load_definition(HEAD + TOUCHED), load_definition(HEAD + TOUCHED)
    other = load_definition(HEAD + TOUCHED + "# another text\n")
    assert one == same
    assert len({one, same, other}) == 2


def test_every_part_of_a_condition_is_read():
    found = condition(
        'event = "impact_achieved"\nwhere = { kind = "rational" }\nnth = 3\n'
        'counted_by = "quarter"\neach = "metric"\nafter = "commitment"\n'
        'within = { of = "selection", time = "30d" }',
        "growth",
    )
    assert found.event == "impact_achieved"
    assert found.where == (Comparison("kind", "in", ("rational",), "text"),)
    assert (found.nth, found.counted_by, found.each) == (3, "quarter", "metric")
    assert found.after == "commitment"
    assert found.within == Within("selection", timedelta(days=30))
    assert found.refers_to == {"commitment", "selection"}
    assert not found.plain
    assert found.line == 3


def test_moves_and_totals_are_read():
    assert condition('event = "contract_changed"\nrises = "amount"').rises == "amount"
    assert condition('event = "contract_renewed"\nfalls = "list_amount"').falls == "list_amount"
    total = condition('event = "order_placed"\nday_total = { field = "amount", ge = 1.50 }')
    assert total.day_total == DayTotal("amount", "ge", Decimal("1.50"))
    assert total.plain


@pytest.mark.parametrize("nth", ["", "nth = 1"])
def test_the_first_match_is_every_match(nth):
    assert condition(f'event = "touched"\n{nth}').plain


@pytest.mark.parametrize(
    ("event", "where", "comparison"),
    [
        ("touched", 'channel = "x"', Comparison("channel", "in", ("x",), "text")),
        ("touched", 'channel = ["x", "y"]', Comparison("channel", "in", ("x", "y"), "text")),
        ("touched", 'channel = { ne = "x" }', Comparison("channel", "ne", ("x",), "text")),
        ("touched", "cost.gt = 1.5", Comparison("cost", "gt", (Decimal("1.5"),), "decimal")),
        ("touched", 'cost = "1.50"', Comparison("cost", "in", (Decimal("1.50"),), "decimal")),
        (
            "contract_signed",
            "starts_on = { ge = 2024-02-29 }",
            Comparison("starts_on", "ge", (date(2024, 2, 29),), "day"),
        ),
        (
            "contract_signed",
            'ends_on = { lt = "2024-02-29" }',
            Comparison("ends_on", "lt", (date(2024, 2, 29),), "day"),
        ),
        (
            "contract_signed",
            "auto_renews = true",
            Comparison("auto_renews", "in", (True,), "flag"),
        ),
        (
            "contract_signed",
            "notice_days = { le = 30 }",
            Comparison("notice_days", "le", (30,), "whole"),
        ),
        (
            "noted",
            '"properties.plan" = ["pro", 5, true]',
            Comparison("properties.plan", "in", ("pro", Decimal(5), True), "map"),
        ),
        ("noted", 'properties.plan = "pro"', Comparison("properties.plan", "in", ("pro",), "map")),
        (
            "noted",
            "properties.seats = { gt = 5 }",
            Comparison("properties.seats", "gt", (Decimal(5),), "map"),
        ),
        (
            "traits_observed",
            '"traits.a.b" = "x"',
            Comparison("traits.a.b", "in", ("x",), "map"),
        ),
    ],
)
def test_values_take_the_type_of_their_field(event, where, comparison):
    assert condition(f'event = "{event}"\nwhere = {{ {where} }}').where == (comparison,)


def test_a_field_may_be_compared_twice():
    found = condition('event = "touched"\nwhere = { cost = { ge = 1, lt = 5 } }')
    assert [comparison.op for comparison in found.where] == ["ge", "lt"]


def test_a_value_in_a_map_knows_its_map_and_key():
    found = Comparison("traits.a.b", "in", ("x",), "map")
    assert (found.map_name, found.key) == ("traits", "a.b")


def test_stages_are_ordered_by_what_they_wait_for():
    found = define(
        '[[stages.awareness]]\nevent = "touched"\nafter = "growth"\n'
        '[[stages.growth]]\nevent = "referred"\nwithin = { of = "commitment", time = "1d" }\n'
    )
    assert found.order.index("commitment") < found.order.index("growth")
    assert found.order.index("growth") < found.order.index("awareness")
    assert sorted(found.order) == sorted(STAGES)


# What is wrong: the text below the head (which has two lines), the line, and what the message says.
WRONG = [
    ("x =", 3, "not valid TOML: invalid value.* key = value"),
    ('title = "open', 3, "not valid TOML"),
    ('title = "a"\ntitle = "b"\n' + TOUCHED, 4, "not valid TOML: cannot overwrite a value"),
    ("loose = 1\n" + TOUCHED, 3, 'unknown key "loose": did you mean "loss"'),
    ("title = 1\n" + TOUCHED, 3, 'write title = "What'),
    ('loss = "event"\n' + TOUCHED, 3, 'did you mean "events"'),
    ("loss = 1\n" + TOUCHED, 3, "write one of events, none"),
    ('lead = "educatio"\n' + TOUCHED, 3, 'did you mean "education"'),
    ('burn_in = "90"\n' + TOUCHED, 3, '"burn_in".*"90d"'),
    ("requalify_within = 90\n" + TOUCHED, 3, '"requalify_within".*"90d"'),
    ("", None, "names no event.*event = "),
    ("[stages]\nawareness = []\n", 3, "names no event"),
    ("stages = 1\n", 3, r"\[\[stages.awareness\]\]"),
    ('[[stages.awarenes]]\nevent = "touched"\n', 3, 'unknown stage.*did you mean "awareness"'),
    ('[stages.awareness]\nevent = "touched"\n', 3, "two brackets"),
    ("[stages]\nawareness = [1]\n", 4, "is a table: write"),
    ('[[stages.awareness]]\nevnt = "touched"\n', 4, 'unknown key "evnt": did you mean "event"'),
    ("[[stages.awareness]]\nnth = 2\n", 3, 'without an event: write event = "touched"'),
    ('[[stages.awareness]]\nevent = "touchd"\n', 4, 'unknown event.*did you mean "touched"'),
    ("[[stages.awareness]]\nevent = 1\n", 4, "unknown event"),
    ('[[stages.awareness]]\nevent = "spend_recorded"\n', 4, "stream of kind spend"),
    (TOUCHED + "where = 1\n", 5, "where = {"),
    (TOUCHED + 'where = { chanel = "x" }\n', 5, 'no field "chanel": did you mean "channel"'),
    ('[[stages.awareness]]\nevent = "onboarded"\nwhere = { x = 1 }\n', 5, "it has no fields"),
    (TOUCHED + "where = { channel = 1 }\n", 5, '"channel" is a text: write it in quotes'),
    (TOUCHED + "where = { channel = [] }\n", 5, "empty list"),
    (TOUCHED + "where = { channel = {} }\n", 5, "no comparison"),
    (TOUCHED + 'where = { channel = ["a", ["b"]] }\n', 5, "in quotes, not as a list"),
    (TOUCHED + 'where = { channel = { eq = "x" } }\n', 5, 'unknown key "eq": .*gt, ge, lt, le, ne'),
    (TOUCHED + 'where = { channel = { gt = "x" } }\n', 5, '"gt" compares numbers and days'),
    (TOUCHED + 'where = { direction = "inbond" }\n', 5, 'never "inbond": did you mean "inbound"'),
    (TOUCHED + 'where = { currency = "Euro" }\n', 5, "ISO 4217"),
    (TOUCHED + 'where = { cost = "1,5" }\n', 5, 'write it as "120.00"'),
    (TOUCHED + "where = { cost = 0.1234567 }\n", 5, "at most 6 decimals"),
    (TOUCHED + "where = { cost = inf }\n", 5, "decimal number"),
    (TOUCHED + "where = { cost = true }\n", 5, "not true"),
    (TOUCHED + 'where = { "channel.x" = "y" }\n', 5, 'is no map: write "channel" alone'),
    (TOUCHED + "[stages.awareness.where]\n\nchannel = 1\n", 7, "is a text"),
    (TOUCHED + 'after = "commit"\n', 5, "names no stage.*commitment"),
    (TOUCHED + "after = 1\n", 5, "write one of awareness"),
    (TOUCHED + 'within = "30d"\n', 5, "within = {"),
    (TOUCHED + 'within = { of = "education" }\n', 5, "needs a stage and a time"),
    (TOUCHED + 'within = { time = "1d" }\n', 5, "needs a stage and a time"),
    (TOUCHED + 'within = { of = "education", time = 30 }\n', 5, '"time".*"90d"'),
    (TOUCHED + 'within = { of = "education", tme = "1d" }\n', 5, 'did you mean "time"'),
    (TOUCHED + "nth = 0\n", 5, "whole number from 1"),
    (TOUCHED + "nth = true\n", 5, "whole number from 1"),
    (TOUCHED + 'counted_by = "day"\n', 5, "write nth = 2"),
    (TOUCHED + 'nth = 2\ncounted_by = "week"\n', 6, '"counted_by" can\'t be "week"'),
    (TOUCHED + 'each = "channel"\n', 5, "write nth = 2"),
    (TOUCHED + 'nth = 2\neach = "chanel"\n', 6, 'did you mean "channel"'),
    (TOUCHED + "nth = 2\neach = 1\n", 6, 'write each = "metric"'),
    ('[[stages.growth]]\nevent = "score_given"\nnth = 2\neach = "comment"\n', 6, "is personal"),
    (TOUCHED + 'rises = "cost"\n', 5, "use it on contract_changed or contract_renewed"),
    (TOUCHED + 'day_total = "cost"\n', 5, "day_total = {"),
    (TOUCHED + 'day_total = { field = "cost" }\n', 5, "one comparison"),
    (TOUCHED + 'day_total = { field = "cost", gt = 1, lt = 2 }\n', 5, "one comparison"),
    (TOUCHED + 'day_total = { field = "channel", gt = 1 }\n', 5, "no number that adds up"),
    (TOUCHED + 'day_total = { field = "cost", gt = "x" }\n', 5, "decimal number"),
    (TOUCHED + 'after = "awareness"\n', 5, "wait for each other"),
    (
        TOUCHED + 'after = "growth"\n[[stages.growth]]\nevent = "referred"\n'
        'within = { of = "awareness", time = "1d" }\n',
        5,
        "awareness, growth wait for each other",
    ),
]
WRONG += [
    (f'[[stages.growth]]\nevent = "{event}"\n{rest}\n', 5, message)
    for event, rest, message in [
        ("contract_changed", 'rises = "quantity"', "it is one of amount, list_amount"),
        ("contract_changed", 'rises = "amount"\nfalls = "amount"', "exclude each other"),
        ("contract_signed", "where = { starts_on = 2024-01-01T00:00:00Z }", "is a day"),
        ("contract_signed", 'where = { starts_on = "2024-02-30" }', "is a day"),
        ("contract_signed", 'where = { auto_renews = "yes" }', "true or false"),
        ("contract_signed", 'where = { notice_days = "30" }', "a whole number: write it as 12"),
        ("score_given", 'where = { comment = "x" }', '"comment" is personal'),
        ("noted", 'where = { properties = "x" }', 'is a map: write "properties.plan"'),
        ("noted", 'where = { "properties." = "x" }', "is a map"),
        ("noted", 'where = { properties.email = "x" }', '"email" is a personal name'),
        ("noted", 'where = { "properties.E-Mail" = 2024-01-01 }', "is compared with a text"),
        ("noted", "where = { properties.x = nan }", "is compared with a text"),
        ("noted", "where = { properties.x = { a = 1 } }", "unknown key"),
        ("noted", 'where = { properties.x = { gt = "5" } }', '"gt" compares a number'),
    ]
]


@pytest.mark.parametrize(("text", "line", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_line(text, line, message):
    with pytest.raises(DefinitionError, match=f"(?s){message}") as caught:
        load_definition(HEAD + text)
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("version = 1", 'no name: write name = "mine"'),
        ('name = "mine"', "no version: write version = 1"),
        ('name = "Mine/1"\nversion = 1', "small letters"),
        ("name = 1\nversion = 1", "small letters"),
        ('name = "mine"\nversion = "1"', "whole number from 1"),
        ('name = "mine"\nversion = 0', "whole number from 1"),
        ('name = "mine"\nversion = true', "whole number from 1"),
    ],
)
def test_a_definition_has_a_name_and_a_version(head, message):
    with pytest.raises(DefinitionError, match=message):
        load_definition(f"{head}\n{TOUCHED}")


def test_personal_names_are_those_of_the_store():
    text = HEAD + '[[stages.growth]]\nevent = "noted"\nwhere = { properties.Plan = "x" }\n'
    load_definition(text)
    with pytest.raises(DefinitionError, match="personal name"):
        load_definition(text, personal_names=["plan"])


def test_a_comparison_in_a_table_of_its_own_is_the_same():
    found = load_definition(
        f'{HEAD}[[stages.growth]]\nevent = "noted"\n[stages.growth.where]\nname = "x"\n'
        '[stages.growth.where.properties]\nplan = "y"\n'
    )
    assert [c.field for c in found.conditions["growth"][0].where] == ["name", "properties.plan"]


# Finding definitions.


def test_two_definitions_come_along():
    assert [d.label for d in builtin_definitions()] == ["b2b/1", "shop/1"]
    assert all(d.title for d in builtin_definitions())


@pytest.mark.parametrize("name", ["b2b", "b2b/1"])
def test_a_name_is_found_with_and_without_its_version(name):
    assert load_definition(name) is builtin_definitions()[0]


def test_the_built_in_definitions_say_what_they_are_for():
    b2b, shop = builtin_definitions()
    assert (b2b.loss, b2b.burn_in, b2b.requalify_within) == (
        "events",
        timedelta(),
        timedelta(days=90),
    )
    assert (shop.loss, shop.burn_in, shop.lead) == ("none", timedelta(days=90), "education")
    assert [stage for stage in STAGES if not shop.conditions[stage]] == ["utilization"]
    assert all(b2b.conditions.values())


@pytest.mark.parametrize(
    ("name", "message"), [("b2c", "only b2b/1, shop/1"), ("b2b/9", '"b2b/9"'), ("zzz", "TOML file")]
)
def test_an_unknown_name_names_those_that_are_there(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match=message):
        load_definition(name)


def test_a_file_is_read(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xef\xbb\xbf" + (HEAD + TOUCHED).encode())
    assert load_definition(file) == load_definition(str(file)) == load_definition(HEAD + TOUCHED)


def test_an_error_in_a_file_names_file_and_line(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(HEAD + "x = 1\n")
    with pytest.raises(DefinitionError) as caught:
        load_definition(file)
    assert str(caught.value).startswith(f'{file}:3: unknown key "x"')


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        load_definition(tmp_path / "none.toml")
    with pytest.raises(FileError, match="is a folder"):
        load_definition(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "caf\xe9"\n')
    with pytest.raises(DefinitionError, match="UTF-8"):
        load_definition(latin)
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    with pytest.raises(DefinitionError, match="names no event"):
        load_definition(empty)


def test_the_name_of_a_built_in_definition_is_taken(tmp_path):
    file = tmp_path / "copy.toml"
    file.write_text(load_definition("b2b").text)
    assert load_definition(file) == load_definition("b2b")
    file.write_text(load_definition("b2b").text + "# mine\n")
    with pytest.raises(DefinitionError, match="another name, or a higher version"):
        load_definition(file)
    file.write_text(load_definition("b2b").text.replace("version = 1", "version = 2"))
    assert load_definition(file).label == "b2b/2"
