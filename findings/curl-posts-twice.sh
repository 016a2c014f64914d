#!/usr/bin/env bash
# A POST with curl, pycurl or whatever else is made of libcurl may reach the server twice, without a word to the caller.
#
# Seen with: pycurl 7.49.0 with libcurl 8.23.0 (PyPI), 2026-11-28; the same with Debian 12's curl 7.88.1.
# One would guess: one call is one request; a POST that was sent in full is never sent again by a library, for only the caller knows whether that may be.
# Behaviour: when a *kept* connection ends before the first octet of an answer, libcurl takes it for one that the server had closed long ago, and sends the
#   request again on a new one, whatever its method. The server has read both. If the second is answered, perform() reports a plain success. On a
#   connection's first request the caller gets error 52 instead, and so always with CURLOPT_FORBID_REUSE.
# What it means: a gateway that is restarted or dies over a message gets it again; a client that sends many over one connection (a handle that is kept,
#   "curl ... --next ...") doubles an SMS at each such moment, while its log says one. One connection a message, or an id that the gateway knows.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pycurl==7.49.0
cat > ask.py <<'END'
import http.server, threading
import pycurl

class Gateway(http.server.BaseHTTPRequestHandler):
    """Hangs up once, after it has read a whole message that begins with "trouble"."""
    protocol_version, asked = "HTTP/1.1", []
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append(text)
        if text.startswith("trouble") and self.asked.count(text) == 1:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()

def send(handle, text):
    handle.setopt(pycurl.POSTFIELDS, text)
    try:
        handle.perform()
        told = str(handle.getinfo(pycurl.RESPONSE_CODE))
    except pycurl.error as error:
        told = f"error {error.args[0]}"
    return f"told {told}, the gateway has read {Gateway.asked.count(text)}"

def handle(**options):
    made = pycurl.Curl()
    made.setopt(pycurl.URL, f"http://127.0.0.1:{server.server_port}/send")
    for name, value in options.items():
        made.setopt(getattr(pycurl, name), value)
    return made

print(pycurl.version.split()[1])
print("first on its connection:", send(handle(), "trouble 1"))
kept = handle()
send(kept, "well")
print("second on its connection:", send(kept, "trouble 2"))
apart = handle(FORBID_REUSE=1)
send(apart, "well")
print("second, FORBID_REUSE:", send(apart, "trouble 3"))
END
cat > expected <<'END'
libcurl/8.23.0
first on its connection: told error 52, the gateway has read 1
second on its connection: told 200, the gateway has read 2
second, FORBID_REUSE: told error 52, the gateway has read 1
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
