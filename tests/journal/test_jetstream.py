"""A journal on three real NATS servers: what is committed is there again, whoever is killed or stands still."""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.journal.making import LIMITS, Hand, content
from tests.journal.servers import PROGRAM, Servers
from tests.journal.test_sqlite import fill
from tests.mesh.processes import free_port, until
from zsms.core.broker.durability import check_durability
from zsms.core.broker.replay import rebuild
from zsms.errors import JournalError, UsageError
from zsms.journal import Fenced, open_journal, read
from zsms.launch.ready import ready
from zsms.scenario import MeshConfig

pytest.importorskip("nats", reason="needs zsms[jetstream]")

from zsms.journal import fence, jetstream
from zsms.journal import log as log_module
from zsms.journal.address import Address
from zsms.journal.fence import DATA, Holder, Record, Unavailable
from zsms.journal.jetstream import JetStreamStore, end_lease
from zsms.journal.nats import JetStream

PATIENCE_S = 25.0
"""So long a journal may need on a busy machine to go on when its servers do."""


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.journal()


def held(url: str) -> dict:
    with open_journal(url, create=False) as store:
        return content(rebuild(store.load(), LIMITS))


def test_what_was_committed_is_there_again(url: str) -> None:
    with open_journal(url, name="b") as store:
        hand = Hand(store)
        fill(hand)
        hand.put(5)  # in no group: gone, and not confirmed
        assert [account.durable_through for account in hand.core.confirms()] == [3]
        assert store.sure and not store.trouble
    found = held(url)
    assert found["totals"] == {"accepted": 50, "queued": 38, "in_flight": 0, "sent": 12, "failed": 0, "dead": 0}
    assert found["next"] == {"P": 3}
    with read(url, LIMITS) as core:
        assert core.totals() == found["totals"]


def test_a_long_life_keeps_the_stream_small(servers: Servers, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (log_module, jetstream):
        monkeypatch.setattr(module, "SLACK_BYTES", 20_000)
    monkeypatch.setattr(log_module, "COPY_BYTES", 5_000)
    with open_journal(url) as store:
        hand = Hand(store)
        hand.put(5)
        hand.commit()
        hand.grant(1_000_000)  # held to the end in half of the slots, so that its batch has to move
        for number in range(400):
            hand.put(5)
            hand.commit()
            hand.grant(1_000_000)
            hand.acknowledge(range(5 * number + 5, 5 * number + 10), limit=1_000_000)
        hand.commit()
        assert hand.core.totals() | {"in_flight": 5, "sent": 2_000} == hand.core.totals()
        assert store.log.nbytes < 40_000  # type: ignore[attr-defined]
        assert servers.size(servers.name_of(url)) < 200_000
    assert held(url)["totals"]["queued"] == 5


def test_a_group_above_the_servers_limit_is_several_records_and_whole_or_nothing(url: str) -> None:
    with open_journal(url) as store:
        assert isinstance(store, JetStreamStore)
        store.stream.payload = 1_000
        hand = Hand(store)
        before = store.holder.last
        for _ in range(5):
            hand.put(200)
        hand.commit()
        assert store.holder.last - before > 5
        # Who dies between two parts leaves a group that nobody was told of.
        half = Record(DATA, "half", b"half of a group", 0, 2)
        assert store.loop.call(store.stream.append(store.holder.last, [half]))
        store.holder.last += 1
    with open_journal(url) as store:
        assert isinstance(store, JetStreamStore)
        assert Hand(store).core.totals()["queued"] == 1_000
        assert "did not finish" in store.dropped


def test_a_run_begins_with_a_journal_that_is_new(url: str) -> None:
    """As with a folder; and it may still fork its processes when it has asked."""
    config = MeshConfig(messages=1, journal=url.replace("127.0.0.1", "localhost"))
    threads = set(threading.enumerate())
    assert ready(config).journal == config.journal
    assert ready(replace(config, journal="nats://127.0.0.1:1/n")).messages == 1
    assert set(threading.enumerate()) == threads
    open_journal(url).close()
    with pytest.raises(UsageError, match="has a journal already, and a run begins with a new one"):
        ready(config)


def test_who_comes_second_is_refused_and_told_who_has_it(url: str) -> None:
    with (
        open_journal(url, name="first"),
        pytest.raises(JournalError, match=r"in use by first pid \d+ on .*--standby"),
    ):
        open_journal(url, name="second")


def test_one_that_was_replaced_confirms_nothing_more_and_says_why(url: str) -> None:
    old = open_journal(url, name="old")
    hand = Hand(old)
    hand.put(10)
    hand.commit()
    assert end_lease(url, "somebody").startswith("old pid")
    assert end_lease(url, "somebody") == ""
    new = open_journal(url, name="new", standby=True)
    try:
        assert Hand(new).core.totals()["queued"] == 10
        assert new.owner == "old" and new.opened == 2
        hand.put(10)
        with pytest.raises(Fenced, match=r"new pid \d+ on .* has taken over|taken from this one by hand"):
            hand.commit()
        assert old.failure is not None or not old.sure
    finally:
        old.close()
        new.close()
    assert held(url)["totals"]["queued"] == 10


def test_who_stands_by_may_leave(url: str) -> None:
    from zsms.journal import NeverTaken

    leaves = threading.Event()
    with open_journal(url, name="first"):
        threading.Timer(0.3, leaves.set).start()
        with pytest.raises(NeverTaken):
            open_journal(url, standby=True, leaves=leaves.is_set)


def test_what_can_not_be_is_said_before_anything_is_asked() -> None:
    for text, why in (
        ("nats://a/", "no name for a stream"),
        ("nats://a/b.c", "no name for a stream"),
        ("nats:///x", "write nats://HOST"),
        ("nats://a/b?cred=x", "no such option: cred"),
        ("nats://[::1/x", "Invalid IPv6"),
        ("nats://a:b/x", "'a:b' is no HOST"),
        ("nats://a:99999/x", "'a:99999' is no HOST"),
        ("nats://a b/x", "'a b' is no HOST"),
        ("nats://,/x", "write nats://HOST"),
        ("nats://a/b*", "no name for a stream"),
        ("nats://a/b c", "no name for a stream"),
        (f"nats://a/{'n' * 201}", "no name for a stream"),
        ("nats://a/b?monitor=x", "give a port"),
    ):
        with pytest.raises(UsageError, match=why):
            Address.parse(text)
    address = Address.parse("nats://u:secret@a,b:1,[::1]:2/n?monitor=8,9")
    assert address.servers == ("nats://a", "nats://b:1", "nats://[::1]:2")
    assert address.monitors == ("http://a:8/varz", "http://b:9/varz", "http://[::1]:9/varz")
    with pytest.raises(UsageError, match=r"creds=/nowhere: No such file"):
        open_journal("nats://127.0.0.1:1/x?creds=/nowhere")
    with pytest.raises(UsageError, match="always majority"):
        check_durability("nats://a/n", "fsync")
    with pytest.raises(UsageError, match="of NATS servers"):
        check_durability("/folder", "majority")
    with pytest.raises(UsageError, match="stands by for a journal on NATS servers"):
        open_journal("/tmp/nowhere", standby=True)


@pytest.mark.parametrize(
    ("others", "heard"),
    [
        ([{"active": 400_000_000}, {"active": 9_000_000_000}], None),
        ([{"active": 4_000_000_000}, {"active": 9_000_000_000}], 1),
        ([{"active": 0, "offline": True}, {"active": 9_000_000_000}], 1),
        ([], None),
    ],
)
def test_a_leader_without_a_majority_does_not_know_where_the_log_ends(
    others: list[dict[str, Any]], heard: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or one who stands by would take the holder for silent, and not the servers."""
    stream = JetStream(Address.parse("nats://a,b,c/n"))

    async def ask(what: str, body: object = None) -> dict[str, Any]:
        return {"cluster": {"leader": "n0", "replicas": others}, "state": {"first_seq": 1, "last_seq": 7}}

    monkeypatch.setattr(stream, "ask", ask)
    if heard is None:
        assert asyncio.run(stream.ends()) == (1, 7)
        return
    with pytest.raises(Unavailable, match=f"of 3 NATS servers .* {heard} can be heard"):
        asyncio.run(stream.ends())


def test_no_server_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zsms.journal.nats.FIRST_S", 0.1)
    began = time.monotonic()
    why = r"no NATS server answers: nats://127.0.0.1:1: .*Connect call failed.*; nats://nowhere.invalid:1: .*not known"
    with pytest.raises(JournalError, match=why):
        open_journal("nats://127.0.0.1:1,nowhere.invalid:1/x")
    assert time.monotonic() - began < 25, "a server that is not there costs the time in which others would answer"


def test_one_server_keeps_one_copy_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "zsms.journal")
    with Servers(tmp_path, 1) as server:
        url = server.url("one")
        with open_journal(url) as store:
            assert isinstance(store, JetStreamStore)
            hand = Hand(store)
            for _ in range(3):
                hand.put(10)
                hand.commit()
            # An answer that was lost: the record is there, and is found to be this one's own.
            publish, lost = store.stream.publish, [True]

            async def loses(last: int, record: Record) -> bool:
                return await publish(last, record) and not (lost and lost.pop())

            monkeypatch.setattr(store.stream, "publish", loses)
            hand.put(10)
            hand.commit()
            assert not lost
        assert "one copy (fewer than 3" in caplog.text
        found = held(url)["totals"]
        assert found | {"accepted": 40, "queued": 40} == found


def test_servers_without_jetstream_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zsms.journal.nats.FIRST_S", 0.1)
    port = free_port()
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen([str(PROGRAM), "-a", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log) as server:
        until(lambda: b"Server is ready" in (tmp_path / "log").read_bytes(), "a server")
        with pytest.raises(JournalError, match="no JetStream"):
            open_journal(f"nats://127.0.0.1:{port}/x")
        server.kill()


# -- servers that die or stand still --------------------------------------------------------------------------------


class Through:
    """Commits one group after the other while the servers have some trouble."""

    def __init__(self, url: str) -> None:
        self.store = open_journal(url)
        self._url, self._groups, self._longest = url, 0, 0.0
        self._began = math.inf

    def stands(self, seconds: float) -> bool:
        """Whether a group has been under way for so long."""
        return time.monotonic() - self._began > seconds

    def go_on(self) -> None:
        """Return when two more groups are committed."""
        upto = self._groups + 2
        until(lambda: self._groups >= upto, "two more groups", PATIENCE_S)

    def run(self, trouble: Callable[[Through], None]) -> float:
        """The longest that a group took, seconds; everything committed is there in the end."""
        hand = Hand(self.store)
        with self.store, ThreadPoolExecutor(1) as pool:
            caused = pool.submit(self._cause, trouble)
            while not caused.done():
                hand.put(10)
                self._began = time.monotonic()
                hand.commit()
                self._longest = max(self._longest, time.monotonic() - self._began)
                self._began = math.inf
                self._groups += 1
                time.sleep(0.01)
            caused.result()
        found, messages = held(self._url)["totals"], 10 * self._groups
        assert found | {"accepted": messages, "queued": messages} == found
        return self._longest

    def _cause(self, trouble: Callable[[Through], None]) -> None:
        self.go_on()
        trouble(self)
        self.go_on()


def test_the_leader_is_killed(servers: Servers, url: str) -> None:
    def trouble(through: Through) -> None:
        servers.kill(servers.leader(servers.name_of(url)))
        through.go_on()
        servers.heal()

    Through(url).run(trouble)


def test_two_of_three_are_killed_and_come_back(servers: Servers, url: str) -> None:
    """The one that is left is the leader, and answers on: that nothing is stored has to be told all the same."""

    def trouble(through: Through) -> None:
        for index in {0, 1, 2} - {servers.leader(servers.name_of(url))}:
            servers.kill(index)
        until(lambda: through.stands(1.0) and through.store.trouble, "servers that acknowledge nothing", PATIENCE_S)
        servers.heal()

    assert Through(url).run(trouble) > 1.0


def test_the_leader_stands_still(servers: Servers, url: str) -> None:
    def trouble(through: Through) -> None:
        leader = servers.leader(servers.name_of(url))
        servers.freeze(leader)
        through.go_on()
        servers.thaw(leader)

    Through(url).run(trouble)


def test_the_server_of_the_client_stands_still(servers: Servers, url: str) -> None:
    """A client would stay with it for ever."""

    def trouble(through: Through) -> None:
        busy = servers.busiest()
        servers.freeze(busy)
        through.go_on()
        servers.thaw(busy)

    Through(url).run(trouble)


def test_a_connection_that_breaks_is_not_waited_for(one: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked through it has no answer: a group would take longer than a holder is sure."""
    monkeypatch.setattr("zsms.journal.nats.APPEND_S", 1_000.0)
    open_journal(one.url("cut", "a:secret@")).close()

    async def cut() -> bool:
        """Publish through somebody in between, who ends the connection when a record comes."""

        async def between(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
            server, words = await asyncio.open_connection("127.0.0.1", one.port)

            async def back() -> None:
                while data := await server.read(65_536):
                    answers.write(data)

            task = asyncio.ensure_future(back())
            while b"zsms.cut.data" not in (data := await client.read(65_536)):
                words.write(data)
            task.cancel()
            for writer in (words, answers):
                writer.close()

        async with await asyncio.start_server(between, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            stream = JetStream(Address.parse(f"nats://a:secret@127.0.0.1:{port}/cut"))
            await stream.open(create=False)
            stored = await asyncio.wait_for(stream.publish(2, Record(DATA, "one", b"")), PATIENCE_S)
            await stream.close()
            return stored

    assert not asyncio.run(cut())


# -- servers and streams that are not as they should be -------------------------------------------------------------


class Server:
    """One, with that in its configuration."""

    def __init__(self, folder: Path, config: str, domain: str | None = "") -> None:
        """`domain` of its JetStream; None: it has none."""
        self.port, self.monitor = free_port(), free_port()
        self._folder, self._config, self._domain = folder, config, domain

    def __enter__(self) -> Server:
        if PROGRAM is None:
            pytest.skip("no nats-server")
        file, log = self._folder / "one.conf", self._folder / "one.log"
        domain = f", domain: {self._domain}" if self._domain else ""
        store = f'jetstream {{ store_dir: "{self._folder}/one"{domain} }}\n' if self._domain is not None else ""
        file.write_text(f'listen: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self.monitor}"\n{store}{self._config}\n')
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [PROGRAM, "-c", str(file)], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        until(lambda: b"Server is ready" in log.read_bytes(), "a server")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def url(self, name: str, user: str = "", scheme: str = "nats") -> str:
        return f"{scheme}://{user}127.0.0.1:{self.port}/{name}"

    def do(self, url: str, work: Callable[[Any], Any]) -> None:
        """With a client of its own."""

        async def connected() -> None:
            import nats

            client = await nats.connect(url.rpartition("/")[0])
            try:
                await work(client.jetstream())
            finally:
                await client.close()

        asyncio.run(connected())


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    accounts = """accounts {
      A: { jetstream: enabled, users: [{user: a, password: secret},
           {user: mute, password: m, permissions: {publish: {deny: "zsms.*.data"}}},
           {user: deaf, password: m, permissions: {subscribe: {deny: "_INBOX.>"}}},
           {user: blind, password: m, permissions: {publish: {deny: "$JS.API.STREAM.INFO.>"}}},
           {user: uncut, password: m, permissions: {publish: {deny: "$JS.API.STREAM.PURGE.>"}}}] },
      SMALL: { jetstream: {max_streams: 1, max_file: 100kB}, users: [{user: small, password: s}] },
      NONE: { users: [{user: none, password: n}] }
    }"""
    with Server(tmp_path_factory.mktemp("one"), accounts) as server:
        yield server


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"subjects": ["alerts.>"]}, "no journal of zsms"),
        ({"discard": "old"}, "discard old"),
        ({"max_msgs": 5}, "max_msgs 5"),
        ({"max_bytes": 10_000}, "max_bytes 10000"),
        ({"max_age": 60.0}, "max_age 60000000000"),
        ({"max_msg_size": 1_000}, "max_msg_size 1000"),
        ({"max_msgs_per_subject": 1}, "max_msgs_per_subject 1"),
        ({"storage": "memory"}, "storage memory"),
        ({"retention": "workqueue"}, "retention workqueue"),
        ({"deny_purge": True}, "deny_purge True"),
        ({"sealed": True}, "sealed True"),
        ({"allow_direct": False}, "allow_direct False"),
        ({"no_ack": True}, "no_ack True"),
        ({"persist_mode": "async"}, "persist_mode async"),
        ({"first_seq": 1_000}, "first_seq 1000"),
    ],
)
def test_a_stream_that_would_lose_or_take_nothing_is_no_journal(one: Server, settings: dict, why: str) -> None:
    """Made by somebody else."""
    name = f"s{abs(hash(why))}"

    async def make(js: Any) -> None:
        config = {"name": name, "subjects": [f"zsms.{name}.*"], "discard": "new", "allow_direct": True}
        made = {key: value for key, value in settings.items() if key != "sealed"}
        await js.add_stream(**{**config, **made})
        if "sealed" in settings:
            await js.update_stream(**config, sealed=True)

    one.do(one.url(name, "a:secret@"), make)
    with pytest.raises(UsageError, match=why):
        open_journal(one.url(name, "a:secret@"))


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("a:wrong@", "no NATS server can be used: nats://a@127.0.0.1:.*Authorization Violation"),
        ("", "no NATS server can be used: .*Authorization Violation"),
        ("none:n@", "JetStream"),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_of_without_the_password(
    one: Server, user: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if user == "none:n@":
        monkeypatch.setattr("zsms.journal.nats.FIRST_S", 0.1)  # it may be about to have it
    began = time.monotonic()
    with pytest.raises(JournalError, match=why) as raised:
        open_journal(one.url("x", user))
    assert time.monotonic() - began < 20, "servers that may come are waited for, 30 s"
    assert "wrong" not in str(raised.value)


def test_a_password_is_not_sent_in_the_clear_where_tls_was_asked_for(one: Server) -> None:
    with pytest.raises(JournalError, match="does not offer TLS"):
        open_journal(one.url("x", "a:secret@", "tls"))


def test_a_full_account_is_told_of_in_the_servers_words_and_nothing_is_confirmed(
    one: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = one.url("full", "small:s@")
    with open_journal(url) as store, ThreadPoolExecutor(1) as pool:
        assert isinstance(store, JetStreamStore)
        hand = Hand(store)
        hand.put(10)
        hand.commit()
        hand.put(20_000)
        group = pool.submit(hand.commit)
        until(lambda: "store nothing: " in store.trouble, "what is in the way")
        assert not group.done() and "exceeded" in store.trouble

        async def ends(last: int, record: Record) -> bool:
            raise JournalError("it is killed")

        monkeypatch.setattr(store.stream, "publish", ends)
        with pytest.raises(JournalError, match="it is killed"):
            group.result(40)
    assert held(url)["totals"]["queued"] == 10
    with pytest.raises(JournalError, match="maximum number of streams"):
        open_journal(one.url("second", "small:s@"))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"max_bytes": 2_000, "discard": "old"}, r"can't be a journal as it is set up \(discard old, max_bytes 2000\)"),
        ({"subjects": ["other.*"]}, "no journal of zsms, whose subjects are"),
    ],
)
def test_a_stream_that_is_edited_under_a_broker_confirms_nothing_until_it_is_mended(
    one: Server, settings: dict, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jetstream, "LOOK_S", 0.0)
    name = f"edited{abs(hash(why))}"
    url = one.url(name, "a:secret@")

    async def edit(js: Any) -> None:
        config = (await js.stream_info(name)).config
        await js.update_stream(config.evolve(**settings))

    async def mend(js: Any) -> None:
        config = (await js.stream_info(name)).config
        await js.update_stream(config.evolve(max_bytes=-1, discard="new", subjects=[f"zsms.{name}.*"]))

    with open_journal(url) as store, ThreadPoolExecutor(1) as pool:
        hand = Hand(store)
        hand.put(10)
        hand.commit()
        one.do(url, edit)
        until(lambda: why.partition(" ")[0] in caplog.text and re.search(why, store.trouble), "what is wrong", 25.0)
        hand.put(10)
        group = pool.submit(hand.commit)
        until(lambda: store.trouble, "no end of that")
        assert not group.done()
        one.do(url, mend)
        group.result(25.0)
        until(lambda: not store.trouble, "that all is well", 25.0)
    assert held(url)["totals"]["queued"] == 20


def test_records_that_somebody_deletes_under_a_broker_are_missed_until_they_are_settled(
    one: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jetstream, "LOOK_S", 0.0)
    url = one.url("purged", "a:secret@")

    async def purge(js: Any) -> None:
        await js.purge_stream("purged")

    with caplog.at_level("INFO"), open_journal(url) as store:
        hand = Hand(store)
        hand.put(10)
        hand.commit()
        one.do(url, purge)
        until(lambda: "records were deleted from its stream" in caplog.text, "that it is told", 25.0)
        hand.put(10)
        hand.grant(10)
        hand.acknowledge(range(10), limit=10)
        hand.commit()
        until(lambda: "what was deleted from its stream is not needed" in caplog.text, "that all is well", 25.0)
    assert held(url)["totals"] == {"accepted": 20, "queued": 10, "in_flight": 0, "sent": 10, "failed": 0, "dead": 0}


def test_who_has_not_read_a_journal_yet_cuts_nothing_off(one: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a slow line the first records come later than a holder has to be heard."""
    url = one.url("slow", "a:secret@")
    with open_journal(url) as store:
        hand = Hand(store)
        hand.put(10)
        hand.commit()
    monkeypatch.setattr(jetstream, "HOLD_S", 0.01)
    fetch, heard = JetStream.fetch, list[str]()
    declare = Holder.declare

    async def declares(holder: Holder, event: str) -> None:
        await declare(holder, event)
        heard.append(event)

    async def fetches(stream: JetStream, place: int) -> Record | None:
        while len(heard) < 3:
            await asyncio.sleep(0.01)
        return await fetch(stream, place)

    monkeypatch.setattr(Holder, "declare", declares)
    monkeypatch.setattr(JetStream, "fetch", fetches)
    assert held(url)["totals"]["queued"] == 10


@pytest.mark.parametrize("later", ["nothing", "a hold", "a group"])
def test_a_stream_that_was_purged_is_no_journal_without_what_it_had(
    one: Server, later: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a broker would begin with nothing, as if nobody had ever been told of what was in it."""
    monkeypatch.setattr(fence, "LEASE_S", 0.1)
    monkeypatch.setattr(jetstream, "HOLD_S", 10.0 if later == "nothing" else 0.05)
    monkeypatch.setattr(jetstream, "LOOK_S", 10.0)
    name = f"purged-{later.split()[-1]}"
    url = one.url(name, "a:secret@")

    async def purge(js: Any) -> None:
        await js.purge_stream(name)

    with open_journal(url) as store:
        assert isinstance(store, JetStreamStore)
        hand = Hand(store)
        for _ in range(3):
            hand.put(10)
            hand.commit()
        one.do(url, purge)
        if later == "a hold":
            seen = store.holder.last
            until(lambda: store.holder.last > seen, "a hold")
        elif later == "a group":
            hand.put(10)
            hand.commit()
        monkeypatch.setattr(store, "close", store.loop.end)  # it is killed
    with pytest.raises(JournalError, match=r"somebody has deleted records of its stream .*: begin with another name"):
        open_journal(url)


def test_a_permission_that_is_missing_is_named(one: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zsms.journal.nats.APPEND_S", 0.5)
    open_journal(one.url("mute", "a:secret@")).close()
    stream = JetStream(Address.parse(one.url("mute", "mute:m@")))

    async def publish() -> bool:
        await stream.open(create=False)
        stored = await stream.publish(2, Record(DATA, "one", b""))
        await stream.close()
        return stored

    assert not asyncio.run(publish())
    assert "permissions violation for publish to" in stream.refused.lower()


@pytest.mark.parametrize(("user", "what"), [("deaf", "subscription"), ("blind", "publish")])
def test_who_may_not_ask_does_not_wait_for_that(
    one: Server, user: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zsms.journal.nats.APPEND_S", 0.5)
    monkeypatch.setattr("zsms.journal.nats.REQUEST_S", 0.5)
    monkeypatch.setattr("zsms.journal.nats.FIRST_S", 1e9)
    with pytest.raises(JournalError, match=f"do not answer: .*permissions violation for {what}"):
        open_journal(one.url("blind", f"{user}:m@"))


def test_a_stream_that_can_not_be_cut_is_told_of_and_holds_nothing_up(
    one: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jetstream, "HOLD_S", 0.05)
    monkeypatch.setattr("zsms.journal.nats.REQUEST_S", 1.0)
    with open_journal(one.url("uncut", "uncut:m@")) as store:
        hand = Hand(store)
        for begin in (0, 10):
            hand.put(10)
            hand.commit()
            hand.grant(1_000)
            hand.acknowledge(range(begin, begin + 10), limit=1_000)
            hand.commit()
        until(lambda: "its stream grows, for what is settled can't be cut off" in caplog.text, "that it is told", 25.0)
    assert held(one.url("uncut", "a:secret@"))["totals"]["sent"] == 20


def test_subjects_that_another_stream_has_are_not_waited_for(one: Server) -> None:
    async def make(js: Any) -> None:
        await js.add_stream(name="owner", subjects=["zsms.owned.*"])

    one.do(one.url("owner", "a:secret@"), make)
    began = time.monotonic()
    with pytest.raises(JournalError, match="make no stream owned: subjects overlap"):
        open_journal(one.url("owned", "a:secret@"))
    assert time.monotonic() - began < 20, "what may come is waited for, 30 s"


def test_the_clock_of_a_lease_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {time.CLOCK_MONOTONIC: 10.0, time.CLOCK_BOOTTIME: 3_610.0}
    monkeypatch.setattr(time, "clock_gettime", times.get)
    assert JetStream(Address.parse("nats://h/n")).now() == 3_610.0


def test_what_somebody_else_publishes_there_is_no_record(one: Server) -> None:
    url = one.url("others", "a:secret@")
    with open_journal(url) as store:
        hand = Hand(store)
        hand.put(5)
        hand.commit()

    async def publish(js: Any) -> None:
        for subject in ("zsms.others.data", "zsms.others.x"):
            await js.publish(subject, b"hello")

    one.do(url, publish)
    assert held(url)["totals"]["queued"] == 5

    async def state(js: Any) -> None:
        await js.publish("zsms.others.state", b"\x81")

    one.do(url, state)
    with pytest.raises(JournalError, match="last STATE is no broker's"):
        open_journal(url)


def test_a_server_of_tiny_messages_is_refused(tmp_path: Path) -> None:
    """A group in no parts at all would count as stored."""
    with (
        Server(tmp_path, "max_payload: 4096") as server,
        pytest.raises(JournalError, match=r"max_payload of 4,096 bytes is less than 16,384"),
    ):
        open_journal(server.url("tiny"))


def test_whoever_waits_for_servers_may_leave() -> None:
    from zsms.journal import NeverTaken

    began = time.monotonic()
    with pytest.raises(NeverTaken):
        open_journal("nats://127.0.0.1:1/x", leaves=lambda: time.monotonic() - began > 0.2)
    assert time.monotonic() - began < 20, "servers that may come are waited for, 30 s"


# -- servers that are reached through others -------------------------------------------------------------------------

_HUB = """accounts {
  A: { jetstream: enabled, users: [{user: a, password: secret}],
       exports: [{service: "$JS.API.>"}, {service: "zsms.>"}] },
  B: { users: [{user: b, password: m}],
       imports: [{service: {account: A, subject: "$JS.API.>"}, to: "JS.A.API.>"},
                 {service: {account: A, subject: "zsms.shared.*"}}] }
}"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server, Server]]:
    """A server whose JetStream has a domain, and two leaf nodes: without JetStream, and with one of its own."""
    port = free_port()
    leafnodes = f'leafnodes {{ listen: "127.0.0.1:{port}" }}\n'
    remote = f'leafnodes {{ remotes: [{{ url: "nats://a:secret@127.0.0.1:{port}", account: A }}] }}\n'
    own = "accounts { A: { jetstream: enabled, users: [{user: a, password: secret}] } }\n"
    none = "accounts { A: { users: [{user: a, password: secret}] } }\n"
    folder = tmp_path_factory.mktemp
    with (
        Server(folder("hub"), leafnodes + _HUB, "hub") as central,
        Server(folder("bare"), remote + none, None) as bare,
        Server(folder("leaf"), remote + own, "leaf") as leaf,
    ):
        yield central, bare, leaf


def test_a_leaf_node_reaches_the_journal_of_its_hub(
    hub: tuple[Server, Server, Server], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "zsms.journal")
    central, bare, leaf = hub
    monkeypatch.setattr("zsms.journal.nats.FIRST_S", 5.0)
    for number, node in enumerate((bare, leaf)):
        name = f"far{number}"
        caplog.clear()
        with open_journal(f"{node.url(name, 'a:secret@')}?domain=hub&monitor={node.monitor}") as store:
            hand = Hand(store)
            hand.put(10)
            hand.commit()
        assert "how often they are synced is not known" in caplog.text, "a leaf node says when it syncs its own"
        for url in (central.url(name, "a:secret@"), f"{node.url(name, 'a:secret@')}?api_prefix=$JS.hub.API."):
            assert held(url)["totals"]["accepted"] == 10
    with pytest.raises(JournalError, match=r"no JetStream \(on a leaf node: \?domain=NAME"):
        open_journal(bare.url("far", "a:secret@"))
    with pytest.raises(JournalError, match=r"no JetStream at \$JS\.hup\.API"):
        open_journal(f"{leaf.url('far', 'a:secret@')}?domain=hup")


def test_an_account_that_imports_another_ones_jetstream_has_journals_there(
    hub: tuple[Server, Server, Server],
) -> None:
    central = hub[0]
    with open_journal(f"{central.url('shared', 'b:m@')}?api_prefix=JS.A.API") as store:
        hand = Hand(store)
        hand.put(10)
        hand.commit()
    assert held(central.url("shared", "a:secret@"))["totals"]["accepted"] == 10
    # Its subjects are not imported: nothing could ever be stored.
    stream = JetStream(Address.parse(f"{central.url('apart', 'b:m@')}?api_prefix=JS.A.API"))

    async def publish() -> bool:
        await stream.open(create=True)
        stored = await stream.publish(0, Record(DATA, "one", b""))
        await stream.close()
        return stored

    assert not asyncio.run(publish())
    assert "nobody takes zsms.apart.data" in stream.refused


def test_what_a_stream_of_another_domain_has_taken_is_not_held(hub: tuple[Server, Server, Server]) -> None:
    """Its subjects are the same, and whoever answers first is heard: the fence would be that of another stream."""
    _, _, leaf = hub
    open_journal(leaf.url("twin", "a:secret@")).close()
    url = f"{leaf.url('twin', 'a:secret@')}?domain=hub"
    stream = JetStream(Address.parse(url))

    async def publish() -> bool:
        await stream.open(create=True)
        assert (await stream.ends()).last == 0
        await stream.ask("STREAM.DELETE.twin")  # or it would answer, too
        stored = await stream.publish(2, Record(DATA, "one", b""))
        await stream.close()
        return stored

    assert not asyncio.run(publish())
    assert "a stream in another domain, leaf, takes the same subjects" in stream.refused
