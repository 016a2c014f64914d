"""A folder's lock: held, or not to be had at all, which are two things."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from zsms.errors import JournalError
from zsms.journal import edit, open_journal, read
from zsms.journal.lock import Lock
from zsms.journal.wal import Log


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ENOSYS])
def test_a_file_system_without_locks_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    (tmp_path / "lock").write_text("pid 14172 on vm\n")  # of one that is long gone

    def flock(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(JournalError, match="no lock can be had") as caught:
        Lock(tmp_path)
    assert os.strerror(code) in str(caught.value) and "14172" not in str(caught.value)


def test_a_lock_that_is_held_names_its_holder(tmp_path: Path):
    held = Lock(tmp_path)
    with pytest.raises(JournalError, match=f"in use by pid {os.getpid()} on"):
        Lock(tmp_path)
    held.release()
    Lock(tmp_path).release()


def test_who_looks_into_a_journal_hears_what_was_dropped(tmp_path: Path, monkeypatch, caplog):
    open_journal(tmp_path).close()
    monkeypatch.setattr(Log, "check", lambda *_: "the last group, from byte 7 on")
    for look in (read, edit):
        caplog.clear()
        with look(tmp_path):
            assert "dropped the last group, from byte 7 on" in caplog.text
            assert "may have been" in caplog.text and "whatever was confirmed is there" not in caplog.text
