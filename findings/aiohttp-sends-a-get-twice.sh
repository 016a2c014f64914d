#!/usr/bin/env bash
# A GET with aiohttp's client may reach the server twice, without a word to the caller.
#
# Seen with: aiohttp 3.14.5 (PyPI), 2026-11-28.
# One would guess: one call is one request; when the connection ends instead of an answer, the caller is told, and decides.
# Behaviour: a GET (PUT, DELETE, ...) whose kept connection ends unanswered is sent again once, as RFC 9110 allows for methods that are meant to be
#   idempotent. Nothing is raised, logged or counted; a POST raises ServerDisconnectedError. No argument of ClientSession switches it off.
# What it means: many SMS gateways are asked with GET (Kannel's sendsms is), and there the second request is a second SMS, which is paid and read. A
#   client middleware that turns ServerDisconnectedError and ClientOSError (but for connector errors) into an exception of its own keeps it to one.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install aiohttp==3.14.5
cat > ask.py <<'END'
import asyncio
import aiohttp
from aiohttp import web

seen = []

async def answer(request):
    seen.append(request.method)
    if len(seen) == 2:  # taken, and the connection ends without an answer
        request.transport.close()
    return web.Response(text="202 accepted")

async def main():
    app = web.Application()
    app.router.add_route("*", "/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    for method in ("GET", "POST"):
        seen.clear()
        async with aiohttp.ClientSession() as session:
            for call in (1, 2):
                try:
                    async with session.request(method, url) as response:
                        print(method, "call", call, response.status)
                except aiohttp.ClientError as error:
                    print(method, "call", call, type(error).__name__)
        print(method, "requests at the server:", len(seen))
    await runner.cleanup()

asyncio.run(main())
END
cat > expected <<'END'
GET call 1 200
GET call 2 200
GET requests at the server: 3
POST call 1 200
POST call 2 ServerDisconnectedError
POST requests at the server: 2
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
