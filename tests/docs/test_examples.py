"""Every `python` and `console` block of the README, the docs and the walk-throughs runs.

The blocks of a page run in order, in a folder of their own that holds `examples` (and `data`, the
test data, for a page that says `<!-- needs: shared data -->`). What a console command prints is
compared with the page, white space aside; `...` stands for anything; no output means that it does
not matter. A comment `# exit code 3` in a command says how it ends.
`<!-- not run: REASON -->` before a block leaves it out. A page that says `<!-- takes long -->` is
run by `make test-all` only.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_shared_data
from tests.docs.pages import LONG, NEEDS_DATA, PageRun, blocks

PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in page.parts),
    *sorted((ROOT / "examples").rglob("*.md")),
]
#: Fewer blocks than this, and the search for them is broken.
FEWEST_BLOCKS = 6


def runnable(page: Path) -> list:
    return [block for block in blocks(page.read_text("utf-8")) if not block.not_run]


def test_the_examples_are_found():
    assert ROOT / "README.md" in PAGES
    assert sum(len(runnable(page)) for page in PAGES) >= FEWEST_BLOCKS


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            id=page.relative_to(ROOT).as_posix(),
            marks=[pytest.mark.slow] if LONG in page.read_text("utf-8") else [],
        )
        for page in PAGES
        if runnable(page)
    ],
)
def test_the_examples_of(page, tmp_path, tmp_path_factory, monkeypatch):
    data = find_shared_data() if NEEDS_DATA in page.read_text("utf-8") else None
    if NEEDS_DATA in page.read_text("utf-8") and data is None:
        pytest.skip("the test data is not here: name its folder in BOWTIE_TEST_DATA")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path_factory.getbasetemp()
    # the processes of one run have a folder each, in one
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    cache = shared / "beginnings"
    with closing(PageRun(page, tmp_path, ROOT, data, cache)) as reader:
        for block in runnable(page):
            reader.run(block)
