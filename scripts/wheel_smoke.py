"""Build the wheel, check what is in it, and run it in a fresh environment.

The environment holds the base dependencies alone. An import that only the development group
brings, or a fourth top-level name in the wheel, ends this with an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"bowtie", "bowtie_projections", "bowtie_cli"}
#: What is read and no module.
FILES = (
    "bowtie_projections/report/page.css",
    "bowtie_projections/report/page.html.jinja",
)


def run(*command: str | Path, cwd: Path = ROOT, accept: tuple[int, ...] = (0,)) -> str:
    """What the command wrote to stdout; ends the script where its exit code is not accepted."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOWTIE_")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode not in accept:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> Path:
    """The wheel, built from the source distribution, so that both are known to be complete."""
    run(sys.executable, "-m", "build", "--outdir", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """Exactly three packages at the top, each marked as typed, and the licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if top != PACKAGES:
        sys.exit(f"{wheel.name} holds {sorted(top)} at the top, not {sorted(PACKAGES)}")
    for package in PACKAGES:
        if f"{package}/py.typed" not in names:
            sys.exit(f"{wheel.name} lacks {package}/py.typed")
    if missing := sorted(set(FILES) - set(names)):
        sys.exit(f"{wheel.name} lacks {', '.join(missing)}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        sys.exit(f"{wheel.name} lacks the licence")
    run(Path(sys.executable).parent / "check-wheel-contents", wheel)


def main_job(bowtie: Path, folder: Path) -> None:
    """From an event log to the funnel and the loop."""
    run(bowtie, "--help", cwd=folder)
    run(bowtie, "demo", "--customers", "1000", "-o", "log.jsonl", cwd=folder)
    # 3: the log holds lines that must be parked, planted there
    run(bowtie, "ingest", "log.jsonl", cwd=folder, accept=(3,))
    for view in ("status", "funnel", "loop"):
        if not run(bowtie, view, cwd=folder).strip():
            sys.exit(f"bowtie {view} said nothing")


def smoke() -> None:
    """Build, check, install, run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        check_contents(wheel)
        venv.create(folder / "venv", with_pip=True)
        programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        run(programs / "python", "-m", "pip", "install", "--quiet", wheel)
        (folder / "work").mkdir()
        main_job(programs / "bowtie", folder / "work")
        print(f"{wheel.name}: holds {', '.join(sorted(PACKAGES))} and runs on its own")


if __name__ == "__main__":
    smoke()
