"""Every store passes the same suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bowtie import Bowtie


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bowtie]:
    """An empty store of each kind."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'journeys.db'}"
    with Bowtie.open(url) as engine:
        yield engine
