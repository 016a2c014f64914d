"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.processes import descriptors
from zsms import saving

OLD, NEW = b"older\n", b"newer, and longer\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_bytes(OLD)
    return path


def alone(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_check_touches_nothing(old: Path) -> None:
    before = old.stat()
    saving.check(str(old))
    saving.check(str(old.with_name("new.json")))
    assert old.stat() == before and old.read_bytes() == OLD and alone(old.parent) == ["report.json"]


def test_a_check_that_is_killed_leaves_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise AssertionError("there is something to be taken away")

    try:
        os.close(os.open(old.parent, os.O_TMPFILE | os.O_WRONLY))
    except (AttributeError, OSError):
        pytest.skip("files without a name are not everywhere")
    monkeypatch.setattr(os, "unlink", killed)
    saving.check(str(old))
    saving.check(str(old.with_name("new.json")))


def test_descriptors_of_any_number_are_waited_for() -> None:
    with descriptors(2_100):
        read, write = os.pipe()
        high = fcntl.fcntl(write, fcntl.F_DUPFD, 2_000)
        os.write(write, b"1")
        try:
            saving.wait_for(high)
            saving.wait_for(fcntl.fcntl(read, fcntl.F_DUPFD, high + 1), select.POLLIN)
        finally:
            os.closerange(high, high + 2)
            os.close(read)
            os.close(write)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o755])
def test_the_mode_stays_and_nothing_is_left_beside(old: Path, mode: int) -> None:
    old.chmod(mode)
    saving.save(str(old), NEW)
    assert old.read_bytes() == NEW and stat.S_IMODE(old.stat().st_mode) == mode and alone(old.parent) == [old.name]


def test_a_new_one_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        saving.save(str(tmp_path / "new"), NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_links_are_followed(old: Path) -> None:
    link, dangling = old.with_name("latest"), old.with_name("next")
    link.symlink_to(old.name)
    dangling.symlink_to("not-yet.json")
    for path in (link, dangling):
        saving.check(str(path))
        saving.save(str(path), NEW)
        assert path.is_symlink() and path.read_bytes() == NEW
    assert old.read_bytes() == NEW


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "a b", "new\nline", "andr\udce9.json", "-", "=1"])
def test_names_of_all_kinds(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    saving.check(path)
    saving.save(path, NEW)
    assert alone(tmp_path) == [name]


@pytest.mark.parametrize("name", ["", "no-folder/x", "folder", "new/", "loop", "x" * 256, "file/x", "socket", "a\0b"])
def test_what_can_not_be_written_is_said_before(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    Path("file").write_bytes(OLD)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket")
    with pytest.raises(OSError, match=r".+") as raised:
        saving.check(name)
    assert raised.value.strerror


def failing(where: str, code: int, after: int = 0) -> Any:
    """`os.<where>`, which fails from the call after `after` others on."""
    real = getattr(os, where)
    calls = iter(range(10_000))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls) >= after:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    return call


@pytest.mark.parametrize("where", ["write", "fsync", "replace", "fchmod"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_was_there_stays_when_writing_fails(
    old: Path, where: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, where, failing(where, code))
        with pytest.raises(OSError, match=os.strerror(code)):
            saving.save(str(old), NEW)
    assert old.read_bytes() == OLD and alone(old.parent) == [old.name]


def test_a_disk_without_a_sync_is_no_error(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing("fsync", errno.EINVAL))
    saving.save(str(old), NEW)
    assert old.read_bytes() == NEW


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EPERM, errno.EACCES, errno.EXDEV])
def test_one_that_can_not_be_replaced_is_written_over(old: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that a container has mounted by itself, or one in a folder of somebody else's."""
    inode = old.stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", failing("replace", code))
        saving.save(str(old), NEW)
        assert old.read_bytes() == NEW
        saving.save(str(old), b"x")
    assert old.read_bytes() == b"x" and old.stat().st_ino == inode and alone(old.parent) == [old.name]


def test_one_that_is_written_over_comes_back_when_there_is_no_room(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.write, iter(range(100))

    def write(file: int, data: Any) -> int:
        match next(calls):
            case 0:
                return real(file, data)  # beside it
            case 1:
                return real(file, data[:3])  # over it
            case 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data)

    monkeypatch.setattr(os, "replace", failing("replace", errno.EBUSY))
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        saving.save(str(old), NEW)
    assert old.read_bytes() == OLD


def test_a_killed_writer_leaves_the_older_one(old: Path) -> None:
    program = (
        "import os, signal, sys\nfrom zsms import saving\n"
        "os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "saving.save(sys.argv[1], b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(old)], check=False)
    assert done.returncode == -9 and old.read_bytes() == OLD


def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    saving.check(os.devnull)
    saving.save(os.devnull, NEW)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    saving.check("/dev/full")
    with pytest.raises(OSError, match="No space"):
        saving.save("/dev/full", NEW)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    saving.check(str(pipe))
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    saving.save(str(pipe), NEW * 10_000)  # more than a pipe holds
    reader.join(40)
    assert got == [NEW * 10_000] and pipe.is_fifo()


def test_a_pipe_that_nobody_reads_does_not_hold_us_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "READER_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads"):
        saving.save(str(tmp_path / "pipe"), NEW)


def test_a_terminal_that_is_not_there_is_no_pipe_that_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_(path: str, flags: int) -> int:
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))

    monkeypatch.setattr(saving.os, "open", open_)
    with pytest.raises(OSError, match="No such device"):  # at once
        saving.save("/dev/tty", NEW)


def test_descriptors_by_name(tmp_path: Path) -> None:
    read, write = os.pipe()
    link = tmp_path / "link"
    link.symlink_to(f"/dev/fd/{write}")
    for path in (f"/dev/fd/{write}", f"/proc/self/fd/{write}", f"/proc/{os.getpid()}/fd/{write}", str(link)):
        assert saving.descriptor_of(path) == write
        saving.check(path)
        saving.save(path, NEW)
        assert os.read(read, 100) == NEW
    assert saving.descriptor_of("/dev/stdout") == 1 and saving.descriptor_of(os.devnull) is None
    with pytest.raises(OSError, match="reading"):
        saving.check(f"/dev/fd/{read}")
    os.close(read)
    os.close(write)
    with pytest.raises(OSError, match="Bad file"):
        saving.check(f"/dev/fd/{write}")


def test_what_can_not_be_written_is_kept_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    monkeypatch.setenv("TMP", str(tmp_path))
    kept = saving.save_elsewhere("report.json", NEW)
    assert kept is not None and Path(kept).parent == tmp_path and Path(kept).read_bytes() == NEW
    monkeypatch.setattr(os, "write", failing("write", errno.ENOSPC))
    assert saving.save_elsewhere("report.json", NEW) is None
    assert alone(tmp_path) == [Path(kept).name]
