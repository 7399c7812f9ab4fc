"""What can be met can be looked up: events, errors, commands and views are named in the docs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest

from bowtie import errors
from bowtie.events import CATALOGUE

DOCS = Path(__file__).resolve().parents[2] / "docs"


def words_of(*pages: str) -> set[str]:
    text = "\n".join((DOCS / page).read_text("utf-8") for page in pages)
    return set(re.findall(r"[\w.-]+", text))


def public_errors() -> list[type[errors.BowtieError]]:
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.BowtieError)
    ]


def test_every_event_is_in_the_catalogue_page():
    words = words_of("events.md")
    assert len(CATALOGUE) >= 40
    for type_name, model in CATALOGUE.items():
        assert model.__name__ in words
        assert f"bowtie.{type_name}" in words
        assert set(model.model_fields) <= words


def test_every_error_is_in_the_errors_page():
    words = words_of("errors.md")
    assert len(public_errors()) >= 20
    assert {error.__name__ for error in public_errors()} <= words


@pytest.mark.parametrize("error", public_errors(), ids=lambda error: error.__name__)
def test_every_error_is_public_and_drawn_in_the_tree(error):
    assert error.__name__ in errors.__all__
    drawn = re.search(rf"^ +{error.__name__} +(\d) ", errors.__doc__ or "", re.MULTILINE)
    assert drawn, f"{error.__name__} is not in the tree of the module's docstring"
    assert int(drawn[1]) == error.exit_code


def all_commands() -> dict[str, click.Command]:
    from bowtie_cli.main import main

    found: dict[str, click.Command] = {}

    def walk(command: click.Command, name: str) -> None:
        found[name] = command
        if isinstance(command, click.Group):
            for child in command.commands.values():
                walk(child, f"{name} {child.name}")

    walk(main, "bowtie")
    return found


def test_every_command_is_in_the_reference_and_has_an_example():
    page = (DOCS / "command-line.md").read_text("utf-8")
    commands = all_commands()
    assert len(commands) >= 15
    for name, command in commands.items():
        assert f"`{name}`" in page, f"{name} is not in docs/command-line.md: run `make cog`"
        assert command.help, f"{name} has no help"
        if not isinstance(command, click.Group):
            assert "bowtie " in command.help, f"the help of `{name}` has no example"


def test_every_view_has_a_page():
    from bowtie_projections import Views

    for view in (
        *("funnel", "flow", "velocity", "retention", "repeat", "stock", "loop", "status"),
        *(
            "diff",
            "metrics",
            "paths",
            "touchpoints",
            "pipeline",
            "value",
            "clv",
            "rfm",
            "referrals",
            "partners",
            "revenue",
        ),
        "prospects",
    ):
        assert hasattr(Views, view)
        assert (DOCS / "views" / f"{view}.md").is_file(), f"docs/views/{view}.md is missing"
