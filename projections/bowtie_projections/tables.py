"""The read tables: typed facts, one row for one thing that happened, as SQLAlchemy Core tables.

They are generated from :data:`bowtie.events.CATALOGUE`, so a new event has its table the day it is
in the catalogue. Types are those that DuckDB and PostgreSQL share.

There are no primary keys and no indexes on purpose: DuckDB keeps an index in memory and probes it
for each row inserted (bulk loads get several times slower and the file grows), while views read
whole columns and never look one row up. That each position is there once is the replay's own
guarantee: rows and position change in one transaction.

>>> [column.name for column in facts["onboarded"].columns]  # doctest: +NORMALIZE_WHITESPACE
['position', 'customer', 'occurred_at', 'recorded_at', 'known_from', 'time_precision',
 'retracted_position']
>>> facts["touched"].c.cost.type
Numeric(precision=38, scale=6)
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from bowtie.events import CATALOGUE, Event, personal_fields
from bowtie.fields import Stage

#: Version of the tables' shape. Another major version can't be read; a newer minor one of the same
#: major version has more columns or tables, so an older client reads it but never writes it.
SCHEMA_VERSION = 1
SCHEMA_MINOR = 2

#: The seven stages in order, as the columns of ``journeys`` name them.
STAGES: tuple[str, ...] = get_args(Stage)

#: Events whose alias is kept as the HMAC under which the engine matches it.
ALIAS_EVENTS = frozenset({"identity_linked", "identity_unlinked"})

metadata = sa.MetaData()

#: Text, ordered by code point on every database.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def plain_type(annotation: Any) -> Any:
    """The Python type behind a field's annotation: no ``Annotated``, no ``None``, no ``Literal``.

    >>> plain_type(Annotated[Decimal | None, "money"])
    <class 'decimal.Decimal'>
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return plain_type(get_args(annotation)[0])
    if origin in (Union, UnionType):
        (inner,) = [option for option in get_args(annotation) if option is not NoneType]
        return plain_type(inner)
    if origin is Literal:
        return str
    return origin or annotation


def _column_type(annotation: Any) -> TypeEngine[Any]:
    kind = plain_type(annotation)
    if kind is Decimal:
        return sa.Numeric(38, 6)
    if kind is date:
        return sa.Date()
    if kind is bool:
        return sa.Boolean()
    if kind is int:
        return sa.BigInteger()
    return TEXT


def key_name(model: type[Event]) -> str:
    """What the column of the stream's key is called in the table of this event."""
    return "customer" if model.stream_kind == "customer" else "subject"


def _times() -> list[sa.Column[Any]]:
    return [
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("recorded_at", sa.DateTime()),
        sa.Column("known_from", sa.DateTime()),
        sa.Column("time_precision", TEXT, nullable=False),
    ]


def _own_columns(model: type[Event]) -> list[sa.Column[Any]]:
    if model.type_name == "traits_observed":
        return [sa.Column("name", TEXT, nullable=False), sa.Column("value", TEXT)]
    personal = personal_fields(model)
    columns: list[sa.Column[Any]] = [
        sa.Column(name, _column_type(field.annotation))
        for name, field in model.model_fields.items()
        if name not in personal
    ]
    if model.type_name in ALIAS_EVENTS:
        columns.append(sa.Column("alias_hash", TEXT))
    return columns


def _fact_table(model: type[Event]) -> sa.Table:
    return sa.Table(
        model.type_name,
        metadata,
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(key_name(model), TEXT, nullable=False),
        *_times(),
        sa.Column("retracted_position", sa.BigInteger()),
        *_own_columns(model),
    )


#: One row for each event of any kind and type.
events = sa.Table(
    "events",
    metadata,
    sa.Column("position", sa.BigInteger(), nullable=False),
    sa.Column("type", TEXT, nullable=False),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("subject", TEXT, nullable=False),
    sa.Column("source", TEXT, nullable=False),
    sa.Column("id", TEXT, nullable=False),
    *_times(),
    sa.Column("correlation_id", TEXT),
    sa.Column("causation_id", TEXT),
    sa.Column("out_of_sequence", sa.Boolean(), nullable=False),
    sa.Column("retracted_position", sa.BigInteger()),
)

#: The table of each event of the catalogue, by its ``type_name``.
facts: dict[str, sa.Table] = {name: _fact_table(model) for name, model in CATALOGUE.items()}

#: One row for each customer and cycle, by the definition named in :data:`position_table`.
journeys = sa.Table(
    "journeys",
    metadata,
    sa.Column("customer", TEXT, nullable=False),
    sa.Column("cycle", sa.BigInteger(), nullable=False),
    sa.Column("opened_at", sa.DateTime()),
    *(
        sa.Column(f"{stage}_{suffix}", sa.DateTime())
        for stage in STAGES
        for suffix in ("at", "latest")
    ),
    sa.Column("lost_at", sa.DateTime()),
    sa.Column("lost_seen_at", sa.DateTime()),
    sa.Column("lost_side", TEXT),
    sa.Column("last_activity_at", sa.DateTime()),
    sa.Column("first_seen_at", sa.DateTime()),
    sa.Column("first_touch_at", sa.DateTime()),
    sa.Column("first_touch_channel", TEXT),
    sa.Column("first_touch_campaign", TEXT),
    sa.Column("first_touch_medium", TEXT),
    sa.Column("first_touch_touchpoint", TEXT),
    sa.Column("first_touch_content", TEXT),
)

#: One row for each customer's key, once the log has any link: what an alias is known by.
alias_hashes = sa.Table(
    "alias_hashes",
    metadata,
    sa.Column("customer", TEXT, nullable=False),
    sa.Column("alias_hash", TEXT, nullable=False),
)

#: One row for each key that is an alias of another customer, and the positions, from the first on
#: and before the second, at which its events count for ``canonical``.
identities = sa.Table(
    "identities",
    metadata,
    sa.Column("customer", TEXT, nullable=False),
    sa.Column("canonical", TEXT, nullable=False),
    sa.Column("from_position", sa.BigInteger(), nullable=False),
    sa.Column("to_position", sa.BigInteger()),
)

#: Events that are in the log and could not be processed, with the reason.
skipped = sa.Table(
    "skipped",
    metadata,
    sa.Column("position", sa.BigInteger(), nullable=False),
    sa.Column("type", TEXT, nullable=False),
    sa.Column("error", TEXT, nullable=False),
)

#: One row: which store the tables are of, and up to where. Changes with the rows, in one
#: transaction.
position_table = sa.Table(
    "bowtie_tables",
    metadata,
    sa.Column("store_id", TEXT, nullable=False),
    sa.Column("position", sa.BigInteger(), nullable=False),
    sa.Column("position_hash", TEXT, nullable=False),
    sa.Column("schema_version", sa.BigInteger(), nullable=False),
    sa.Column("schema_minor", sa.BigInteger(), nullable=False),
    sa.Column("definition", TEXT, nullable=False),
    sa.Column("definition_hash", TEXT, nullable=False),
    sa.Column("built_at", sa.DateTime(), nullable=False),
)
