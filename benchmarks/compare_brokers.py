# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""The same work given to zsms and to five well-known brokers, in one table.

::

    producer process --120-byte messages--> [ broker ] --messages--> consumer process
                     <------accepted-------            <--acknowledged--

Run it where the servers are installed (it skips those that are not, and says how to get them):

    python benchmarks/compare_brokers.py
    python benchmarks/compare_brokers.py --only redis-streams,nats-memory --seconds 1 --repeats 3

The terms, the same for everyone:

- a message is 120 bytes; one producer process, one consumer process and the broker share a machine
  and speak TCP over its loopback interface;
- the broker accepts every message (the producer waits for its word) and hands it to the consumer,
  who checks it and acknowledges it; a run in which the broker still holds a message at its end is
  an error;
- the clock runs from the first message published to the last message accepted and acknowledged;
  starting servers and processes and connecting is not charged;
- the brokers keep messages in memory, their fastest mode; the row that uses a file says so;
- every system may batch and pipeline as far as its protocol goes; the table says how far.
  Redis lists are the exception to the second term: a pop forgets the message, nothing is
  acknowledged.

Every broker gets the client that suits it best. With a Python client library, that library would be what is
measured: redis-py, pika and nats-py reached a third, a quarter and a thirteenth of what their brokers do here. So
the clients are plain sockets that write frames encoded beforehand, keep two batches on the way, and read replies in
bulk; the batch sizes are those that did best. Their messages are ready-made, while zsms makes a new random text for
each one.

Each server is started on a free loopback port with a folder and a configuration of its own, and is
stopped at the end. Needs Linux or another POSIX system and nothing but Python.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, ClassVar

HOST = "127.0.0.1"
SIZE = 120
PAYLOAD = (b"Evacuate now: the river rises. " * 4)[:SIZE]
ROUND = 10_000  # runs are multiples of it, and every system's batch divides it
MOST_MESSAGES = 3_000_000  # a backlog of so many fits in 1 GiB of any of the brokers
START_TIMEOUT_S = 60.0
STALL_TIMEOUT_S = 20.0  # a reply that takes longer is an error, not a slow broker
SERVER_FOLDERS = ("/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")

Go = Callable[[], object]


class BrokerError(Exception):
    """A broker did not start, answered what it should not, or lost or kept messages."""


class Wire:
    """One TCP connection, read by lines or by bytes in bulk; closed when it is dropped."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=STALL_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", buffering=1 << 20)
        self.send = self._socket.sendall

    def lines(self, count: int) -> list[bytes]:
        """The next ``count`` lines with their ends; BrokerError if the broker hangs up before."""
        lines = list(islice(self._file, count))
        if len(lines) < count:
            raise BrokerError("the broker closed the connection")
        return lines

    def line(self) -> bytes:
        """The next line with its end."""
        return self.lines(1)[0]

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        data: bytes = self._file.read(size)
        if len(data) < size:
            raise BrokerError("the broker closed the connection")
        return data


def expect(right: bool, what: str, got: object) -> None:
    """Raise BrokerError, naming what was expected and what came, unless ``right``."""
    if not right:
        raise BrokerError(f"expected {what}, got {got!r:.200}")


def ahead(wire: Wire, batch: bytes, batches: int) -> Iterator[None]:
    """Send ``batch`` so many times, two ahead of the caller, who reads its replies at each step."""
    wire.send(batch)
    for left in range(batches - 1, -1, -1):
        if left:
            wire.send(batch)
        yield


@dataclass(frozen=True)
class Terms:
    """What a row of the table promises: how messages are kept, accepted and acknowledged."""

    kept: str
    accepted: str
    acknowledged: str


class System(ABC):
    """A broker: how to start it, and how to do the work with it.

    ``produce`` and ``consume`` run in processes of their own. They connect, call ``go`` (which
    returns in both at once), and return when all messages are accepted, or acknowledged.
    ``messages`` is a multiple of ``batch``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    executable: ClassVar[str]
    package: ClassVar[str]
    version_flag: ClassVar[str] = "--version"
    terms: ClassVar[Terms]
    batch: ClassVar[int] = 1000

    @abstractmethod
    def command(self, executable: str, folder: Path, port: int) -> list[str]:
        """The command that runs the server in the foreground, on ``port`` of the loopback."""

    @contextmanager
    def environment(self, folder: Path, port: int) -> Iterator[dict[str, str]]:
        """The server's environment, and whatever has to run beside it."""
        yield {**os.environ, "HOME": str(folder)}

    def version(self, executable: str, log: Path) -> str:
        """What the server says of its version, in some words or other."""
        command = [executable, self.version_flag]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout

    def prepare(self, port: int) -> None:  # noqa: B027 - a broker may need nothing
        """Make the queue anew and empty."""

    @abstractmethod
    def produce(self, port: int, messages: int, go: Go) -> None:
        """Publish ``messages`` and see each of them accepted."""

    @abstractmethod
    def consume(self, port: int, messages: int, go: Go) -> None:
        """Take, check and acknowledge ``messages``."""

    @abstractmethod
    def left(self, port: int) -> int:
        """The messages that the broker has not seen acknowledged."""


# Redis: every command is an array of bulk strings, https://redis.io/docs/latest/develop/reference/protocol-spec/


def resp(*words: str | bytes | int) -> bytes:
    """One Redis command."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)


class Redis(System):
    """What the two ways to queue with Redis share: the server and its key ``q``."""

    executable = "redis-server"
    package = "redis-server"

    def command(self, executable: str, folder: Path, port: int) -> list[str]:
        config = folder / "redis.conf"
        config.write_text(f"bind {HOST}\nport {port}\ndir {folder}\nsave ''\nappendonly no\ndaemonize no\n")
        return [executable, str(config)]

    def prepare(self, port: int) -> None:
        wire = Wire(port)
        wire.send(resp("FLUSHALL"))
        expect((reply := wire.line()) == b"+OK\r\n", "+OK", reply)


class RedisStreams(Redis):
    """XADD pipelined; XREADGROUP COUNT; one XACK with the batch's ids."""

    name = "redis-streams"
    title = "Redis Streams"
    terms = Terms("memory", "each, its id", "each, by id")

    def prepare(self, port: int) -> None:
        super().prepare(port)
        wire = Wire(port)
        wire.send(resp("XGROUP", "CREATE", "q", "g", "$", "MKSTREAM"))
        expect((reply := wire.line()) == b"+OK\r\n", "+OK", reply)

    def produce(self, port: int, messages: int, go: Go) -> None:
        wire = Wire(port)
        batch = resp("XADD", "q", "*", "m", PAYLOAD) * self.batch
        go()
        for _ in ahead(wire, batch, messages // self.batch):
            replies = wire.lines(2 * self.batch)  # $length, id
            expect(all(r[:1] == b"$" for r in replies[::2]), "ids", replies[0])

    def consume(self, port: int, messages: int, go: Go) -> None:
        wire = Wire(port)
        take = resp(
            *("XREADGROUP", "GROUP", "g", "c", "COUNT", self.batch),
            *("BLOCK", int(STALL_TIMEOUT_S * 1000), "STREAMS", "q", ">"),
        )
        head, acknowledged = resp("XACK", "q", "g").split(b"\r\n", 1)[1], 0
        go()
        wire.send(take)
        while acknowledged < messages:
            expect((reply := wire.line()) == b"*1\r\n", "one stream", reply)
            count = int(wire.lines(4)[3][1:])  # *2, $1, q, *count
            # a message is *2, $length, id, *2, $1, m, $120, text
            lines = wire.lines(8 * count)
            expect(lines[7::8].count(PAYLOAD + b"\r\n") == count, "the payload", lines[7])
            ids = b"".join(map(bytes.__add__, lines[1::8], lines[2::8]))
            more = take if acknowledged + count < messages else b""
            wire.send(b"*%d\r\n" % (3 + count) + head + ids + more)
            expect((reply := wire.line()) == b":%d\r\n" % count, f"{count} settled", reply)
            acknowledged += count

    def left(self, port: int) -> int:
        wire = Wire(port)
        wire.send(resp("XPENDING", "q", "g"))
        return int(wire.lines(2)[1][1:])  # *4, :pending


class RedisLists(Redis):
    """RPUSH of a batch in one command; BLMPOP COUNT. The pop is the end of it: no acknowledgement."""

    name = "redis-lists"
    title = "Redis lists"
    terms = Terms("memory", "by the batch", "no (a pop forgets)")
    batch = 5000

    def produce(self, port: int, messages: int, go: Go) -> None:
        wire = Wire(port)
        batch = resp("RPUSH", "q", *[PAYLOAD] * self.batch)
        go()
        for _ in ahead(wire, batch, messages // self.batch):
            expect((reply := wire.line())[:1] == b":", "a length", reply)

    def consume(self, port: int, messages: int, go: Go) -> None:
        wire = Wire(port)
        take = resp("BLMPOP", int(STALL_TIMEOUT_S), 1, "q", "LEFT", "COUNT", self.batch)
        one, taken = b"$%d\r\n%b\r\n" % (SIZE, PAYLOAD), 0
        go()
        wire.send(take)
        while taken < messages:
            expect((reply := wire.line()) == b"*2\r\n", "messages", reply)
            count = int(wire.lines(3)[2][1:])  # $1, q, *count
            taken += count
            if taken < messages:
                wire.send(take)
            data = wire.read(len(one) * count)
            expect(data.count(one) == count, "the payload", data)

    def left(self, port: int) -> int:
        wire = Wire(port)
        wire.send(resp("LLEN", "q"))
        return int(wire.line()[1:])


# NATS: text lines, https://docs.nats.io/reference/reference-protocols/nats-protocol, and JetStream's
# requests as JSON over it, https://docs.nats.io/reference/reference-protocols/nats_api_reference


class NatsWire(Wire):
    """A connection that has said hello and listens on an inbox."""

    def __init__(self, port: int, inbox: str) -> None:
        super().__init__(port)
        self.inbox = inbox.encode()
        self.line()
        self.send(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB %b 1\r\n' % self.inbox)

    def lines(self, count: int) -> list[bytes]:
        """The next lines, having answered the PINGs among them."""
        lines = super().lines(count)
        while pings := lines.count(b"PING\r\n"):
            self.send(b"PONG\r\n" * pings)
            lines = [line for line in lines if line != b"PING\r\n"] + super().lines(pings)
        return lines

    def publish(self, subject: str, data: bytes) -> bytes:
        """The frame that publishes ``data`` and has the answer sent to the inbox."""
        return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), self.inbox, len(data), data)

    def ask(self, api: str, **request: object) -> dict[str, Any]:
        """JetStream's answer to a request; BrokerError if it is an error."""
        self.send(self.publish(f"$JS.API.{api}", json.dumps(request).encode()))
        answer: dict[str, Any] = json.loads(self.lines(2)[1])
        expect("error" not in answer, f"an answer to {api}", answer.get("error"))
        return answer


class Nats(System):
    """PUB pipelined with a PubAck each; a pull consumer; AckAll, which acknowledges all up to one."""

    executable = "nats-server"
    package = "nats-server"
    batch = 5000
    storage: ClassVar[str]

    def command(self, executable: str, folder: Path, port: int) -> list[str]:
        config = folder / "nats.conf"
        config.write_text(f'host: "{HOST}"\nport: {port}\njetstream {{ store_dir: "{folder / "jetstream"}" }}\n')
        return [executable, "--config", str(config)]

    def prepare(self, port: int) -> None:
        wire = NatsWire(port, "prepare")
        if wire.ask("STREAM.NAMES")["total"]:
            wire.ask("STREAM.DELETE.S")
        wire.ask("STREAM.CREATE.S", name="S", subjects=["q"], storage=self.storage)
        config = {"durable_name": "C", "ack_policy": "all", "max_ack_pending": 20 * self.batch}
        wire.ask("CONSUMER.DURABLE.CREATE.S.C", stream_name="S", config=config)

    def produce(self, port: int, messages: int, go: Go) -> None:
        wire = NatsWire(port, "accepted")
        batch = wire.publish("q", PAYLOAD) * self.batch
        go()
        for _ in ahead(wire, batch, messages // self.batch):
            replies = wire.lines(2 * self.batch)  # MSG ..., {"stream":"S", "seq":1}
            accepted = sum(reply.startswith(b'{"stream":"S"') for reply in replies[1::2])
            expect(accepted == self.batch, "a PubAck each", replies[1])

    def consume(self, port: int, messages: int, go: Go) -> None:
        wire = NatsWire(port, "taken")
        request = json.dumps({"batch": self.batch, "expires": int(STALL_TIMEOUT_S * 1e9)}).encode()
        take = wire.publish("$JS.API.CONSUMER.MSG.NEXT.S.C", request)
        subject = b""
        go()
        for _ in ahead(wire, take, messages // self.batch):
            lines = wire.lines(2 * self.batch)  # MSG q 1 <where to acknowledge> 120, text
            expect(lines[1::2].count(PAYLOAD + b"\r\n") == self.batch, "the payload", lines[:2])
            subject = lines[-2].split()[3]
            wire.send(b"PUB %b 4\r\n+ACK\r\n" % subject)
        # The last one again, with a reply: when that comes, all acknowledgements have been seen.
        wire.send(wire.publish(subject.decode(), b"+ACK"))
        wire.lines(2)

    def left(self, port: int) -> int:
        info = NatsWire(port, "left").ask("CONSUMER.INFO.S.C")
        return int(info["num_pending"]) + int(info["num_ack_pending"])


class NatsMemory(Nats):
    """JetStream in memory."""

    name = "nats-memory"
    title = "NATS JetStream, memory"
    terms = Terms("memory", "each, its number", "cumulative")
    storage = "memory"


class NatsFile(Nats):
    """JetStream in a file, with the server's own rhythm of fsync (every 2 minutes)."""

    name = "nats-file"
    title = "NATS JetStream, file"
    terms = Terms("file, fsync rare", "each, its number", "cumulative")
    storage = "file"


# RabbitMQ: AMQP 0-9-1 frames (type, channel, size, payload, 0xCE), https://www.rabbitmq.com/amqp-0-9-1-protocol


def short_string(text: str) -> bytes:
    """An AMQP short string."""
    return bytes([len(text)]) + text.encode()


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """One AMQP frame; ``kind`` is 1 for a method, 2 for a content header, 3 for a body."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel: int, klass: int, number: int, arguments: bytes = b"") -> bytes:
    """One AMQP method frame."""
    return frame(1, channel, struct.pack(">HH", klass, number) + arguments)


NO_TABLE = b"\0\0\0\0"
QUEUE = b"\0\0" + short_string("q")
# A header with one property, the delivery mode, which is 1 (not to be kept on disk), and a body.
CONTENT = frame(2, 1, struct.pack(">HHQHB", 60, 0, SIZE, 0x1000, 1)) + frame(3, 1, PAYLOAD)


class AmqpWire(Wire):
    """A connection with channel 1 open."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        login = b"\0guest\0guest"
        self.send(b"AMQP\0\0\x09\x01")
        self.expect(10, 10)
        response = struct.pack(">I", len(login)) + login
        start_ok = NO_TABLE + short_string("PLAIN") + response + short_string("en_US")
        self.send(method(0, 10, 11, start_ok))
        self.expect(10, 30)
        self.send(method(0, 10, 31, struct.pack(">HIH", 1, 1 << 17, 0)))  # no heartbeats
        self.call(method(0, 10, 40, short_string("/") + b"\0\0"), 10, 41)
        self.call(method(1, 20, 10, b"\0"), 20, 11)

    def payload(self) -> bytes:
        """The next frame's payload."""
        size = struct.unpack(">BHI", self.read(7))[2]
        return self.read(size + 1)[:-1]

    def expect(self, klass: int, number: int) -> bytes:
        """The arguments of the next frame, which must be this method."""
        payload = self.payload()
        expect(payload[:4] == struct.pack(">HH", klass, number), f"{klass}.{number}", payload)
        return payload[4:]

    def call(self, request: bytes, klass: int, number: int) -> bytes:
        """Send a method and wait for the one that answers it; its arguments."""
        self.send(request)
        return self.expect(klass, number)


class RabbitMQ(System):
    """Transient messages in a classic queue; confirms; manual acknowledgements with a prefetch."""

    name = "rabbitmq"
    title = "RabbitMQ"
    executable = "rabbitmq-server"
    package = "rabbitmq-server"
    terms = Terms("memory", "each or cumulative", "cumulative")
    batch = 500
    unsettled = 2000  # most unconfirmed in the producer, and the consumer's prefetch

    def command(self, executable: str, folder: Path, port: int) -> list[str]:
        return [executable]

    def version(self, executable: str, log: Path) -> str:
        """From its banner: the program that tells it would start a port mapper for good."""
        return log.read_text(errors="replace").partition("  RabbitMQ ")[2]

    @contextmanager
    def environment(self, folder: Path, port: int) -> Iterator[dict[str, str]]:
        """A node of its own, with Erlang's port mapper beside it, in the foreground too."""
        mapper = free_port()
        (folder / "empty.conf").touch()
        (folder / "plugins").write_text("[].\n")
        with ExitStack() as stack:
            # Without one the server would start it, and it would stay for ever.
            command = [find("epmd") or "epmd", "-port", str(mapper), "-address", HOST]
            stack.enter_context(running(command, dict(os.environ), folder, "epmd", mapper))
            yield {
                **os.environ,
                "HOME": str(folder),
                "ERL_EPMD_PORT": str(mapper),
                "ERL_EPMD_ADDRESS": HOST,
                "RABBITMQ_NODENAME": f"compare{port}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": HOST,
                "RABBITMQ_NODE_PORT": str(port),
                "RABBITMQ_DIST_PORT": str(free_port()),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ("-kernel inet_dist_use_interface {127,0,0,1}"),
                "RABBITMQ_CONF_ENV_FILE": str(folder / "empty.conf"),
                "RABBITMQ_CONFIG_FILE": str(folder / "empty.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
                "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature_flags"),
                "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
                "RABBITMQ_LOG_BASE": str(folder / "log"),
                "RABBITMQ_PID_FILE": str(folder / "pid"),
            }

    def prepare(self, port: int) -> None:
        wire = AmqpWire(port)
        wire.call(method(1, 50, 40, QUEUE + b"\0"), 50, 41)
        wire.call(method(1, 50, 10, QUEUE + b"\0" + NO_TABLE), 50, 11)

    def produce(self, port: int, messages: int, go: Go) -> None:
        wire = AmqpWire(port)
        wire.call(method(1, 85, 10, b"\0"), 85, 11)
        publish = method(1, 60, 40, b"\0\0" + short_string("") + short_string("q") + b"\0")
        batch = (publish + CONTENT) * self.batch
        published = confirmed = 0
        apart: set[int] = set()  # confirmed before one that was published earlier
        go()
        while confirmed < messages:
            while published < min(messages, confirmed + self.unsettled - self.batch + 1):
                wire.send(batch)
                published += self.batch
            tag, multiple = struct.unpack(">QB", wire.expect(60, 80))
            if multiple:
                confirmed = max(confirmed, tag)
                apart = {other for other in apart if other > confirmed}
            else:
                apart.add(tag)
            while confirmed + 1 in apart:
                confirmed += 1
                apart.remove(confirmed)

    def consume(self, port: int, messages: int, go: Go) -> None:
        wire = AmqpWire(port)
        wire.call(method(1, 60, 10, struct.pack(">IHB", 0, self.unsettled, 0)), 60, 11)
        # Deliveries are equally long, so a batch of them is read at once: method, header, body.
        tag, names = struct.pack(">Q", 1), short_string("") + short_string("q")
        deliver = method(1, 60, 60, short_string("c") + tag + b"\0" + names)
        size = len(deliver) + len(CONTENT)
        where = deliver.index(tag) - size  # of the last delivery's tag, from the batch's end
        go()
        wire.call(method(1, 60, 20, QUEUE + short_string("c") + b"\0" + NO_TABLE), 60, 21)
        for _ in range(messages // self.batch):
            data = wire.read(size * self.batch)
            expect(data.count(CONTENT) == self.batch, "the payload", data)
            wire.send(method(1, 60, 80, data[where : where + len(tag)] + b"\1"))
        # The channel closes after what was sent on it: the answer says that all were acknowledged.
        wire.call(method(1, 20, 40, b"\0\0" + short_string("") + b"\0\0\0\0"), 20, 41)

    def left(self, port: int) -> int:
        declared = AmqpWire(port).call(method(1, 50, 10, QUEUE + b"\1" + NO_TABLE), 50, 11)
        return int.from_bytes(declared[2:6], "big")


# beanstalkd: text lines, doc/protocol.txt of its distribution


class Beanstalkd(System):
    """put, reserve and delete, each for one message, all pipelined."""

    name = "beanstalkd"
    title = "beanstalkd"
    executable = "beanstalkd"
    package = "beanstalkd"
    version_flag = "-v"
    terms = Terms("memory", "each, its id", "each, by id")
    batch = 100

    def command(self, executable: str, folder: Path, port: int) -> list[str]:
        return [executable, "-l", HOST, "-p", str(port)]

    def produce(self, port: int, messages: int, go: Go) -> None:
        wire = Wire(port)
        batch = b"put 0 0 600 %d\r\n%b\r\n" % (SIZE, PAYLOAD) * self.batch
        go()
        for _ in ahead(wire, batch, messages // self.batch):
            replies = wire.lines(self.batch)
            expect(all(r.startswith(b"INSERTED ") for r in replies), "INSERTED", replies[0])

    def consume(self, port: int, messages: int, go: Go) -> None:
        wire = Wire(port)
        take = b"reserve\r\n" * self.batch
        go()
        wire.send(take)
        for left in range(messages - self.batch, -1, -self.batch):
            lines = wire.lines(2 * self.batch)  # RESERVED id 120, text
            expect(lines[1::2].count(PAYLOAD + b"\r\n") == self.batch, "the payload", lines[:2])
            ids = [line.split()[1] for line in lines[::2]]
            wire.send(b"".join(b"delete %b\r\n" % i for i in ids) + (take if left else b""))
            replies = wire.lines(self.batch)
            expect(replies.count(b"DELETED\r\n") == self.batch, "DELETED", replies[0])

    def left(self, port: int) -> int:
        wire = Wire(port)
        wire.send(b"stats\r\n")
        text = wire.read(int(wire.line().split()[1]))
        states = re.findall(rb"current-jobs-(?:ready|reserved|delayed|buried): (\d+)", text)
        return sum(map(int, states))


SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (*(RedisStreams(), RedisLists(), NatsMemory(), NatsFile(), RabbitMQ(), Beanstalkd()),)
}
ZSMS = "zsms"
ZSMS_TERMS = Terms("memory", "by the batch", "by the batch")
ZSMS_CONCURRENCY = 100_000


# Servers


def find(executable: str) -> str | None:
    """Where a program is; a package's own folder first, as Debian's wrapper of RabbitMQ changes the user."""
    folders = os.pathsep.join([*SERVER_FOLDERS, os.environ.get("PATH", os.defpath)])
    return shutil.which(executable, path=folders)


def free_port() -> int:
    """A loopback port that nobody has now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], environment: dict[str, str], folder: Path, name: str, port: int) -> Iterator[None]:
    """A server in a process group of its own, from when it listens until the block ends.

    Raises BrokerError, with the end of its log, when it does not listen within START_TIMEOUT_S.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = log.read_text(errors="replace")[-500:].strip()
                    raise BrokerError(f"{name} did not start: {tail or command}") from None
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# Measuring


def work(role: str, name: str, port: int, messages: int, barrier: Barrier, to: Connection) -> None:
    """A producer's or consumer's process: do the work and send back when it began and ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    began = 0.0

    def go() -> None:
        nonlocal began
        barrier.wait()
        began = time.monotonic()

    try:
        getattr(SYSTEMS[name], role)(port, messages, go)
        to.send((began, time.monotonic()))
    except Exception as error:  # whatever it was, the parent is waiting to hear of it
        barrier.abort()
        to.send(f"{role}: {type(error).__name__}: {error}")


def rate(system: System, port: int, messages: int, timeout_s: float) -> float:
    """Messages a second of one run on a server that runs already.

    Raises BrokerError when a side fails, when the run takes longer than ``timeout_s``, and when the
    broker still holds messages after it.
    """
    system.prepare(port)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2, timeout=30)
    processes, waiting, times = [], list[Connection](), list[tuple[float, float]]()
    try:
        for role in ("consume", "produce"):
            here, there = context.Pipe(duplex=False)
            arguments = (role, system.name, port, messages, barrier, there)
            processes.append(context.Process(target=work, args=arguments, daemon=True))
            processes[-1].start()
            there.close()
            waiting.append(here)
        deadline = time.monotonic() + timeout_s
        while waiting:
            ready = wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                raise BrokerError(f"not done within {timeout_s:g} s")
            for end in ready:
                assert isinstance(end, Connection)
                waiting.remove(end)
                try:
                    said = end.recv()
                except EOFError:
                    raise BrokerError("a client process died") from None
                if isinstance(said, str):
                    raise BrokerError(said)
                times.append(said)
        for process in processes:
            process.join(timeout=10)
    finally:
        for process in processes:
            process.kill()
    if left := system.left(port):
        raise BrokerError(f"{left:,} messages were not acknowledged")
    return messages / (max(end for _, end in times) - min(began for began, _ in times))


def zsms_command() -> list[str] | None:
    """How to run zsms: the program beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(ZSMS)
    found = str(beside) if beside.exists() else shutil.which(ZSMS)
    return [found] if found else None


def zsms_rate(messages: int, timeout_s: float) -> float:
    """Messages a second of one zsms run with one sender process whose sends take no time.

    Raises BrokerError when zsms is missing, fails, takes longer than ``timeout_s`` or loses count.
    """
    program = zsms_command()
    if program is None:
        raise BrokerError("zsms is not installed")
    options = {
        "messages": messages,
        "senders": 1,
        "concurrency": ZSMS_CONCURRENCY,
        "mean": 0,
        "sd": 0,
        "delay": "constant",
        "min-length": SIZE,
        "max-length": SIZE,
        "json": "-",
    }
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    try:
        done = subprocess.run(
            [*program, "run", *words],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BrokerError(f"not done within {timeout_s:g} s") from None
    if done.returncode:
        raise BrokerError(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    report = json.loads(done.stdout)
    expect(report["messages"]["sent"] == messages, f"{messages} messages sent", report["messages"])
    return float(report["throughput_per_s"])


@dataclass
class Row:
    """One system's line of the table."""

    name: str
    title: str
    terms: Terms
    batch: str
    version: str = ""
    messages: int = 0
    rates: list[float] = field(default_factory=list)
    problem: str = ""

    @property
    def median(self) -> float:
        """Messages a second; 0 without a run."""
        return statistics.median(self.rates) if self.rates else 0.0


def measure(row: Row, run: Callable[[int], float], options: argparse.Namespace) -> None:
    """Fill a row: a short run to warm up and to size the others, then the repeated ones."""
    say(f"{row.title}: warming up")
    speed = run(options.messages or 2 * ROUND)
    rounds = math.ceil(min(speed * options.seconds, MOST_MESSAGES) / ROUND)
    row.messages = options.messages or rounds * ROUND
    for number in range(1, options.repeats + 1):
        row.rates.append(run(row.messages))
        say(f"{row.title}: run {number} of {options.repeats}, {row.rates[-1]:,.0f} msg/s")


def measure_broker(system: System, options: argparse.Namespace) -> Row:
    """Start the server, measure it, stop it."""
    row = Row(system.name, system.title, system.terms, f"{system.batch:,}")
    executable = find(system.executable)
    if executable is None:
        row.problem = f"{system.executable} is not installed: apt-get install {system.package}"
        return row
    try:
        with tempfile.TemporaryDirectory(prefix="compare-brokers-") as name, ExitStack() as stack:
            folder, port = Path(name), free_port()
            environment = stack.enter_context(system.environment(folder, port))
            command = system.command(executable, folder, port)
            say(f"{system.title}: starting")
            stack.enter_context(running(command, environment, folder, system.name, port))
            said = system.version(executable, folder / f"{system.name}.log")
            if found := re.search(r"\d+(\.\d+)+", said):
                row.version = f"{system.executable} {found[0]}"
            measure(row, lambda messages: rate(system, port, messages, options.timeout), options)
    except (BrokerError, OSError, subprocess.TimeoutExpired) as error:
        row.problem = str(error)
    return row


def measure_zsms(options: argparse.Namespace) -> Row:
    """The row of zsms."""
    row = Row(ZSMS, ZSMS, ZSMS_TERMS, "its own")
    if zsms_command() is None:
        row.problem = "zsms is not installed: pip install . (in this repository)"
        return row
    try:
        measure(row, lambda messages: zsms_rate(messages, options.timeout), options)
    except BrokerError as error:
        row.problem = str(error)
    return row


# Reporting


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def table(rows: list[Row]) -> str:
    """The table, in Markdown, the fastest first; then what could not be measured, and versions."""
    measured = sorted((row for row in rows if row.rates), key=lambda row: -row.median)
    ours = next((row.median for row in measured if row.name == ZSMS), 0.0)
    cells = [
        [
            *("system", "kept in", "accepted", "acknowledged", "batch"),
            *("msg/s, median", "min..max", "runs x messages", "zsms / it"),
        ],
        *(
            [
                *(row.title, row.terms.kept, row.terms.accepted, row.terms.acknowledged, row.batch),
                f"{row.median:,.0f}",
                f"{min(row.rates):,.0f}..{max(row.rates):,.0f}",
                f"{len(row.rates)} x {row.messages:,}",
                f"{ours / row.median:.1f}" if ours else "-",
            ]
            for row in measured
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    first_number = 4

    def line(words: list[str]) -> str:
        padded = (
            word.ljust(width) if column < first_number else word.rjust(width)
            for column, (word, width) in enumerate(zip(words, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = ["-" * w if c < first_number else "-" * (w - 1) + ":" for c, w in enumerate(widths)]
    lines = [line(cells[0]), line(rule), *map(line, cells[1:])] if measured else []
    lines += [f"{row.title}: not measured: {row.problem}" for row in rows if row.problem]
    lines += ["", f"{machine()}; {SIZE}-byte messages, one producer, one consumer."]
    if versions := dict.fromkeys(row.version for row in measured if row.version):
        lines.append(", ".join(versions))
    return "\n".join(lines)


def machine() -> str:
    """The processor, how many of it, the system and this Python."""
    model = platform.processor() or platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).exists() and (
        found := re.search(r"model name\s*: (.+)", cpuinfo.read_text())
    ):
        model = found[1]
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} x {model}, {system}, Python {platform.python_version()}"


def as_json(rows: list[Row]) -> str:
    """The same as the table, for programs."""
    return json.dumps(
        {
            "machine": machine(),
            "payload_bytes": SIZE,
            "systems": [
                {
                    "name": row.name,
                    "version": row.version,
                    "terms": vars(row.terms),
                    "batch": row.batch,
                    "messages": row.messages,
                    "rates_per_s": row.rates,
                    "median_per_s": row.median or None,
                    "problem": row.problem or None,
                }
                for row in rows
            ],
        },
        indent=2,
    )


def whole_rounds(text: str) -> int:
    """An argparse type: a positive multiple of ROUND."""
    number = int(text)
    if number < ROUND or number % ROUND:
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of {ROUND}")
    return number


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def main() -> int:
    """Measure and print; 0, 1 if a system failed, 2 for bad usage, 130 for an interrupt."""
    names = [ZSMS, *SYSTEMS]
    parser = argparse.ArgumentParser(
        description="Compare zsms with well-known brokers on the same work.",
        epilog=f"systems: {', '.join(names)}",
    )
    add = parser.add_argument
    add("--only", default=",".join(names), help="systems to measure, with commas [all]")
    add("--repeats", type=int, default=5, help="measured runs of each [%(default)s]")
    add("--seconds", type=positive, default=3.0, help="length of a run, about [%(default)s]")
    add("--messages", type=whole_rounds, help="messages a run, instead of --seconds")
    add("--timeout", type=positive, default=120.0, help="seconds until a run failed [%(default)s]")
    add("--json", metavar="FILE", help="write the figures to a file too")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := [name for name in chosen if name not in names]:
        parser.error(f"no such system: {', '.join(unknown)}; there are {', '.join(names)}")
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    # An end by SIGTERM must stop the servers as an interrupt does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rows = [measure_zsms(options) if name == ZSMS else measure_broker(SYSTEMS[name], options) for name in chosen]
    except KeyboardInterrupt:
        say("interrupted: the servers are stopped")
        return 130
    print(table(rows))
    if options.json:
        Path(options.json).write_text(as_json(rows) + "\n", encoding="utf-8")
    return 1 if any(row.problem and "not installed" not in row.problem for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
