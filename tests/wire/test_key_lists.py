"""The list of keys while it changes, can't be read, or is mounted; and what one key may take up."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from zsms.core.broker import BrokerCore
from zsms.errors import UsageError
from zsms.roles import permissions as guard
from zsms.roles.permissions import BrokerPermissions, Denial, StatsPermissions
from zsms.security import keys as keys_module
from zsms.security.keys import Keys, make, read
from zsms.stats.snapshot import Snapshot
from zsms.wire.frames import JoinProducer, JoinSender


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, role in {"broker": "broker", "p": "producer", "s": "sender"}.items():
        make(tmp_path / "keys", name, [role])
    return tmp_path / "keys"


def names(keys: Keys) -> set[str]:
    return {key.name for key in keys.listed.values()}


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ESTALE, errno.EACCES, errno.ENOENT])
def test_a_look_that_fails_keeps_the_last_list_and_says_so_once(directory, monkeypatch, code):
    keys = Keys.load(directory, "broker")
    with monkeypatch.context() as patch:

        def fails(*_):
            raise OSError(code, os.strerror(code))

        patch.setattr(keys_module.os, "scandir", fails)
        assert ["the last list holds" in problem for problem in keys.refresh()] == [True]
        assert keys.refresh() == [] and names(keys) == {"broker", "p", "s"}
    (directory / "public" / "p.pub").unlink()
    assert keys.refresh() == [] and names(keys) == {"broker", "s"}


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ESTALE, errno.EIO])
def test_a_key_that_can_t_be_read_for_a_moment_is_as_it_was(directory, monkeypatch, code):
    keys = Keys.load(directory, "broker")
    make(directory, "new", ["sender"])
    with monkeypatch.context() as patch:

        def fails(path: Path):
            raise OSError(code, os.strerror(code))

        patch.setattr(keys_module, "read", fails)
        assert keys.refresh()
        assert names(keys) == {"broker", "p", "s"}
    assert keys.refresh() == [] and names(keys) == {"broker", "p", "s", "new"}


def test_a_key_that_goes_while_it_is_looked_at_goes_alone(directory, monkeypatch):
    keys = Keys.load(directory, "broker")
    found, public = os.scandir, directory / "public"

    class Racing:
        def __init__(self, path):
            self._entries = list(found(path))
            (public / "p.pub").unlink(missing_ok=True)

        def __enter__(self):
            return iter(self._entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(keys_module.os, "scandir", Racing)
    assert keys.refresh() == [] and names(keys) == {"broker", "s"}


def test_files_that_come_and_go_never_empty_the_list(directory):
    keys, churning = Keys.load(directory, "broker"), True

    def churn() -> None:
        while churning:
            (directory / "public" / "zz.pub").write_text("")
            (directory / "public" / "zz.pub").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(200):
            keys.refresh()
            assert names(keys) == {"broker", "p", "s"}
    finally:
        churning = False
        thread.join()


def mount(directory: Path, into: Path) -> None:
    """As Kubernetes does: files are links into ..data, which is one into a folder with a date."""
    (into / "..data").symlink_to("..2026")
    directory.rename(into / "..2026")
    for name in ("public", *(path.name for path in (into / "..2026").glob("*.key"))):
        (into / name).symlink_to(f"..data/{name}")


def test_secrets_are_taken_as_they_are_mounted(directory, tmp_path, monkeypatch):
    into = tmp_path / "mounted"
    into.mkdir()
    mount(directory, into)
    into.chmod(0o1777)
    for path in (into / "..2026").glob("*.key"):
        path.chmod(0o440)
    if os.geteuid():
        real = os.fstat
        monkeypatch.setattr(keys_module.os, "fstat", lambda d: os.stat_result([*real(d)[:4], 0, *real(d)[5:]]))
    keys = Keys.load(into, "broker")
    assert names(keys) == {"broker", "p", "s"}
    # The folder is replaced as a whole.
    make(into / "..2027", "broker", ["broker"])
    (into / "..new").symlink_to("..2027")
    (into / "..new").rename(into / "..data")
    assert keys.refresh() == [] and names(keys) == {"broker"}


@pytest.mark.parametrize(
    ("mode", "owner", "group", "taken"),
    [
        (0o440, 0, "own", True), (0o400, 0, "own", True), (0o440, 0, "supplementary", True),
        (0o440, 0, "other", False), (0o440, "self", "own", False), (0o444, 0, "own", False), (0o460, 0, "own", False),
        (0o450, 0, "own", False),
    ],
)  # fmt: skip
def test_who_may_read_a_secret(directory, monkeypatch, mode, owner, group, taken):
    gid = {"own": 10_001, "supplementary": 10_002, "other": 10_003}[group]
    real = os.fstat

    def seen(descriptor: int) -> os.stat_result:
        info = real(descriptor)
        return os.stat_result([stat.S_IFREG | mode, *info[1:4], 0 if owner == 0 else 10_001, gid, *info[6:]])

    monkeypatch.setattr(keys_module.os, "fstat", seen)
    monkeypatch.setattr(keys_module.os, "geteuid", lambda: 10_001)
    monkeypatch.setattr(keys_module.os, "getegid", lambda: 10_001)
    monkeypatch.setattr(keys_module.os, "getgroups", lambda: [10_001, 10_002])
    if taken:
        assert read(directory / "broker.key").secret
    else:
        with pytest.raises(UsageError, match="others may"):
            read(directory / "broker.key")


# -- what one key may take up -----------------------------------------------------------------------------------------


def test_joins_of_a_key_are_bounded_over_any_number_of_connections(directory, monkeypatch):
    monkeypatch.setattr(guard, "PEERS", 10)
    keys, core = Keys.load(directory, "broker"), BrokerCore()
    watch = BrokerPermissions(keys, core)
    user = {key.name: key.user for key in keys.listed.values()}

    def join_producer(number: int, peer: bytes = b"one") -> Denial | None:
        why = watch.frame(peer, user["p"], JoinProducer(number, 1, "x", 0, 0.0))
        if why is None:
            core.producer_joined(peer, JoinProducer(number, 1, "x", 0, 0.0), 0.0)
        return why

    def join_sender(number: int) -> Denial | None:
        why = watch.frame(b"other", user["s"], JoinSender(number, 1, "x", 1, 0, 0.0, 0.0))
        if why is None:
            core.sender_joined(b"other", JoinSender(number, 1, "x", 1, 0, 0.0, 0.0), 0.0)
        return why

    for join in (join_producer, join_sender):
        assert [join(number) is None for number in range(1, 41)] == [True] * 10 + [False] * 30
        assert join(3) is None  # who has joined may do so again
    assert "10 peers joined already" in str(join_producer(99, b"another connection"))
    core.left(b"one", 0.0)  # the last that joined on it
    assert join_producer(99) is None and join_producer(98) is not None


def test_names_of_a_key_are_bounded_and_those_that_the_collector_forgot_are_forgotten(directory, monkeypatch):
    monkeypatch.setattr(guard, "PEERS", 10)
    keys, book = Keys.load(directory, "broker"), set[tuple[str, str]]()
    watch = StatsPermissions(keys, book)
    user = {key.name: key.user for key in keys.listed.values()}

    def publish(who: str, name: str) -> str | None:
        said = Snapshot({"p": "producer", "s": "sender"}[who], name, 1, 0, "h", 1, "running", 1.0)
        why = watch.snapshot(user[who], said)
        if why is None:
            book.add((said.role, said.name))
            watch.taken(user[who], said)
        return why

    assert [publish("p", f"{i}") is None for i in range(30)] == [True] * 10 + [False] * 20
    assert publish("p", "3") is None and publish("s", "3") is None
    book.clear()
    assert [publish("p", f"late {i}") is None for i in range(20)] == [True] * 10 + [False] * 10
