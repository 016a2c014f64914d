"""A whole run to a gateway on loopback: what it was told, what it took, and what came back agree."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.mesh.processes import zsms
from tests.transports.smsc import MiniSmsc, Peer, accept
from zsms.core.smpp.pdu import Messages
from zsms.dashboard.report_page import render
from zsms.smsc import FakeSmsc, Rules
from zsms.stats.delay import DelayModel


def answer(peer: Peer, messages: Messages) -> None:
    first = peer.smsc.next_id
    accept(peer, messages)
    peer.receipt(b"id:nobody stat:DELIVRD err:000") if first == 1 else None
    for place in range(len(messages)):
        if (first + place) % 100 == 1:
            continue  # without a receipt
        word = "DELIVRD" if (first + place) % 10 else "UNDELIV"
        peer.receipt(f"id:{first + place:x} sub:001 dlvrd:001 stat:{word} err:000".encode())


def test_a_run_to_a_gateway(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    for wait_s in (1.5, 20):  # a machine may pause for longer than the first
        with MiniSmsc(answer) as smsc:
            url = f"{smsc.url}?window=40&system_id=alerts&receipt_wait_s={wait_s}"
            scenario.write_text(f'[run]\nmessages = 500\n[[run.groups]]\nsenders = 2\ngateway = "{url}"\n')
            run = ("run", "--config", scenario, "--json", tmp_path / "report")
            ran = zsms(*run, env={"ZSMS_GATEWAY_PASSWORD": "s3cret"})
        assert ran.returncode == 0, ran.stderr
        text = (tmp_path / "report").read_text()
        report: dict[str, Any] = json.loads(text)
        receipts = report["receipts"]
        if receipts["missing"] <= 5:
            break
    assert report["messages"]["sent"] == len(smsc.texts) == 500
    assert (receipts["delivered"], receipts["undelivered"]) == (445, 50)
    assert (receipts["missing"], receipts["unmatched"]) == (5, 1) and "5 missing, 1 unmatched" in ran.stdout
    assert "<h2>Receipts</h2>" in render(report)
    assert {bind["password"] for bind in smsc.binds} == {b"s3cret"} and smsc.binds[0]["system_id"] == b"alerts"
    assert "s3cret" not in text + ran.stdout + ran.stderr and "trying again" not in ran.stderr


def test_receipts_that_come_to_another_process(tmp_path: Path) -> None:
    rules = Rules(
        elsewhere=True, ids="mixed", states=(("DELIVRD", 0.8), ("UNDELIV", 0.2)), receipt=DelayModel("constant", 0.05)
    )
    for _ in range(3):  # one of them may pause until the other has sent all
        with FakeSmsc(rules, seed=1) as smsc:
            ran = zsms(
                *("run", "--messages", 2_000, "--senders", 2, "--json", tmp_path / "report"),
                *("--gateway", f"smpp://127.0.0.1:{smsc.port}?window=50&receipt_wait_s=20"),
            )
        assert ran.returncode == 0, ran.stderr
        report: dict[str, Any] = json.loads((tmp_path / "report").read_text())
        receipts = report["receipts"]
        assert receipts["delivered"] + receipts["undelivered"] == 2_000 and receipts["undelivered"] > 300
        assert (receipts["missing"], receipts["unmatched"]) == (0, 0) and "no message that" not in ran.stderr
        if min(sender["sends"] for sender in report["senders"]) > 0:
            return
    raise AssertionError(report["senders"])


def test_a_refused_bind_ends_a_run_with_its_status() -> None:
    with MiniSmsc(answer, bind_status=0x0E) as smsc:
        ran = zsms("run", "--messages", "5", "--senders", "1", "--gateway", smsc.url)
    assert ran.returncode == 1 and "ESME_RINVPASWD (0x0E)" in ran.stderr and "Traceback" not in ran.stderr


def test_a_run_over_http(tmp_path: Path) -> None:
    statuses = iter([429, 503, *[200] * 60, 400])
    asked: list[tuple[str, str]] = []

    class Gateway(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.headers["Authorization"], body["to"]))
            self.send_response(next(statuses, 200))
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/send#json&connections=5"
        ran = zsms(
            *("run", "--messages", 200, "--senders", 2, "--max-attempts", 3, "--retry-base", 0.1),
            *("--gateway", url, "--json", tmp_path / "report"),
            env={"ZSMS_GATEWAY_PASSWORD": "s3cret"},
        )
        server.shutdown()
    assert ran.returncode == 0, ran.stderr
    text = (tmp_path / "report").read_text()
    report: dict[str, Any] = json.loads(text)
    assert report["messages"]["sent"] == 199 and report["messages"]["failed"] + report["messages"]["dead"] == 1
    assert len(asked) == 202 and {who for who, _ in asked} == {"Bearer s3cret"}
    assert len({to for _, to in asked}) == 200
    assert "s3cret" not in text + ran.stdout + ran.stderr and "HTTP 400" in text
