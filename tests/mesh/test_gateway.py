"""A whole run to a gateway on loopback: what it was told, what it took, and what came back agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.mesh.processes import zsms
from tests.transports.smsc import MiniSmsc, Peer, accept
from zsms.core.smpp.pdu import Messages


def answer(peer: Peer, messages: Messages) -> None:
    first = peer.smsc.next_id
    accept(peer, messages)
    for place in range(len(messages)):
        word = "DELIVRD" if (first + place) % 10 else "UNDELIV"
        peer.receipt(f"id:{first + place:x} sub:001 dlvrd:001 stat:{word} err:000".encode())


def test_a_run_to_a_gateway(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    with MiniSmsc(answer) as smsc:
        scenario.write_text(
            f'[run]\nmessages = 500\n[[run.groups]]\nsenders = 2\ngateway = "{smsc.url}?window=40&system_id=alerts"\n'
        )
        ran = zsms(
            *("run", "--config", scenario, "--json", tmp_path / "report"), env={"ZSMS_GATEWAY_PASSWORD": "s3cret"}
        )
    assert ran.returncode == 0, ran.stderr
    text = (tmp_path / "report").read_text()
    report: dict[str, Any] = json.loads(text)
    assert report["messages"]["sent"] == len(smsc.texts) == 500
    assert report["receipts"]["delivered"] == 450 and report["receipts"]["undelivered"] == 50
    assert {bind["password"] for bind in smsc.binds} == {b"s3cret"} and smsc.binds[0]["system_id"] == b"alerts"
    assert "s3cret" not in text + ran.stdout + ran.stderr and "trying again" not in ran.stderr


def test_a_refused_bind_ends_a_run_with_its_status() -> None:
    with MiniSmsc(answer, bind_status=0x0E) as smsc:
        ran = zsms("run", "--messages", "5", "--senders", "1", "--gateway", smsc.url)
    assert ran.returncode == 1 and "ESME_RINVPASWD (0x0E)" in ran.stderr and "Traceback" not in ran.stderr
