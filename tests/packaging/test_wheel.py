"""The built package: what is in it, and the main job in an empty environment off the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Most of it is the wait for packages, which may come from far away.
pytestmark = [pytest.mark.pip, pytest.mark.timeout(300)]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `command` in `cwd` with nothing of this checkout's in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ZSMS_", "VIRTUAL_"))}
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist and the wheel made from it; the checkout stays as it is."""
    top = tmp_path_factory.mktemp("build")
    leave = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, top / "source", ignore=leave)
    run(sys.executable, "-m", "build", "--outdir", top / "dist", top / "source", cwd=top)
    return top / "dist"


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment that holds the wheel and its dependencies only."""
    top = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", top / "venv", cwd=top)
    (wheel,) = dist.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", top / "venv", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", wheel, cwd=top)
    return top / "venv" / "bin"


def test_the_distributions_hold_the_package_and_no_tests(dist: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "zsms").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"zsms/__init__.py", "zsms/py.typed"} <= files

    (wheel,) = dist.glob("zsms-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    assert {name for name in in_wheel if ".dist-info/" not in name} == files

    (sdist,) = dist.glob("zsms-*.tar.gz")
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert files | {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"} <= in_sdist
    assert not [name for name in in_sdist if name.startswith(("tests/", "benchmarks/"))]


def test_the_wheel_runs_the_main_job(installed: Path, tmp_path: Path) -> None:
    where = "import zsms; print(zsms.__file__); print(zsms.__version__)"
    file, version = run(installed / "python", "-c", where, cwd=tmp_path).stdout.split()
    assert Path(file).is_relative_to(installed.parent)
    assert version in run(installed / "zsms", "--version", cwd=tmp_path).stdout

    job = ("run", "--messages", "1000", "--mean", "0.01", "--sd", "0", "--json", "report.json")
    run(installed / "zsms", *job, cwd=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["balanced"] is True
    assert report["messages"]["sent"] == 1000
