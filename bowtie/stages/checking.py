"""From a document to a definition: everything in it is checked, and an error names the line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Literal, cast

from bowtie.durations import parse_duration
from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.fields import Stage
from bowtie.stages.conditions import read_condition
from bowtie.stages.definition import (
    MILESTONES,
    STAGES,
    Condition,
    Definition,
    Milestone,
    references,
    resolve,
)
from bowtie.stages.document import Document
from bowtie.stages.fields import near
from bowtie.stages.lines import Path

__all__ = ["read_definition"]

_KEYS = (
    "name",
    "version",
    "title",
    "requalify_within",
    "loss",
    "burn_in",
    "lead",
    "milestones",
    "stages",
)
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def read_definition(
    name: str, text: str, personal_names: Collection[str] = PERSONAL_NAMES
) -> Definition:
    """The definition a TOML text describes.

    Args:
        name: the file or document, for messages.
        text: the TOML.
        personal_names: traits and properties that are sealed, and so can't be asked for.

    Raises:
        DefinitionError: something in it is wrong; the message names the line and says what to
            write instead.
    """
    document = Document(name, text)
    content = document.content
    document.known_keys((), content, _KEYS)
    conditions = _stages(document, personal_names)
    loss = document.choice(("loss",), content.get("loss", "events"), ("events", "none"))
    lead = document.choice(("lead",), content.get("lead", "education"), STAGES)
    return Definition(
        name=_name(document),
        version=_version(document),
        title=_title(document),
        conditions=conditions,
        requalify_within=read_duration(document, ("requalify_within",), "90d"),
        loss=cast('Literal["events", "none"]', loss),
        burn_in=read_duration(document, ("burn_in",), "0d"),
        lead=cast(Stage, lead),
        milestones=_milestones(document, conditions),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def read_duration(document: Document, path: Path, default: str) -> timedelta:
    """A span of time at the top of the document."""
    given = document.content.get(str(path[-1]), default)
    try:
        return parse_duration(str(given))
    except UsageError as error:
        document.fail(path, f'"{path[-1]}": {error}')


def _name(document: Document) -> str:
    name = document.content.get("name")
    if name is None:
        document.fail((), 'no name: write name = "mine" at the top')
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        document.fail(
            ("name",), 'a name is small letters, digits, - and _: write name = "mine" (no version)'
        )
    return name


def _version(document: Document) -> int:
    version = document.content.get("version")
    if version is None:
        document.fail((), "no version: write version = 1 under the name")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        document.fail(("version",), "a version is a whole number from 1: write version = 1")
    return version


def _title(document: Document) -> str:
    title = document.content.get("title", "")
    if not isinstance(title, str):
        document.fail(("title",), '"title" is a text: write title = "What it is for"')
    return title


def _stages(
    document: Document, personal_names: Collection[str]
) -> dict[Stage, tuple[Condition, ...]]:
    stages = document.table(
        ("stages",), document.content.get("stages", {}), "[[stages.awareness]], then its keys"
    )
    for stage in stages:
        if stage not in STAGES:
            document.fail(("stages", stage), f'unknown stage "{stage}": {near(stage, STAGES)}')
    conditions = {
        stage: _conditions(document, stage, stages.get(stage, []), personal_names)
        for stage in STAGES
    }
    if not any(conditions.values()):
        document.fail(
            ("stages",),
            "the definition names no event, so no stage could be entered: write for each stage"
            ' [[stages.awareness]] and under it event = "touched"',
        )
    _refuse_circles(document, conditions)
    return conditions


def _milestones(
    document: Document, conditions: dict[Stage, tuple[Condition, ...]]
) -> tuple[Milestone, ...]:
    """The milestones in the order of their table; each a stage, or what some of its rules name."""
    rules = _named_rules(document, conditions)
    given = document.content.get("milestones")
    if given is None:
        for name, stage in rules.items():
            document.fail(
                ("stages", stage),
                f'the milestone "{name}" has no place: write all milestones in their order,'
                f' [milestones], then prospect = "awareness", ..., {name} = "{name}"',
            )
        return MILESTONES
    table = document.table(("milestones",), given, '[milestones], then mql = "education"')
    left = STAGES[: STAGES.index("commitment") + 1]
    found = []
    for name, source in table.items():
        path: Path = ("milestones", name)
        known = [*left, *rules]
        what = document.choice(path, source, known)
        whole = what in left
        stage = cast(Stage, what) if whole else rules[what]
        found.append(Milestone(name, stage, None if whole else what))
    if not found or (found[-1].stage, found[-1].rule) != ("commitment", None):
        document.fail(
            ("milestones",), 'the milestones end at the knot: write win = "commitment" last'
        )
    return tuple(found)


def _named_rules(
    document: Document, conditions: dict[Stage, tuple[Condition, ...]]
) -> dict[str, Stage]:
    """The milestones that rules name, each with the one stage whose rules do."""
    found: dict[str, Stage] = {}
    for stage in STAGES:
        for number, condition in enumerate(conditions[stage]):
            name = condition.milestone
            if name is None:
                continue
            path: Path = ("stages", stage, number, "milestone")
            if STAGES.index(stage) >= STAGES.index("commitment"):
                document.fail(path, "milestones are named left of the knot: take it out here")
            if name in STAGES or found.get(name, stage) != stage:
                taken = "is a stage" if name in STAGES else f"is one of {found[name]} already"
                document.fail(path, f'"{name}" {taken}: give the milestone another name')
            found[name] = stage
    return found


def _conditions(
    document: Document, stage: Stage, tables: Any, personal_names: Collection[str]
) -> tuple[Condition, ...]:
    path: Path = ("stages", stage)
    if not isinstance(tables, list):
        document.fail(
            path, f"a stage has a list of conditions: write [[stages.{stage}]] with two brackets"
        )
    return tuple(
        read_condition(document, (*path, number), table, personal_names)
        for number, table in enumerate(tables)
    )


def _refuse_circles(document: Document, conditions: dict[Stage, tuple[Condition, ...]]) -> None:
    solved = resolve({stage: references(conditions[stage]) for stage in STAGES})
    circle = [stage for stage in STAGES if stage not in solved]
    for stage in circle:
        for number, condition in enumerate(conditions[stage]):
            if condition.refers_to & set(circle):
                document.fail(
                    ("stages", stage, number, "after" if condition.after else "within"),
                    f"{', '.join(circle)} wait for each other's entry, so none could ever be"
                    ' entered: take out one "after" or "within"',
                )
