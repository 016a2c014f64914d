"""The fake SMSC with Kannel as its client, and a whole run through Kannel: counts agree on all sides."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

from tests.mesh.processes import zsms
from tests.real.kannel import Kannel, wait
from zsms.smsc import Account, FakeSmsc, Rules
from zsms.smsc.rules import Fault

ACCOUNT = (Account("kannel", "secret"),)


def recorded(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_texts_receipts_and_final_refusals(tmp_path: Path) -> None:
    got = tmp_path / "got.csv"
    with FakeSmsc(Rules(ACCOUNT), seed=1, record=got) as smsc:
        with Kannel(smsc.port, tmp_path) as kannel:
            assert kannel.send("+12025550101", "50 € {=} 1 + 1", dlr_mask=3) == 202
            assert kannel.send("+12025550102", "Ωμέγα 🌊", coding=2, dlr_mask=3) == 202
            assert kannel.send("+12025550103", "x" * 400, dlr_mask=3) == 202
            assert kannel.send("+12025550104", "#smsc status=0x0b", dlr_mask=3) == 202
            assert kannel.send("+12025550105", "#smsc receipt=UNDELIV", dlr_mask=3) == 202
            wait("four taken, one refused", lambda: (kannel.sent, kannel.failed) == (4, 1))  # a long text counts once
            # Of a long text only the first part asks for a receipt; a refusal is Kannel's own receipt.
            wait("a receipt each", lambda: smsc.desk.counts.receipts_answered >= 4)
        told = smsc.desk.model.counts
        assert (told.submitted, told.accepted, told.rejected, told.duplicates) == (7, 6, 1, 0)
        assert smsc.desk.counts.ended == 0, "Kannel unbinds when it is stopped"
        assert smsc.desk.counts.receipts_refused == 0
    rows = recorded(got)
    texts = {row["destination"]: bytes.fromhex(row["text_hex"]) for row in rows if row["esm_class"] == "3"}
    assert texts["12025550101"] == b"50 \x1be \x1b(=\x1b) 1 + 1"
    assert texts["12025550102"].decode("utf-16-be") == "Ωμέγα 🌊"
    parts = [bytes.fromhex(row["text_hex"]) for row in rows if row["destination"] == "12025550103"]
    assert b"".join(part[6:] for part in parts) == b"x" * 400 and len(parts) == 3


def test_a_window_a_cut_and_a_bind_that_is_refused_for_a_while(tmp_path: Path) -> None:
    faults = (Fault(at=1.0, what="disconnect"), Fault(at=1.0, what="refuse", last=1.0, status=0x0D))
    begins = time.monotonic()
    stands_at = [begins]  # however long Kannel takes, it is bound before the faults, and refused while they last
    with (
        FakeSmsc(Rules(ACCOUNT, faults=faults), seed=1, clock=lambda: (*stands_at, time.monotonic() + 2.0)[0]) as smsc,
        Kannel(smsc.port, tmp_path, max_pending_submits=5) as kannel,
    ):
        stands_at[0] = begins + 1.5
        smsc.wake()
        wait("a refused bind", lambda: smsc.desk.counts.binds_refused)
        before = smsc.desk.counts.binds
        stands_at.clear()
        wait("another bind", lambda: smsc.desk.counts.binds > before or "online" in kannel.status())
        began = time.monotonic()
        for number in range(20):
            assert kannel.send(f"+120255501{number:02}", "#smsc delay=0.1") == 202
        wait("all of them", lambda: kannel.sent >= 20)
        assert time.monotonic() - began > 0.39, "no more than 5 at once"
        assert smsc.desk.model.counts.duplicates == 0


def test_throttled_stops_the_link_and_not_the_others(tmp_path: Path) -> None:
    with FakeSmsc(Rules(ACCOUNT), seed=1) as smsc, Kannel(smsc.port, tmp_path) as kannel:
        assert kannel.send("+12025550101", "#smsc status=0x58") == 202
        wait("a refusal", lambda: smsc.desk.model.counts.by_status.get(0x58))
        for number in range(5):
            assert kannel.send(f"+120255502{number:02}", "after") == 202
        wait("those behind it", lambda: kannel.sent == 5)
        assert kannel.failed == 0, "the first is sent again, a minute later"


def test_the_whole_circle(tmp_path: Path) -> None:
    """zsms run -> smsbox -> bearerbox -> fake SMSC -> receipts back."""
    got, report_at, count = tmp_path / "got.csv", tmp_path / "report.json", 300
    rules = Rules(ACCOUNT, statuses=((0, 97.0), (0x0B, 3.0)), states=(("DELIVRD", 9.0), ("UNDELIV", 1.0)))
    with FakeSmsc(rules, seed=3, record=got) as smsc, Kannel(smsc.port, tmp_path) as kannel:
        url = f"http://127.0.0.1:{kannel.port}#kannel&username=tester&sender=12025550100&callback=127.0.0.1:0"
        ran = zsms(
            *("run", "--messages", count, "--seed", 7, "--json", report_at, "--gateway", f"{url}&connections=20"),
            env={"ZSMS_GATEWAY_PASSWORD": "foobar"},
        )
        assert ran.returncode == 0, ran.stderr
        wait("what Kannel has queued", lambda: kannel.sent + kannel.failed >= count)
        told = smsc.desk.model.counts
        wait("their receipts", lambda: smsc.desk.counts.receipts_answered >= told.accepted)
        report: dict[str, Any] = json.loads(report_at.read_text())
        assert report["messages"]["sent"] == count, "Kannel has taken all"
        receipts = report["receipts"]
        assert receipts["delivered"] > receipts["undelivered"] > 0 and receipts["unmatched"] == 0
        assert sum(receipts.values()) == count, "each is delivered, undelivered, refused or was not waited for"
        assert told.submitted == count + told.duplicates and told.duplicates == 0
        assert (kannel.sent, kannel.failed) == (told.accepted, told.rejected)
        assert told.rejected == told.by_status[0x0B] > 0
        # Kannel makes a receipt of its own of each refusal.
        wait("Kannel's count of receipts", lambda: kannel.receipts >= told.accepted)
        assert smsc.desk.counts.receipts_sent == smsc.desk.counts.receipts_answered == told.accepted
    rows = recorded(got)
    assert len(rows) == count and len({row["destination"] for row in rows}) == count
