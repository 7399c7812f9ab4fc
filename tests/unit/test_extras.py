"""What an extra brings, where it is not installed: every error names the extra."""

from __future__ import annotations

import sys

import pytest

from bowtie import Bowtie
from bowtie.errors import UsageError
from bowtie.extras import need
from bowtie_projections.databases import tables_at


def test_the_package_is_named_as_pip_knows_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UsageError, match=r"^scikit-learn is not .*\[models\]'$"):
        need("sklearn", "models")


def test_an_extra_is_called_like_its_module_unless_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"^pandas is not .*'bowtie-journeys\[pandas\]'$"):
        need("pandas")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg_pool"])
def test_a_store_in_postgresql_needs_its_driver(monkeypatch, driver):
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(UsageError, match=r"^psycopg.* is not .*\[postgres\]'$"):
        Bowtie.open("postgresql://nowhere/none")


def test_tables_in_postgresql_need_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"^psycopg is not .*\[postgres\]'$"):
        tables_at("postgresql://nowhere/none")
