"""The real store: what is committed is there again, whatever happens to the end of its files; damage is named."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.making import histories, make_batch, seqs
from tests.journal.making import LIMITS, Hand, content, held
from zsms import Broker, Producer, Sender
from zsms.core.broker.replay import rebuild
from zsms.errors import JournalError, UsageError
from zsms.journal import FILE, NoRoom, edit, open_journal, read
from zsms.journal import sqlite as store_module
from zsms.journal.mark import MARK
from zsms.journal.wal import Log
from zsms.stats.delay import DelayModel

LOG = f"{FILE}-wal"


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a group is short, and every place in it can be tried."""
    monkeypatch.setattr(store_module, "PAGE", 512)


def fill(hand: Hand) -> None:
    """Three batches: one sent, one partly failed and partly dead, one that nobody was given."""
    for count in (10, 10, 30):
        hand.put(count)
    hand.commit()
    hand.grant(10)
    hand.acknowledge(range(10), limit=15)
    hand.commit()
    hand.grant(16)
    hand.acknowledge([10, 11], [12, 13], limit=20)
    hand.core.left(b"s", 0.0)  # two were given and never acknowledged
    hand.commit()


def test_what_was_committed_is_there_again(tmp_path: Path) -> None:
    with open_journal(tmp_path) as store:
        hand = Hand(store)
        fill(hand)
        hand.put(5)  # in no group: gone, and not confirmed
        assert [account.durable_through for account in hand.core.confirms()] == [3]
    found = held(tmp_path)
    assert found["totals"] == {"accepted": 50, "queued": 38, "in_flight": 0, "sent": 12, "failed": 0, "dead": 0}
    assert found["next"] == {"P": 3}
    assert found["ready"] == [
        ([12, 13, 14, 15], [(1, 2), (2, 1)]),
        ([16, 17, 18, 19], [(1, 1)]),
        (list(range(20, 50)), [(1, 1)]),
    ]


def test_a_long_life_of_a_journal_keeps_it_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHECKPOINT_BYTES", 2**20)
    sizes = []
    with open_journal(tmp_path) as store:
        hand = Hand(store)
        for number in range(300):
            hand.put(10)
            hand.commit()
            hand.grant(10 * number + 10)
            hand.acknowledge(range(10 * number, 10 * number + 5), limit=10 * number + 10)
            hand.commit()
            hand.acknowledge(range(10 * number + 5, 10 * number + 10), limit=10 * number + 10)
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
        hand.commit()
        assert not any((store.load().entries, store.load().changes))
    assert max(sizes[150:]) <= max(sizes[:150])


def test_a_dead_letter_keeps_its_reason_and_can_be_kicked_or_purged(tmp_path: Path) -> None:
    with open_journal(tmp_path) as store:
        hand = Hand(store)
        hand.put(4)
        hand.grant(4)
        hand.acknowledge([], [0, 1, 2, 3], limit=8)
        hand.core.poll(1.0)
        hand.grant(8)
        hand.acknowledge([], [4, 5, 6, 7], limit=8)
        assert hand.core.totals()["dead"] == 4
        hand.commit()
    with edit(tmp_path, LIMITS) as core:
        reasons = {letter.reason for letter in core.dead_letters}
        assert reasons == {"failed 2 times"}
        assert core.journal is not None
        letter = core.dead_letters.popleft()
        core.journal.letter_gone(letter.number)
        lot = letter.lot
        lot.account.dead -= lot.size
        lot.account.queued += lot.size
        core.journal.accepted(lot)
        core.queue.put(lot)
        kicked = lot.size
    with read(tmp_path, LIMITS) as core:
        assert core.queue.messages == kicked
        assert core.totals() | {"dead": 4 - kicked, "queued": kicked} == core.totals()
        assert sum(letter.lot.size for letter in core.dead_letters) == 4 - kicked


def test_an_edit_that_fails_changes_nothing(tmp_path: Path) -> None:
    with open_journal(tmp_path) as store:
        fill(Hand(store))
    before = held(tmp_path)

    def fail() -> None:
        with edit(tmp_path, LIMITS) as core:
            core.journal.settled(core.queue.take(4))
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert held(tmp_path) == before
    with pytest.raises(UsageError, match="no journal in"), read(tmp_path / "elsewhere"):
        pass


def test_a_batch_with_gaps_keeps_its_places(tmp_path: Path) -> None:
    """A producer's batch may have offsets: then a message's place is not its number."""
    with open_journal(tmp_path) as store:
        hand = Hand(store)
        hand.core.put(make_batch(40).take(np.arange(0, 40, 3)), 0.0)
        hand.grant(5)
        hand.acknowledge([0, 2, 4])
        hand.commit()
    with open_journal(tmp_path) as store:
        lots = list(rebuild(store.load(), LIMITS).queue.lots())
        assert sorted(n for lot in lots for n in seqs(lot.batch)) == [3, 9, *range(15, 40, 3)]
        assert (seqs(lots[0].batch), histories(lots[0])) == ([3, 9], {(1, 2)})


def test_only_one_at_a_time_and_the_other_is_told_who(tmp_path: Path) -> None:
    program = "import sys, zsms.journal as j\nwith j.open_journal(sys.argv[1]): print('in', flush=True); input()"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"in\n"
            with pytest.raises(JournalError, match=rf"in use by pid {holder.pid} on \S+"):
                open_journal(tmp_path)
        finally:
            holder.kill()
    with open_journal(tmp_path):
        pass


@pytest.mark.parametrize(("durability", "synchronous"), [("fsync", 2), ("os", 1)])
def test_what_is_promised_is_asked_of_sqlite(tmp_path: Path, durability: str, synchronous: int) -> None:
    """FULL syncs at every commit, NORMAL only before the log is written back (sqlite.org/pragma.html)."""
    with open_journal(tmp_path, durability) as store:
        assert store.db.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert store.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert (tmp_path / FILE).stat().st_mode & 0o077 == 0, "messages that others can read"


def test_brokers_of_one_program_take_a_journal_over_from_each_other(tmp_path: Path) -> None:
    at = f"ipc://{tmp_path}/broker"
    with Broker(at, journal=tmp_path / "journal", drain_timeout=0) as broker:
        Producer(at, messages=1_000).run()
        before = broker.snapshot(0.0)
    assert broker.core.totals()["accepted"] == 1_000
    with Broker(at, journal=tmp_path / "journal") as broker:
        assert broker.core.totals()["queued"] == 1_000
        after = broker.snapshot(0.0)
        assert after.start == before.start and after.seq > before.seq + 1_000_000  # newer than any of before
        with Sender(at, concurrency=1_000, delay=DelayModel("constant", 0.01)):
            broker.stop()
            assert broker.join(40)
    assert held(tmp_path / "journal")["totals"]["sent"] == 1_000


# -- damage ------------------------------------------------------------------------------------------------------


@pytest.fixture
def crashed(tmp_path: Path, small_pages: None) -> tuple[Path, int, dict, dict]:
    """The files of a broker that was killed, where its last group begins in the log, and what was there before and
    after that group."""
    folder, copy = tmp_path / "journal", tmp_path / "crashed"
    with open_journal(folder) as store:
        fill(Hand(store))
    with open_journal(folder) as store:
        hand = Hand(store)
        hand.put(3)
        hand.commit()
        hand.grant(10)
        hand.commit()
        before = content(rebuild(store.load(), LIMITS))
        begin = Log.of(folder / LOG).read
        mark = (folder / MARK).read_bytes()
        hand.put(3)
        hand.commit()
        after = content(rebuild(store.load(), LIMITS))
        shutil.copytree(folder, copy)
    # It was killed in the middle of its last group, or just behind it: nobody has heard of that.
    (copy / MARK).rename(copy / "mark-of-all")
    (copy / MARK).write_bytes(mark)
    assert before != after
    return copy, begin, before, after


def with_log(crashed: Path, folder: Path, log: bytes) -> Path:
    """A copy with another log."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(crashed, folder)
    (folder / LOG).write_bytes(log)
    return folder


def test_a_log_that_was_cut_anywhere_in_its_last_group_opens_without_it(
    crashed: tuple[Path, int, dict, dict], tmp_path: Path
) -> None:
    files, begin, before, after = crashed
    log = (files / LOG).read_bytes()
    assert Log.of(files / LOG).read == len(log) and 0 < begin < len(log)
    assert held(with_log(files, tmp_path / "cut", log)) == after
    # What is read of the log is decided at every byte; that the store agrees is looked at in some.
    for cut in range(begin, len(log)):
        path = tmp_path / "log"
        path.write_bytes(log[:cut])
        found = Log.of(path)
        assert found.read == begin
        told = found.check(path)
        assert bool(told) == (cut - begin >= 24)  # of less than a frame's header nothing can be said
    for cut in {begin, begin + 1, *range(begin + 24, len(log), 199), len(log) - 1}:
        folder = with_log(files, tmp_path / "cut", log[:cut])
        with open_journal(folder) as store:
            assert content(rebuild(store.load(), LIMITS)) == before, cut
            assert bool(store.dropped) == (cut - begin >= 24)


@pytest.mark.parametrize("how", ["missing", "empty", "short", "short by all", "header alone", "flipped"])
def test_a_log_that_has_lost_what_was_confirmed_is_noticed(
    crashed: tuple[Path, int, dict, dict], tmp_path: Path, how: str
) -> None:
    files, begin, _, after = crashed
    log = (files / LOG).read_bytes()
    flipped = bytearray(log)
    flipped[begin + 50] ^= 1
    logs = {"empty": b"", "short": log[:begin], "short by all": log[:40], "header alone": log[:32], "flipped": flipped}
    folder = with_log(files, tmp_path / "cut", bytes(logs.get(how, b"")))
    (folder / "mark-of-all").rename(folder / MARK)
    if how == "missing":
        (folder / LOG).unlink()
    state = {"missing": "missing", "empty": "empty", "header alone": "empty"}.get(how, "short")
    before = (folder / LOG).read_bytes() if how != "missing" else None
    for _ in range(2):  # nothing changes by looking
        with pytest.raises(JournalError, match=rf"is {state}: [0-9]+ groups? missing.*delete") as told:
            open_journal(folder)
        assert str(folder / MARK) in str(told.value)
    assert ((folder / LOG).read_bytes() if (folder / LOG).exists() else None) == before
    (folder / LOG).write_bytes(log)  # the log is found again
    with open_journal(folder) as store:
        assert content(rebuild(store.load(), LIMITS)) == after and store.dropped == ""


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_log_that_is_missing_is_told_even_without_its_mark(
    crashed: tuple[Path, int, dict, dict], tmp_path: Path, how: str
) -> None:
    folder = with_log(crashed[0], tmp_path / "cut", b"")
    (folder / MARK).unlink()
    if how == "missing":
        (folder / LOG).unlink()
    with open_journal(folder) as store:
        assert f"{LOG}, which is {how} though the journal was in use" in store.dropped
    with open_journal(folder) as store:
        assert store.dropped == ""


def test_a_journal_that_was_closed_needs_no_log(tmp_path: Path) -> None:
    with open_journal(tmp_path) as store:
        fill(Hand(store))
    assert not (tmp_path / LOG).exists()
    (tmp_path / MARK).unlink()
    with open_journal(tmp_path) as store:
        assert store.dropped == ""


def test_what_the_os_had_not_put_on_the_disk_is_told_after_a_restart_of_the_machine(
    crashed: tuple[Path, int, dict, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_pages: None
) -> None:
    folder, copy = tmp_path / "os", tmp_path / "copy"
    with open_journal(folder, "os") as store:
        hand = Hand(store)
        hand.put(3)
        hand.commit()
        shutil.copytree(folder, copy)
        hand.put(3)
        hand.commit()
        shutil.copy(folder / MARK, copy / MARK)
    with pytest.raises(JournalError, match="is short: 1 group missing"):
        open_journal(copy)
    monkeypatch.setattr("zsms.journal.sqlite.boot_id", lambda: "another")
    with open_journal(copy) as store:
        assert "the last 1 group, confirmed: with durability os" in store.dropped
    with open_journal(copy) as store:
        assert store.dropped == ""


def test_a_mark_that_says_nothing_or_of_another_journal_is_none(tmp_path: Path) -> None:
    with open_journal(tmp_path / "other") as store:
        for _ in range(3):
            hand = Hand(store)
            hand.put(1)
            hand.commit()
            break
    for content_ in (b"", b"nonsense", b"\xff" * 52, (tmp_path / "other" / MARK).read_bytes()):
        with open_journal(tmp_path / "a") as store:
            pass
        (tmp_path / "a" / MARK).write_bytes(content_)
        with open_journal(tmp_path / "a") as store:
            assert store.dropped == ""


def test_a_bit_that_flips_in_the_log_is_never_skipped_in_silence(
    crashed: tuple[Path, int, dict, dict], tmp_path: Path
) -> None:
    files, begin, before, after = crashed
    log = (files / LOG).read_bytes()
    draw = random.Random(1)
    outcomes = {"refused": 0, "dropped": 0, "harmless": 0}
    for _ in range(150):
        place = draw.randrange(len(log))
        damaged = bytearray(log)
        damaged[place] ^= 1 << draw.randrange(8)
        folder = with_log(files, tmp_path / "flip", bytes(damaged))
        try:
            with open_journal(folder) as store:
                found, dropped = content(rebuild(store.load(), LIMITS)), store.dropped
        except JournalError:
            assert place < begin, "the last group can't be told from one that was not finished"
            outcomes["refused"] += 1
            continue
        if dropped:
            assert found == before and place >= begin, place
            outcomes["dropped"] += 1
        else:
            assert found == after, place
            outcomes["harmless"] += 1
    assert outcomes["refused"] and outcomes["dropped"]


def test_a_bit_that_flips_in_the_database_is_never_skipped_in_silence(tmp_path: Path, small_pages: None) -> None:
    folder, copy = tmp_path / "journal", tmp_path / "flip"
    with open_journal(folder) as store:
        fill(Hand(store))
    expected = held(folder)
    whole = (folder / FILE).read_bytes()
    draw, refused = random.Random(2), 0
    for _ in range(150):
        damaged = bytearray(whole)
        place = draw.randrange(len(damaged))
        damaged[place] ^= 1 << draw.randrange(8)
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        (copy / FILE).write_bytes(damaged)
        try:
            assert held(copy) == expected, place
        except JournalError:
            refused += 1
    assert refused > 20


def test_a_record_in_the_wrong_row_is_found(tmp_path: Path) -> None:
    with open_journal(tmp_path) as store:
        fill(Hand(store))
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE entries SET head = (SELECT head FROM entries WHERE id = 2), frame = "
                   "(SELECT frame FROM entries WHERE id = 2) WHERE id = 1")  # fmt: skip
    db.close()
    with pytest.raises(JournalError, match="batch 1 is damaged"):
        held(tmp_path)


def test_rows_that_are_gone_are_missed(tmp_path: Path) -> None:
    with open_journal(tmp_path) as store:
        fill(Hand(store))
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("DELETE FROM changes")
    db.close()
    with pytest.raises(JournalError, match="0 changes where"):
        held(tmp_path)


def test_frames_of_an_earlier_log_are_no_unfinished_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, copy = tmp_path / "journal", tmp_path / "copy"
    with open_journal(folder) as store:
        hand = Hand(store)
        hand.put(3_000)
        with monkeypatch.context() as patch:
            patch.setattr(store_module, "CHECKPOINT_BYTES", 1)
            hand.commit()  # a long group, after which the log begins anew in the same file
        hand.put(1)
        hand.commit()
        shutil.copytree(folder, copy)
    with open_journal(copy) as store:
        assert store.dropped == ""
    assert held(copy)["totals"]["accepted"] == 3_001


def test_a_disk_that_is_full_costs_the_group_and_not_the_journal(tmp_path: Path) -> None:
    with open_journal(tmp_path) as store:
        hand = Hand(store)
        hand.put(10)
        hand.commit()
        (pages,) = store.db.execute("PRAGMA page_count").fetchone()
        store.db.execute(f"PRAGMA max_page_count={pages}")
        hand.put(5_000)
        with pytest.raises(NoRoom, match="no room left"):
            hand.commit()
    assert held(tmp_path)["totals"]["accepted"] == 10


def test_after_a_sync_that_failed_the_database_is_never_closed(tmp_path: Path) -> None:
    class Broken:
        def __init__(self, db: sqlite3.Connection) -> None:
            self.db = db

        def __getattr__(self, name: str) -> Any:
            return getattr(self.db, name)

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement == "COMMIT":
                failure = sqlite3.OperationalError("disk I/O error")
                failure.sqlite_errorname = "SQLITE_IOERR_FSYNC"
                raise failure
            return self.db.execute(statement, *values)

    store = open_journal(tmp_path)
    hand = Hand(store)
    hand.put(1)
    store.db = Broken(db := store.db)
    with pytest.raises(JournalError, match="SQLITE_IOERR_FSYNC"):
        hand.commit()
    store.close()
    assert db.execute("SELECT 1").fetchone() == (1,)  # closing would sync, and what was lost would look safe


# -- what else may be in a folder ------------------------------------------------------------------------------


@pytest.mark.parametrize("beside", ["log and mark", "log", "mark"])
@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_database_that_is_gone_from_beside_its_log_or_mark_is_missed(
    crashed: tuple[Path, int, dict, dict], tmp_path: Path, beside: str, state: str
) -> None:
    folder = shutil.copytree(crashed[0], tmp_path / "gone")
    (folder / FILE).unlink()
    if state == "empty":
        (folder / FILE).touch()
    if "log" not in beside:
        (folder / LOG).unlink()
    if "mark" not in beside:
        (folder / MARK).unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}
    for create in (True, False, True):  # nothing changes by looking
        with pytest.raises(JournalError, match=rf"is {state}, and there is what belonged to it.*restore.*delete"):
            open_journal(folder, create=create)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"} == before


def test_a_journal_that_never_kept_anything_may_be_begun_anew(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    (tmp_path / FILE).unlink()
    with pytest.raises(UsageError, match="no journal in"):
        open_journal(tmp_path, create=False)
    assert not (tmp_path / FILE).exists()
    open_journal(tmp_path).close()
    (tmp_path / FILE).write_bytes(b"")
    open_journal(tmp_path).close()


@pytest.mark.parametrize("what", ["folder", "pipe", "loop"])
@pytest.mark.parametrize("name", [FILE, LOG, MARK, "lock"])
def test_what_is_no_file_is_a_line_and_waited_for_by_nobody(tmp_path: Path, name: str, what: str) -> None:
    with open_journal(tmp_path) as store:
        fill(Hand(store))
    path = tmp_path / name
    path.unlink(missing_ok=True)
    if what == "loop":
        path.symlink_to(path)
    else:
        path.mkdir() if what == "folder" else os.mkfifo(path)
    for create in (True, False):
        with pytest.raises(UsageError, match="no journal can be kept in"):
            open_journal(tmp_path, create=create)


@pytest.mark.parametrize("name", [LOG, MARK])
def test_what_may_not_be_read_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with open_journal(tmp_path) as store:
        fill(Hand(store))
    (tmp_path / name).write_bytes(bytes(40))
    read, opened = Path.read_bytes, Path.open

    def refuse(path: Path, *how: Any, real: Any) -> Any:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *how)

    monkeypatch.setattr(Path, "read_bytes", lambda path: refuse(path, real=read))
    monkeypatch.setattr(Path, "open", lambda path, *how: refuse(path, *how, real=opened))
    with pytest.raises(UsageError, match=f"no journal can be kept in .*: {name}: Permission denied"):
        open_journal(tmp_path)


def test_another_program_s_database_is_left_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("CREATE TABLE people (name)")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(JournalError, match="is a database of another program"):
        open_journal(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("whose", ["another journal", "an earlier time of it"])
def test_a_log_that_belongs_to_another_database_is_never_put_over_it(tmp_path: Path, whose: str) -> None:
    ours, other, early, late = (tmp_path / name for name in ("ours", "other", "early", "late"))
    for folder, copy in ((other, tmp_path / "theirs"), (ours, early), (ours, late)):
        with open_journal(folder) as store:
            fill(Hand(store))
            shutil.copytree(folder, copy)
    mixed, found = (late, early) if "earlier" in whose else (early, tmp_path / "theirs")
    for name in (LOG, MARK):
        shutil.copy(found / name, mixed / name)
    kept = (mixed / LOG).read_bytes()
    with pytest.raises(JournalError, match=f"{LOG} does not belong to .*, but is of {whose}: restore the folder"):
        open_journal(mixed)
    assert (mixed / LOG).read_bytes() == kept


def test_a_journal_on_a_full_disk_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def boot_id() -> str:  # where the first transaction is
        raise NoRoom(f"{tmp_path} has no room left")

    monkeypatch.setattr(store_module, "boot_id", boot_id)
    with pytest.raises(JournalError, match=r"can't be opened: .* has no room left"):
        open_journal(tmp_path)
    monkeypatch.undo()
    with open_journal(tmp_path):
        pass
