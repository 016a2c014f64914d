"""The ESME over real sockets, against a small SMSC."""

from __future__ import annotations

import selectors
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.mesh.processes import free_port
from tests.transports.smsc import MiniSmsc, Peer, accept
from zsms.core.sender import Waiting
from zsms.core.smpp.events import Asked
from zsms.core.smpp.pdu import Command, Messages
from zsms.core.smpp.record import Pdu
from zsms.core.smpp.strings import Strings
from zsms.core.smpp.texts import Long
from zsms.errors import UsageError, ZsmsError
from zsms.message import ROW, Batch, Mixed, Outcome
from zsms.transports.gateways import settings_of
from zsms.transports.smpp import SmppSettings, SmppTransport, bind
from zsms.transports.smpp import transport as transport_module

CODES = {outcome.code: outcome for outcome in Outcome if outcome is not Outcome.SENT}


@pytest.fixture(autouse=True)
def quick_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind, "FIRST_RETRY_S", 0.05)


class Driver:
    """Does what the sender role does, and keeps what came of each message."""

    def __init__(self, settings: SmppSettings, concurrency: int | None = None) -> None:
        self.transport = SmppTransport(settings, concurrency, seed=1)
        self.outcomes: dict[int, Outcome] = {}
        self.reasons: dict[int, str] = {}
        self.told: list[tuple[int, int, int]] = []
        self.took: list[float] = []
        self.next_handle = 0
        self.started = 0
        self.waiting: list[Waiting] = []
        self.woken = 0

    def __enter__(self) -> Driver:
        self.transport.open(self._wake)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.transport.fileno(), selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        self.transport.close()

    def _wake(self) -> None:
        self.woken += 1

    def send(self, *texts: str, producer: int = 7, recipient: str = "+447700900000") -> list[int]:
        first = self.next_handle
        rows = [(f"+{int(recipient) + place}", text) for place, text in enumerate(texts)]
        batch = Batch.of(rows, producer=producer, first=1000 + first, due=time.monotonic())
        self.waiting.append(Waiting(first, batch, 0.0, 0.0, 1, 1))
        self.next_handle += len(texts)
        return list(range(first, self.next_handle))

    def turn(self) -> None:
        transport = self.transport
        now = time.monotonic()
        at = transport.next_time()
        wait = 0.02 if at is None else min(0.02, max(0.0, at - now))
        self._selector.select(wait)
        now = time.monotonic()
        found = transport.finished(now)
        if found is not None:
            self.outcomes |= dict.fromkeys(found.sent.tolist(), Outcome.SENT)
            for place, handle in enumerate(found.failed.tolist()):
                assert handle not in self.outcomes
                self.outcomes[handle] = CODES[int(found.outcomes[place])]
                self.reasons[handle] = found.names[int(found.reasons[place])]
        told = transport.receipts()
        if told is not None:
            self.told += zip(told.producers.tolist(), told.seqs.tolist(), told.outcomes.tolist(), strict=True)
            self.took += told.took.tolist()
        free = transport.free
        while self.waiting and free > 0 and any(each.bound for each in transport.binds):
            first = self.waiting.pop(0)
            if len(first.batch) > free:
                self.waiting.insert(0, first.part(free, len(first.batch)))
                first = first.part(0, free)
            free -= len(first.batch)
            self.started += len(first.batch)
            transport.start(first, now)

    def until(self, what: Callable[[], object], seconds: float = 25.0) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"not within {seconds} s: {self.outcomes} {self.reasons}"
            self.turn()

    def settle(self, seconds: float = 25.0) -> Counter[Outcome]:
        self.until(lambda: len(self.outcomes) == self.next_handle, seconds)
        assert self.transport.busy == 0 and not len(self.transport.settling)
        return Counter(self.outcomes.values())


def settings(smsc: MiniSmsc, **options: Any) -> SmppSettings:
    return SmppSettings.from_url(smsc.url, **options)


def statuses(*each: int) -> Callable[[Peer, Messages], None]:
    """Answer messages with these statuses in turn, over and over."""
    seen = [0]

    def answer(peer: Peer, messages: Messages) -> None:
        count = len(messages)
        codes = np.array([each[(seen[0] + place) % len(each)] for place in range(count)], np.uint32)
        seen[0] += count
        ids = Strings.of([b"%d" % (seen[0] + place) for place in range(count)])
        peer.session.answer(Command.SUBMIT_SM, messages.sequence, codes, ids)

    return answer


def test_messages_arrive_and_are_settled() -> None:
    with MiniSmsc() as smsc, Driver(settings(smsc, binds=3, window=5, source="ALERTS")) as driver:
        driver.send(*[f"Hello {place}" for place in range(200)])
        assert driver.settle() == {Outcome.SENT: 200}
        assert sorted(smsc.texts) == sorted(f"Hello {place}".encode() for place in range(200))
        assert len(smsc.binds) == 3 and smsc.binds[0]["system_id"] == b"zsms"
        first = smsc.messages[0]
        assert first["destination"].isdigit() and first["destination_ton"] == first["destination_npi"] == 1
        assert (first["source"], first["source_ton"], first["registered_delivery"]) == (b"ALERTS", 5, 1)
        assert driver.transport.times.send.count == 200 and driver.transport.times.total.count == 200


def test_every_setting_stands_in_its_field() -> None:
    options: dict[str, Any] = {
        "source": "+12025550123",
        "plus": True,
        "validity_s": 3_661,
        "priority": 2,
        "service_type": "OTP",
        "registered_delivery": 0,
        "protocol_id": 64,
        "esm_class": 3,
        "destination_npi": 9,
        "system_type": "VMS",
    }
    with MiniSmsc() as smsc, Driver(settings(smsc, **options)) as driver:
        driver.send("x")
        driver.settle()
        (message,) = smsc.messages
        assert message["source"] == b"12025550123" and (message["source_ton"], message["source_npi"]) == (1, 1)
        assert message["destination"] == b"+447700900000" and message["destination_npi"] == 9
        assert message["validity"] == b"000000010101000R" and message["priority"] == 2
        assert message["service_type"] == b"OTP" and message["registered_delivery"] == 0
        assert message["protocol_id"] == 64 and message["esm_class"] == 3
        assert smsc.binds[0]["system_type"] == b"VMS"
        assert driver.transport.awaited == 0


@pytest.mark.parametrize("long", [each.value for each in Long])
def test_long_texts_and_alphabets(long: str) -> None:
    with MiniSmsc() as smsc, Driver(settings(smsc, long_texts=long, window=4)) as driver:
        driver.send("short @", "ж" * 100, "a" * 400, "{" * 100, "")
        assert driver.settle() == {Outcome.SENT: 5}
        codings = Counter(message["data_coding"] for message in smsc.messages)
        if long == "payload":
            assert sorted(map(len, smsc.texts)) == [0, 7, 200, 200, 400] and codings == {0: 4, 8: 1}
            return
        assert codings == {0: 7, 8: 2}
        parts = [message for message in smsc.messages if message["destination"] == b"447700900002"]
        assert len(parts) == 3
        udh = {"udh8": 6, "udh16": 7, "sar": 0}[long]
        assert all((message["esm_class"] & 0x40 != 0) == (udh > 0) for message in parts)
        assert b"".join(message["content"][udh:] for message in parts) == b"a" * 400
        assert sorted(message["registered_delivery"] for message in parts) == [0, 0, 1]


def test_outcomes_by_status() -> None:
    wanted = {
        0x00: Outcome.SENT,
        0x58: Outcome.THROTTLED,
        0x14: Outcome.THROTTLED,
        0x08: Outcome.TEMPORARY,
        0x64: Outcome.TEMPORARY,
        0x0B: Outcome.REJECTED,
        0x45: Outcome.REJECTED,
        0x401: Outcome.FAILED,
        0x402: Outcome.TEMPORARY,
    }
    with (
        MiniSmsc(statuses(*wanted)) as smsc,
        Driver(settings(smsc, window=1, statuses={"0x402": "temporary"})) as driver,
    ):
        handles = driver.send(*["x"] * len(wanted))
        driver.settle()
        assert [driver.outcomes[handle] for handle in handles] == list(wanted.values())
        assert driver.reasons[1] == "ESME_RTHROTTLED (0x58)" and driver.reasons[7] == "vendor's status 0x0401"
        assert sum(row.sends for row in driver.transport.failures) == 8


def test_a_throttled_link_goes_on_slower() -> None:
    with MiniSmsc(statuses(0, 0, 0, 0x58)) as smsc, Driver(settings(smsc, window=50)) as driver:
        driver.send(*["x"] * 60)
        counts = driver.settle()
        assert counts[Outcome.THROTTLED] == 15 and counts[Outcome.SENT] == 45
        (link,) = driver.transport.binds
        assert link.flow.bounded and link.flow.slowed >= 1 and link.bound


def test_a_part_that_is_throttled_is_sent_again_by_itself() -> None:
    with MiniSmsc(statuses(0, 0x58, 0)) as smsc, Driver(settings(smsc)) as driver:
        driver.send("a" * 400)
        assert driver.settle() == {Outcome.SENT: 1}
        assert sorted(Counter(text[5] for text in smsc.texts).values()) == [1, 1, 2]


def test_a_part_that_is_refused_refuses_its_message() -> None:
    with MiniSmsc(statuses(0, 0x0B, 0)) as smsc, Driver(settings(smsc)) as driver:
        driver.send("a" * 400, "b")
        driver.settle()
        assert driver.outcomes == {0: Outcome.REJECTED, 1: Outcome.SENT}
        assert driver.reasons[0] == "ESME_RINVDSTADR (0x0B)"


def test_a_text_of_more_than_255_parts_is_rejected_here() -> None:
    with MiniSmsc() as smsc, Driver(settings(smsc)) as driver:
        driver.send("x" * 153 * 256, "y")
        driver.settle()
        assert driver.outcomes == {0: Outcome.REJECTED, 1: Outcome.SENT} and "255" in driver.reasons[0]
        assert smsc.texts == [b"y"]


def test_no_answer_is_uncertain() -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        odd = np.flatnonzero(messages.sequence % 2 == 1)
        peer.session.answer(Command.SUBMIT_SM, messages.sequence[odd])

    for response_s in (0.3, 3):  # those that are answered may be late on a machine that pauses
        with MiniSmsc(answer) as smsc, Driver(settings(smsc, response_s=response_s, enquire_link_s=0)) as driver:
            driver.send(*["x"] * 10)
            outcomes = driver.settle()
            assert outcomes[Outcome.UNCERTAIN] >= 5 and outcomes.total() == 10
            assert set(driver.reasons.values()) == {f"no answer within {response_s} s"}
        if outcomes[Outcome.SENT] == 5:
            return
    raise AssertionError(outcomes)


def test_a_lost_connection_is_uncertain_and_made_again() -> None:
    silent = [True]

    def answer(peer: Peer, messages: Messages) -> None:
        if not silent[0]:
            accept(peer, messages)

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, window=4)) as driver:
        driver.send(*["x"] * 4)
        driver.until(lambda: len(smsc.texts) == 4)
        silent[0] = False
        smsc.drop_all = True
        assert driver.settle() == {Outcome.UNCERTAIN: 4}
        assert all("closed the connection" in reason for reason in driver.reasons.values())
        driver.send(*["y"] * 8)
        assert driver.settle()[Outcome.SENT] == 8
        assert driver.transport.binds[0].connections == 2


def test_what_has_not_begun_is_given_back_when_nobody_is_there() -> None:
    with MiniSmsc(lambda peer, messages: None) as smsc, Driver(settings(smsc, window=2), concurrency=6) as driver:
        driver.send(*["x"] * 6)
        driver.until(lambda: len(smsc.texts) == 2)
        smsc.bind_status = 0x0D
        smsc.drop_all = True
        assert driver.settle() == {Outcome.UNCERTAIN: 2, Outcome.THROTTLED: 4}
        assert driver.transport.room(0) == 0


@pytest.mark.parametrize("status", [0x0E, 0x0F])
def test_a_refused_bind_is_told_at_once(status: int) -> None:
    with (
        MiniSmsc(bind_status=status) as smsc,
        Driver(settings(smsc, binds=2)) as driver,
        pytest.raises(ZsmsError, match=f"0x{status:02X}"),
    ):
        driver.until(lambda: False)


@pytest.mark.parametrize(("again_s", "wanted"), [(0.0, 3), (60.0, 1)])
def test_a_gateway_that_stays_away_is_warned_of_again(
    again_s: float, wanted: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bind, "WARN_AGAIN_S", again_s)
    with Driver(SmppSettings("127.0.0.1", free_port())) as driver:
        driver.until(lambda: driver.transport.binds[0].tries >= 3)
    warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warned) == wanted and "tried" not in warned[0]
    assert all(f"tried {number} times" in text for number, text in enumerate(warned[1:], 2))


def test_a_bind_that_is_refused_for_now_is_tried_again() -> None:
    with MiniSmsc(bind_status=0x0D) as smsc, Driver(settings(smsc)) as driver:
        driver.send("x")
        driver.until(lambda: len(smsc.binds) == 1)
        smsc.bind_status = 0
        assert driver.settle() == {Outcome.SENT: 1}


def test_nobody_there_yet() -> None:
    with Driver(SmppSettings("127.0.0.1", free_port())) as driver:
        driver.until(lambda: driver.transport.binds[0].tries >= 1)
        assert driver.transport.room(0) == 0


@pytest.mark.parametrize("host", ["..", "a..b", "x" * 70 + ".example", "[::1"])
@pytest.mark.parametrize("scheme", ["smpp", "http"])
def test_a_name_that_no_host_can_have_is_refused(scheme: str, host: str) -> None:
    with pytest.raises(UsageError, match="a gateway whose address can't be one"):
        settings_of(f"{scheme}://{host}:2775")
    if scheme == "smpp" and host != "[::1":  # by who did not ask
        with Driver(SmppSettings.from_url(f"smpp://{host}:2775", connect_s=0.3)) as driver:
            driver.until(lambda: driver.transport.binds[0].tries >= 1)


def test_names_that_have_no_address() -> None:
    with Driver(SmppSettings.from_url("smpp://no-such-host.invalid:2775", connect_s=0.3)) as driver:
        driver.until(lambda: driver.transport.binds[0].tries >= 1)
        assert driver.transport.room(0) == 0


RECEIPT = "id:{} sub:001 dlvrd:001 submit date:2611280700 done date:2611280701 stat:{} err:000 text:x"


def with_receipts(form: str, before: bool = False) -> Callable[[Peer, Messages], None]:
    def answer(peer: Peer, messages: Messages) -> None:
        first = peer.smsc.next_id
        if not before:
            accept(peer, messages)
        for place in range(len(messages)):
            if messages.registered_delivery[place]:  # type: ignore[index]
                peer.receipt(RECEIPT.format(form.format(first + place), "DELIVRD").encode())
        if before:
            accept(peer, messages)

    return answer


@pytest.mark.parametrize(("form", "before"), [("{}", False), ("{}", True), ("{:x}", False), ("{:010X}", True)])
def test_receipts_whatever_their_form_or_order(form: str, before: bool) -> None:
    smsc = MiniSmsc(with_receipts(form, before))
    smsc.next_id = 0xABC0
    with smsc, Driver(settings(smsc, binds=2, window=10)) as driver:
        driver.send(*["x"] * 50, producer=5)
        driver.send(*["y" * 300] * 10, producer=6)
        assert driver.settle() == {Outcome.SENT: 60}
        driver.until(lambda: len(driver.told) == 60)
        assert sorted(driver.told) == [
            *[(5, 1000 + place, 0) for place in range(50)],
            *[(6, 1050 + place, 0) for place in range(10)],
        ]
        assert driver.transport.awaited == 0 and all(0 <= took < 25 for took in driver.took)


def test_receipts_to_another_bind_and_what_they_say() -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        accept(peer, messages)
        other = next(each for each in peer.smsc.peers if each is not peer)
        for place, word in enumerate(["ENROUTE", "UNDELIV", "EXPIRED", "REJECTD", "UNKNOWN", "DELIVRD"]):
            other.receipt(RECEIPT.format(max(1, place), word).encode())

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, bind="tx+rx")) as driver:
        driver.until(lambda: sum(each.bound for each in driver.transport.binds) == 2)
        driver.send(*["x"] * 5)
        driver.until(lambda: len(driver.told) == 5)
        assert sorted(driver.told) == [(7, 1000 + place, code) for place, code in enumerate([1, 2, 3, 4, 0])]
        assert driver.transport.receipts_in == 6
        assert [each["interface_version"] for each in smsc.binds] == [0x34, 0x34]


def test_what_people_send_is_answered_and_counted() -> None:
    with MiniSmsc() as smsc, Driver(settings(smsc)) as driver:
        driver.until(lambda: driver.transport.binds[0].bound)
        (peer,) = smsc.peers
        smsc.call(lambda: peer.receipt(b"STOP", esm_class=0))
        smsc.call(lambda: peer.session.ask(Pdu(Command.ALERT_NOTIFICATION), 0, 0.0))
        smsc.call(lambda: peer.session.ask(Pdu(Command.ENQUIRE_LINK), 1, 0.0))
        driver.until(lambda: driver.transport.messages_in == 1 and peer.session.idle)
        assert not any(isinstance(event, Asked) for event in smsc.others)


def test_a_cap_holds_from_the_first_segment_on() -> None:
    """In every second: tests/core/smpp/test_flow.py. At the SMSC a pause looks like a second with too many."""
    with MiniSmsc() as smsc, Driver(settings(smsc, binds=5, bind_rate=40, rate=150), concurrency=1000) as driver:
        driver.until(lambda: all(bind.bound for bind in driver.transport.binds))
        begin = time.monotonic()
        driver.send(*["x"] * 400)
        driver.until(lambda: len(smsc.texts) >= 320)
        # What is late on its way makes these later, and never sooner.
        assert np.all(np.arange(len(smsc.times)) <= 150 * (np.array(smsc.times) - begin) + 1)
        room = driver.transport.room(0)
        assert room is not None and room <= 75


def test_messages_that_were_sent_before_go_as_well() -> None:
    text = b"Hello"
    rows = np.zeros(2, ROW)
    rows["seq"], rows["recipient"], rows["length"], rows["source"] = [4, 5], [447700900001, 12], 5, [1, 0]
    words = np.frombuffer((text + bytes(3)) * 2, np.uint64)

    class Source:
        def __init__(self, producer: int) -> None:
            self.producer, self.start = producer, 0

    batch = Mixed(rows, words, {0: Source(8), 1: Source(9)})
    with MiniSmsc(with_receipts("{}")) as smsc, Driver(settings(smsc)) as driver:
        driver.waiting.append(Waiting(50, batch, 0.0, 0.0, 2, 1))
        driver.until(lambda: len(driver.told) == 2)
        assert smsc.texts == [b"Hello"] * 2
        assert [message["destination"] for message in smsc.messages] == [b"447700900001", b"12"]
        assert sorted(driver.told) == [(8, 5, 0), (9, 4, 0)] and driver.outcomes == dict.fromkeys(
            (50, 51), Outcome.SENT
        )


def test_octets_that_are_no_utf_8_cost_their_own_text_only() -> None:
    with MiniSmsc() as smsc, Driver(settings(smsc)) as driver:
        driver.send("ab", "cd")
        broken = driver.waiting[0].batch
        assert isinstance(broken, Batch)
        broken.text = np.frombuffer(b"\xff\xffcd", np.uint8)
        assert driver.settle() == {Outcome.SENT: 2}
        assert smsc.texts == ["��".encode("utf-16-be"), b"cd"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, own = folder / "key.pem", folder / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(own), "-days", "2", "-subj", "/CN=smsc"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return own, key


def test_tls_with_a_certificate_of_our_own_and_a_client_s(certificate: tuple[Path, Path]) -> None:
    own, key = map(str, certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own, key)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(own)
    with MiniSmsc(with_receipts("{}"), tls=server) as smsc:
        with Driver(settings(smsc, ca=own, certificate=own, key=key)) as driver:
            driver.send(*["x" * 150] * 3000)
            driver.until(lambda: len(driver.told) == 3000)
        with Driver(settings(smsc)) as stranger:
            stranger.until(lambda: stranger.transport.binds[0].tries >= 1)
            assert not smsc.peers


def test_addresses_and_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = SmppSettings.from_url("smpp://user%40x@[::1]:99", window=7)
    assert (found.host, found.port, found.system_id, found.window) == ("::1", 99, "user@x", 7)
    assert found.address == "smpp://[::1]:99"
    assert SmppSettings.from_url("smpps://gw.example").port == 3550
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    query = f"smpp://x?binds=3&rate=2.5&plus=true&source=%2B123&status.0x58=temporary&password_file={file}"
    asked = SmppSettings.from_url(query)
    assert (asked.binds, asked.rate, asked.plus, asked.source, asked.password) == (3, 2.5, True, "+123", "s3cret")
    assert asked.statuses == {"0x58": "temporary"}
    as_documented = SmppSettings.from_url("smpp://x?bind=tx+rx&source=+123")
    assert (as_documented.bind, as_documented.source) == ("tx+rx", "+123")
    assert found.with_password(str(file)).password == "s3cret"
    monkeypatch.setenv("ZSMS_GATEWAY_PASSWORD", "other")
    assert found.with_password().password == "other"
    assert "other" not in repr(found.with_password()) + str(found.with_password())
    with pytest.raises(UsageError, match="file"):
        found.with_password(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("url", "options", "what"),
    [
        ("http://x", {}, "smpp://"),
        ("smpp://user:secret@x", {}, "does not belong"),
        ("smpp://x?password=secret", {}, "password_file"),
        ("smpp://x?window=many", {}, "number"),
        ("smpp://x?plus=perhaps", {}, "true or false"),
        ("smpp://x?status.0x58=perhaps", {}, "perhaps"),
        ("smpp://", {}, "HOST"),
        ("smpp://x:99999", {}, "port"),
        ("smpp://x:0", {}, "port"),
        ("smpp://x?host=y", {}, "has no host"),
        ("smpp://x?statuses=sent", {}, "has no statuses"),
        ("smpp://x", {"statuses": "sent"}, "statuses"),
        ("smpp://x", {"host": 5}, "host 5"),
        ("smpp://x", {"source": "a\0b"}, "source"),
        ("smpp://x", {"password": "secret\n"}, "line break"),
        ("smpp://x?system_id=a%0Ab", {}, "line break"),
        ("smpps://x?key=/dev/null", {}, "certificate whose key"),
        ("smpp://x/path", {}, "FIELD=VALUE"),
        ("smpp://x", {"windows": 3}, "windows"),
        ("smpp://x", {"window": 0}, "window 0"),
        ("smpp://x", {"bind": "rx"}, "bind 'rx'"),
        ("smpp://x", {"system_id": "x" * 16}, "room for 15"),
        ("smpp://x", {"password": "ninechars"}, "room for 8"),
        ("smpp://x", {"source": "x" * 21}, "room for 20"),
        ("smpp://x", {"source": "жж"}, "Latin-1"),
        ("smpp://x", {"rate": 0}, "rate"),
        ("smpp://x", {"ca": "/none"}, "TLS"),
        ("smpps://x", {"ca": "/none"}, "/none"),
        ("smpp://x", {"validity_s": -1}, "validity"),
        ("smpp://x", {"statuses": {"0x100000000": "sent"}}, "0x100000000"),
        ("smpp://x", {"alphabet": "ascii"}, "alphabet"),
    ],
)
def test_settings_that_cannot_be(url: str, options: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        SmppSettings.from_url(url, **options)
    assert "secret" not in str(caught.value) and "ninechars" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0.3, b"000000000001000R"),
        (60, b"000000000100000R"),
        (3600, b"000000010000000R"),
        (172_800, b"000002000000000R"),
        (0, b""),
    ],
)
def test_validity(seconds: float, wanted: bytes) -> None:
    assert SmppSettings("x", validity_s=seconds).validity == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("", (0, 0, b"")),
        ("+12025550123", (1, 1, b"12025550123")),
        ("40404", (0, 0, b"40404")),
        ("ALERTS", (5, 0, b"ALERTS")),
        ("+ALERTS", (5, 0, b"+ALERTS")),
        ("Käse", (5, 0, b"K\xe4se")),
    ],
)
def test_senders(source: str, wanted: tuple[int, int, bytes]) -> None:
    assert SmppSettings("x", source=source).sender == wanted


@pytest.mark.parametrize("quick", [True, False])
def test_a_window_is_filled_again_before_its_answers_are_dealt_with(
    monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    """Where answers are quick messages are taken ahead for that, else they wait where others can have them."""
    monkeypatch.setattr(transport_module, "QUICK_S", 1e9 if quick else 0.0)
    with MiniSmsc() as smsc, Driver(settings(smsc, window=2), concurrency=4) as driver:
        transport, seen = driver.transport, []
        settle = transport.settling.settle
        monkeypatch.setattr(
            transport.settling, "settle", lambda *each: (seen.append(transport.submitted), settle(*each))
        )
        driver.send(*"abcd")
        assert driver.settle() == {Outcome.SENT: 4}
        assert seen[0] > 2 and transport.busy == 0 and transport.free == (8 if quick else 4)
