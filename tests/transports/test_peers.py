"""The ESME against SMSCs as users meet them: what each does that the specification does not, or hardly, foresee."""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mesh.processes import free_port
from tests.transports.smsc import MiniSmsc, Peer, accept
from tests.transports.test_smpp import RECEIPT, Driver, settings
from zsms.core.smpp.pdu import Command, Messages, Tag
from zsms.core.smpp.record import Pdu, encode
from zsms.message import Delivery, Outcome
from zsms.transports.smpp import SmppSettings, bind

D, U = Delivery.DELIVERED.value, Delivery.UNDELIVERED.value
Answer = Callable[[Peer, Messages], None]


@pytest.fixture(autouse=True)
def quick_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind, "FIRST_RETRY_S", 0.05)


def pdu(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def each(say: Callable[[int], bytes]) -> Answer:
    """Answer each message with these octets, made of its sequence number."""

    def answer(peer: Peer, messages: Messages) -> None:
        for sequence in messages.sequence.tolist():
            peer.session.write(say(sequence))

    return answer


@pytest.mark.parametrize(
    ("octets", "outcome"),
    [
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0, n), Outcome.SENT),  # no body: accepted, without an id
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0, n, b"id without a NUL"), Outcome.SENT),
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0, n, b"i\0" + b"\x14\0\0\1xjunk"), Outcome.SENT),
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0x0B, n), Outcome.REJECTED),
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0x0B, n, b"\0"), Outcome.REJECTED),
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0x04, n), Outcome.TEMPORARY),  # the link's fault, not the message's
        (lambda n: pdu(Command.GENERIC_NACK, 0x03, n), Outcome.REJECTED),
        (lambda n: pdu(Command.GENERIC_NACK, 0x58, n), Outcome.THROTTLED),
        (lambda n: pdu(Command.GENERIC_NACK, 0, n), Outcome.TEMPORARY),
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0, n + 1_000, b"1\0"), Outcome.UNCERTAIN),  # of nobody
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0, n, b"1\0") * 2, Outcome.SENT),
        (lambda n: pdu(Command.DELIVER_SM_RESP, 0, n, b"\0") + pdu(Command.SUBMIT_SM_RESP, 0, n, b"1\0"), Outcome.SENT),
        (lambda n: pdu(Command.DELIVER_SM_RESP, 0, n, b"\0"), Outcome.UNCERTAIN),  # of what we have not sent
        (lambda n: pdu(Command.SUBMIT_SM_RESP, 0xFFFFFFFF, n), Outcome.FAILED),  # -1
    ],
)
@pytest.mark.parametrize("binds", [1, 3])
def test_answers(octets: Callable[[int], bytes], outcome: Outcome, binds: int) -> None:
    options = {"response_s": 0.4 if outcome is Outcome.UNCERTAIN else 25, "binds": binds, "window": 20}
    with MiniSmsc(each(octets)) as smsc, Driver(settings(smsc, **options)) as driver:
        driver.until(lambda: all(each.bound for each in driver.transport.binds))
        driver.send(*["x"] * 10)
        assert driver.settle() == {outcome: 10}
        assert outcome is Outcome.UNCERTAIN or not any("no answer" in each for each in driver.reasons.values())
        assert all(each.connections == 1 for each in driver.transport.binds)


@pytest.mark.parametrize("size", [64, 65, 80, 200])
def test_ids_that_are_too_long_are_ids(size: int) -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        for place, sequence in enumerate(messages.sequence.tolist()):
            name = b"%d" % (place % 10) * size
            peer.session.write(pdu(Command.SUBMIT_SM_RESP, 0, sequence, name + b"\0"))
            peer.receipt(b"id:%b stat:DELIVRD" % name)

    with MiniSmsc(answer) as smsc, Driver(settings(smsc)) as driver:
        driver.send(*["x"] * 5)
        driver.until(lambda: len(driver.told) == 5)
        assert {code for _, _, code in driver.told} == {D}


def test_one_octet_at_a_time() -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        accept(peer, messages)
        octets = b"".join(bytes(part) for part in peer.session.take_output())
        peer.sock.setblocking(True)
        for octet in octets:
            peer.sock.send(bytes([octet]))
        peer.sock.setblocking(False)

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, binds=4, window=3)) as driver:
        driver.send(*["x"] * 40)
        assert driver.settle() == {Outcome.SENT: 40} and len(driver.transport.binds) == 4


FORMS = [
    b"id:%b sub:001 dlvrd:001 submit date:2611280700 done date:2611280701 stat:DELIVRD err:000 text:x",
    b"id:%b sub:001 dlvrd:001 submit date:261128070059 done date:20261128070101 stat:DELIVRD err:0x2A Text:id:9 stat:",
    b"ID:%b STAT:delivrd",
    b"id: %b stat: DELIVRD",
    b"id:%b\tstat:DELIVERED\r\n",
    b"sub:001 stat:DELIVRD id:%b",
    b'id:"%b" stat:"DELIVRD"',
    b"receipt id:%b,stat:DELIVRD,err:0",
]


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_receipts(form: bytes) -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        accept(peer, messages)
        for number in range(1, 4):
            peer.receipt(form % b"%d" % number)

    with MiniSmsc(answer) as smsc, Driver(settings(smsc)) as driver:
        driver.send("a", "b", "c")
        driver.until(lambda: len(driver.told) == 3)
        assert sorted(driver.told) == [(7, 1000 + place, D) for place in range(3)]


def test_receipts_by_parameters_by_data_sm_and_in_ucs_2() -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        accept(peer, messages)
        wide = "id:1 sub:001 dlvrd:001 stat:UNDELIV err:001".encode("utf-16-be")
        peer.receipt(wide, data_coding=8)
        by_data = Pdu(Command.DATA_SM, fields={"esm_class": 4})
        by_data.tlvs = [(Tag.RECEIPTED_MESSAGE_ID, b"2\0"), (Tag.MESSAGE_STATE, b"\5"), (0x1401, b"a vendor's")]
        peer.session.ask(by_data, 0, time.monotonic())
        in_payload = Pdu(Command.DATA_SM, fields={"esm_class": 4})
        in_payload.tlvs = [(Tag.MESSAGE_PAYLOAD, b"id:3 stat:UNDELIV")]
        peer.session.ask(in_payload, 1, time.monotonic())
        without_class = Pdu(Command.DATA_SM)
        without_class.tlvs = [(Tag.RECEIPTED_MESSAGE_ID, b"4"), (Tag.MESSAGE_STATE, b"\0\0\0\5")]
        peer.session.ask(without_class, 3, time.monotonic())
        peer.session.ask(Pdu(Command.DATA_SM, fields={"source_addr": b"15550123"}), 2, time.monotonic())

    with MiniSmsc(answer) as smsc, Driver(settings(smsc)) as driver:
        driver.send("a", "b", "c", "d")
        driver.until(lambda: len(driver.told) == 4 and driver.transport.messages_in == 1)
        assert sorted(driver.told) == [(7, 1000 + place, U) for place in range(4)]


def test_several_receipts_for_one_message() -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        accept(peer, messages)
        for word in ("ENROUTE", "ACCEPTD", "DELIVRD", "DELIVRD", "UNDELIV"):
            peer.receipt(RECEIPT.format(1, word).encode())
        peer.receipt(RECEIPT.format(999, "DELIVRD").encode())

    with MiniSmsc(answer) as smsc, Driver(settings(smsc)) as driver:
        driver.send("a")
        driver.until(lambda: driver.transport.receipts_in == 6 and bool(driver.told))
        assert driver.told == [(7, 1000, D)], "the first that is final counts"
        figures = driver.transport.figures
        assert figures["receipts_unmatched"] + figures["receipts_early"] == 3 and not figures["receipts_awaited"]


@pytest.mark.parametrize("receipts", ["first", "each"])
def test_receipts_of_each_part_of_a_long_text(receipts: str) -> None:
    """An SMSC that sends them of all parts, whichever asked; the last one fails."""

    def answer(peer: Peer, messages: Messages) -> None:
        first = peer.smsc.next_id
        accept(peer, messages)
        for place in range(len(messages)):
            peer.receipt(RECEIPT.format(first + place, "UNDELIV" if place == 2 else "DELIVRD").encode())

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, receipts=receipts)) as driver:
        driver.send("x" * 400)
        driver.until(lambda: driver.transport.receipts_in == 3 and bool(driver.told))
        assert driver.told == [(7, 1000, D if receipts == "first" else U)]
        assert [message["registered_delivery"] for message in smsc.messages] == (
            [1, 0, 0] if receipts == "first" else [1, 1, 1]
        )
        assert driver.transport.figures["receipts_early"] == (2 if receipts == "first" else 0)


def test_unbind_by_the_smsc_with_a_window_open() -> None:
    told = []

    def answer(peer: Peer, messages: Messages) -> None:
        if not told:
            told.append(1)
            peer.session.unbind(time.monotonic())
        elif len(told) == 1:
            accept(peer, messages)

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, window=4)) as driver:
        driver.send(*["x"] * 4)
        assert driver.settle() == {Outcome.UNCERTAIN: 4}
        assert set(driver.reasons.values()) == {"connection ended: the peer has unbound"}
        driver.send("y")
        assert driver.settle()[Outcome.SENT] == 1 and driver.transport.binds[0].connections == 2


def test_a_peer_that_falls_silent_is_left() -> None:
    silent = [True]

    def answer(peer: Peer, messages: Messages) -> None:
        if silent.pop():
            peer.session.receive = lambda *_: []  # type: ignore[method-assign]
        else:
            accept(peer, messages)

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, enquire_link_s=0.2, response_s=0.4)) as driver:
        driver.send("x")
        silent.append(False)
        silent.reverse()
        assert driver.settle() == {Outcome.UNCERTAIN: 1}
        driver.until(lambda: driver.transport.binds[0].connections == 2)
        for text in "yyyyyyyyyy":  # its answer may be late, too
            silent.append(False)
            driver.send(text)
            if driver.settle()[Outcome.SENT]:
                return
        raise AssertionError(driver.reasons)


def test_alerts_unknown_commands_and_parameters_change_nothing() -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        alert = Pdu(Command.ALERT_NOTIFICATION, 1, fields={"source_addr": b"1", "esme_addr": b"2"})
        alert.tlvs = [(0x0422, b"\0"), (0xFFFF, b"?" * 40)]
        peer.session.write(encode(alert) + pdu(0x0000ABCD, 0, 77, b"what?") + pdu(Command.OUTBIND, 0, 3, b"x\0y\0"))
        accept(peer, messages)
        peer.session.write(pdu(0x8000ABCD, 0, 78))

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, binds=2)) as driver:
        driver.send(*["x"] * 20)
        assert driver.settle() == {Outcome.SENT: 20}
        driver.until(lambda: all(each.connections for each in driver.transport.binds))
        assert [each.connections for each in driver.transport.binds] == [1, 1]


@pytest.mark.parametrize("status", [0x05, 0x0D])
def test_a_bind_that_is_refused_for_now(status: int) -> None:
    with MiniSmsc(bind_status=status) as smsc, Driver(settings(smsc)) as driver:
        driver.send("x")
        driver.until(lambda: len(smsc.binds) == 2)
        assert not smsc.texts and driver.transport.room(0) == 0
        smsc.bind_status = 0
        assert driver.settle() == {Outcome.SENT: 1}


class Raw:
    """A listener that says some octets to whoever comes, reads, and closes when it is told."""

    def __init__(self, octets: bytes, host: str = "127.0.0.1", close: bool = False) -> None:
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.octets, self.close = octets, close
        self.came = 0
        self.socks: list[socket.socket] = []

    def turn(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            if not selector.select(0):
                return
        sock, _ = self.listener.accept()
        self.came += 1
        sock.sendall(self.octets)
        self.socks.append(sock)
        if self.close:
            sock.close()


@pytest.mark.parametrize(
    ("octets", "close"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"\0\0\0\x0f" + bytes(11), False),
        (bytes(200), False),
        (b"", True),
        (pdu(Command.BIND_TRANSCEIVER_RESP, 0, 1, b"short lived\0"), True),
    ],
)
def test_peers_that_are_no_smsc_are_tried_again_ever_more_slowly(octets: bytes, close: bool) -> None:
    raw = Raw(octets, close=close)
    with raw.listener, Driver(SmppSettings("127.0.0.1", raw.port)) as driver:
        tried = driver.transport.binds[0]
        driver.until(lambda: raw.turn() or tried.tries >= 3)
        assert raw.came <= tried.tries + 1 and tried.next_try - time.monotonic() <= 0.21
        for sock in raw.socks:
            sock.close()


def test_a_bind_that_is_never_answered_is_given_up() -> None:
    raw = Raw(b"")
    with raw.listener, Driver(SmppSettings("127.0.0.1", raw.port, response_s=0.2)) as driver:
        driver.until(lambda: raw.turn() or raw.came == 2)


def test_an_smsc_that_delivers_before_it_has_answered_the_bind() -> None:
    receipt = b"\0" * 7 + b"\4" + b"\0" * 8 + bytes([17]) + b"id:5 stat:DELIVRD"
    octets = pdu(Command.DELIVER_SM, 0, 1, receipt) + pdu(Command.BIND_TRANSCEIVER_RESP, 0, 1, b"a name of 16 octs\0")
    raw = Raw(octets)
    with raw.listener, Driver(SmppSettings("127.0.0.1", raw.port)) as driver:
        driver.until(lambda: raw.turn() or driver.transport.binds[0].bound)
        assert driver.transport.receipts_in == 1 and driver.transport.binds[0].bound
        raw.socks[0].close()


def test_ipv6_and_a_name_with_two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    octets = pdu(Command.BIND_TRANSCEIVER_RESP, 0, 1, b"x\0")
    raw = Raw(octets, "::1")
    with raw.listener, Driver(SmppSettings.from_url(f"smpp://[::1]:{raw.port}")) as driver:
        driver.until(lambda: raw.turn() or driver.transport.binds[0].bound)
        raw.socks[0].close()
    closed = ("127.0.0.1", free_port())
    raw = Raw(octets)
    found = [(socket.AF_INET, 1, 6, "", closed), (socket.AF_INET, 1, 6, "", ("127.0.0.1", raw.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with raw.listener, Driver(SmppSettings("two.example", raw.port)) as driver:
        driver.until(lambda: raw.turn() or driver.transport.binds[0].bound)
        assert driver.transport.binds[0].tries == 0
        raw.socks[0].close()


def test_tls_with_another_s_name_is_no_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key, own = tmp_path / "key.pem", tmp_path / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(own), "-days", "2", "-subj", "/CN=smsc.example"]
    command += ["-addext", "subjectAltName=DNS:smsc.example"]
    subprocess.run(command, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own, key)
    with MiniSmsc(tls=server) as smsc, Driver(settings(smsc, ca=str(own))) as driver:
        driver.until(lambda: driver.transport.binds[0].tries >= 1)
        assert not smsc.binds and "not valid for '127.0.0.1'" in caplog.text


def test_throttled_without_end_is_slowed_and_never_stopped() -> None:
    def answer(peer: Peer, messages: Messages) -> None:
        peer.session.answer(Command.SUBMIT_SM, messages.sequence, 0x58)

    with MiniSmsc(answer) as smsc, Driver(settings(smsc, window=10)) as driver:
        driver.send(*["x"] * 12)
        driver.until(lambda: len(smsc.texts) >= 11)
        (link,) = driver.transport.binds
        assert link.bound and link.flow.bounded and link.flow.cap.rate == 0.5
        room = driver.transport.room(0)
        assert room is not None and room <= 1
