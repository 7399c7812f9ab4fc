"""The arrow rule: the command line knows the projections, they know the engine, never back."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "bowtie": ROOT / "bowtie",
    "bowtie_projections": ROOT / "projections" / "bowtie_projections",
    "bowtie_cli": ROOT / "cli" / "bowtie_cli",
}
FORBIDDEN = {
    "bowtie": {"bowtie_projections", "bowtie_cli"},
    "bowtie_projections": {"bowtie_cli"},
    "bowtie_cli": set(),
}
#: What the views may load where a question needs it; each takes longer than most answers.
SLOW_FOR_VIEWS = {
    "altair", "pandas", "scipy.optimize", "scipy.sparse", "scipy.special", "scipy.stats", "sklearn",
}  # fmt: skip
SLOW_TO_IMPORT = {"duckdb", "numpy", "pandas", "polars", "pyarrow", "scipy", "sqlalchemy"}


def imported_packages(source: str) -> set[str]:
    """The top-level packages that a module names in any import, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def modules() -> list[tuple[str, Path]]:
    return [
        (package, path)
        for package, folder in FOLDERS.items()
        for path in sorted(folder.rglob("*.py"))
    ]


def test_modules_are_found():
    packages = {package for package, _ in modules()}
    assert packages == set(FOLDERS)
    assert len(modules()) >= 10


@pytest.mark.parametrize(
    ("package", "path"), [pytest.param(*m, id=str(m[1].relative_to(ROOT))) for m in modules()]
)
def test_arrows_point_one_way(package, path):
    wrong = imported_packages(path.read_text("utf-8")) & FORBIDDEN[package]
    assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def test_the_rule_sees_every_form_of_import():
    source = "import a.b\nfrom c.d import e\nfrom . import f\ndef g():\n    import h as i\n"
    assert imported_packages(source) == {"a", "c", "h"}


@pytest.mark.parametrize(
    ("module", "slow"),
    [
        ("bowtie", SLOW_TO_IMPORT),
        ("bowtie_cli.main", SLOW_TO_IMPORT),
        ("bowtie_projections.questions", SLOW_FOR_VIEWS),
    ],
)
def test_importing_loads_nothing_slow(module, slow):
    """The engine is for apps that never draw a funnel, and `bowtie --help` must be quick."""
    script = f"import {module}, sys; print(*sorted({slow!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
