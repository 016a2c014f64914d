"""tshark reads what the fake SMSC and clients say to each other: every PDU is well formed, and says what was meant."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from zsms.core.smpp.events import Event, Received, Side, Timers
from zsms.core.smpp.pdu import Command, Messages
from zsms.core.smpp.session import Session
from zsms.core.smpp.strings import Strings
from zsms.smsc.connection import Connection
from zsms.smsc.desk import Desk
from zsms.smsc.rules import Rules


def pcap(streams: list[tuple[bool, bytes]]) -> bytes:
    """A capture of one TCP connection on loopback: (from the client?, octets) in order. Format: pcap 2.4, raw IPv4."""
    header = b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(8) + (262_144).to_bytes(4, "little") + b"\x65\0\0\0"
    packets, sequence = [header], [1, 1]

    def packet(client: bool, flags: int, data: bytes) -> None:
        mine, other = (0, 1) if client else (1, 0)
        ports = (40_000, 2775) if client else (2775, 40_000)
        tcp = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
        tcp += sequence[mine].to_bytes(4, "big") + sequence[other].to_bytes(4, "big")
        tcp += bytes([0x50, flags]) + (65_535).to_bytes(2, "big") + bytes(4) + data
        addresses = b"\x7f\0\0\x01\x7f\0\0\x02" if client else b"\x7f\0\0\x02\x7f\0\0\x01"
        ip = b"\x45\0" + (20 + len(tcp)).to_bytes(2, "big") + b"\0\1\x40\0\x40\x06\0\0" + addresses + tcp
        time = len(packets)
        packets.append(time.to_bytes(4, "little") + bytes(4) + len(ip).to_bytes(4, "little") * 2 + ip)
        sequence[mine] += len(data)

    for client, octets in streams:
        for at in range(0, len(octets), 30_000):
            packet(client, 0x18, octets[at : at + 30_000])
    return b"".join(packets)


def read(path: Path, *fields: str) -> list[list[str]]:
    """A row a frame, a column a field, several values of a field with commas between them."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark: it is in the Debian package of that name")
    options = [option for field in fields for option in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", path, "-o", "tcp.check_checksum:FALSE", "-d", "tcp.port==2775,smpp", "-T", "fields", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


class Conversation:
    """An ESME and a fake SMSC's desk without sockets, and what they have said."""

    def __init__(self, rules: Rules) -> None:
        self.said: list[tuple[bool, bytes]] = []
        self.client = Session(Side.ESME, 1_000)
        self.client.connected(0.0)
        self.desk = Desk(rules, 1, 0.0)
        self.connection = Connection(None, 1, 1_000, Timers(), 0.0)  # type: ignore[arg-type]
        self.desk.connections[1] = self.connection

    def turn(self, now: float) -> list[Event]:
        octets = b"".join(bytes(part) for part in self.client.take_output())
        if octets:
            self.said.append((True, octets))
            self.desk.happened(self.connection, self.connection.session.receive(octets, now), now, 1.79e9)
        self.desk.poll(now, 1.79e9)
        back = b"".join(bytes(part) for part in self.connection.session.take_output())
        if not back:
            return []
        self.said.append((False, back))
        return self.client.receive(back, now)


def test_every_pdu_is_well_formed_and_says_what_was_meant(tmp_path: Path) -> None:
    rules = Rules(statuses=((0, 9.0), (0x58, 1.0)), form="both", ids="mixed")
    talk = Conversation(rules)
    talk.client.bind(Command.BIND_TRANSCEIVER, 0.0, system_id=b"tester", password=b"secret")
    talk.turn(0.0)
    count = 200
    numbers = Strings.of([b"1202555%04d" % row for row in range(count)])
    texts = Strings.of([b"text %d" % row for row in range(count)])
    messages = Messages(
        np.zeros(count, np.uint32),
        source=b"12025550100",
        source_ton=1,
        source_npi=1,
        destination=numbers,
        destination_ton=1,
        destination_npi=1,
        registered_delivery=1,
        short_message=texts,
    )
    talk.client.send(messages, np.arange(count, dtype=np.uint64), 1.0)
    receipts = 0
    for turn in range(20):
        for event in talk.turn(1.0 + turn / 10):
            if isinstance(event, Received):
                receipts += len(event.messages)
                talk.client.answer(Command.DELIVER_SM, event.messages.sequence)
    talk.client.unbind(4.0)
    talk.turn(4.0)
    capture = tmp_path / "talk.pcap"
    capture.write_bytes(pcap(talk.said))
    accepted = talk.desk.model.counts.accepted
    assert 0 < accepted < count and receipts == accepted
    rows = read(
        capture,
        *("smpp.command_id", "smpp.command_status", "smpp.destination_addr", "_ws.malformed", "smpp.message_state"),
    )
    columns = [[value for row in rows for value in row[place].split(",") if value] for place in range(5)]
    found = Counter(int(value, 16) for value in columns[0])
    assert found == {
        Command.BIND_TRANSCEIVER: 1,
        Command.BIND_TRANSCEIVER_RESP: 1,
        Command.SUBMIT_SM: count,
        Command.SUBMIT_SM_RESP: count,
        Command.DELIVER_SM: accepted,
        Command.DELIVER_SM_RESP: accepted,
        Command.UNBIND: 1,
        Command.UNBIND_RESP: 1,
    }
    statuses = Counter(int(value, 16) for value in columns[1])
    assert statuses[0x58] == count - accepted and set(statuses) == {0, 0x58}
    assert columns[2][:count] == [f"1202555{row:04}" for row in range(count)]
    assert not columns[3], "tshark calls a PDU malformed"
    assert len(columns[4]) == accepted and set(columns[4]) == {"2"}
