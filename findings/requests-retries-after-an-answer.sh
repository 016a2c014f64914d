#!/usr/bin/env bash
# requests, told to retry connecting, asks a busy gateway four times and hands over the last answer.
#
# Seen with: requests 2.34.2, urllib3 2.8.0 (PyPI), 2026-11-28.
# One would guess: HTTPAdapter(max_retries=3) is about failed connections, and never about requests that reached the server; its documentation
#   says so. A 429 or 503 comes back at once.
# Behaviour: a GET (PUT, DELETE, ...) answered by 413, 429 or 503 *with a Retry-After header* is sent again after that time, up to three times,
#   within the one call; the time-out of the call doesn't count the waiting. Without the header, and with POST, the first answer comes back.
# What it means: a load test counts one request and the gateway four, in the very situation that is to be measured; the latency is mostly sleep. A
#   Retry of one's own with respect_retry_after_header=False does what was meant.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install requests==2.34.2 urllib3==2.8.0
cat > ask.py <<'END'
import http.server, threading, time
import requests
from urllib3.util import Retry

seen, answer = [], {}

class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.command)
        self.send_response(answer["status"])
        if answer["after"]:
            self.send_header("Retry-After", answer["after"])
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_POST = do_GET

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
own = Retry(3, read=False, respect_retry_after_header=False)
for method, status, after, retries in (("GET", 503, None, 3), ("GET", 503, "1", 3), ("GET", 429, "1", 3), ("GET", 500, "1", 3),
                                       ("POST", 503, "1", 3), ("GET", 503, "1", own)):
    answer.update(status=status, after=after)
    seen.clear()
    began = time.monotonic()
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        got = session.request(method, f"http://127.0.0.1:{server.server_port}/", timeout=2).status_code
    took = "over 2 s" if time.monotonic() - began > 2 else "at once"
    print(f"{method}, {status}, Retry-After {after}, max_retries {'3' if retries == 3 else 'of its own'}: {got} {took}, requests: {len(seen)}")
END
cat > expected <<'END'
GET, 503, Retry-After None, max_retries 3: 503 at once, requests: 1
GET, 503, Retry-After 1, max_retries 3: 503 over 2 s, requests: 4
GET, 429, Retry-After 1, max_retries 3: 429 over 2 s, requests: 4
GET, 500, Retry-After 1, max_retries 3: 500 at once, requests: 1
POST, 503, Retry-After 1, max_retries 3: 503 at once, requests: 1
GET, 503, Retry-After 1, max_retries of its own: 503 at once, requests: 1
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
