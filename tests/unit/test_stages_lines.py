"""The line of each table, key and element of a TOML text."""

from __future__ import annotations

import tomllib

import pytest

from bowtie.stages.lines import line_numbers, line_of

TEXT = '''\
# a comment with [[stages.x]] and = in it
name = "b = 2 # no comment"   # a comment
"quoted key" = 1
text = """
[not.a.table]
key = "no key"  \\"""
"""
literal = \'\'\'
[x]\'\'\'
a.b . "c d" = 2024-01-01 10:00:00

[[stages.awareness]]
event = "touched"
where = { direction = "inbound", "properties.plan" = ["a", "b"] }

[[stages.awareness]]   # the second
event = 'x'
where = { channel = [
  "one",   # ]
  "two",
  { deep = true },
] }
[stages.awareness.extra]
k = 1

[ stages . "odd name" ]
k = -1.5e3
[[stages.growth]]
[[stages.growth.inner]]
z = []
[[stages.growth.inner]]
z = {}
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("quoted key",), 3),
        (("text",), 4),
        (("literal",), 8),
        (("a",), 10),
        (("a", "b", "c d"), 10),
        (("stages", "awareness"), 12),
        (("stages", "awareness", 0), 12),
        (("stages", "awareness", 0, "event"), 13),
        (("stages", "awareness", 0, "where", "properties.plan"), 14),
        (("stages", "awareness", 1), 16),
        (("stages", "awareness", 1, "event"), 17),
        (("stages", "awareness", 1, "where", "channel"), 18),
        (("stages", "awareness", 1, "where", "channel", 1), 20),
        (("stages", "awareness", 1, "where", "channel", 2, "deep"), 21),
        (("stages", "awareness", 1, "extra", "k"), 24),
        (("stages", "odd name", "k"), 27),
        (("stages", "growth", 0, "inner", 0, "z"), 30),
        (("stages", "growth", 0, "inner", 1, "z"), 32),
    ],
)
def test_each_path_has_its_line(path, line):
    assert line_numbers(TEXT)[path] == line


def paths(value, path=()):
    """Every path into what the TOML reader made of a text."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, dict | list):
            yield from paths(inner, (*path, key))
        else:
            yield (*path, key)


def test_nothing_of_the_document_is_left_out_and_nothing_is_made_up():
    assert set(line_numbers(TEXT)) == set(paths(tomllib.loads(TEXT)))


def test_windows_line_ends_count_once():
    assert line_numbers("a = 1\r\n\r\n[b]\r\nc = 2\r\n")[("b", "c")] == 4


def test_what_has_no_line_takes_that_of_what_is_around_it():
    lines = line_numbers('a = 1\n[b]\nc = "x"\n')
    assert line_of(lines, ("b", "missing", 3)) == 2
    assert line_of(lines, ("missing",)) is None
    assert line_of(lines, ()) is None
