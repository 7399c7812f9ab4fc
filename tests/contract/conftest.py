"""Every store passes the same suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bowtie import Bowtie


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store of each kind is to be."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'journeys.db'}"


@pytest.fixture
def engine(store_url: str) -> Iterator[Bowtie]:
    """An empty store of each kind."""
    with Bowtie.open(store_url) as engine:
        yield engine
