"""What stands in an answer for values without a name of their own, and real values called so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

__all__ = ["OTHER", "apart", "apart_in_sql", "others_noted", "unapart"]

#: The values beyond the most frequent ones, together.
OTHER = "other"
_REAL = " (value)"


def apart(value: str, words: Collection[str]) -> str:
    """A real value, told from the words of the answer by an addition.

    Different values stay different, for what looks like the result takes the addition too.

    >>> apart("web", ["other"]), apart("other", ["other"]), apart("other (value)", ["other"])
    ('web', 'other (value)', 'other (value) (value)')
    """
    taken = any(value == word or value.startswith(word + _REAL) for word in words)
    return value + _REAL if taken else value


def unapart(value: str, words: Collection[str]) -> str:
    """The real value behind what :func:`apart` made of it.

    >>> unapart("web", ["other"]), unapart("other (value)", ["other"])
    ('web', 'other')
    """
    taken = any(value.startswith(word + _REAL) for word in words)
    return value.removesuffix(_REAL) if taken else value


def apart_in_sql(value: ColumnElement[str], words: Collection[str]) -> ColumnElement[str]:
    """The same as :func:`apart`, in SQL.

    >>> print(sa.select(apart_in_sql(sa.column("v", sa.String()), ["other"])).compile(
    ...     compile_kwargs={"literal_binds": True}))
    SELECT CASE WHEN (v = 'other' OR (v LIKE 'other (value)' || '%')) THEN v || ' (value)' ELSE v \
END AS anon_1
    """
    looks = (sa.or_(value == word, value.startswith(word + _REAL)) for word in words)
    return sa.case((sa.or_(*looks), value + _REAL), else_=value)


def others_noted(kept: Mapping[str, Sequence[str]]) -> list[str]:
    """What is said of breakdowns with more values than stand apart.

    Args:
        kept: by breakdown, the values that do.
    """
    return [
        f"{name}: the {len(values)} values of the most customers stand apart, the rest are other."
        for name, values in kept.items()
        if values
    ]
