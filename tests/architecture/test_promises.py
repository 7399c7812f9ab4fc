"""The page of promises names tests that are there, and says how hard they try."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "promises.md").read_text("utf-8")
NAMED = set(re.findall(r"`(\w+/test_\w+\.py)`", PAGE))


def test_each_test_that_is_named_is_there():
    assert len(NAMED) >= 30
    assert sorted(name for name in NAMED if not (ROOT / "tests" / name).is_file()) == []


def test_each_promise_names_its_tests():
    rows = [row for row in PAGE.partition("## Nothing is lost")[2].splitlines() if row[:2] == "| "]
    promises = [row for row in rows if not row.startswith("| promise")]
    assert len(promises) >= 30
    assert [row for row in promises if not re.search(r"`\w+/test_\w+\.py`", row)] == []


def test_how_hard_the_tests_try_is_as_the_page_says():
    kills = (ROOT / "tests" / "faults" / "killing.py").read_text("utf-8")
    assert re.search(r"50 if .* else 1\b", kills)
    assert "| 1 | 50 |" in PAGE
    profiles = (ROOT / "tests" / "conftest.py").read_text("utf-8")
    assert re.findall(r"max_examples=(\d+)", profiles)[:3] == ["5", "5", "300"]
    assert "| 5, the same each time in CI | 300, new ones each time |" in PAGE
