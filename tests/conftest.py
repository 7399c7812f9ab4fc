"""What all tests share: how hard Hypothesis tries, and the data that lies beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Verbosity, settings

ROOT = Path(__file__).resolve().parent.parent

# A deadline measures the machine, not the code: stores and databases are slow now and then.
settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile(
    "ci",
    max_examples=25,
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
        if name.startswith("BOWTIE_") and name != "BOWTIE_TEST_DATA":
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
