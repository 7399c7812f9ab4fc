"""Texts made of columns: one column, several joined, or a template; and tidying them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bowtie.logs.mapping_columns import Columns, Get, as_text
from bowtie.logs.mapping_document import Table

__all__ = ["SOURCE_KEYS", "TIDY_KEYS", "compile_source", "joined", "tidier"]

#: The keys that say where a value is from; exactly one of them, but ``join``, stands in a table.
SOURCE_KEYS = ("column", "columns", "join", "template")
TIDY_KEYS = ("trim", "case")

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def compile_source(spec: Table, columns: Columns, join: str = " ") -> tuple[Get, str]:
    """The function that finds the value, and how to call it in a message."""
    sources = [key for key in ("column", "columns", "template") if key in spec.values]
    if len(sources) != 1:
        raise spec.error(
            "say where the value is from: one of `column`, `columns`, `template` (or `const`)"
        )
    if "join" in spec.values and sources != ["columns"]:
        raise spec.error("`join` goes with `columns`", "join")
    if sources == ["column"]:
        name = spec.text("column")
        return columns.get(name, spec, "column"), f"column {name}"
    if sources == ["columns"]:
        names = spec.texts("columns")
        if not names:
            raise spec.error("`columns` lists nothing", "columns")
        get = joined(names, spec.text("join", join), columns, spec)
        return get, f"columns {', '.join(names)}"
    return _template(spec.text("template"), columns, spec), "template"


def joined(names: list[str], join: str, columns: Columns, spec: Table) -> Get:
    """The texts of several columns that are there, joined; None where none is."""
    gets = [columns.get(name, spec, "columns") for name in names]

    def get(row: dict[str, Any]) -> str | None:
        found = [as_text(value) for value in [get(row) for get in gets] if value is not None]
        return join.join(found) if found else None

    return get


def _template(template: str, columns: Columns, spec: Table) -> Get:
    """``{column}`` stands for a column's text; None where one of them is empty."""
    pieces: list[str] = []
    gets: list[Get] = []
    text, position = "", 0
    for place in _PLACE.finditer(template):
        text += template[position : place.start()]
        position = place.end()
        if place[0] in ("{{", "}}"):
            text += place[0][0]
        elif place[1]:
            pieces.append(text)
            gets.append(columns.get(place[1], spec, "template"))
            text = ""
        else:
            raise spec.error(
                f"`template` {template!r}: write {{column}}, and {{{{ for a brace", "template"
            )
    pieces.append(text + template[position:])
    if not gets:
        raise spec.error("`template` names no column: write {column}, or use `const`", "template")
    first, rest = pieces[0], pieces[1:]

    def get(row: dict[str, Any]) -> str | None:
        made = first
        for get, after in zip(gets, rest, strict=True):
            value = get(row)
            if value is None:
                return None
            made += as_text(value) + after
        return made

    return get


def tidier(spec: Table) -> Callable[[Any], Any] | None:
    """The function that tidies a text as ``trim`` and ``case`` say; None where they don't."""
    trim = spec.flag("trim")
    case = spec.choice("case", ("lower", "upper", "keep"), "keep")
    if not trim and case == "keep":
        return None

    def tidy(value: Any) -> str:
        text = as_text(value).strip() if trim else as_text(value)
        if case == "keep":
            return text
        return text.lower() if case == "lower" else text.upper()

    return tidy
