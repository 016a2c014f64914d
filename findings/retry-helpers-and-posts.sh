#!/usr/bin/env bash
# axios-retry, whose rule is named "network or idempotent", posts an SMS four times when the connection breaks; aiohttp-retry does so after a 500.
#
# Seen with: axios 1.21.1, axios-retry 4.5.0, got 16.1.0 (npm), aiohttp-retry 2.9.1, aiohttp 3.14.5, httpx-retries 0.6.0 (PyPI), 2026-11-28.
# One would guess: a helper that retries leaves POST alone unless it is told otherwise, as got and httpx-retries do; or it retries what never left (no
#   connection) and what the server asks for (429).
# Behaviour: the server reads the whole POST each time. axios-retry sends it again when the connection ends without an answer, and goes by the method
#   only after 500 and 503. aiohttp-retry is the reverse: any method again after 500 and above, nothing when the connection ends, nothing after 429
#   (with Retry-After), either.
# What it means: a gateway that is restarted, or answers 500 after it has handed the message on, sends it up to four times.
#   axios-retry: retryCondition: isIdempotentRequestError; aiohttp-retry: methods={"GET"}.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install aiohttp-retry==2.9.1 aiohttp==3.14.5 httpx-retries==0.6.0 httpx==0.28.1
npm install --silent --no-audit --no-fund axios@1.21.1 axios-retry@4.5.0 got@16.1.0 >/dev/null
cat > send.mjs <<'END'
import axios from "axios";
import axiosRetry from "axios-retry";
import got from "got";
const [name, url] = process.argv.slice(2);
const client = axios.create();
axiosRetry(client, { retries: 3 });
const send = { "axios-retry": () => client.post(url, { text: "hi" }), got: () => got.post(url, { json: { text: "hi" }, retry: { limit: 3 } }) };
await send[name]().catch(() => {});
END
cat > ask.py <<'END'
import asyncio, http.server, subprocess, threading
import aiohttp, aiohttp_retry, httpx, httpx_retries

class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version, asked, mode = "HTTP/1.1", 0, ""
    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers["Content-Length"]))
        Gateway.asked += 1
        if self.mode == "no answer":
            self.close_connection = True
            return
        self.send_response(int(self.mode))
        self.send_header("Content-Length", "0")
        if self.mode == "429":
            self.send_header("Retry-After", "1")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/send"

async def with_aiohttp_retry():
    options = aiohttp_retry.ExponentialRetry(attempts=4, start_timeout=0.05)
    async with aiohttp_retry.RetryClient(retry_options=options) as client:
        async with client.post(url, json={"text": "hi"}):
            pass

def with_httpx_retries():
    with httpx.Client(transport=httpx_retries.RetryTransport(retry=httpx_retries.Retry(total=3, backoff_factor=0.05))) as client:
        client.post(url, json={"text": "hi"})

ways = {"axios-retry": lambda: subprocess.run(["node", "send.mjs", "axios-retry", url], check=True),
        "aiohttp-retry": lambda: asyncio.run(with_aiohttp_retry()),
        "got": lambda: subprocess.run(["node", "send.mjs", "got", url], check=True), "httpx-retries": with_httpx_retries}
for name, way in ways.items():
    told = []
    for Gateway.mode in ("no answer", "500", "503", "429"):
        Gateway.asked = 0
        try:
            way()
        except (aiohttp.ClientError, httpx.HTTPError):
            pass
        told.append(f"{Gateway.mode}: {Gateway.asked}")
    print(f"{name}, one POST, {', '.join(told)}")
END
cat > expected <<'END'
axios-retry, one POST, no answer: 4, 500: 1, 503: 1, 429: 1
aiohttp-retry, one POST, no answer: 1, 500: 4, 503: 4, 429: 1
got, one POST, no answer: 1, 500: 1, 503: 1, 429: 1
httpx-retries, one POST, no answer: 1, 500: 1, 503: 1, 429: 1
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
