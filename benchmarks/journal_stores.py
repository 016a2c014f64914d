"""What an embedded store costs the journal: SQLite and LMDB on the broker's load, beside the disk's own figure.

    python benchmarks/journal_stores.py                          both, 10 s each, in a new folder of the current one
    python benchmarks/journal_stores.py --folder DIR --seconds 5 --stores sqlite
    python benchmarks/journal_stores.py --batch 1000000 --rate 60

Load: batches of `--batch` bytes (random, so that nothing below can compress them), `--rate` a second, in transactions
of at most 4 MB or 5 ms; `--live` batches are held, and the oldest are deleted in order in the transaction that adds as
many. That is a broker whose messages take a second. Before and after each store the disk's own bandwidth is measured:
appending 4 MB and fdatasync, again and again, which is what no store can beat. The ratio is the store's bytes a
second, as fast as it goes (--rate 0), to that.

    python benchmarks/journal_stores.py --damage 100

instead makes a small store, damages copies of its file, and reads each back in a process of its own: so many with a
bit flipped, and so many cut off somewhere in their last tenth. An error is what one wants; unnoticed means that some of
it is gone and nothing says so.

The files are made where you say: give a folder on the disk that the journal will be on, never a tmpfs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, Protocol
from zlib import crc32

GROUP_BYTES = 4 * 2**20
GROUP_S = 0.005


class Trial(Protocol):
    """A store on trial."""

    def commit(self, batches: list[tuple[int, Any]], gone: range, changes: bytes) -> None:
        """One transaction: add batches, delete those of `gone`, add a row of changes and delete the oldest row."""

    def read(self) -> list[tuple[int, int]]:
        """Number and checksum of every batch."""

    def close(self) -> None: ...


class Sqlite:
    """WAL, synchronous=FULL, exclusive, one connection."""

    def __init__(self, folder: Path, page: int, checkpoint: int) -> None:
        self._db = sqlite3.connect(folder / "journal.sqlite", isolation_level=None, check_same_thread=False)
        for pragma in (
            f"page_size={page}",
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"wal_autocheckpoint={checkpoint // page}",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE IF NOT EXISTS batches (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        self._db.execute("CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def commit(self, batches: list[tuple[int, Any]], gone: range, changes: bytes) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM batches WHERE id >= ? AND id < ?", (gone.start, gone.stop))
        db.executemany("INSERT INTO batches VALUES (?, ?)", batches)
        db.execute("DELETE FROM changes WHERE id <= (SELECT max(id) - 200 FROM changes)")
        db.execute("INSERT INTO changes (body) VALUES (?)", (changes,))
        db.execute("COMMIT")

    def read(self) -> list[tuple[int, int]]:
        if self._db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        return [(number, crc32(body)) for number, body in self._db.execute("SELECT * FROM batches ORDER BY id")]

    def close(self) -> None:
        self._db.close()


class Lmdb:
    """Its own defaults: a file of pages, copied on write, two syncs a transaction."""

    def __init__(self, folder: Path) -> None:
        import lmdb

        self._env = lmdb.open(str(folder), map_size=64 * 2**30, max_dbs=2, readahead=False)
        self._batches = self._env.open_db(b"batches")
        self._changes = self._env.open_db(b"changes")
        self._row = 0

    def commit(self, batches: list[tuple[int, Any]], gone: range, changes: bytes) -> None:
        with self._env.begin(write=True) as txn:
            for number in gone:
                txn.delete(number.to_bytes(8, "big"), db=self._batches)
            for number, body in batches:
                txn.put(number.to_bytes(8, "big"), body, db=self._batches, append=True)
            self._row += 1
            txn.delete((self._row - 200).to_bytes(8, "big", signed=True), db=self._changes)
            txn.put(self._row.to_bytes(8, "big"), changes, db=self._changes, append=True)

    def read(self) -> list[tuple[int, int]]:
        with self._env.begin(db=self._batches) as txn:
            return [(int.from_bytes(key, "big"), crc32(body)) for key, body in txn.cursor()]

    def close(self) -> None:
        self._env.close()


@dataclass(slots=True)
class Figures:
    """Of one trial."""

    bytes_s: float
    batches_s: float
    commits_s: float
    p50: float
    p99: float
    worst: float
    cpu_share: float
    """Processor seconds a second, this process."""
    written: float
    """Bytes that reached the disk for each byte of a batch."""


def disk_bandwidth(folder: Path, seconds: float) -> float:
    """Bytes a second of appending 4 MB and fdatasync."""
    block = os.urandom(GROUP_BYTES)
    path = folder / "bandwidth"
    count = 0
    with path.open("wb", buffering=0) as file:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            file.write(block)
            os.fdatasync(file.fileno())
            count += 1
            if count % 64 == 0:
                file.seek(0)  # a journal writes over what it has let go, too
        elapsed = time.perf_counter() - began
    path.unlink()
    return count * GROUP_BYTES / elapsed


def written_bytes() -> int:
    """What this process has caused to be written to disks, by the kernel's account."""
    with open("/proc/self/io", encoding="ascii") as io:
        return next(int(line.split()[1]) for line in io if line.startswith("write_bytes"))


def trial(store: Trial, size: int, rate: float, live: int, seconds: float) -> Figures:
    """Put the load on a store, from a thread of its own."""
    bodies = [os.urandom(size) for _ in range(16)]
    changes = os.urandom(20_000)
    took: list[float] = []
    added = 0

    def work() -> None:
        nonlocal added
        oldest = 0
        while (now := time.perf_counter()) < until:
            due = int((now - began) * rate) - added if rate else max(1, GROUP_BYTES // size)
            batches = [(number, bodies[number % 16]) for number in range(added, added + min(due, GROUP_BYTES // size))]
            if not batches:
                time.sleep(GROUP_S)
                continue
            gone = range(oldest, max(oldest, added + len(batches) - live))
            before = time.perf_counter()
            store.commit(batches, gone, changes)
            took.append(time.perf_counter() - before)
            added += len(batches)
            oldest = gone.stop

    written, cpu, began = written_bytes(), time.process_time(), time.perf_counter()
    until = began + seconds
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    elapsed = time.perf_counter() - began
    cpu, written = time.process_time() - cpu, written_bytes() - written
    cuts = quantiles(took, n=100)
    return Figures(
        added * size / elapsed,
        added / elapsed,
        len(took) / elapsed,
        cuts[49],
        cuts[98],
        max(took),
        cpu / elapsed,
        written / (added * size),
    )


def damage(make: Callable[[Path], Trial], name: str, folder: Path, count: int) -> Iterator[str]:
    """What came of reading a store whose file was damaged."""
    whole, copy = folder / "whole", folder / "copy"
    whole.mkdir()
    store = make(whole)
    for number in range(200):
        store.commit([(number, b"%03d" % number * 100)], range(0), b"")
    expected = json.dumps(store.read())
    store.close()
    (file,) = (path for path in whole.iterdir() if "lock" not in path.name)
    draw, data = random.Random(1), file.read_bytes()
    outcomes: dict[str, Counter[str]] = {"flipped bits": Counter(), "cuts": Counter()}
    for kind in [*outcomes] * count:
        damaged = bytearray(data)
        if kind == "cuts":
            del damaged[draw.randrange(len(data) * 9 // 10, len(data)) :]
        else:
            damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        (copy / file.name).write_bytes(damaged)
        read = [sys.executable, __file__, "--stores", name, "--folder", str(copy), "--read"]
        done = subprocess.run(read, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            outcomes[kind]["crash" if done.returncode < 0 else "error"] += 1
        else:
            # A batch whose own checksum shows the damage would be found by the journal's.
            same = done.stdout.strip() == expected
            numbers = [number for number, _ in json.loads(done.stdout)] == list(range(200))
            outcomes[kind]["unaffected" if same else "error" if numbers else "unnoticed"] += 1
    for kind, found in outcomes.items():
        yield f"{name:8} of {count} {kind}: " + ", ".join(f"{n} {what}" for what, n in found.most_common())


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Measure stores on the journal's load.")
    parser.add_argument("--folder", default=".", help="where to write  [default: the current folder]")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each trial")
    parser.add_argument("--batch", type=int, default=120_000, help="bytes")
    parser.add_argument("--rate", type=float, default=1_000.0, help="batches a second; 0: as fast as it goes")
    parser.add_argument("--live", type=int, default=1_000, help="batches held at a time")
    parser.add_argument("--page", type=int, default=16_384, help="SQLite's page size, bytes")
    parser.add_argument("--checkpoint", type=int, default=64 * 2**20, help="SQLite's WAL before a checkpoint, bytes")
    parser.add_argument("--stores", nargs="*", default=["sqlite", "lmdb"], choices=["sqlite", "lmdb"])
    parser.add_argument("--damage", type=int, metavar="N", help="instead of measuring, damage so many copies")
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    make: dict[str, Callable[[Path], Trial]] = {
        "sqlite": lambda folder: Sqlite(folder, options.page, options.checkpoint),
        "lmdb": Lmdb,
    }
    if options.read:
        print(json.dumps(make[options.stores[0]](Path(options.folder)).read()))
        return 0
    if options.damage:
        for name in options.stores:
            with tempfile.TemporaryDirectory(prefix="zsms-stores-", dir=options.folder) as path:
                print(*damage(make[name], name, Path(path), options.damage), sep="\n")
        return 0
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.2f}; SQLite "
        f"{sqlite3.sqlite_version}; batches of {options.batch:,} bytes, {options.live:,} held"
    )
    head = "store    wanted/s  batches/s  MB/s  of the disk's   commits/s  p50 ms  p99 ms  worst ms  cores  written"
    print(head)
    for name in options.stores:
        for rate in dict.fromkeys((options.rate, 0.0)):
            folder = Path(tempfile.mkdtemp(prefix="zsms-stores-", dir=options.folder))
            try:
                before = disk_bandwidth(folder, 2.0)
                store = make[name](folder)
                figures = trial(store, options.batch, rate, options.live, options.seconds)
                store.close()
                disk = (before + disk_bandwidth(folder, 2.0)) / 2
            finally:
                shutil.rmtree(folder)
            print(
                f"{name:8} {f'{rate:,.0f}' if rate else 'any':>8}  {figures.batches_s:9,.0f}  "
                f"{figures.bytes_s / 1e6:4.0f}  {figures.bytes_s / disk:4.2f} of {disk / 1e6:4.0f}  "
                f"{figures.commits_s:9.0f}  {figures.p50 * 1e3:6.1f}  {figures.p99 * 1e3:6.1f}  "
                f"{figures.worst * 1e3:8.0f}  {figures.cpu_share:5.2f}  {figures.written:6.2f}x"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
