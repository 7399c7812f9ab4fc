"""The builds of read tables in PostgreSQL: schemas that come and go behind the views."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import errors

from bowtie_projections.databases.places import SCRATCH
from bowtie_projections.databases.postgres_sql import quoted
from bowtie_projections.tables import metadata, position_table

__all__ = ["Builds"]

#: The schema of the table behind a view. Asked of the catalog, it is as the snapshot sees it, and
#: the view itself stays free for whoever replaces it.
_BEHIND = f"""
SELECT DISTINCT home.nspname
FROM pg_namespace AS known
JOIN pg_class AS seen ON seen.relnamespace = known.oid AND seen.relkind = 'v'
JOIN pg_rewrite AS rule ON rule.ev_class = seen.oid
JOIN pg_depend AS uses ON uses.classid = 'pg_rewrite'::regclass AND uses.objid = rule.oid
    AND uses.refclassid = 'pg_class'::regclass AND uses.refobjid <> seen.oid
JOIN pg_class AS behind ON behind.oid = uses.refobjid
JOIN pg_namespace AS home ON home.oid = behind.relnamespace
WHERE known.nspname = %s AND seen.relname = '{position_table.name}'
"""
_RELATIONS = """
SELECT count(*), count(*) FILTER (WHERE relname = %s AND relkind = %s)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND relkind IN ('r', 'p', 'v', 'm', 'f')
"""
#: The views that a role may ask, where it may not ask the build behind them.
_VIEWS_ONLY = """
SELECT string_agg(seen.oid::regclass::text, ', ')
FROM pg_class AS seen JOIN pg_namespace AS known ON known.oid = seen.relnamespace
WHERE NOT has_schema_privilege(to_regnamespace(%s), 'USAGE')
    AND known.nspname = %s AND seen.relkind = 'v' AND has_table_privilege(seen.oid, 'SELECT')
"""
_COLUMNS = """
SELECT relname, attname, format_type(atttypid, atttypmod)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND relkind = 'v' AND attnum > 0 AND NOT attisdropped
ORDER BY relname, attnum
"""
#: What an advisory lock on a name takes.
_KEY = "hashtextextended(%s, 0)"


class Builds:
    """The builds behind the views of one schema.

    Args:
        schema: the schema that holds the views.
    """

    def __init__(self, schema: str) -> None:
        self.schema = schema

    # -- who may do what ------------------------------------------------------------------------

    def lock_building(self, connection: psycopg.Connection[Any]) -> bool:
        """Become the one that builds, for as long as the connection lasts."""
        return _locks(connection, "pg_try_advisory_lock", f"bowtie builds {self.schema}")

    def lock_writing(self, connection: psycopg.Connection[Any]) -> bool:
        """Become the one that changes the tables in use, until the transaction ends."""
        return _locks(connection, "pg_try_advisory_xact_lock", f"bowtie writes {self.schema}")

    def keep(self, connection: psycopg.Connection[Any], build: str) -> bool:
        """Keep a build from being removed until the transaction ends; False if it is gone."""
        if not _locks(connection, "pg_try_advisory_xact_lock_shared", f"bowtie build {build}"):
            return False
        return _asked(connection, "SELECT to_regnamespace(%s) IS NOT NULL", quoted(build)) is True

    def keep_views(self, connection: psycopg.Connection[Any], build: str) -> bool:
        """Keep the views as they are until the transaction ends, for who may ask nothing else.

        Must come first in its transaction: what it sees is fixed by the next statement. False where
        the role may ask the build itself, which keeps nobody waiting.
        """
        found = connection.execute(_VIEWS_ONLY.encode(), [quoted(build), self.schema]).fetchone()
        if found is None or not found[0]:
            return False
        connection.execute(b"ROLLBACK")
        connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(f"LOCK TABLE {found[0]} IN ACCESS SHARE MODE".encode())
        return True

    def hold(self, connection: psycopg.Connection[Any]) -> None:
        """Say, for as long as the connection lasts, that these tables are still needed."""
        _asked(connection, f"SELECT pg_advisory_lock({_KEY})", _holding(self.schema))

    # -- what is there --------------------------------------------------------------------------

    def current(self, connection: psycopg.Connection[Any]) -> str | None:
        """The build that the views show; None where there are none."""
        found = _asked(connection, _BEHIND, self.schema)
        return None if found is None else str(found)

    def may_change(self, connection: psycopg.Connection[Any], build: str) -> bool:
        """Whether this role may change the tables of a build: that of whoever made it."""
        sql = "SELECT has_schema_privilege(to_regnamespace(%s), 'CREATE')"
        return _asked(connection, sql, build) is True

    def is_foreign(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether the schema holds something, and our views are not among it."""
        row = connection.execute(
            _RELATIONS.encode(), [position_table.name, "v", self.schema]
        ).fetchone()
        return row is not None and row[0] > 0 and row[1] == 0

    def all(self, connection: psycopg.Connection[Any]) -> list[str]:
        """The builds of this schema, those of killed processes included, by age."""
        named = re.compile(re.escape(self.schema) + r"_build_(\d+)")
        found = connection.execute(
            b"SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid"
            b" WHERE relname = %s AND relkind = 'r'",
            [position_table.name],
        ).fetchall()
        numbers = {name: int(match[1]) for (name,) in found if (match := named.fullmatch(name))}
        return sorted(numbers, key=numbers.__getitem__)

    # -- changing it ----------------------------------------------------------------------------

    def create(self, connection: psycopg.Connection[Any]) -> str:
        """A new schema to build in."""
        taken = self.all(connection)
        number = int(taken[-1].rpartition("_")[2]) + 1 if taken else 1
        build = f"{self.schema}_build_{number}"
        if _asked(connection, "SELECT to_regnamespace(%s)::text", quoted(self.schema)) is None:
            connection.execute(f"CREATE SCHEMA {quoted(self.schema)}".encode())
        connection.execute(f"CREATE SCHEMA {quoted(build)}".encode())
        return build

    def copy(self, connection: psycopg.Connection[Any], used: str, build: str) -> None:
        """Fill the tables of a build with the rows of another one's."""
        for table in metadata.sorted_tables:
            columns = ", ".join(quoted(column.name) for column in table.columns)
            name = quoted(table.name)
            connection.execute(
                f"INSERT INTO {quoted(build)}.{name} ({columns})"
                f" SELECT {columns} FROM {quoted(used)}.{name}".encode()
            )

    def point_views(self, connection: psycopg.Connection[Any], build: str) -> None:
        """Let the views show a build: columns they have stay in their place, others follow."""
        shown: dict[str, list[tuple[str, str]]] = {}
        for view, column, kind in connection.execute(_COLUMNS.encode(), [self.schema]):
            shown.setdefault(view, []).append((column, kind))
        for table in metadata.sorted_tables:
            before = shown.get(table.name, [])
            columns = [
                quoted(name) if name in table.columns else f"NULL::{kind} AS {quoted(name)}"
                for name, kind in before
            ]
            had = {name for name, _ in before}
            columns += [quoted(column.name) for column in table.c if column.name not in had]
            connection.execute(
                f"CREATE OR REPLACE VIEW {quoted(self.schema)}.{quoted(table.name)} AS"
                f" SELECT {', '.join(columns)} FROM {quoted(build)}.{quoted(table.name)}".encode()
            )

    def remove_others(self, connection: psycopg.Connection[Any]) -> None:
        """Remove the builds that no view shows and nobody reads."""
        used = self.current(connection)
        for build in self.all(connection):
            if build != used:
                self.remove(connection, build)

    def remove(self, connection: psycopg.Connection[Any], build: str) -> None:
        """Remove a build, unless somebody reads it or has made something of their own on it."""
        try:
            with connection.transaction():
                if not _locks(connection, "pg_try_advisory_xact_lock", f"bowtie build {build}"):
                    return
                connection.execute(b"SET LOCAL lock_timeout = '1s'")
                tables = ", ".join(
                    f"{quoted(build)}.{quoted(table.name)}" for table in metadata.sorted_tables
                )
                connection.execute(f"DROP TABLE IF EXISTS {tables}".encode())
                connection.execute(f"DROP SCHEMA {quoted(build)}".encode())
        except (errors.DependentObjectsStillExist, errors.LockNotAvailable):
            return  # the next build tries again
        except psycopg.OperationalError:
            return  # the connection is gone, and so is the reason to remove it now

    def remove_left(self, connection: psycopg.Connection[Any]) -> None:
        """Remove what killed checks left: scratch tables that no living session holds."""
        named = re.compile(f"({re.escape(self.schema)}{SCRATCH})(_build_[0-9]+)?")
        found = connection.execute(b"SELECT nspname FROM pg_namespace").fetchall()
        for left in sorted({match[1] for (name,) in found if (match := named.fullmatch(name))}):
            Builds(left).remove_unheld(connection)

    def remove_unheld(self, connection: psycopg.Connection[Any]) -> None:
        """Remove the views and all builds, unless somebody holds them or it is not only ours."""
        views = ", ".join(
            f"{quoted(self.schema)}.{quoted(table.name)}" for table in metadata.sorted_tables
        )
        try:
            with connection.transaction():
                if not _locks(connection, "pg_try_advisory_xact_lock", _holding(self.schema)):
                    return
                if self.is_foreign(connection):
                    return
                connection.execute(b"SET LOCAL lock_timeout = '1s'")
                connection.execute(f"DROP VIEW IF EXISTS {views}".encode())
                connection.execute(f"DROP SCHEMA IF EXISTS {quoted(self.schema)}".encode())
                self.remove_others(connection)
        except (
            errors.DependentObjectsStillExist, errors.LockNotAvailable,
            errors.InsufficientPrivilege,
        ):  # fmt: skip
            return  # somebody else's, or in use: the next one tries again

    def remove_all(self, connection: psycopg.Connection[Any]) -> None:
        """Remove the views and all builds."""
        connection.execute(f"DROP SCHEMA IF EXISTS {quoted(self.schema)} CASCADE".encode())
        self.remove_others(connection)


def _holding(schema: str) -> str:
    return f"bowtie holds {schema}"


def _locks(connection: psycopg.Connection[Any], function: str, name: str) -> bool:
    found = _asked(connection, f"SELECT {function}({_KEY}) IS NOT FALSE", name)
    return found is True


def _asked(connection: psycopg.Connection[Any], sql: str, *values: str) -> object:
    row = connection.execute(sql.encode(), values).fetchone()
    return None if row is None else row[0]
