"""What a confirm may promise, by where the journal is."""

from __future__ import annotations

import pytest

from zsms.core.broker.durability import check_durability
from zsms.errors import UsageError

SERVERS = "nats://a,b,c/alerts"


@pytest.mark.parametrize(
    ("journal", "asked", "given"),
    [
        (None, None, "memory"),
        (None, "memory", "memory"),
        ("folder", None, "fsync"),
        ("folder", "os", "os"),
        ("folder", "fsync", "fsync"),
        (SERVERS, None, "majority"),
        (SERVERS, "majority", "majority"),
    ],
)
def test_it_follows_from_the_journal(journal: str | None, asked: str | None, given: str) -> None:
    assert check_durability(journal, asked) == given


@pytest.mark.parametrize(
    ("journal", "asked", "why"),
    [
        ("", None, "give the name of a folder"),
        (" ", "fsync", "give the name of a folder"),
        ("http://a/b", None, "give a folder, or nats://"),
        (None, "fsync", "give a folder for the journal"),
        (None, "majority", "give a folder for the journal"),
        ("folder", "memory", "keeps nothing on disk"),
        ("folder", "majority", "is of NATS servers"),
        (SERVERS, "fsync", "is for a folder"),
        ("folder", "disk", "'disk': give majority, fsync, os or memory"),
        (None, "disk", "'disk': give majority, fsync, os or memory"),
    ],
)
def test_what_contradicts_the_journal_is_refused(journal: str | None, asked: str | None, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_durability(journal, asked)
