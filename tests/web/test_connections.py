"""HTTP connections have a time and a bound: at the dashboard, the metrics, the fake SMSC and a gateway's callbacks."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.roles.waiting import until
from zsms import UsageError, listening
from zsms.dashboard import connections
from zsms.dashboard import prometheus as metrics
from zsms.dashboard.prometheus import MetricsServer
from zsms.dashboard.server import Dashboard
from zsms.smsc.http import HttpSide
from zsms.transports.http.callbacks import Callbacks

SHORT_S = 0.3
FEW = 6
NO_PAGE = (404, 405)
"""What is said where there is no page, but somebody who listens."""


def called_back() -> tuple[int, Callable[[], Any]]:
    """A sender's callbacks, in a loop of their own, and what ends them."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    callbacks = Callbacks("127.0.0.1:0", lambda: None)
    asyncio.run_coroutine_threadsafe(callbacks.open(), loop).result(25)

    async def close() -> None:
        await callbacks.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def end() -> None:
        asyncio.run_coroutine_threadsafe(close(), loop).result(25)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(25)
        loop.close()

    return callbacks.port, end


@pytest.fixture(params=["dashboard", "metrics", "smsc", "callbacks"])
def port(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "REQUEST_S", SHORT_S)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", FEW)
    monkeypatch.setattr(metrics, "CONNECTION_S", SHORT_S)
    monkeypatch.setattr(metrics, "MOST_CONNECTIONS", FEW)
    monkeypatch.setattr(listening, "REQUEST_S", SHORT_S)
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", FEW)
    end: Callable[[], Any]
    if request.param == "dashboard":
        page = Dashboard(bind="127.0.0.1:0")
        page.start()
        number, end = page.port, page.end
    elif request.param == "smsc":
        smsc = HttpSide(("127.0.0.1", 0), lambda: None)
        smsc.open()
        number, end = smsc.port, smsc.close
    elif request.param == "callbacks":
        number, end = called_back()
    else:
        server = MetricsServer("127.0.0.1:0", lambda: None)
        number, end = server.port, server.close
    yield number
    end()


def get(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=25)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status


def ends(connection: socket.socket) -> bool:
    try:
        return connection.recv(1_000) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET ", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_who_never_asks_is_let_go(port, said):
    with socket.create_connection(("127.0.0.1", port), timeout=25) as silent:
        silent.sendall(said)
        assert ends(silent)


def test_who_asks_a_letter_at_a_time_is_let_go(port):
    with socket.create_connection(("127.0.0.1", port), timeout=0.05) as slow:
        deadline = time.monotonic() + 25
        while True:
            assert time.monotonic() < deadline
            try:
                slow.sendall(b"G")
                if ends(slow):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break


def test_many_that_never_ask_keep_nobody_out(port, monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_S", 60.0)
    monkeypatch.setattr(metrics, "CONNECTION_S", 60.0)
    monkeypatch.setattr(listening, "REQUEST_S", 60.0)
    with ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=25)) for _ in range(5 * FEW)]
        assert {get(port) for _ in range(3)} <= {200, *NO_PAGE}
        assert ends(idle[0])


@pytest.mark.parametrize("port", ["smsc", "callbacks"], indirect=True)
@pytest.mark.parametrize("body", [b"", b"id="])
def test_a_body_that_never_comes_is_waited_for_no_longer(port, body):
    head = (
        b"POST /receipts HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 90"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=25) as slow:
        try:
            slow.sendall(head + b"\r\n\r\n" + body)
            said = slow.recv(1_000)
        except ConnectionError:  # on a busy machine the request itself may come too late
            said = b""
        assert not said or said.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("port", ["smsc", "callbacks"], indirect=True)
@pytest.mark.parametrize("said", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_who_speaks_no_http_leaves_no_traceback(port, said, caplog, monkeypatch):
    monkeypatch.setattr(listening, "REQUEST_S", 60.0)
    with socket.create_connection(("127.0.0.1", port), timeout=25) as stranger:
        stranger.sendall(said)
        assert stranger.recv(1_000).startswith(b"HTTP/1.")
        until(lambda: caplog.records)
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("WARNING", None)]
    assert "no HTTP, from 127.0.0.1" in caplog.text


def test_metrics_on_another_address_need_keys_or_a_word():
    for address in ("0.0.0.0:0", "[::]:0", "*"):
        with pytest.raises(UsageError, match=r"--metrics .*--keys.*--insecure"):
            MetricsServer(address, lambda: None)
    server = MetricsServer("0.0.0.0:0", lambda: None, open_to_others=True)
    assert get(server.port) == 200
    server.close()


def test_a_mesh_with_metrics_for_others_needs_keys_or_a_word():
    from zsms import Mesh

    with pytest.raises(UsageError, match=r"--secure.*--insecure"):
        Mesh(messages=1, metrics="0.0.0.0:0")
    assert Mesh(messages=1, metrics="0.0.0.0:0", insecure=True).metrics
    assert Mesh(messages=1, metrics="0.0.0.0:0", secure=True).metrics
