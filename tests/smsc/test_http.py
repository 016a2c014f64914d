"""The fake SMSC over HTTP, with the transport that speaks to gateways as its client."""

from __future__ import annotations

import asyncio
import csv
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from zsms.errors import UsageError
from zsms.message import Message, MessageId, Outcome
from zsms.smsc import Account, FakeSmsc, Rules
from zsms.smsc.http import HttpSide
from zsms.transports.http import HttpSettings, HttpTransport
from zsms.transports.judging import FailedSend

NOWHERE = "127.0.0.1:0"


def send(smsc: FakeSmsc, behind: str, *texts: str, password: str = "") -> list[Outcome]:
    async def main() -> list[Outcome]:
        settings = HttpSettings.from_url(f"http://127.0.0.1:{smsc.http_port}{behind}")
        object.__setattr__(settings, "password", password)
        transport = HttpTransport(settings)
        try:
            found = [
                await transport.deliver(Message(MessageId(1, 2, number), f"+1202555{number:04}", text))
                for number, text in enumerate(texts)
            ]
        finally:
            await transport.disconnect()
        return [each.outcome if isinstance(each, FailedSend) else each for each in found]

    return asyncio.run(main())


@pytest.mark.parametrize("behind", ["#kannel&username=a&sender=1", "/Messages.json#twilio&username=a", "/send#json"])
def test_outcomes_by_text_over_every_preset(behind: str, tmp_path: Path) -> None:
    got = tmp_path / "got.csv"
    texts = [
        "1 + 1 = 2 & more",
        "Ωμέγα 🌊",
        "x" * 500,
        "#smsc status=0x0b",
        "#smsc status=0x08",
        "#smsc answer=lost",
        "#smsc status=0x58",
    ]
    with FakeSmsc(Rules((Account("a", "p&w"),)), http=NOWHERE, record=got) as smsc:
        found = []
        for text in texts:
            patience = 1.2 if "lost" in text else 25
            found += send(smsc, f"{behind}&timeout_s={patience}", text, password="p&w")
        counts = smsc.desk.model.counts
    assert [each.name for each in found] == [
        *("SENT", "SENT", "SENT", "REJECTED", "TEMPORARY", "UNCERTAIN", "THROTTLED"),
    ]
    assert (counts.submitted, counts.accepted, counts.answers_lost, counts.duplicates) == (7, 4, 1, 0)
    rows = list(csv.DictReader(got.open(newline="")))
    assert bytes.fromhex(rows[0]["text_hex"]) == texts[0].encode()
    assert bytes.fromhex(rows[1]["text_hex"]).decode("utf-16-be") == texts[1]
    assert rows[0]["destination"] == "12025550000" and rows[0]["system_id"] == "a"


def test_a_wrong_password_is_rejected() -> None:
    with FakeSmsc(Rules((Account("a", "secret"),)), http=NOWHERE) as smsc:
        for behind in ("#kannel&username=a", "/send#json", "/send#twilio&username=a"):
            assert send(smsc, behind, "hello", password="guess") == [Outcome.REJECTED]
        assert smsc.desk.model.counts.submitted == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"to": 1}',
        b'{"to": "+1", "from": "\\u0000"}',
        b'{"to": "x"}',
        b'{"to": "' + b"1" * 30,
        b"[" * 50_000,
        b"charset",
    ],
)
def test_nonsense_is_refused(body: bytes) -> None:
    kind = "application/json" if body != b"charset" else "application/json; charset=nobodys"
    with FakeSmsc(http=NOWHERE) as smsc:
        request = urllib.request.Request(
            f"http://127.0.0.1:{smsc.http_port}/x", data=body, headers={"Content-Type": kind}
        )
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=25)
        assert error.value.code == 400
        assert json.loads(error.value.read())["code"] == 400
        assert send(smsc, "/send#json", "still there") == [Outcome.SENT]


def test_a_port_in_use_is_told() -> None:
    with (
        FakeSmsc(http=NOWHERE) as smsc,
        pytest.raises(UsageError, match="can't listen"),
        FakeSmsc(http=f"127.0.0.1:{smsc.http_port}"),
    ):
        pass


def test_what_is_asked_while_others_are_answered_is_not_left_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    wakes, answer, wake = [], HttpSide.answer, FakeSmsc.wake

    def slow_to_answer(side: HttpSide, *what: Any, **how: Any) -> None:
        before = len(wakes)
        answer(side, *what, **how)
        end = time.monotonic() + 1.0
        while 0 < before == len(wakes) < 3 and time.monotonic() < end:
            time.sleep(0.001)  # until the next is asked

    monkeypatch.setattr(HttpSide, "answer", slow_to_answer)
    monkeypatch.setattr(FakeSmsc, "wake", lambda smsc: (wakes.append(1), wake(smsc))[1])
    with FakeSmsc(http=NOWHERE) as smsc:
        assert send(smsc, "/cgi-bin/sendsms#kannel&timeout_s=25", "one", "two", "three") == [Outcome.SENT] * 3
