"""The dashboard as a server: who may look, what they get, and what it costs."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from time import monotonic
from typing import Any

import pytest

from tests.roles.waiting import until
from tests.web.snapshots import mesh
from zsms.dashboard.app import Stream
from zsms.dashboard.server import Dashboard
from zsms.errors import UsageError
from zsms.roles.collector import StatsCollector
from zsms.stats.book import StatsBook
from zsms.stats.view import View

TOKEN = "0123456789abcdef"
LASTING_S = 60.0


@pytest.fixture
def collector() -> Iterator[StatsCollector]:
    with StatsCollector("tcp://127.0.0.1:0") as collector:
        # What a test puts there is late enough to be the next point, and true for longer than the test may take.
        mesh(collector.book, 1, monotonic() - 0.1, LASTING_S)
        yield collector


def serve(**options: Any) -> Dashboard:
    page = Dashboard(**{"bind": "127.0.0.1:0", "interval": 0.1, **options})
    page.start()
    return page


@pytest.fixture
def page(collector: StatsCollector) -> Iterator[Dashboard]:
    page = serve()
    page.watch(collector.endpoint)
    yield page
    page.end()


@pytest.fixture
def guarded() -> Iterator[Dashboard]:
    page = serve(token=TOKEN, hosts=["page.example.org"])
    yield page
    page.end()


def ask(page: Dashboard, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=25)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def now(page: Dashboard) -> Any:
    return json.loads(ask(page, "/api/v1/now")[2])


def events(page: Dashboard) -> Iterator[Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/api/v1/stream", timeout=25) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def test_the_json_is_the_collector_s_answer(page: Dashboard, collector: StatsCollector) -> None:
    mesh(collector.book, 4, monotonic(), LASTING_S)
    answer = collector.book.answer("all", monotonic())
    view = View.of(answer, 0.0).to_json()
    del view["rate_per_s"]
    until(lambda: now(page)["totals"] == answer["totals"] and view.items() <= now(page)["figures"].items())
    until(lambda: now(page)["point"]["sent"] == 80)
    picture = now(page)
    series = json.loads(ask(page, "/api/v1/series")[2])
    assert series["columns"]["sent"][-1] == 80 and series["number"] >= picture["point"]["number"]
    assert json.loads(ask(page, "/api/v1/series?span=whole")[2])["span"] == "whole"
    assert ask(page, "/api/v1/series?span=much")[0] == 400
    assert ask(page, "/api/v1/stream", "HEAD")[1]["content-type"] == "text/event-stream"
    until(lambda: json.loads(ask(page, "/healthz")[2]) == {"status": "ok", "collector": "answering"})
    told = json.loads(ask(page, "/api/v1/events")[2])
    assert told.keys() == {"api", "events"}
    assert all("collector" in each["kind"] for each in told["events"]), "it may have been silent for a moment"


def test_any_number_of_browsers_costs_the_mesh_one_question_an_interval(
    page: Dashboard, collector: StatsCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = 0
    answer = collector.book.answer

    def counted(what: str, at: float) -> dict[str, Any]:
        nonlocal questions
        questions += 1
        return answer(what, at)

    streams = [events(page) for _ in range(5)]
    for stream in streams:
        next(stream)
    began = monotonic()
    monkeypatch.setattr(collector.book, "answer", counted)
    for _ in range(6):
        next(streams[0])
    for stream in streams[1:]:
        next(stream)
    asked, elapsed = questions, monotonic() - began  # all of the time in which they were counted, however long it was
    assert 1 <= asked <= elapsed / 0.1 + 3
    assert page.pages.stream.readers == 5
    for stream in streams:
        stream.close()
    until(lambda: not page.pages.stream.readers)


def test_a_slow_browser_skips_and_nothing_is_kept_for_it() -> None:
    async def look() -> None:
        stream = Stream()
        stream.publish("now", 0)
        number, event = await stream.after(-1)
        assert event == b"event: now\nid: 1\ndata: 0\n\n"
        for value in range(1, 100):  # it is still busy with the first
            stream.publish("now", value)
        number, event = await stream.after(number)
        assert event == b"event: now\nid: 100\ndata: 99\n\n"
        waiting = asyncio.ensure_future(stream.after(number))
        await asyncio.sleep(0)
        assert not waiting.done()
        stream.close()
        assert await waiting == (number, b"")

    asyncio.run(look())


def test_a_browser_that_reads_nothing_holds_nobody_up(page: Dashboard) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stuck.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: page.pages.stream.readers == 1)
        loop, big = page.loop, "x" * 4_000_000
        for _ in range(20):  # far more than all buffers between us take
            loop.call_soon_threadsafe(page.pages.stream.publish, "now", big)
        stream = events(page)
        assert next(stream) and next(stream)
        stream.close()
    until(lambda: not page.pages.stream.readers)


def test_the_end_of_a_run_is_told_before_the_page_leaves(page: Dashboard) -> None:
    stream = events(page)
    next(stream)
    last = StatsBook()
    mesh(last, 9, 0.0)
    ending = threading.Thread(target=page.end, args=(last.answer("all", 0.0),))
    ending.start()
    *_, picture = stream
    ending.join()
    assert picture["ended"] and picture["figures"]["sent"] == 180


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""])
def test_a_name_that_is_not_this_machine_s_is_refused(guarded: Dashboard, host: str) -> None:
    status, _, body = ask(guarded, "/healthz", Host=host)
    assert status == 421 and b"--allow-host" in body


@pytest.mark.parametrize("host", ["localhost:5580", "127.0.0.1", "[::1]:5580", "192.0.2.7", "PAGE.example.org"])
def test_this_machine_s_names_are_let_through(guarded: Dashboard, host: str) -> None:
    assert ask(guarded, "/healthz", Host=host)[0] == 200


def test_without_the_token_there_is_nothing_to_see(guarded: Dashboard) -> None:
    for path in ("/", "/static/dashboard.js", "/api/v1/now", "/api/v1/stream", "/?token=wrong", "/nothing"):
        status, headers, body = ask(guarded, path)
        assert status == 401 and b"token" in body and TOKEN.encode() not in body, path
        assert headers["www-authenticate"] == "Bearer"
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer \xe9"):
        assert ask(guarded, "/api/v1/now", Authorization=wrong)[0] == 401
    assert ask(guarded, "/api/v1/now", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_the_token_of_the_address_becomes_a_cookie(guarded: Dashboard) -> None:
    assert guarded.url.endswith(f":{guarded.port}/")  # a token that was given is not told again
    status, headers, _ = ask(guarded, f"/?token={TOKEN}")
    assert status == 303 and headers["location"] == "./"
    cookie = headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert ask(guarded, "/", Cookie=cookie.partition(";")[0])[0] == 200
    assert ask(guarded, "/api/v1/now", Cookie="zsms=other; " + cookie.partition(";")[0])[0] == 200
    assert ask(guarded, "/", Cookie=cookie.partition("=")[0] + "=wrong")[0] == 401


def test_nothing_can_be_changed(guarded: Dashboard) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(guarded, "/api/v1/now", method, Authorization=f"Bearer {TOKEN}")[0] == 405


def test_off_the_loopback_interface_there_is_always_a_token() -> None:
    page = serve(bind="0.0.0.0:0")
    try:
        assert page.token and len(page.token) >= 32 and page.token in page.url
        assert ask(page, "/api/v1/now")[0] == 401
        assert ask(page, "/api/v1/now", Authorization=f"Bearer {page.token}")[0] == 200
    finally:
        page.end()


def test_scripts_and_styles_come_from_here_only(page: Dashboard) -> None:
    _, headers, body = ask(page, "/")
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    html = body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    static = files("zsms.dashboard").joinpath("static")
    for text in (html, *(static.joinpath(f"dashboard.{kind}").read_text("utf-8") for kind in ("js", "css"))):
        assert not re.search(r"https?://|url\(|@import", text)
    for path in re.findall(r'(?:src|href)="(static/[^"]+)"', html):
        status, headers, _ = ask(page, f"/{path}")
        assert status == 200 and headers["x-content-type-options"] == "nosniff", path


def test_what_can_not_be_served_is_told_in_words(page: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=f"can't listen on 127.0.0.1:{page.port}: .*in use.*port 0"):
        Dashboard(bind=f"127.0.0.1:{page.port}")
    with pytest.raises(UsageError, match="HOST:PORT"):
        Dashboard(bind="ipc:///somewhere")
    with pytest.raises(UsageError, match="interval"):
        Dashboard(bind="127.0.0.1:0", interval=0.0)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UsageError, match=r"pip install 'zsms\[web\]'"):
        Dashboard(bind="127.0.0.1:0")
