"""The folder of a run's sockets and keys: where it may be, and that those of killed runs go away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zsms.errors import ZsmsError
from zsms.launch import private_folder
from zsms.launch.private_folder import MOST, PREFIX, PrivateFolder, sweep

NAME = "broker-16.2"
HOLDER = (
    "import sys\nfrom zsms.launch.private_folder import PrivateFolder\n"
    f"folder = PrivateFolder('{NAME}')\nprint(folder.path, flush=True)\nsys.stdin.read()\n"
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(os.path.realpath(tmp_path.parent), "t")  # short: its path is that of sockets
    folder.mkdir(exist_ok=True)
    for each in folder.iterdir():
        subprocess.run(["rm", "-rf", each], check=True)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def holder() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_it_is_private_and_goes_away(place: Path) -> None:
    folder = PrivateFolder(NAME)
    assert Path(folder.path).parent == place and os.stat(folder.path).st_mode & 0o777 == 0o700
    assert folder.remark is None
    folder.remove()
    assert not list(place.iterdir())


def test_those_of_killed_processes_are_swept_and_those_of_living_ones_are_not(place: Path) -> None:
    living, its = holder()
    killed, left = holder()
    (left / "keys").mkdir()
    (left / "keys" / "broker.key").write_text("secret")
    assert its.parent == left.parent == place
    end(killed)
    assert left.exists()
    own = PrivateFolder(NAME)
    try:
        assert not left.exists() and its.exists()
    finally:
        own.remove()
        end(living)


def test_what_is_not_ours_is_left_alone(place: Path) -> None:
    for name in (PREFIX + "no-lock", "other"):
        (place / name).mkdir()
        (place / name / "x").write_text("x")
    (place / "other" / "lock").write_text("")
    (place / f"{PREFIX}file").write_text("x")
    (place / f"{PREFIX}link").symlink_to(place / "other")
    (place / f"{PREFIX}strange").mkdir()  # another machine's, on a file system that both use
    (place / f"{PREFIX}strange" / "lock").write_text("another-boot\nanother-host")
    before = sorted(place.rglob("*"))
    sweep(str(place))
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("how", ["missing", "a file", "too long", "not UTF-8"])
def test_a_place_that_does_not_do_is_passed_over(place: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = place / {"too long": "x" * MOST, "not UTF-8": "\udce9"}.get(how, "x")
    if how == "a file":
        wanted.write_text("")
    elif how != "missing":
        wanted.mkdir()
    monkeypatch.setenv("TMPDIR", str(wanted))
    folder = PrivateFolder(NAME)
    try:
        assert not folder.path.startswith(str(wanted))
        assert folder.remark is not None and "TMPDIR" in folder.remark and os.path.dirname(folder.path) in folder.remark
        assert not wanted.is_dir() or not list(wanted.iterdir())
    finally:
        folder.remove()


def test_without_any_place_tmpdir_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_folder, "places", lambda: iter(["/proc", "/nonexistent"]))
    with pytest.raises(ZsmsError, match=r"TMPDIR.*at most \d+ characters.*/nonexistent"):
        PrivateFolder(NAME)


@pytest.mark.parametrize("length", range(MOST - 26, MOST - 16))
def test_every_length_of_path_works(place: Path, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if length - len(str(place)) < 2:
        pytest.skip("the tests' own folder has a long path")
    wanted = place / ("x" * (length - len(str(place)) - 1))
    wanted.mkdir()
    monkeypatch.setenv("TMPDIR", str(wanted))
    folder = PrivateFolder(NAME)
    assert len(os.path.join(folder.path, NAME)) <= MOST
    folder.remove()


def test_the_folder_of_a_role_that_was_killed_is_swept_and_that_of_a_living_one_is_not(place: Path) -> None:
    """Roles on the workers of a cluster keep their keys in one until they have read them."""
    with private_folder.held(str(place)) as living:
        killed = subprocess.run(
            [
                sys.executable,
                "-c",
                "import os, sys\nfrom zsms.launch.private_folder import held\n"
                "with held(sys.argv[1]) as path:\n    (path / 'sender.key').touch()\n    os.kill(os.getpid(), 9)",
                str(place),
            ],
            check=False,
        )
        assert killed.returncode == -9 and len(list(place.iterdir())) == 2
        sweep(str(place))
        assert list(place.iterdir()) == [living]
    assert not list(place.iterdir())
