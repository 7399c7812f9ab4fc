"""House rules on modules: their size, and what they say is public."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bowtie import events

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path
    for folder in ("bowtie", "projections/bowtie_projections", "cli/bowtie_cli")
    for path in (ROOT / folder).rglob("*.py")
)
FACES = [path for path in MODULES if path.name == "__init__.py"]
LONGEST = 400


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_module = pytest.mark.parametrize("path", [pytest.param(p, id=name_of(p)) for p in MODULES])


@each_module
def test_modules_are_of_a_size_to_read(path):
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGEST, f"{name_of(path)} has {lines} lines: split it by what it is about"


def top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a module, with those inside `if`, `try` and `with`."""
    found = []
    for node in body:
        found.append(node)
        if isinstance(node, ast.If | ast.Try | ast.With):
            found += top_level(node.body)
            found += top_level(getattr(node, "orelse", []))
    return found


def defined_names(tree: ast.Module) -> set[str]:
    """Functions, classes and values a module makes itself."""
    names = set()
    for node in top_level(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def declared(tree: ast.Module) -> list[str] | None:
    """What `__all__` lists, or None where the module has none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return None


@pytest.mark.parametrize("path", [pytest.param(p, id=name_of(p)) for p in FACES])
def test_a_face_hides_nothing_that_it_defines(path):
    """What an `__init__` makes is public or has an underscore.

    What it imports and neither uses nor lists is found by ruff (F401), the order by RUF022.
    """
    tree = ast.parse(path.read_text("utf-8"))
    public = {name for name in defined_names(tree) if not name.startswith("_")}
    assert public <= set(declared(tree) or [])


@pytest.mark.parametrize("package", ["bowtie", "projections/bowtie_projections"])
def test_faces_say_what_is_public(package):
    tree = ast.parse((ROOT / package / "__init__.py").read_text("utf-8"))
    assert declared(tree), f"{package}/__init__.py has no __all__"


def test_every_public_name_can_be_imported():
    import bowtie
    import bowtie_projections

    for package in (bowtie, bowtie_projections):
        for name in package.__all__:
            assert getattr(package, name) is not None
            assert name in dir(package)


def test_every_event_of_the_catalogue_is_named_by_its_face():
    assert {model.__name__ for model in events.CATALOGUE.values()} <= set(events.__all__)
