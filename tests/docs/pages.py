"""Reads the examples out of a Markdown page, and runs them as a reader would."""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.docs.beginnings import Beginnings, Printed
from tests.docs.forking import forked, is_plain

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w{}-]*)[^`]*$")
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->")
NEEDS_DATA = "<!-- needs: shared data -->"
LONG = "<!-- takes long -->"
EXIT_CODE = re.compile(r"#.*\bexit code (?P<code>\d+)")
LANGUAGES = {"python", "console"}
OUTPUT_RULES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS = 300


@dataclass(frozen=True)
class Block:
    """One fenced example of a page."""

    language: str
    text: str
    #: the line of the page on which the text begins
    line: int
    #: why it is not run, where the page says so
    not_run: str | None = None


@dataclass(frozen=True)
class Command:
    """One command of a console block, and what the page says it prints."""

    text: str
    output: str
    line: int
    exit_code: int = 0


def blocks(page: str) -> list[Block]:
    """The `python` and `console` blocks of a page, in order."""
    found: list[Block] = []
    lines = page.splitlines()
    reason: str | None = None
    number = 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence:
            end = _closing(lines, number, fence["ticks"])
            if fence["language"] in LANGUAGES:
                if fence["indent"]:
                    raise ValueError(f"line {number + 1}: begin the block at the margin")
                text = "\n".join(lines[number + 1 : end])
                found.append(Block(fence["language"], text, number + 2, reason))
            reason, number = None, end
        elif lines[number].strip():
            mark = NOT_RUN.search(lines[number])
            reason = mark["reason"] if mark else None
        number += 1
    return found


def _closing(lines: list[str], opened: int, ticks: str) -> int:
    for number in range(opened + 1, len(lines)):
        if lines[number].strip() == ticks:
            return number
    raise ValueError(f"the block that opens on line {opened + 1} is never closed")


def commands(block: Block) -> list[Command]:
    """The `$` commands of a console block; a command goes on after a backslash."""
    found: list[Command] = []
    lines = block.text.splitlines()
    number = 0
    while number < len(lines):
        if not lines[number].startswith("$ "):
            raise ValueError(f"line {block.line + number}: a console block begins with `$ `")
        first = number
        while lines[number].endswith("\\"):
            number += 1
        text = "\n".join([lines[first][2:], *lines[first + 1 : number + 1]])
        number += 1
        output = []
        while number < len(lines) and not lines[number].startswith("$ "):
            output.append(lines[number])
            number += 1
        code = EXIT_CODE.search(text)
        found.append(
            Command(
                text,
                "\n".join(output).strip(),
                block.line + first,
                int(code["code"]) if code else 0,
            )
        )
    return found


def same_output(expected: str, got: str) -> bool:
    """Equal but for white space, where `...` stands for anything."""
    want, have = (" ".join(text.split()) + "\n" for text in (expected, got))
    return doctest.OutputChecker().check_output(want, have, OUTPUT_RULES)


class PageRun:
    """One reader at one page: a folder, and the names its Python blocks have made so far.

    Args:
        page: what is read.
        folder: where its blocks run.
        root: of the repository.
        data: the test data, where it is asked for.
        cache: where what pages begin with is kept for each other.
    """

    def __init__(
        self, page: Path, folder: Path, root: Path, data: Path | None, cache: Path
    ) -> None:
        self.page, self.folder = page, folder
        self.names: dict[str, object] = {"__name__": "__page__"}
        self.environment = _environment(data)
        self._beginnings = Beginnings(cache, folder)
        #: the groups of processes that the commands made
        self._groups: list[int] = []
        (folder / "examples").symlink_to(root / "examples")
        if data is not None:
            (folder / "data").symlink_to(data)

    def close(self) -> None:
        """End what commands have left running, such as a server."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def run(self, block: Block) -> None:
        """Run one block; what differs from the page is an AssertionError that names the line."""
        if block.language == "console":
            for command in commands(block):
                self._console(command)
        elif block.text.lstrip().startswith(">>>"):
            self._dialogue(block)
        else:
            # blank lines before it, so that a traceback names the page's own line
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(self.page), "exec"), self.names)  # noqa: S102

    def _dialogue(self, block: Block) -> None:
        example = doctest.DocTestParser().get_doctest(
            block.text, {}, self.page.name, str(self.page), block.line - 1
        )
        example.globs = self.names
        report: list[str] = []
        runner = doctest.DocTestRunner(verbose=False, optionflags=OUTPUT_RULES)
        failed = runner.run(example, out=report.append, clear_globs=False).failed
        assert not failed, "".join(report)

    def _console(self, command: Command) -> None:
        printed, exit_code = self._beginnings.run(command.text, lambda: self._ran(command))
        where = f"{self.page}:{command.line}: $ {command.text}"
        assert exit_code == command.exit_code, (
            f"{where}\nended with {exit_code}, not {command.exit_code}:\n{printed}"
        )
        assert not command.output or same_output(command.output, printed), (
            f"{where}\n--- the page says\n{command.output}\n--- it prints\n{printed}"
        )

    def _ran(self, command: Command) -> Printed:
        if is_plain(command.text):
            return Printed(*forked().run(command.text, self.folder, self.environment))
        with subprocess.Popen(
            ["bash", "-c", command.text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            self._groups.append(process.pid)
            try:
                printed, _ = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                self.close()
                raise
        return Printed(printed, process.returncode)


def _environment(data: Path | None) -> dict[str, str]:
    """That of a reader's terminal: the environment's programs, 100 columns, no colours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BOWTIE_")}
    programs = str(Path(sys.executable).parent)
    return {
        **kept,
        **({"BOWTIE_TEST_DATA": str(data)} if data else {}),
        "PATH": programs + os.pathsep + kept.get("PATH", ""),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "TZ": "UTC",
    }
