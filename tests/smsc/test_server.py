"""The fake SMSC over real sockets: with other people's clients, and with hostile bytes."""

from __future__ import annotations

import asyncio
import csv
import errno
import os
import random
import select
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import smpp34
import smpplib.client
import smpplib.consts
import smpplib.gsm

from tests.mesh import processes
from zsms import StatsCollector, saving
from zsms.core.smpp.events import Answered, Bound, Ended, Event, Received, Replied, Side
from zsms.core.smpp.pdu import Command, Messages, Tag
from zsms.core.smpp.record import Pdu, Target, encode
from zsms.core.smpp.session import Session
from zsms.core.smpp.strings import Strings
from zsms.core.smpp.window import Window
from zsms.errors import UsageError
from zsms.smsc import Account, FakeSmsc, Rules, server
from zsms.smsc.rules import Fault, Outcome
from zsms.stats.delay import DelayModel

PATIENCE_S = 25.0


class Client:
    """An ESME with our own session over a plain socket."""

    def __init__(
        self,
        smsc: FakeSmsc,
        *,
        command: int = Command.BIND_TRANSCEIVER,
        window: int = 100,
        requests: Window | None = None,
        **bind: bytes,
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", smsc.port), PATIENCE_S)
        self.session = Session(Side.ESME, window, requests=requests)
        self.session.connected(0.0)
        self.session.bind(command, 0.0, **({"system_id": b"client"} | bind))
        self.answers: dict[int, tuple[int, bytes]] = {}
        self.came: list[Messages] = []
        self.events: list[Event] = []
        self.closed = False
        self.flush()
        self.until(lambda: self.events)

    def flush(self) -> None:
        for part in self.session.take_output():
            self.sock.sendall(bytes(part))

    def until(self, done) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end, (self.events, self.answers)
            if not select.select([self.sock], [], [], 0.05)[0]:
                continue  # it may be the server's own state that is waited for
            data = self.sock.recv(65_536)
            if not data:
                self.closed = True
                return
            for event in self.session.receive(data, 0.0):
                if isinstance(event, Answered):
                    ids = event.answers.ids.tolist()
                    rows = zip(event.handles.tolist(), event.answers.status.tolist(), ids, strict=True)
                    self.answers |= {handle: (status, each) for handle, status, each in rows}
                elif isinstance(event, Received):
                    self.came.append(event.messages)
                    self.session.answer(Command.DELIVER_SM, event.messages.sequence)
                else:
                    self.events.append(event)
            self.flush()

    def submit(self, *texts: bytes, first: int = 0, **fields: object) -> None:
        count = len(texts)
        fields = {"registered_delivery": 1, "source": b"15550199"} | fields
        numbers = Strings.of([b"1555%04d" % (first + row) for row in range(count)])
        made = Messages(np.zeros(count, np.uint32), destination=numbers, short_message=Strings.of(texts), **fields)  # type: ignore[arg-type]
        self.session.send(made, np.arange(first, first + count, dtype=np.uint64), 0.0)
        self.flush()

    def ask(self, request: Pdu) -> Pdu:
        before = len(self.events)
        self.session.ask(request, 9, 0.0)
        self.flush()
        self.until(lambda: len(self.events) > before)
        event = self.events[-1]
        assert isinstance(event, Replied) and event.answer is not None
        return event.answer

    @property
    def texts(self) -> list[bytes]:
        found: list[bytes] = []
        for messages in self.came:
            assert isinstance(messages.short_message, Strings)
            found += messages.short_message.tolist()
        return found


@pytest.fixture
def smsc() -> Iterator[FakeSmsc]:
    with FakeSmsc(Rules(), seed=1) as running:
        yield running


def test_submits_are_answered_and_receipts_follow(smsc: FakeSmsc) -> None:
    client = Client(smsc)
    assert isinstance(client.events[0], Bound)
    client.submit(*[b"hello %d" % n for n in range(50)])
    client.until(lambda: len(client.answers) == 50 and len(client.texts) == 50)
    ids = {each for _, each in client.answers.values()}
    assert {text.split()[0].removeprefix(b"id:") for text in client.texts} == ids and len(ids) == 50
    client.session.unbind(0.0)
    client.flush()
    client.until(lambda: isinstance(client.events[-1], Ended))
    assert smsc.desk.model.counts.accepted == 50 and smsc.desk.counts.ended == 0


def test_smpp34_sends_and_gets_its_receipts(smsc: FakeSmsc) -> None:
    async def go() -> tuple[list[bytes], list[bytes]]:
        client = smpp34.Client("127.0.0.1", smsc.port, "client", "secret", bind_type="trx")
        session = await client.connect()
        asks = [
            session.submit_sm("15550101", b"hello", source_addr="15550199", registered_delivery=1) for _ in range(20)
        ]
        answers = await asyncio.gather(*asks)
        came = [await session.next() for _ in range(20)]
        await session.unbind()
        assert all(answer.command_status == 0 for answer in answers)
        return [answer.message_id for answer in answers], [bytes(event.short_message) for event in came]

    ids, texts = asyncio.run(asyncio.wait_for(go(), PATIENCE_S))
    assert {_octets(each) for each in ids} == {text.split()[0].removeprefix(b"id:") for text in texts}


def _octets(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def test_smpplib_sends_long_and_ucs2_texts_and_gets_its_receipts(smsc: FakeSmsc) -> None:
    client = smpplib.client.Client("127.0.0.1", smsc.port, timeout=PATIENCE_S, allow_unknown_opt_params=True)
    got: list[str] = []
    sent: list[str] = []
    client.set_message_received_handler(lambda pdu: got.append(pdu.receipted_message_id or pdu.short_message.decode()))
    client.set_message_sent_handler(lambda pdu: sent.append(pdu.message_id.decode()))
    client.connect()
    client.bind_transceiver(system_id="client", password="secret")
    for text in ("hello", "x" * 400, "Приве́т"):
        parts, coding, esm = smpplib.gsm.make_parts(text)
        for part in parts:
            client.send_message(
                source_addr="15550199",
                destination_addr="15550101",
                short_message=part,
                data_coding=coding,
                esm_class=esm,
                registered_delivery=True,
            )
    while len(got) < 5:
        client.read_once()
    assert len(sent) == 5 and {text.split()[0].removeprefix("id:") for text in got} == set(sent)
    client.unbind()
    client.disconnect()


def test_accounts_passwords_and_the_number_of_binds_are_kept_to() -> None:
    with FakeSmsc(Rules((Account("a", "right", binds=1), Account("b")))) as smsc:
        held = Client(smsc, system_id=b"a", password=b"right")
        assert isinstance(held.events[0], Bound)
        for status, bind in (
            (0x0D, {"system_id": b"a", "password": b"right"}),
            (0x0E, {"system_id": b"a", "password": b"wrong"}),
            (0x0F, {"system_id": b"c"}),
        ):
            refused = Client(smsc, **bind)
            assert refused.events == [Ended("the bind was refused", status)]
            refused.until(lambda: False)
            assert refused.closed
        assert isinstance(Client(smsc, system_id=b"b", password=b"any").events[0], Bound)
        assert smsc.desk.counts.binds_refused == 3


def test_receipts_of_a_transmitter_go_to_a_receiver_of_its_account_or_wait_for_one() -> None:
    with FakeSmsc(Rules((Account("a"), Account("b")))) as smsc:
        sender = Client(smsc, command=Command.BIND_TRANSMITTER, system_id=b"a")
        sender.submit(b"one", b"two")
        sender.until(lambda: len(sender.answers) == 2)
        stranger = Client(smsc, command=Command.BIND_RECEIVER, system_id=b"b")
        receiver = Client(smsc, command=Command.BIND_RECEIVER, system_id=b"a")
        receiver.until(lambda: len(receiver.texts) == 2)
        sender.submit(b"three", first=2)
        receiver.until(lambda: len(receiver.texts) == 3)
        assert not stranger.texts and not sender.texts


def test_answers_are_late_lost_twice_and_in_another_order() -> None:
    rules = Rules(answer=DelayModel("exponential", 0.02), lost=0.2, repeated=0.2)
    with FakeSmsc(rules, seed=5) as smsc:
        client = Client(smsc)
        client.submit(*[b"x"] * 100, registered_delivery=0)
        lost = 0

        def all_came() -> bool:
            nonlocal lost
            lost = smsc.desk.model.counts.answers_lost
            return lost > 0 and len(client.answers) == 100 - lost and client.session.counts.strange_answers > 0

        client.until(all_came)
        assert 3 < lost < 45 and list(client.answers) != sorted(client.answers)


def test_a_text_can_ask_for_a_message_back(smsc: FakeSmsc) -> None:
    client = Client(smsc)
    client.submit(b"#smsc mo=STOP receipt=none")
    client.until(lambda: client.texts)
    assert client.texts == [b"STOP"]
    # The answer to the message is there by now, and nothing has run out.
    client.submit(b"later", first=1, registered_delivery=0)
    client.until(lambda: len(client.answers) == 2)
    assert smsc.desk.counts.receipts_unanswered == 0 and smsc.desk.counts.mo_sent == 1
    assert smsc.desk.delivery.count == 1 and smsc.desk.delivery.max < PATIENCE_S
    back = client.came[0]
    assert isinstance(back.source, Strings) and back.source.tolist() == [b"15550000"]


def test_a_message_back_comes_on_the_receiver_of_who_has_one() -> None:
    with FakeSmsc(Rules()) as smsc:
        sends, gets = Client(smsc, command=Command.BIND_TRANSMITTER), Client(smsc, command=Command.BIND_RECEIVER)
        sends.submit("#smsc mo=grün".encode("utf-16-be"), registered_delivery=0, data_coding=8)
        gets.until(lambda: gets.texts)
        assert gets.texts == ["grün".encode("latin-1")]


def test_messages_are_asked_for_cancelled_replaced_and_sent_to_many() -> None:
    ahead = [0.0]
    rules = Rules(receipt=DelayModel("constant", 60.0), ids="hex")
    with FakeSmsc(rules, clock=lambda: time.monotonic() + ahead[0]) as smsc:
        client = Client(smsc)
        client.submit(*[b"x"] * 20)
        client.until(lambda: len(client.answers) == 20)
        one = client.answers[15][1]
        query = Pdu(Command.QUERY_SM, fields={"message_id": one})
        assert client.ask(query)["message_state"] == 1
        cancel = {"message_id": one, "source_addr": b"15550199"}
        assert client.ask(Pdu(Command.CANCEL_SM, fields=cancel)).status == 0
        assert client.ask(Pdu(Command.REPLACE_SM, fields={"message_id": one})).status == 0x13
        assert client.ask(Pdu(Command.QUERY_SM, fields={"message_id": one}))["message_state"] == 4
        assert client.ask(Pdu(Command.QUERY_SM, fields={"message_id": b"fffff"})).status == 0x67
        assert client.ask(Pdu(Command.CANCEL_SM, fields={"message_id": b"no"})).status == 0x0C
        many = [Target(1, 1, b"15550001"), Target(None, None, b"everybody"), Target(1, 1, b"15550002")]
        wanted = {"dest_addresses": many, "short_message": b"hi", "registered_delivery": 1}
        answer = client.ask(Pdu(Command.SUBMIT_MULTI, fields=wanted))
        assert answer["message_id"] and [each.address for each in answer["unsuccess_sme"]] == [b"everybody"]
        for asked in (0, 1):
            to = {"destination_addr": b"15550003", "registered_delivery": asked}
            assert client.ask(Pdu(Command.DATA_SM, fields=to, tlvs=[(Tag.MESSAGE_PAYLOAD, b"hi")]))["message_id"]
        ahead[0] = 60.0
        smsc.wake()
        client.until(lambda: len(client.texts) == 23 and not smsc.desk.model.waiting)
        assert sum(b"stat:DELETED" in text for text in client.texts) == 1
        named = b"id:%b " % answer["message_id"]
        assert sum(text.startswith(named) for text in client.texts) == 2, "a receipt each, of the id that was told"
        assert smsc.desk.model.counts.receipts == 23 and not smsc.desk.model.waiting


def test_what_ended_has_the_same_end_whenever_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    day = 1_795_862_096.0
    monkeypatch.setattr(server.time, "time", lambda: day)
    with FakeSmsc(Rules(outcomes=(Outcome("*1", receipt="UNDELIV"),))) as smsc:
        client = Client(smsc)
        client.submit(b"x", b"x", registered_delivery=0)
        client.submit(b"x", b"x", first=2)
        client.until(lambda: len(client.answers) == 4 and not smsc.desk.model.waiting)
        monkeypatch.setattr(server.time, "time", lambda: day + 4_000)
        for row, (state, error) in enumerate([(2, 0), (5, 5), (2, 0), (2, 0)]):
            told = client.ask(Pdu(Command.QUERY_SM, fields={"message_id": client.answers[row][1]})).fields
            assert (told["final_date"], told["message_state"], told["error_code"]) == (
                b"261128103456000+",
                state,
                error,
            )
        for name in (b"+1", b"1 ", b"0_1", b"1a"):
            assert client.ask(Pdu(Command.QUERY_SM, fields={"message_id": name})).status == 0x67


def test_who_only_receives_may_ask_for_nothing(smsc: FakeSmsc) -> None:
    client = Client(smsc, command=Command.BIND_RECEIVER)
    to = {"dest_addresses": [Target(1, 1, b"1")], "short_message": b"x"}
    asks = [Pdu(Command.SUBMIT_MULTI, fields=to), Pdu(Command.DATA_SM, fields={"destination_addr": b"1"})]
    asks += [Pdu(command, fields={"message_id": b"1"}) for command in (0x3, 0x7, 0x8)]
    assert [client.ask(each).status for each in asks] == [0x04] * 5
    counts = smsc.desk.model.counts
    assert (counts.submitted, counts.by_status) == (0, {})


@pytest.mark.parametrize("version", [0x33, 0x34])
def test_who_speaks_an_older_version_gets_no_parameter(smsc: FakeSmsc, version: int) -> None:
    client = Client(smsc, version=version)  # type: ignore[arg-type]
    (bound,) = client.events
    assert isinstance(bound, Bound) and len(bound.answer.tlvs) == version - 0x33


def test_messages_of_another_account_are_unknown() -> None:
    with FakeSmsc(Rules((Account("one"), Account("two")), receipt=DelayModel("constant", 60.0))) as smsc:
        clients = [Client(smsc, system_id=name) for name in (b"one", b"two")]
        for client in clients:
            client.submit(b"x")
            client.until(lambda client=client: client.answers)
        commands = Command.QUERY_SM, Command.REPLACE_SM, Command.CANCEL_SM
        for client, other in (clients, clients[::-1]):
            fields = {"message_id": client.answers[0][1]}
            asks = [Pdu(command, fields=fields) for command in commands]
            assert [other.ask(each).status for each in asks] == [0x67, 0x0C, 0x0C]
            assert [client.ask(each).status for each in asks] == [0, 0, 0]


def test_outcomes_by_number_hold_for_who_sends_to_many() -> None:
    outcomes = Outcome("*1", status=0x0B), Outcome("*2", receipt="UNDELIV")
    with FakeSmsc(Rules(outcomes=outcomes)) as smsc:
        client = Client(smsc)
        many = [Target(1, 1, b"1555000%d" % last) for last in (1, 2, 3)]
        fields = {"dest_addresses": many, "short_message": b"hi", "registered_delivery": 1}
        answer = client.ask(Pdu(Command.SUBMIT_MULTI, fields=fields))
        assert answer.status == 0 and answer["unsuccess_sme"] == [(1, 1, b"15550001", 0x0B)]
        client.until(lambda: len(client.texts) == 2)
        assert sum(b"stat:UNDELIV" in text for text in client.texts) == 1
        fields["dest_addresses"] = many[:1]
        assert client.ask(Pdu(Command.SUBMIT_MULTI, fields=fields)).status == 0x0B
        counts = smsc.desk.model.counts
        assert (counts.submitted, counts.accepted, counts.rejected) == (4, 2, 2)
        assert counts.by_status == {0: 2, 0x0B: 2}
        fields["dest_addresses"] = []
        assert client.ask(Pdu(Command.SUBMIT_MULTI, fields=fields)).status == 0x33


def test_who_is_silent_says_nothing_at_all(smsc: FakeSmsc) -> None:
    client = Client(smsc)
    (connection,) = smsc.desk.connections.values()
    smsc.desk.silent = True
    client.session.write(np.frombuffer(encode(Pdu(Command.ENQUIRE_LINK, 77)), np.uint8))
    client.submit(b"x")
    end = time.monotonic() + PATIENCE_S
    while connection.session.counts.pdus_in < 3:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert smsc.desk.counts.receipts_sent == 0
    smsc.desk.silent = False
    assert client.ask(Pdu(Command.ENQUIRE_LINK)).sequence != 77
    client.until(lambda: len(client.texts) == 1)
    assert not client.answers


def test_binds_are_refused_and_connections_cut_on_schedule() -> None:
    faults = (Fault(0.0, "refuse", 0.4, status=0x08), Fault(0.8, "disconnect"))
    now = [100.0]
    with FakeSmsc(Rules(faults=faults), clock=lambda: now[0]) as smsc:
        assert Client(smsc).events == [Ended("the bind was refused", 0x08)]
        now[0] += 0.5
        client = Client(smsc)
        assert isinstance(client.events[0], Bound)
        now[0] += 0.4
        smsc.wake()
        client.until(lambda: False)
        assert client.closed and smsc.desk.counts.binds_refused > 0


def test_tls_is_spoken_where_there_is_a_certificate(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-keyout", key, "-out", cert], check=True, capture_output=True,
    )  # fmt: skip
    with FakeSmsc(certificate=cert, private_key=key) as smsc:
        context = ssl.create_default_context(cafile=str(cert))
        context.check_hostname = False
        with context.wrap_socket(socket.create_connection(("127.0.0.1", smsc.port), PATIENCE_S)) as sock:
            session = Session(Side.ESME)
            session.connected(0.0)
            session.bind(Command.BIND_TRANSCEIVER, 0.0, system_id=b"x")
            sock.sendall(b"".join(map(bytes, session.take_output())))
            assert isinstance(session.receive(sock.recv(4096), 0.0)[0], Bound)
    with pytest.raises(UsageError, match="the certificate"):
        FakeSmsc(certificate=tmp_path / "none.pem")


def test_a_name_that_no_host_can_have_is_no_place_to_listen() -> None:
    with pytest.raises(UsageError, match=r"can't listen on \.\.:0"):
        FakeSmsc(bind="..:0").start()


def test_a_record_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can't record to .*nowhere/got\.csv: No such file"):
        FakeSmsc(record=tmp_path / "nowhere" / "got.csv").start()


def test_a_record_goes_to_who_reads_a_pipe_and_nobody_s_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(saving, "READER_S", 0.0)
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"can't record to .*pipe: nobody reads this pipe"):
        FakeSmsc(record=pipe).start()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with FakeSmsc(record=pipe) as smsc:
        client = Client(smsc)
        client.submit(b"one")
        came = b""
        while not came.endswith(b"6f6e65\n"):
            assert select.select([reader], [], [], PATIENCE_S)[0]
            came += os.read(reader, 1 << 16)
        os.close(reader)
        client.submit(b"two")
        end = time.monotonic() + PATIENCE_S
        while "is not whole: Broken pipe" not in caplog.text:
            assert time.monotonic() < end
            time.sleep(0.01)
        client.submit(b"three", b"four")
        client.until(lambda: len(client.answers) == 2)
    assert caplog.text.count("is not whole") == 1


def test_without_descriptors_for_more_it_waits_and_does_not_spin(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries, accept = [], socket.socket.accept

    def full(listener: socket.socket) -> object:
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(listener)

    monkeypatch.setattr(server, "LISTEN_AGAIN_S", 0.1)
    monkeypatch.setattr(socket.socket, "accept", full)
    with FakeSmsc() as smsc:
        client = Client(smsc)
        client.submit(b"one")
        client.until(lambda: len(client.answers) == 1)
    assert tries[3] - tries[0] >= 0.3 and caplog.text.count("Too many open files: new connections wait") == 1


def test_what_it_got_is_recorded(tmp_path: Path) -> None:
    with FakeSmsc(Rules(statuses=((0, 1.0), (0x45, 1.0))), seed=3, record=tmp_path / "got.csv") as smsc:
        client = Client(smsc)
        client.submit(b"caf\x05", b'say "hi", you', source=b'a,"b')
        client.until(lambda: len(client.answers) == 2)
    rows = list(csv.DictReader((tmp_path / "got.csv").open()))
    assert [bytes.fromhex(row["text_hex"]) for row in rows] == [b"caf\x05", b'say "hi", you']
    assert {row["source"] for row in rows} == {"a??b"} and [row["system_id"] for row in rows] == ["client"] * 2
    assert [int(row["status"]) for row in rows] == [client.answers[n][0] for n in range(2)]


def test_its_figures_go_to_the_collector() -> None:
    with StatsCollector("127.0.0.1:0") as stats, FakeSmsc(stats=stats.endpoint, stats_interval=0.05) as smsc:
        client = Client(smsc)
        client.submit(*[b"x"] * 30)
        client.until(lambda: len(client.texts) == 30)
        end = time.monotonic() + PATIENCE_S
        while (stats.ask() or {}).get("totals", {}).get("smsc", {}).get("receipts_answered") != 30:
            assert time.monotonic() < end
        totals = stats.ask()["totals"]["smsc"]  # type: ignore[index]
        assert (totals["submitted"], totals["accepted"], totals["segments"]) == (30, 30, 30)


@pytest.mark.parametrize("seed", range(4))
def test_bytes_that_are_no_smpp_harm_nobody_else(smsc: FakeSmsc, seed: int) -> None:
    draw = random.Random(seed)
    good = Client(smsc)
    good.submit(b"before")
    for _ in range(40):
        session = Session(Side.ESME)
        session.connected(0.0)
        session.bind(draw.choice([1, 2, 9]), 0.0, system_id=b"x")
        data = bytearray(b"".join(map(bytes, session.take_output())))
        data += draw.randbytes(draw.randrange(300))
        for _ in range(draw.randrange(4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        with socket.create_connection(("127.0.0.1", smsc.port), PATIENCE_S) as sock:
            for _ in range(3):
                cut = draw.randrange(len(data) + 1)
                try:
                    sock.sendall(data[:cut])
                except OSError:
                    break
                data = data[cut:]
    good.submit(b"after", first=1)
    good.until(lambda: len(good.answers) == 2)
    assert [status for status, _ in good.answers.values()] == [0, 0]


def test_a_client_that_does_not_read_costs_no_memory_and_nobody_else() -> None:
    with FakeSmsc(Rules(window=1_000_000)) as smsc:
        requests = Window()
        deaf, good = Client(smsc, window=100_000, requests=requests), Client(smsc)
        for turn in range(20):
            requests.everything()  # its own window is not what is tested
            deaf.submit(*[b"y" * 100] * 2_000, first=turn * 2_000)
        good.submit(b"one")
        good.until(lambda: good.answers and good.texts)


@pytest.mark.parametrize("address", [":2775", "2775", ":"])
def test_an_address_without_a_host_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        FakeSmsc(bind=address)


def test_addresses_that_can_not_be_are_refused() -> None:
    with pytest.raises(UsageError, match="write HOST:PORT"):
        FakeSmsc(bind="127.0.0.1:port")
    with FakeSmsc() as smsc, pytest.raises(UsageError, match="can't listen on"):
        FakeSmsc(bind=f"127.0.0.1:{smsc.port}").start()


def test_the_fixture_of_the_package_starts_and_ends_one(fake_smsc) -> None:  # type: ignore[no-untyped-def]
    smsc = fake_smsc(Rules((Account("mine"),)), seed=1)
    assert isinstance(Client(smsc, system_id=b"mine").events[0], Bound) and smsc.running


def test_the_command_says_at_its_end_what_it_did(tmp_path: Path) -> None:
    with processes.Command("smsc", "--bind", "127.0.0.1:0") as smsc:
        smsc.wait_for("listening on")
        smsc.signal(signal.SIGTERM)
        assert smsc.end() == 0
        assert "duplicates  0" in smsc.out
