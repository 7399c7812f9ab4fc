"""The runner of the docs' examples finds what is wrong with a page."""

from __future__ import annotations

import os
import subprocess
from functools import partial

import pytest

from tests.conftest import ROOT
from tests.docs.beginnings import Beginnings, Printed
from tests.docs.pages import Block, PageRun, blocks, commands, same_output

PAGE = """\
# A page

```{image} picture.svg
:alt: not an example
```

```python
total = 1
```

<!-- not run: it would send mail -->

```console
$ send
```

```console
$ echo one \\
    two
one two
$ false  # ends with exit code 1
```

```toml
name = "not an example"
```

````python
text = '''
```
'''
````
"""


@pytest.fixture
def reader(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return PageRun(tmp_path / "page.md", tmp_path, ROOT, None, tmp_path.with_name("beginnings"))


def console(text: str) -> Block:
    return Block("console", text, 1)


def test_blocks_are_found_with_their_lines_and_reasons():
    found = blocks(PAGE)
    assert [(b.language, b.line, b.not_run) for b in found] == [
        ("python", 8, None),
        ("console", 14, "it would send mail"),
        ("console", 18, None),
        ("python", 29, None),
    ]
    assert "```" in found[-1].text


def test_a_block_that_is_never_closed_is_an_error():
    with pytest.raises(ValueError, match="line 1"):
        blocks("```python\nx = 1\n")


def test_a_block_inside_a_list_is_an_error():
    with pytest.raises(ValueError, match="line 2"):
        blocks("- so:\n  ```console\n  $ true\n  ```\n")


def test_commands_have_their_output_and_exit_code():
    first, second = commands(blocks(PAGE)[2])
    assert (first.text, first.output, first.exit_code) == ("echo one \\\n    two", "one two", 0)
    assert (second.output, second.exit_code, second.line) == ("", 1, 21)


def test_a_console_block_begins_with_a_command():
    with pytest.raises(ValueError, match="line 1"):
        commands(console("one"))


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("a  b", "a b\n", True),
        ("a ... d", "a b\nc d", True),
        ("a\n...", "a\nb", True),
        ("a b", "a c", False),
        ("a", "", False),
    ],
)
def test_output_is_compared_without_white_space(expected, got, same):
    assert same_output(expected, got) is same


def test_the_blocks_of_a_page_share_names_and_the_folder(reader, tmp_path):
    reader.run(Block("python", "total = 41\nopen('made', 'w').close()", 1))
    reader.run(Block("python", ">>> total + 1\n42", 1))
    reader.run(console("$ ls -d made examples\nexamples\nmade"))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "block",
    [
        console("$ echo two\none"),
        console("$ false"),
        console("$ true  # exit code 3"),
        Block("python", ">>> 1 + 1\n3", 1),
        Block("python", "assert 1 == 2", 1),
    ],
    ids=lambda block: block.text,
)
def test_what_differs_from_the_page_fails(reader, block):
    with pytest.raises(AssertionError):
        reader.run(block)


def test_what_a_page_leaves_running_is_ended(reader, tmp_path):
    reader.run(console("$ sleep 600 > log 2>&1 & echo $! > pid"))
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)  # it runs
    reader.close()
    assert subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], text=True, capture_output=True, check=False
    ).stdout.strip()[:1] in {"", "Z"}


def test_a_traceback_names_the_line_of_the_page(reader):
    with pytest.raises(ZeroDivisionError) as caught:
        reader.run(Block("python", "1 / 0", 7))
    assert caught.traceback[-1].lineno + 1 == 7


def test_what_pages_begin_with_is_made_once(tmp_path):
    """The second page gets the files and the output; what comes after is its own."""
    ran = []
    cache = tmp_path / "cache"

    def page(name: str, *commands: str) -> list[Printed]:
        folder = tmp_path / name
        folder.mkdir()
        begins = Beginnings(cache, folder)

        def run(command: str) -> Printed:
            ran.append((name, command))
            (folder / f"made-{len(ran)}").write_text(command)
            return Printed(f"did {command}", 3)

        return [begins.run(command, partial(run, command)) for command in commands]

    demo, other, ask = "bowtie demo -o x", "bowtie demo -o y", "bowtie funnel"
    assert page("first", demo, ask, demo) == page("second", demo, ask, demo)
    page("third", other)
    assert ran == [
        ("first", demo), ("first", ask), ("first", demo),
        ("second", ask), ("second", demo),
        ("third", other),
    ]  # fmt: skip
    assert (tmp_path / "second" / "made-1").read_text() == demo
    assert not (tmp_path / "third" / "made-1").exists()
