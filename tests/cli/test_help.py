"""Help, examples, completion, and what they may load."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bowtie_cli.main import SECTIONS, main


def walk(command: click.Command, name: str) -> dict[str, click.Command]:
    found = {name: command}
    if isinstance(command, click.Group):
        for child_name, child in command.commands.items():
            found |= walk(child, f"{name} {child_name}")
    return found


ALL = walk(main, "bowtie")


def test_the_commands_of_the_design_are_there():
    assert {name.removeprefix("bowtie ") for name in ALL} >= {
        *("init", "ingest", "record", "journey", "replay", "status", "funnel", "stock", "loop"),
        *("sql", "export log", "export tables", "schema", "verify", "demo"),
        *("definition list", "definition show", "definition init", "definition check"),
        *("definition publish", "definition diff", "parked list", "parked show", "parked retry"),
    }


@pytest.mark.parametrize(
    ("name", "does"), [pair for section in SECTIONS.values() for pair in section.items()]
)
def test_the_table_of_commands_says_what_their_own_helps_say(name, does):
    assert (main.commands[name].help or "").splitlines()[0] == does


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_and_a_runnable_example(name):
    command = ALL[name]
    assert command.help
    if isinstance(command, click.Group) and command is not main:
        return
    _, mark, example = command.help.partition("\b\nExample:\n")
    assert mark, f"{name} has no example under \\b"
    first = example.strip().splitlines()[0].strip()
    words = name.split()
    if command is not main:
        assert first.split()[: len(words)] == words


@pytest.mark.parametrize("name", ALL)
def test_every_help_prints(name, run):
    out = run(*name.split()[1:], "--help").out
    assert out.startswith(f"Usage: {name}")
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("name", ALL)
def test_every_option_says_what_it_is(name):
    for param in ALL[name].params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.help or param.metavar, f"{name} {param.opts}"


def test_no_command_is_a_usage_error(run):
    assert "Usage: bowtie" in run(code=2).err


def test_a_near_name_is_suggested(run):
    assert "funnel" in run("funel", code=2).err


def test_the_version(run):
    assert run("--version").out.startswith("bowtie, version ")


HEAVY = "bowtie pydantic cryptography eventsourcing msgspec duckdb pyarrow sqlalchemy numpy rich"


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy(args):
    script = (
        "import sys\nfrom bowtie_cli.main import main\n"
        f"try:\n    main({args!r})\nexcept SystemExit:\n    pass\n"
        f"print(*sorted(set({HEAVY!r}.split()) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.split() == []


def complete(words: str) -> list[str]:
    """What a shell offers after these words."""
    environment = {
        "_BOWTIE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    with_path = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    script = "from bowtie_cli.main import main; main(prog_name='bowtie')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | with_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return [one.partition(",")[2] for one in done.stdout.split()]


def test_commands_and_options_are_completed():
    assert complete("bowtie fun") == ["funnel"]
    assert "list" in complete("bowtie definition ")
    assert "--within" in complete("bowtie funnel --w")
    assert "markdown" in complete("bowtie funnel --format ")


def test_the_script_for_the_shell():
    done = CliRunner().invoke(main, [], env={"_BOWTIE_COMPLETE": "bash_source"}, prog_name="bowtie")
    assert "_bowtie_completion" in done.stdout
