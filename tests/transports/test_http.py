"""Messages over HTTP: what goes out, what answers mean, and that a request leaves once."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.mesh.processes import free_port
from zsms.core.sender import Waiting
from zsms.errors import UsageError
from zsms.message import Batch, Delivery, Message, MessageId, Outcome
from zsms.transports.http import HttpSettings, HttpTransport
from zsms.transports.http.answers import outcome, retry_after
from zsms.transports.http.callbacks import outcome_of
from zsms.transports.judging import FailedSend

MESSAGE = Message(MessageId(1, 2, 3), "+12025550123", "1 + 1 = 2 & more {text} ü€")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def gateway(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def say(url_of: str, handler: Handler, *messages: Message, password: str = "") -> list[Outcome | FailedSend]:
    """What becomes of messages; `url_of` is behind the gateway's address."""

    async def main() -> list[Outcome | FailedSend]:
        async with gateway(handler) as base:
            settings = HttpSettings.from_url(base + url_of)
            object.__setattr__(settings, "password", password)
            transport = HttpTransport(settings)
            try:
                return [await transport.deliver(message) for message in messages or (MESSAGE,)]
            finally:
                await transport.disconnect()

    return asyncio.run(main())


def test_kannel_gets_what_it_asks_for_and_a_plus_stays_a_plus() -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path, request.rel_url.raw_query_string, dict(request.query)))
        return web.Response(status=202, text="0: Accepted for delivery")

    assert say("#kannel&username=zsms&sender=Alerts&query.dlr-mask=31", answer, password="p&w") == [Outcome.SENT]
    path, raw, query = seen[0]
    assert path == "/cgi-bin/sendsms" and "to=%2B12025550123" in raw
    assert query == {
        "username": "zsms",
        "password": "p&w",
        "from": "Alerts",
        "to": "+12025550123",
        "text": MESSAGE.text,
        "charset": "UTF-8",
        "coding": "0",
        "dlr-mask": "31",
    }


def test_a_text_beyond_gsm_7_is_ucs_2_for_kannel() -> None:
    settings = HttpSettings.from_url("http://localhost#kannel")
    url, _, _ = HttpTransport(settings).request_of(Message(MessageId(1, 2, 3), "+1", "Ωμέγα 🌊"))
    assert "coding=2" in url


def test_a_form_with_basic_authentication() -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.headers["Authorization"], dict(await request.post())))
        return web.json_response({"sid": "SM1", "status": "queued"}, status=201)

    url = "/2010-04-01/Accounts/AC1/Messages.json#twilio&username=AC1&sender=%2B12025550100"
    assert say(url, answer, password="t") == [Outcome.SENT]
    assert seen == [
        ("Basic QUMxOnQ=", {"To": "+12025550123", "From": "+12025550100", "Body": MESSAGE.text}),
    ]


def test_json_from_a_file_and_success_by_a_path(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        'preset = "json"\nsuccess_path = "messages.0.status"\nsuccess_values = ["0"]\n'
        '[content]\nto = "{digits}"\nmessages = [{ text = "{text}", id = "{id}", flash = false }]\n'
    )
    seen: list[Any] = []
    statuses = iter(["0", "4"])

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.headers["Authorization"], await request.json()))
        return web.json_response({"messages": [{"status": next(statuses)}]})

    found = say(f"/send#file={file}", answer, MESSAGE, MESSAGE, password="secret")
    assert found[0] is Outcome.SENT
    assert (
        isinstance(found[1], FailedSend)
        and found[1].outcome is Outcome.REJECTED
        and "messages.0.status" in found[1].reason
    )
    assert seen[0] == (
        "Bearer secret",
        {"to": "12025550123", "messages": [{"text": MESSAGE.text, "id": "1-2-3", "flash": False}]},
    )


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (200, Outcome.SENT),
        (429, Outcome.THROTTLED),
        (400, Outcome.REJECTED),
        (401, Outcome.REJECTED),
        (302, Outcome.REJECTED),
        (204, Outcome.SENT),
        (206, Outcome.UNCERTAIN),
        (408, Outcome.TEMPORARY),
        (500, Outcome.TEMPORARY),
        (503, Outcome.TEMPORARY),
    ],
)
def test_what_statuses_mean(status: int, meant: Outcome) -> None:
    said = outcome(HttpSettings("http://localhost"), status, b"no\nroom\xff")
    assert (said if isinstance(said, Outcome) else said.outcome) is meant
    if isinstance(said, FailedSend):
        assert said.reason == f"HTTP {status}" and said.example is not None and said.example.startswith("no room")


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 60_000, b'{"sid": null}', b'{"sid": ""}', b"[1]", b"{}"])
def test_a_success_without_its_path_is_none(body: bytes) -> None:
    said = outcome(HttpSettings("http://localhost", success_path="sid"), 200, body)
    assert isinstance(said, FailedSend) and said.outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("values", "body"),
    [((), b'{"sid": 0}'), ((), b'{"sid": 0.0}'), (("null",), b'{"sid": null}'), (("true",), b'{"sid": true}')],
)
def test_a_number_is_something_and_words_are_json_s(values: tuple[str, ...], body: bytes) -> None:
    settings = HttpSettings("http://localhost", success_path="sid", success_values=values)
    assert outcome(settings, 200, body) is Outcome.SENT


def test_a_success_too_long_to_be_read_may_be_one() -> None:
    settings = HttpSettings("http://localhost", success_path="sid")
    said = outcome(settings, 200, b'{"x": "' + b"x" * 100_000)
    assert isinstance(said, FailedSend) and said.outcome is Outcome.UNCERTAIN


def test_a_busy_gateway_that_asks_for_a_pause_spends_no_attempt() -> None:
    said = outcome(HttpSettings("http://localhost"), 503, b"", pause=True)
    assert isinstance(said, FailedSend) and said.outcome is Outcome.THROTTLED


@pytest.mark.parametrize(
    ("status", "path", "meant"),
    [
        (200, "", Outcome.SENT),
        (200, "sid", Outcome.UNCERTAIN),
        (400, "sid", Outcome.REJECTED),
        (429, "", Outcome.THROTTLED),
        (500, "", Outcome.TEMPORARY),
    ],
)
@pytest.mark.parametrize("how", ["cut", "gzip"])
def test_a_status_stands_whatever_becomes_of_the_body(status: int, path: str, meant: Outcome, how: str) -> None:
    headers = {"Content-Encoding": "gzip"} if how == "gzip" else {}

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = 50
        await response.prepare(request)
        await response.write(b'{"sid": "1"}' * (4 if how == "gzip" else 1))
        if how == "gzip":
            await response.write(b"  ")
        else:
            assert request.transport is not None
            request.transport.close()
        return response

    (said,) = say(f"/send#success_path={path}", answer)
    assert (said.outcome if isinstance(said, FailedSend) else said) is meant


def test_what_is_no_answer_is_told_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(b"nonsense\r\nfrom a peer\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        transport = HttpTransport(HttpSettings(f"http://127.0.0.1:{listener.getsockname()[1]}/"))

        async def main() -> Any:
            try:
                return await transport.deliver(MESSAGE)
            finally:
                await transport.disconnect()

        said = asyncio.run(main())
        thread.join()
    assert said.outcome is Outcome.UNCERTAIN and said.example and "\n" not in said.example


def test_retry_after_in_both_forms() -> None:
    date = "Sat, 28 Nov 2026 12:00:00 GMT"
    assert retry_after("7") == retry_after("7", date) == 7
    assert retry_after("Sat, 28 Nov 2026 12:00:30 GMT", date) == 30
    assert retry_after("Sat, 28 Nov 2026 11:00:00 GMT", date) == 0
    assert retry_after("Sat, 28 Nov 2020 11:00:00 GMT", "some day") == 0
    assert [retry_after(text) for text in (None, "soon", "-1", "1.5", "")] == [None] * 5
    assert retry_after(f"Wed, 21 Oct {'9' * 11} 07:28:00 GMT") is None
    assert retry_after(f"Wed, 21 Oct 2099 07:28:00 +{'9' * 14}") is None
    assert retry_after("9" * 5000) == 10**9


def test_a_pause_until_a_time_is_by_the_gateway_s_clock() -> None:
    async def answer(request: web.Request) -> web.Response:
        dates = {"Date": "Sat, 28 Nov 2020 12:00:00 GMT", "Retry-After": "Sat, 28 Nov 2020 12:00:30 GMT"}
        return web.Response(status=429, headers=dates)

    found = say("/send", answer, MESSAGE, MESSAGE)
    assert isinstance(found[1], FailedSend) and "pause" in found[1].reason


def test_nothing_is_asked_of_a_gateway_that_wants_a_pause() -> None:
    calls = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response(status=429, headers={"Retry-After": "30"})

    found = say("/send", answer, MESSAGE, MESSAGE, MESSAGE)
    assert calls == 1
    assert [said.outcome for said in found if isinstance(said, FailedSend)] == [Outcome.THROTTLED] * 3


def test_after_a_short_pause_it_is_sent() -> None:
    statuses = iter([429, 200])

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=next(statuses), headers={"Retry-After": "0"})

    found = say("/send", answer, MESSAGE, MESSAGE)
    assert isinstance(found[0], FailedSend) and found[1] is Outcome.SENT


def test_a_silent_gateway_is_uncertain_and_an_absent_one_temporary() -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(80)
        return web.Response()

    (said,) = say("/send#timeout_s=0.8", answer)
    assert isinstance(said, FailedSend) and said.outcome is Outcome.UNCERTAIN and "0.8 s" in said.reason

    async def refused() -> Outcome | FailedSend:
        transport = HttpTransport(HttpSettings.from_url(f"http://127.0.0.1:{free_port()}/"))
        try:
            return await transport.deliver(MESSAGE)
        finally:
            await transport.disconnect()

    said = asyncio.run(refused())
    assert isinstance(said, FailedSend) and said.outcome is Outcome.TEMPORARY


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_connection_nothing_is_uncertain(scheme: str) -> None:
    """Its listener is full, or it accepts and does not agree on TLS."""
    with socket.socket() as listener, ExitStack() as others:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0 if scheme == "http" else 9)
        for _ in range(3 if scheme == "http" else 0):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
        settings = HttpSettings(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.5, connect_s=5)

        async def deliver() -> Outcome | FailedSend:
            transport = HttpTransport(settings)
            try:
                return await transport.deliver(MESSAGE)
            finally:
                await transport.disconnect()

        said = asyncio.run(deliver())
    assert isinstance(said, FailedSend) and said.outcome is Outcome.TEMPORARY and "not connected" in said.reason


@pytest.mark.parametrize("url", ["/send#method=GET", "/send#method=PUT", "/send"])
def test_a_request_whose_connection_ends_is_not_sent_again(url: str) -> None:
    calls = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls == 2:
            assert request.transport is not None
            request.transport.close()
        return web.Response()

    found = say(url, answer, MESSAGE, MESSAGE)
    assert calls == 2 and found[0] is Outcome.SENT
    assert isinstance(found[1], FailedSend) and found[1].outcome is Outcome.UNCERTAIN


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://me:secret@localhost/", "#username=NAME"),
        ("http://localhost/send?password=secret", "password_file"),
        ("http://localhost/send?Token=secret", "password_file"),
        ("http://localhost#password=secret", "password_file"),
        ("http://localhost#canal", "kannel"),
        ("http://localhost#colour=red", "timeout_s"),
        ("http://localhost#connections=many", "number"),
        ("http://localhost#connections=0", "1 to 10000"),
        ("http://localhost#method=DELETE", "GET, POST"),
        ("http://localhost#query.to={number}", "{number}; there are recipient"),
        ("http://localhost#file=/no/such.toml", "/no/such.toml"),
        ("http://localhost:99999/", "port"),
        ("http://localhost:0/", "port"),
        ("http:///send", "HOST"),
        ("http://localhost/send?access_token=secret", "#query.access_token={password}"),
        ("http://localhost/send?pwd=secret", "password_file"),
        ("http://localhost#query.to={RECIPIENT}", "{RECIPIENT}; there are recipient"),
        ("http://localhost#success=99", "100 to 599"),
        ("http://localhost#username=a%0Ab", "line break"),
        ("http://localhost#ca=/no/such", "https://"),
        ("https://localhost#ca=/no/such", "/no/such"),
    ],
)
def test_mistakes_are_told_without_what_is_secret(url: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        HttpSettings.from_url(url)
    assert told in f"{error.value}" and "secret" not in f"{error.value}" and "\n" not in f"{error.value}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("method = 5", "give text"),
        ("callback = 5", "give text"),
        ("sender = 15550100", "give text"),
        ("connections = true", "give a whole number"),
        ("connections = 1.5", "give a whole number"),
        ("timeout_s = true", "give a number"),
        ("success = []", "100 to 599"),
        ("headers = { X = 5 }", "text"),
        ('headers = { "X Y" = "a" }', "'X Y'"),
        ('headers = { X = "{text}" }', "headers.X"),
        ("query = { a = { b = 1 } }", "text"),
        ('body = "json"\ncontent = { day = 2027-01-01 }', "content.day"),
        ('body = "json"\ncontent = { a = [nan] }', "content.a"),
        ('content = { a = "{text}" }', "form or json"),
        ('preset = "twillio"', "'twillio': choose from kannel"),
        ("password_file = 5", "password_file 5"),
    ],
)
def test_a_file_that_can_not_be_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "gateway.toml").write_text(text)
    with pytest.raises(UsageError, match=re.escape(told)):
        HttpSettings.from_url(f"http://localhost#file={tmp_path}/gateway.toml")


def test_a_file_may_name_the_password_s_and_one_status(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden\r\n")
    text = f'password_file = "{tmp_path}/secret"\nsuccess = 202\nsuccess_values = [0, true, "ok"]\n'
    (tmp_path / "gateway.toml").write_text(text)
    found = HttpSettings.from_url(f"http://localhost#file={tmp_path}/gateway.toml&sender=+1555")
    assert (found.password, found.success, found.sender) == ("hidden", (202,), "+1555")
    assert found.success_values == ("0", "true", "ok")


def test_the_password_comes_from_a_file_or_the_environment_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from the file\nsecond line")
    monkeypatch.setenv("ZSMS_GATEWAY_PASSWORD", "from the environment")
    from_file = HttpSettings.from_url(f"http://localhost#kannel&password_file={tmp_path}/secret")
    assert from_file.password == "from the file" and "from the file" not in f"{from_file}"
    assert HttpSettings.from_url("http://localhost#kannel").with_password().password == "from the environment"


def test_callbacks_say_what_became_of_messages() -> None:
    statuses = iter(["delivered", "8", "undelivered", "queued", "rejected", "odd"])
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        asked.append(form)
        if form["Body"] == "refused":
            return web.Response(status=400)
        return web.json_response({"sid": "1"}, status=201)

    async def tell(urls: list[str]) -> list[int]:
        async with ClientSession() as session:
            said = []
            for number, url in enumerate([*urls, urls[0], urls[0].replace("id=", "id=x")]):
                body: dict[str, Any] = {"MessageStatus": next(statuses, "delivered")}
                kind = {"data": body} if number % 2 else {"json": body}
                said.append((await session.post(url, **kind)).status)  # type: ignore[arg-type]
            said.append((await session.get(f"{urls[1]}&status=1")).status)
            for raw, charset in ((b"{", ""), (b"[" * 60_000, ""), (b"{}", "; charset=nobodys")):
                odd = {"Content-Type": f"application/json{charset}"}
                said.append((await session.post(urls[1], data=raw, headers=odd)).status)
            return said

    async def main() -> None:
        async with gateway(answer) as base:
            transport = HttpTransport(HttpSettings.from_url(f"{base}#twilio&callback=127.0.0.1:0"))
            woken: list[int] = []
            await asyncio.to_thread(transport.open, lambda: woken.append(1))
            rows = [("+12025550123", text) for text in ("a", "b", "c", "d", "e", "f", "refused")]
            batch = Batch.of(rows, producer=7, first=100, due=time.monotonic())
            transport.start(Waiting(0, batch, 0.0, 0.0, 1, 1), time.monotonic())
            sent = failed = 0
            while sent + failed < 7:
                await asyncio.sleep(0.005)
                if (done := transport.finished(time.monotonic())) is not None:
                    sent, failed = sent + len(done.sent), failed + len(done.failed)
            assert (sent, failed, transport.awaited) == (6, 1, 6)
            by_text = {form["Body"]: form["StatusCallback"] for form in asked}
            said = await tell([by_text[text] for text in "abcdef"])
            assert said == [200] * 9 + [400] * 3
            assert transport.awaited == 6, "nobody has taken what came: a sender that left now would lose it"
            told = transport.receipts()
            assert told is not None and told.producers.tolist() == [7] * 5
            assert dict(zip(told.seqs.tolist(), told.outcomes.tolist(), strict=True)) == {
                100: Delivery.DELIVERED.value,
                101: Delivery.DELIVERED.value,
                102: Delivery.UNDELIVERED.value,
                104: Delivery.REJECTED.value,
                105: Delivery.UNKNOWN.value,
            }
            assert transport.figures == {"receipts_missing": 0, "receipts_unmatched": 2, "receipts_awaited": 1}
            assert woken and (told.took >= 0).all()
            transport.stood_still(time.monotonic() - 60.0, time.monotonic())
            assert await tell([by_text["d"]] * 2)
            told = transport.receipts()
            assert told is not None and told.took.tolist() == [-1.0]  # it may have waited for us
            await asyncio.to_thread(transport.close)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("submitted pending processing Dispatched scheduled 32", None),
        ("undeliverable delivery_failed sending_failed aborted blocked Canceled cancelled", Delivery.UNDELIVERED.value),
        ("Delivered read 1", Delivery.DELIVERED.value),
        ("unknown odd 3", Delivery.UNKNOWN.value),
    ],
)
def test_words_of_providers(words: str, outcome: int | None) -> None:
    assert {outcome_of(word) for word in words.split()} == {outcome}


@pytest.mark.parametrize("address", ["8080", "127.0.0.1:x", "127.0.0.1:99999"])
def test_a_callback_s_address(address: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        HttpSettings.from_url(f"http://127.0.0.1/#kannel&callback={address}")
