"""Runs `bowtie` as a reader's shell does, in a process forked from one with its imports done.

Half of what a command takes on a page's small data is imports. One process for each worker of
pytest does them, and forks for every command: it has a folder, an environment and a session of its
own, as it would have from a shell.

    python tests/docs/forking.py

reads requests from its input, a JSON object a line, and answers each with the exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

__all__ = ["Forked", "forked", "is_plain"]

#: What only a shell understands, outside of quotes.
_SHELL = set("|&;<>()$`\\*?[~\n{}")
_QUOTED = re.compile(r"'[^']*'")


def is_plain(command: str) -> bool:
    """Whether this is `bowtie` and its arguments, and nothing of a shell's.

    >>> is_plain("bowtie funnel --by channel  # exit code 3")
    True
    >>> is_plain("bowtie funnel --json | head -3")
    False
    """
    return command.startswith("bowtie ") and not _SHELL & set(_QUOTED.sub("", command))


class Forked:
    """The process that forks; it ends with the one that started it."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, command: str, folder: Path, environment: dict[str, str]) -> tuple[str, int]:
        """What a command printed, and its exit code."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with tempfile.NamedTemporaryFile("r+", encoding="utf-8") as printed:
            asked = {
                "arguments": shlex.split(command, comments=True)[1:],
                "folder": str(folder),
                "environment": environment,
                "printed": printed.name,
            }
            self._server.stdin.write(json.dumps(asked) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            return printed.read(), code


@cache
def forked() -> Forked:
    """The one of this worker."""
    return Forked()


def _serve() -> None:
    _import_all()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _import_all() -> None:
    for name in ("bowtie", "bowtie_projections", "bowtie_cli"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def _become(
    arguments: list[str], folder: str, environment: dict[str, str], printed: str
) -> NoReturn:
    """Be the command, and end with it."""
    from bowtie_cli.main import main

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(printed, os.O_WRONLY)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(file, number)
    code: object = 0
    try:
        main(arguments, prog_name="bowtie")
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    # at once: threads of C++ that imports began are not in this process, and can't be ended
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve()
