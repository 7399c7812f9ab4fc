"""What all tests share: how hard Hypothesis tries, and the data that lies beside the project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Verbosity, settings

if TYPE_CHECKING:
    from tests.postgres import PostgresServer
    from tests.read_tables import FilledTables

ROOT = Path(__file__).resolve().parent.parent

# A deadline measures the machine, not the code: stores and databases are slow now and then.
settings.register_profile("dev", max_examples=5, deadline=None)
settings.register_profile(
    "ci",
    max_examples=5,
    deadline=None,
    # the same examples each time: what fails here fails for whoever looks into it
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough",
    max_examples=300,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("debug", max_examples=10, deadline=None, verbosity=Verbosity.verbose)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A BOWTIE_STORE or the like of whoever runs the tests must not decide their result."""
    for name in list(os.environ):
        if name.startswith("BOWTIE_") and not name.startswith("BOWTIE_TEST_"):
            monkeypatch.delenv(name)


def find_shared_data() -> Path | None:
    """The folder of test data beside the project, where there is one."""
    folder = Path(os.environ.get("BOWTIE_TEST_DATA", ROOT.parent / "shared" / "data"))
    return folder.resolve() if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test data beside the project; skips, with the reason, where it is absent."""
    folder = find_shared_data()
    if folder is None:
        pytest.skip("the test data is not here: name its folder in BOWTIE_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started when the first test asks for it."""
    from tests.postgres import running_server

    with running_server() as server:
        yield server


@pytest.fixture
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keys of stores in PostgreSQL are kept: not in the home of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "bowtie"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, key_folder: Path) -> Iterator[str]:
    """The URL of a store that is not there yet: a schema of its own in a shared database."""
    with postgres_server.schema() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, key_folder: Path) -> Iterator[str]:
    """The URL of an empty database of its own."""
    with postgres_server.database() as url:
        yield url


#: Unit tests that CI runs over tables in PostgreSQL too.
_ON_BOTH = {"test_funnel", "test_postgres_tables", "test_step_cases", "test_views_agree"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Laws and most cases over tables in PostgreSQL take minutes.

    CI asks all views there question by question, and compares the answers with DuckDB's.
    """
    for item in items:
        over_tables = "property" in item.path.parts or (
            "unit" in item.path.parts and item.path.stem not in _ON_BOTH
        )
        if over_tables and "[postgresql" in item.nodeid:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def make_tables(request: pytest.FixtureRequest) -> Iterator[Callable[[], FilledTables]]:
    """Makes empty read tables, in each database; all are gone with the module's last test."""
    from tests.read_tables import MemoryTables, SchemaTables

    if request.param == "duckdb":
        yield MemoryTables
        return
    server = request.getfixturevalue("postgres_server")
    with ExitStack() as stack:

        def make() -> SchemaTables:
            made = SchemaTables(stack.enter_context(server.schema()))
            stack.callback(made.connection.close)
            return made

        yield make


@pytest.fixture(scope="module")
def memory(make_tables: Callable[[], FilledTables]) -> FilledTables:
    """Read tables made once for a module; each test fills them anew."""
    return make_tables()
