"""Kicking and purging: what a broker did to its queue, or an operator to its journal, is there again."""

from __future__ import annotations

import json
from pathlib import Path

from tests.journal.making import Hand, held
from tests.mesh.processes import zsms
from zsms.core.broker import BrokerLimits
from zsms.journal import open_journal
from zsms.roles.operator import JournalHolder


def fill(directory: Path, commit: bool = True) -> Hand:
    """Ten dead in one letter, and five that are ready."""
    store = open_journal(directory)
    hand = Hand(store, BrokerLimits(max_deliveries=1))
    hand.put(10)
    hand.put(5)
    hand.grant(10)
    hand.core.left(b"s", 0.0)
    if commit:
        hand.commit()
        store.close()
    return hand


def test_a_letter_that_is_kicked_in_part_is_divided_in_the_journal_too(tmp_path: Path) -> None:
    fill(tmp_path)
    holder = JournalHolder(tmp_path)
    assert holder.kick(limit=4) == 4
    found = held(tmp_path)
    assert found["totals"] == {"accepted": 15, "queued": 9, "in_flight": 0, "sent": 0, "failed": 0, "dead": 6}
    assert found["ready"] == [(list(range(10, 15)), [(1, 1)]), ([0, 1, 2, 3], [(1, 1)])]
    assert [letter[:2] for letter in found["dead"]] == [(list(range(4, 10)), "taken back from 1 sender")]
    assert holder.kick("no such reason") == 0 and holder.kick() == 6
    found = held(tmp_path)
    assert found["dead"] == [] and found["totals"]["queued"] == 15


def test_what_is_purged_stays_so(tmp_path: Path) -> None:
    fill(tmp_path)
    holder = JournalHolder(tmp_path)
    assert holder.purge(ready=True) == (5, 0)
    found = held(tmp_path)
    assert found["totals"]["dead"] == 15 and found["ready"] == []
    assert [letter[1] for letter in found["dead"]] == ["taken back from 1 sender", "purged"]
    assert holder.purge(dead=True, reason="purged") == (0, 5)
    assert holder.purge(ready=True, dead=True) == (0, 10)
    found = held(tmp_path)
    assert found["dead"] == [] and found["totals"]["dead"] == 15


def test_a_broker_kicks_and_purges_in_the_group_of_the_moment(tmp_path: Path) -> None:
    hand = fill(tmp_path, commit=False)
    hand.core.kick(1.0, limit=3)  # buried, kicked and divided before anything was kept
    hand.core.purge_ready(1.0)
    hand.core.kick(1.0, "purged", 2)
    hand.commit()
    hand.store.close()
    found = held(tmp_path)
    assert found["totals"] == {"accepted": 15, "queued": 2, "in_flight": 0, "sent": 0, "failed": 0, "dead": 13}
    assert sum(len(letter[0]) for letter in found["dead"]) == 13


def test_the_command_looks_into_a_journal(tmp_path: Path) -> None:
    hand = fill(tmp_path)
    at = ("--journal", tmp_path)
    shown = json.loads(zsms("queue", "show", *at, "--json", "--messages", 3).stdout)
    assert shown["ready"]["messages"] == 5 and shown["in_flight"]["senders"] == []
    assert shown["dead"]["reasons"] == {"taken back from 1 sender": 10}
    assert [letter["seq"] for letter in shown["dead"]["letters"]] == [0, 1, 2]
    assert zsms("queue", "kick", *at).stdout == "10 dead messages are ready again\n"
    with open_journal(tmp_path):
        refused = zsms("queue", "show", *at)
        assert refused.returncode == 1 and "Traceback" not in refused.stderr and str(tmp_path) in refused.stderr
    assert zsms("queue", "show", "--journal", tmp_path / "none").returncode == 2
    assert hand.core.totals()["dead"] == 10
