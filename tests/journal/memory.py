"""A store of dicts: the records of the real one, and nothing of its files."""

from __future__ import annotations

from zsms.core.broker.journal import Group, Stored
from zsms.journal.records import (
    pack_account,
    pack_changes,
    pack_entry,
    pack_letter,
    unpack_account,
    unpack_changes,
    unpack_entry,
    unpack_letter,
)


class MemoryStore:
    """Holds what was committed."""

    def __init__(self) -> None:
        self.books: dict = {}
        self.accounts: dict[bytes, bytes] = {}
        self.entries: dict[int, tuple[bytes, bytes]] = {}
        self.changes: dict[int, bytes] = {}
        self.letters: dict[int, bytes] = {}

    def commit(self, group: Group) -> None:
        for number in group.gone:
            self.entries.pop(number, None)
        for number in group.rows_gone:
            self.changes.pop(number, None)
        for number in group.letters_gone:
            self.letters.pop(number, None)
        for entry, lot in group.accepted:
            number, head, frame = pack_entry(entry.number, lot)
            assert number not in self.entries
            self.entries[number] = head, bytes(frame)
        if group.changes:
            assert group.number not in self.changes
            self.changes[group.number] = pack_changes(group.number, group.changes)
        self.letters |= dict(map(pack_letter, group.letters))
        self.accounts |= dict(map(pack_account, group.accounts))
        self.books = group.books

    def load(self) -> Stored:
        return Stored(
            books=self.books,
            accounts=[unpack_account(*row) for row in sorted(self.accounts.items())],
            entries=[unpack_entry(number, *row) for number, row in sorted(self.entries.items())],
            changes=[c for row in sorted(self.changes.items()) for c in unpack_changes(*row)],
            letters=[unpack_letter(*row) for row in sorted(self.letters.items())],
        )
