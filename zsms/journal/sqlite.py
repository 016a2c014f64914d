"""The store: one SQLite database in WAL mode, a transaction a group.

    meta      what the journal is, the broker's books      accounts  a row a producer and start
    entries   a row a batch: head, frame                   changes   a row a group
    letters   a row a dead letter

Every row has a checksum, the tables' lengths are in the books, and the whole is checked when it is opened: so a bit
that flipped is found, whatever it belongs to. The books count the groups, and after each group a mark beside the log
says how many there were: a database that is behind its mark has lost some of its log. It also says whether it is in
use, so that there must be a log. How fast that is and why it is SQLite: docs/PERFORMANCE.md.

The log is written back into the database here, not by SQLite itself, which would keep an error of that sync to itself.
After any sync that failed nothing is tried again: the kernel may have dropped the pages and would report success
(https://wiki.postgresql.org/wiki/Fsync_Errors). Even closing would sync, so then the connection is never closed.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgpack

from zsms.core.broker.journal import Group, Stored
from zsms.errors import JournalError, UsageError
from zsms.journal.lock import Lock, boot_id
from zsms.journal.mark import MARK, Mark
from zsms.journal.records import (
    pack_account,
    pack_changes,
    pack_entry,
    pack_letter,
    seal,
    unpack_account,
    unpack_changes,
    unpack_entry,
    unpack_letter,
    unseal,
)
from zsms.journal.store import FILE, NoRoom
from zsms.journal.wal import Log
from zsms.words import many

_FORMAT = 1
PAGE = 16 * 1024
CHECKPOINT_BYTES = 64 * 2**20
"""The log is written back into the database when it is that long."""
_PAGES_A_GROUP = 8
"""Pages that a group changes beside those of its frames, about."""
_TABLES = ("accounts", "entries", "changes", "letters")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (key BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, head BLOB NOT NULL, frame BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS letters (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""


class SqliteStore:
    """A :class:`zsms.journal.store.Store`."""

    owner = ""
    sure = True
    trouble = ""
    failure = None

    def __init__(self, directory: Path, durability: str, create: bool) -> None:
        """Raises JournalError and UsageError."""
        self._directory = directory
        self._path = directory / FILE
        self._create = create
        try:
            if not _files(directory) and not create:
                raise UsageError(f"no journal in {directory}")
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(directory)
        except OSError as error:
            raise _not_here(directory, error) from None
        self._failed = False
        self._known: dict[str, Any] | None = None
        self._logged = 0
        """Bytes of the log since it was begun, about; the file itself does not shrink."""
        try:
            self._open(durability)
        except OSError as error:
            self.close()
            raise _not_here(directory, error) from None
        except NoRoom as error:
            self.close()
            raise JournalError(f"the journal can't be opened: {error}") from None
        except BaseException:
            self.close()
            raise

    def _open(self, durability: str) -> None:
        self._log_path = self._path.with_name(f"{FILE}-wal")
        self._log = Log.of(self._log_path)
        self.dropped = self._log.check(self._log_path)
        self._mark = Mark(self._directory)
        self._tried(self._check_existing)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # messages are nobody else's business
        self.db = self._tried(
            lambda: sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=32)
        )
        self._tried(self._begin, durability)
        self._tried(self._check)
        self._tried(self._identify, durability)

    def _check_existing(self) -> None:
        """Before anything is written: whether it is a journal, and all groups that were kept are there. Raises
        JournalError.
        """
        if not self._path.exists() or not self._path.stat().st_size:
            self._check_new()
            if not self._create and not self._path.exists():
                raise UsageError(f"no journal in {self._directory}")
            return
        # Read-only, closing it writes nothing back: the log stays as it was found, and can be restored.
        try:
            tables, known, books = _look(self._path, "mode=ro")
            if tables and not tables & {"meta", *_TABLES}:
                raise JournalError(f"{self._path} is a database of another program: give another folder")
            self._compare_with_log(known, books)
        except sqlite3.Error:
            return  # opening it will say what is wrong
        finally:
            self._path.with_name(f"{FILE}-shm").unlink(missing_ok=True)
            if not self._log.there and self._log_path.exists() and not self._log_path.stat().st_size:
                self._log_path.unlink()  # made by looking
        if self._mark.groups is not None:
            self._compare_with_mark(self._mark.groups, known, books)

    def _compare_with_log(self, known: dict[str, Any] | None, books: dict[str, Any]) -> None:
        """Raise JournalError for a log that does not belong to the database: SQLite would put it over it unseen. What
        the database says without its log is not new, but never of another journal, nor of a later time."""
        if not self._log.read or known is None:
            return
        try:
            _, alone, before = _look(self._path, "mode=ro&immutable=1")
        except (sqlite3.Error, JournalError, ValueError, TypeError):
            return  # it was being written when it ended
        if alone is None:
            return
        if alone["birth"] != known["birth"]:
            whose = "another journal"
        elif (alone["opened"], before.get("groups", 0)) > (known["opened"], books.get("groups", 0)):
            whose = "an earlier time of it"
        else:
            return
        raise JournalError(
            f"{self._log_path} does not belong to {self._path}, but is of {whose}: restore the folder from one copy, "
            f"or delete {self._log_path} and {self._mark.path} to go on without what its own log held"
        )

    def _check_new(self) -> None:
        """There is no database, or an empty one: whether nothing beside it says that there was one. SQLite writes the
        first page of a database before it begins a log. Raises JournalError.
        """
        kept = self._mark.groups or 0
        if not kept and self._log.state != "short":
            return
        beside = [path for path in (self._log_path, self._mark.path) if path.exists()]
        state = "empty" if self._path.exists() else "missing"
        said = f", which had kept {many(kept, 'group')}" if kept else ""
        raise JournalError(
            f"{self._path} is {state}, and there is what belonged to it{said}: restore the folder from a copy, or "
            f"delete {' and '.join(map(str, beside))} to begin a new journal"
        )

    def _compare_with_mark(self, groups: int, known: dict[str, Any] | None, books: dict[str, Any]) -> None:
        """Raise JournalError where the mark says more groups than there are."""
        missing = groups - books.get("groups", 0)
        if known is None or self._mark.birth != known["birth"] or missing <= 0:
            return
        if known.get("durability") == "os" and known["boot"] != boot_id():
            self.dropped = (
                f"the last {many(missing, 'group')}, confirmed: with durability os nothing is on the disk before "
                "the operating system puts it there, and the machine has started again since"
            )
            return
        raise JournalError(
            f"{self._log_path} is {self._log.state}: {many(missing, 'group')} missing, kept and confirmed before; "
            f"restore the folder from a copy, or delete {self._mark.path} to go on without that"
        )

    def _begin(self, durability: str) -> None:
        pragmas = {
            "page_size": PAGE,
            "locking_mode": "EXCLUSIVE",  # the index of the log is in memory then, and no one else comes in
            "journal_mode": "WAL",
            "synchronous": "FULL" if durability == "fsync" else "NORMAL",
            "wal_autocheckpoint": 0,
            "temp_store": "MEMORY",
        }
        for name, value in pragmas.items():
            self.db.execute(f"PRAGMA {name}={value}")

    def _check(self) -> None:
        found = [row[0] for row in self.db.execute("PRAGMA quick_check(3)")]
        if found != ["ok"]:
            raise JournalError(f"{self._path} is damaged: {'; '.join(map(str, found))}")

    def _identify(self, durability: str) -> None:
        db = self.db
        db.executescript(_SCHEMA)
        known = _meta(self.db, "journal")
        boot = boot_id()
        if known is None:
            if db.execute("SELECT count(*) FROM meta").fetchone()[0]:
                raise JournalError(f"{self._path} is damaged: it does not say what it is")
            known = {"format": _FORMAT, "birth": time.time_ns(), "opened": 0, "boot": boot}
        if known["format"] != _FORMAT:
            raise JournalError(f"{self._path} has the format {known['format']}; this program reads {_FORMAT}")
        self.birth: int = known["birth"]
        self.opened: int = known["opened"] + 1
        self.same_boot: bool = known["boot"] == boot
        self._books: dict[str, Any] = _meta(self.db, "books") or {}
        self._lengths: dict[str, int] = self._books.pop("lengths", dict.fromkeys(_TABLES, 0))
        for table in _TABLES:
            (length,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
            if length != self._lengths[table]:
                raise JournalError(f"{self._path} is damaged: {length} {table} where {self._lengths[table]} were kept")
        self._groups: int = self._books.pop("groups", 0)
        if known.get("in_use") and self._mark.groups is None and not self._log.read:
            self.dropped = (
                f"what stood in {self._log_path}, which is {self._log.state} though the journal was in use; nobody can "
                "say how much was confirmed of it"
            )
        self._known = {**known, "opened": self.opened, "boot": boot, "durability": durability, "in_use": True}
        self._put_meta("journal", self._known)
        # Into the database itself: what it says must not depend on its log.
        self.db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._mark.set(self.birth, self._groups)

    def _put_meta(self, key: str, body: dict[str, Any]) -> None:
        record = seal(key.encode(), msgpack.packb(body))
        self.db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body", (key, record))

    # -- reading ------------------------------------------------------------------------------------------------

    def load(self) -> Stored:
        """Everything that is kept. Raises JournalError when any of it is damaged."""
        kept: Stored = self._tried(self._load)
        return kept

    def _load(self) -> Stored:
        rows = self.db.execute
        return Stored(
            books=self._books,
            accounts=[unpack_account(*row) for row in rows("SELECT key, body FROM accounts ORDER BY key")],
            entries=[unpack_entry(*row) for row in rows("SELECT id, head, frame FROM entries ORDER BY id")],
            changes=[c for row in rows("SELECT id, body FROM changes ORDER BY id") for c in unpack_changes(*row)],
            letters=[unpack_letter(*row) for row in rows("SELECT id, body FROM letters ORDER BY id")],
        )

    # -- writing ------------------------------------------------------------------------------------------------

    def commit(self, group: Group) -> None:
        """Make a group durable, wholly or not at all. Raises NoRoom, or JournalError after which it can't go on."""
        try:
            self._tried(self._transact, group)
        except NoRoom:
            self._make_room()
            raise
        self._mark.set(self.birth, self._groups)
        self._logged += group.nbytes + _PAGES_A_GROUP * PAGE
        if self._logged > CHECKPOINT_BYTES:
            self._make_room()  # or later: the group is safe in the log

    def _transact(self, group: Group) -> None:
        db, lengths = self.db, dict(self._lengths)

        def change(table: str, sign: int, statement: str, rows: Iterable[Any]) -> None:
            lengths[table] += sign * max(0, db.executemany(statement, rows).rowcount)

        db.execute("BEGIN IMMEDIATE")
        try:
            change("entries", -1, "DELETE FROM entries WHERE id = ?", ((number,) for number in group.gone))
            change("changes", -1, "DELETE FROM changes WHERE id = ?", ((number,) for number in group.rows_gone))
            change("letters", -1, "DELETE FROM letters WHERE id = ?", ((number,) for number in group.letters_gone))
            packed = (pack_entry(entry.number, lot) for entry, lot in group.accepted)
            change("entries", 1, "INSERT INTO entries VALUES (?, ?, ?)", packed)
            if group.changes:
                record = pack_changes(group.number, group.changes)
                change("changes", 1, "INSERT INTO changes VALUES (?, ?)", [(group.number, record)])
            change("letters", 1, "INSERT INTO letters VALUES (?, ?)", map(pack_letter, group.letters))
            for key, record in map(pack_account, group.accounts):
                if db.execute("UPDATE accounts SET body = ? WHERE key = ?", (record, key)).rowcount == 0:
                    change("accounts", 1, "INSERT INTO accounts VALUES (?, ?)", [(key, record)])
            self._put_meta("books", {**group.books, "lengths": lengths, "groups": self._groups + 1})
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._lengths = lengths
        self._groups += 1

    def _make_room(self) -> None:
        """Write the log back, if the database has free pages for it: the next group then begins the log anew."""
        try:
            self._checkpoint()
        except NoRoom:
            pass

    def _checkpoint(self) -> None:
        """Write the log back into the database; the next group then begins it anew."""
        self._tried(self.db.execute, "PRAGMA wal_checkpoint(PASSIVE)")
        self._logged = 0

    def _tried(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call it; errors of SQLite become ours."""
        try:
            return function(*arguments)
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:  # the others: of content that is damaged
            if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                raise NoRoom(f"{self._directory} has no room left") from None
            name = getattr(error, "sqlite_errorname", "")
            self._failed = name.startswith("SQLITE_IOERR")
            what = f"{error} ({name})" if name else f"damaged: {type(error).__name__}: {error}"
            raise JournalError(f"{self._path}: {what}") from None

    def close(self) -> None:
        """Let go of it. Nothing that was committed depends on this."""
        if hasattr(self, "db"):
            if self._failed:
                _never_close(self.db)
            else:
                with suppress(JournalError, NoRoom):
                    self._tried(self._leave)
                self._tried(self.db.close)
        if hasattr(self, "_mark"):
            self._mark.close()
        self._lock.release()

    def _leave(self) -> None:
        """Say that no log is needed any more: closing writes it back, and deletes it."""
        if self._known is not None:
            self._put_meta("journal", {**self._known, "in_use": False})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _look(path: Path, how: str) -> tuple[set[str], dict[str, Any] | None, dict[str, Any]]:
    """The tables of a database, what it says it is, and its books; `how` it is opened. Raises sqlite3.Error."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)
    try:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if "meta" not in tables:
            return tables, None, {}
        return tables, _meta(db, "journal"), _meta(db, "books") or {}
    finally:
        db.close()


def _meta(db: sqlite3.Connection, key: str) -> dict[str, Any] | None:
    row = db.execute("SELECT body FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    body: dict[str, Any] = msgpack.unpackb(unseal(f"the record of the {key}", key.encode(), row[0]))
    return body


def _files(directory: Path) -> list[Path]:
    """A journal's files in a folder. Raises OSError for what can't be looked at, UsageError for what is no file."""
    found = []
    for name in (FILE, f"{FILE}-wal", MARK):
        path = directory / name
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISREG(mode):
            raise UsageError(f"no journal can be kept in {directory}: {name} is no file")
        found.append(path)
    return found


def _not_here(directory: Path, error: OSError) -> UsageError:
    file = f"{Path(error.filename).name}: " if error.filename and Path(error.filename).parent == directory else ""
    return UsageError(f"no journal can be kept in {directory}: {file}{error.strerror}")


def _never_close(db: sqlite3.Connection) -> None:
    """Keep a connection until the process is gone: closing it would write and sync what may be lost already."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))
