#!/usr/bin/env bash
# httpx sends a request without the user name and password of its URL as soon as params= is given, even if empty.
#
# Seen with: httpx 0.28.1, requests 2.34.2, aiohttp 3.14.5 (PyPI), 2026-11-28.
# One would guess: params are added to the query that the URL already has, as requests and aiohttp do.
# Behaviour: they take its place, whole: params={"to": ...} leaves only "to", params={} leaves nothing, and parameters of the Client itself drop the
#   query of each URL that is asked for with it. Parameters of the client and of the request are merged, so merging seems to work.
# What it means: gateways are given as a URL with credentials in its query ("...?username=u&password=p"). Ported from requests, every message is refused,
#   or goes out under a default account. Use httpx.URL(url).copy_merge_params(...).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install httpx==0.28.1 requests==2.34.2 aiohttp==3.14.5
cat > ask.py <<'END'
import asyncio, http.server, threading
import aiohttp, httpx, requests

seen = []

class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.path)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/sendsms?user=u&password=p"

async def with_aiohttp():
    async with aiohttp.ClientSession() as session:
        await session.get(url, params={"to": "1"})

for name, ask in {"requests, params": lambda: requests.get(url, params={"to": "1"}), "aiohttp, params": lambda: asyncio.run(with_aiohttp()),
                  "httpx": lambda: httpx.get(url), "httpx, params": lambda: httpx.get(url, params={"to": "1"}), "httpx, empty params": lambda: httpx.get(url, params={}),
                  "httpx, params of the client": lambda: httpx.Client(params={"from": "2"}).get(url),
                  "httpx, of both": lambda: httpx.Client(params={"from": "2"}).get(url, params={"to": "1"}),
                  "httpx, copy_merge_params": lambda: httpx.get(httpx.URL(url).copy_merge_params({"to": "1"}))}.items():
    ask()
    print(f"{name}: {seen.pop()}")
END
cat > expected <<'END'
requests, params: /sendsms?user=u&password=p&to=1
aiohttp, params: /sendsms?user=u&password=p&to=1
httpx: /sendsms?user=u&password=p
httpx, params: /sendsms?to=1
httpx, empty params: /sendsms
httpx, params of the client: /sendsms?from=2
httpx, of both: /sendsms?from=2&to=1
httpx, copy_merge_params: /sendsms?user=u&password=p&to=1
END
python/bin/python ask.py 2>/dev/null | tee seen
diff expected seen && echo "as described"
