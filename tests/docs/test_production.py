"""What the page on production quotes is what bowtie says."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "production.md").read_text("utf-8")
SYMPTOMS = [row for row in PAGE.partition("## When something is wrong")[2].splitlines()[4:] if row]


def said() -> str:
    """The code, its broken lines of text made whole."""
    texts = [
        path.read_text("utf-8")
        for folder in ("bowtie", "projections/bowtie_projections", "cli/bowtie_cli")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(texts))


def quoted() -> list[str]:
    return [
        text for row in SYMPTOMS for text in re.findall("`([^`]+ [^`]+ [^`]+)`", row.split("|")[1])
    ]


def test_symptoms_are_found():
    assert len(SYMPTOMS) >= 10
    assert len(quoted()) >= 8


def test_the_symptoms_are_what_the_code_says():
    code = said()
    assert [text for text in quoted() if text not in code] == []


def test_a_unit_of_systemd_names_a_command_that_there_is():
    (command,) = re.findall(r"^ExecStart=(.+)$", PAGE, re.MULTILINE)
    assert command.endswith("bowtie --silent replay --follow")
