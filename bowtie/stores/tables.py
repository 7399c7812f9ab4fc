"""The tables of a store, written once for every database."""

from __future__ import annotations

from bowtie.errors import StoreNewer, StoreOlder

__all__ = ["SCHEMA_VERSION", "columns_of", "lacking", "tables_for", "too_new", "too_old"]

#: The version of the tables below.
SCHEMA_VERSION = 4

_TABLES = """
CREATE TABLE IF NOT EXISTS bowtie_meta (name {text} PRIMARY KEY, value {any}) {ordered};

-- (source, id) as 16 bytes, where that event is, and what it says as 16 bytes
CREATE TABLE IF NOT EXISTS bowtie_ids (
    hash {bytes} PRIMARY KEY, position {int} NOT NULL, content {bytes}
) {ordered};

-- recorded_at of all events after the commit before, up to last_position, and their seal
CREATE TABLE IF NOT EXISTS bowtie_commits (
    last_position {int} PRIMARY KEY, recorded_at {int} NOT NULL, seal {bytes}
);

CREATE TABLE IF NOT EXISTS bowtie_keys (stream {text} PRIMARY KEY, wrapped {bytes} NOT NULL)
{ordered};

CREATE TABLE IF NOT EXISTS bowtie_claims (alias {text} PRIMARY KEY, stream {text} NOT NULL)
{ordered};

CREATE TABLE IF NOT EXISTS bowtie_parked (
    parked_id {counted} PRIMARY KEY, digest {bytes} NOT NULL UNIQUE, reason {text} NOT NULL,
    problem {text} NOT NULL, origin {text} NOT NULL, line {int} NOT NULL,
    parked_at {int} NOT NULL, subject {text}, sealed {bytes} NOT NULL
);

-- parked lines that someone dropped; note: who and why, under the store's key
CREATE TABLE IF NOT EXISTS bowtie_dropped (
    digest {bytes} PRIMARY KEY, reason {text} NOT NULL, origin {text} NOT NULL, line {int} NOT NULL,
    dropped_at {int} NOT NULL, note {bytes} NOT NULL
) {ordered};

CREATE TABLE IF NOT EXISTS bowtie_snapshots (
    stream {text} PRIMARY KEY, version {int} NOT NULL, schema {text} NOT NULL,
    state {bytes} NOT NULL
) {ordered};

CREATE TABLE IF NOT EXISTS bowtie_forgotten (
    subject {text} PRIMARY KEY, forgotten_at {int} NOT NULL
) {ordered};

-- where messages go: which topics (JSON), by which rule prospects cross (JSON), up to where in the
-- log messages were made, at which position prospects were scored last (-1: never), why nothing is
-- sent there any more, and as of when prospects were scored (microseconds). nonce: makes ids of
-- messages that no other endpoint has
CREATE TABLE IF NOT EXISTS bowtie_endpoints (
    endpoint {text} PRIMARY KEY, url {text} NOT NULL, topics {text} NOT NULL, rule {text},
    nonce {text} NOT NULL, upto {int} NOT NULL, scored {int} NOT NULL, stopped {text},
    scored_as_of {int}
) {ordered};

-- state: waiting, delivered or dead; times in microseconds; held_until: a process is sending it
CREATE TABLE IF NOT EXISTS bowtie_outbox (
    seq {counted} PRIMARY KEY, message {text} NOT NULL UNIQUE, endpoint {text} NOT NULL,
    topic {text} NOT NULL, body {text} NOT NULL, state {text} NOT NULL, attempts {int} NOT NULL,
    created_at {int} NOT NULL, due_at {int} NOT NULL, held_until {int} NOT NULL, ended_at {int},
    reason {text}
);

CREATE INDEX IF NOT EXISTS due_of_bowtie_outbox ON bowtie_outbox (state, due_at);

-- who was above the threshold of an endpoint, when prospects were scored last, and how often
CREATE TABLE IF NOT EXISTS bowtie_crossings (
    endpoint {text} NOT NULL, customer {text} NOT NULL, above {int} NOT NULL,
    crossings {int} NOT NULL, PRIMARY KEY (endpoint, customer)
) {ordered};
"""

#: What the tables of a version lack that those of the next one have; new tables aside.
_LACKING = {
    1: "ALTER TABLE bowtie_commits ADD COLUMN seal {bytes}",
    3: "ALTER TABLE bowtie_endpoints ADD COLUMN scored_as_of {int}",
}

#: The columns that appends fill, with what each holds.
_COLUMNS = {
    "stored_events": (
        ("originator_id", "text"),
        ("originator_version", "int"),
        ("topic", "text"),
        ("state", "bytes"),
    ),
    "bowtie_ids": (("hash", "bytes"), ("position", "int"), ("content", "bytes")),
    "bowtie_commits": (("last_position", "int"), ("recorded_at", "int"), ("seal", "bytes")),
}


def tables_for(**types: str) -> list[str]:
    """The statements that make what is missing of the tables.

    Args:
        types: how the database writes ``text``, ``int``, ``bytes``, ``any`` (text or bytes),
            ``counted`` (numbers that it gives itself) and ``ordered`` (a table in the order of
            its key).
    """
    return [statement.format(**types) for statement in _TABLES.strip().split("\n\n")]


def lacking(version: int, **types: str) -> list[str]:
    """The statements that add to the tables of a version the columns that they lack.

    New tables are made by :func:`tables_for`, after these.

    Args:
        version: of the tables that are there.
        types: as :func:`tables_for` takes them.

    >>> lacking(1, bytes="BLOB")
    ['ALTER TABLE bowtie_commits ADD COLUMN seal BLOB']
    >>> lacking(2)
    []
    """
    return [_LACKING[version].format(**types)] if version in _LACKING else []


def columns_of(table: str) -> tuple[tuple[str, str], ...]:
    """Name and type of the columns that appends to a table fill."""
    return _COLUMNS[table]


def too_new(url: str, version: int) -> StoreNewer:
    """What is said of a store whose tables this code doesn't know."""
    return StoreNewer(
        f"{url} was written by a newer version of bowtie (store version {version},"
        f" this one knows {SCHEMA_VERSION}): upgrade bowtie-journeys"
    )


def too_old(url: str) -> StoreOlder:
    """What is said to who would write a store whose tables lack something."""
    return StoreOlder(
        f"{url} was written by an older version of bowtie: run bowtie init to upgrade it"
        " (older versions can't write it then)"
    )
