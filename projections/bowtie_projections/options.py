"""Questions as one types them: a view's parameters as the options of its command.

>>> command("funnel", {"by": ["channel"], "as_of": "2026-03-31"})
'bowtie funnel --by channel --as-of 2026-03-31'
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from bowtie.durations import format_duration
from bowtie_projections.cells import plain

__all__ = ["as_options", "command", "explain_command", "option", "written"]

#: A parameter as the views write it: ``name``, ``name=``, ``name=value`` or ``name="value"``.
_PARAMETER = re.compile(
    r"(?<![\w.-])(?P<name>[a-z][a-z_]*)(?![\w-]|\.\w)"
    r'(?:(?P<equals>=)(?P<value>"[^"]*"|[\w.:-]*\w)?)?'
)
#: Views that are a command of a group, with the parameter that is its argument.
_IN_GROUPS = {"profile_history": ("profile history", "profile")}
#: Parameters whose option is called otherwise.
_CALLED = {
    "attribution": {"models": "--model"},
    "prospects": {"most": "--top", "top": "--share"},
}


def as_options(said: str, options: Mapping[str, tuple[str, bool]]) -> str:
    """What a view says of its parameters, as one writes them on the command line.

    ``threshold=`` becomes ``--threshold``, ``horizon=276d`` becomes ``--horizon 276d``,
    ``costs_complete=True`` and ``costs_complete`` become ``--costs-complete``. A name that is a
    word of English too, such as ``top``, is a parameter only before ``=``.

    >>> as_options("ask with currency=EUR", {"currency": ("--currency", False)})
    'ask with --currency EUR'

    Args:
        said: what the view says.
        options: by the name of each parameter, its option, and whether that takes no value.
    """

    def typed(found: re.Match[str]) -> str:
        if found["name"] not in options or (found["equals"] is None and "_" not in found["name"]):
            return found[0]
        written, is_flag = options[found["name"]]
        value = (found["value"] or "").strip('"')
        return written + (f" {value}" if value and not is_flag else "")

    return _PARAMETER.sub(typed, said)


def option(view: str, name: str) -> str:
    """The option of a view's parameter.

    >>> option("funnel", "as_of"), option("funnel", "from_"), option("prospects", "top")
    ('--as-of', '--from', '--share')
    """
    plainly = f"--{name.strip('_').replace('_', '-')}"
    return _CALLED.get(view, {}).get(name, plainly)


def command(view: str, asked: Mapping[str, Any], *more: str) -> str:
    """The command that asks a view the same, in the folder of the store.

    Args:
        view: its name.
        asked: its parameters; those that are None or False are left out.
        more: further words, quoted where a shell needs it.
    """
    name, argument = _IN_GROUPS.get(view, (view, None))
    words = ["bowtie", *name.split()]
    if argument is not None:
        words.append(str(asked[argument]))
    own = {key: value for key, value in asked.items() if key != argument}
    return shlex.join([*words, *_written(view, own), *more])


def explain_command(
    view: str,
    asked: Mapping[str, Any],
    *,
    cell: Mapping[str, Any],
    column: str,
    part: str | None = None,
) -> str:
    """The command that names whom a figure of a view counts.

    >>> explain_command("funnel", {}, cell={"stage": "selection"}, column="lost")
    'bowtie explain funnel --cell stage=selection --column lost'
    """
    figure = [] if part is None else ["--part", part]
    for name, value in cell.items():
        figure += ["--cell", f"{name}={value}"]
    own = command(view, asked, *figure, "--column", column)
    return own.replace("bowtie ", "bowtie explain ", 1)


def written(value: Any) -> str:
    """A value as one types it; a document at hand goes by its label.

    >>> written(date(2026, 3, 31)), written(timedelta(days=90)), written({"name": "big"})
    ('2026-03-31', '90d', 'big')
    """
    match value:
        case date() | datetime():
            return str(plain(value))
        case timedelta():
            return format_duration(value)
        case Mapping():
            return str(value.get("name", "FILE"))
    return str(getattr(value, "label", value))


def _written(view: str, asked: Mapping[str, Any]) -> Iterator[str]:
    for name, value in asked.items():
        if value is None or value is False:
            continue
        if value is True:
            yield option(view, name)
            continue
        several = isinstance(value, Sequence) and not isinstance(value, str)
        for one in value if several else [value]:
            yield option(view, name)
            yield written(one)
