"""Whose a row is and what its events are called: customers' keys and events' ids."""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from bowtie.errors import EventRejected
from bowtie.logs.mapping_columns import Columns, as_text
from bowtie.logs.mapping_document import Table
from bowtie.logs.mapping_text import SOURCE_KEYS, TIDY_KEYS, compile_source, tidier
from bowtie.logs.row_ids import RowIds

__all__ = ["TakeId", "TakeKey", "compile_customer", "compile_id"]

TakeKey = Callable[[dict[str, Any]], str | None]
#: The id of a row, given what the rows before it were called.
TakeId = Callable[[dict[str, Any], RowIds], str]

_HASH_KEYS = ("hash", "salt_env")


def compile_customer(parent: Table, columns: Columns) -> TakeKey:
    """The function that takes the customer's key; None where the cell is empty."""
    value = parent.values["customer"]
    if isinstance(value, str):
        spec = parent.of("customer", {"column": value})
    else:
        spec = parent.table("customer")
    spec.only((*SOURCE_KEYS, *TIDY_KEYS, *_HASH_KEYS))
    get, place = compile_source(spec, columns, join="/")
    tidy, hide = tidier(spec), _hider(spec)

    def key(row: dict[str, Any]) -> str | None:
        found = get(row)
        if found is None:
            return None
        try:
            text: str = tidy(found) if tidy else as_text(found)
        except EventRejected as error:
            raise EventRejected(error.reason, f"customer: {place}: {error.problem}") from None
        return (hide(text) if hide else text) if text else None

    return key


def _hider(spec: Table) -> Callable[[str], str] | None:
    """The function that replaces a key by its hash: keyed when the mapping names a salt."""
    variable = spec.maybe_text("salt_env")
    if not spec.flag("hash"):
        if variable is not None:
            raise spec.error("`salt_env` goes with hash = true", "salt_env")
        return None
    salt = b""
    if variable is not None:
        salt = os.environ.get(variable, "").encode()
        if not salt:
            raise spec.error(
                f"the environment has no {variable}: set it to the secret that the keys of"
                " customers are hashed with, always the same",
                "salt_env",
            )

    @lru_cache(maxsize=65536)
    def hide(text: str) -> str:
        data = unicodedata.normalize("NFC", text).encode()
        if salt:
            return hmac.new(salt, data, "sha256").hexdigest()[:32]
        return hashlib.sha256(data).hexdigest()[:32]

    return hide


def compile_id(parent: Table, columns: Columns) -> TakeId:
    """The function that gives a row its id.

    Without ``id`` it is the hash of the row, numbered; ``id = "column"``, ``{ column }``,
    ``{ columns }`` or ``{ template }``, and ``numbered = true`` where rows may share it.
    """
    if "id" not in parent.values:
        return lambda row, ids: ids.take(row)
    value = parent.values["id"]
    spec = parent.of("id", {"column": value}) if isinstance(value, str) else parent.table("id")
    spec.only(("column", "columns", "template", "numbered"))
    make = _columns_id(spec, columns) if "columns" in spec.values else _source_id(spec, columns)
    if spec.flag("numbered"):
        return lambda row, ids: ids.numbered(make(row))
    return lambda row, ids: make(row)


def _source_id(spec: Table, columns: Columns) -> Callable[[dict[str, Any]], str]:
    get, place = compile_source(spec, columns)

    def make(row: dict[str, Any]) -> str:
        value = get(row)
        if value is None:
            raise EventRejected("invalid", f"id: {place} is empty")
        return as_text(value)

    return make


def _columns_id(spec: Table, columns: Columns) -> Callable[[dict[str, Any]], str]:
    """Columns joined by ``/``; one inside a value is escaped, so that no two ids are confused."""
    names = spec.texts("columns")
    if not names:
        raise spec.error("`columns` lists nothing", "columns")
    gets = [columns.required(name, spec, "columns", "id") for name in names]

    def make(row: dict[str, Any]) -> str:
        return "/".join(as_text(get(row)).replace("%", "%25").replace("/", "%2F") for get in gets)

    return make
