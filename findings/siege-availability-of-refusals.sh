#!/usr/bin/env bash
# siege says "availability 100 %" of a gateway that answers each request with 429 Too Many Requests, and counts style sheets as transactions.
#
# Seen with: siege 4.0.7 (Debian 12's siege 4.0.7-1+b1, unpacked, nothing is installed), 2026-11-28.
# One would guess: availability is the share of requests that were served, so refusals lower it, or appear under failed transactions; of 10 requests for
#   one URL 10 are counted.
# Behaviour: 402, 404 and 429 are neither successful nor failed: 10 transactions, 0 successful, 0 failed, availability 100; 503
#   counts as failed. With the settings that the package brings a page is parsed, and what it names (a style sheet, a picture, a script) is fetched: 10
#   requests are 40 transactions, and rate and mean response time are of all of them.
# What it means: a run against a gateway without credit (402) or over its limit (429), which refuses faster than it serves, gives the best figures of
#   all. Judge by successful_transactions, and set parser = false.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q siege=4.0.7-1+b1 >/dev/null 2>&1
dpkg -x siege_*.deb root
cat > ask.py <<'END'
import http.server, json, os, subprocess, threading

class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        name = self.path[1:]
        page = b'<html><head><link rel="stylesheet" href="/a.css"></head><body><img src="/b.png"><script src="/c.js"></script></body></html>'
        body, kind = (page, "text/html") if name == "page" else (b"x", "text/plain")
        self.send_response(int(name) if name.isdecimal() else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
for name in ("200", "402", "404", "429", "503", "page"):
    asked = ["root/usr/bin/siege", "-R", "root/etc/siege/siegerc", "-c", "1", "-r", "10", "-b", "-j", f"http://127.0.0.1:{server.server_port}/{name}"]
    said = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "HOME": os.getcwd()}).stdout
    said = json.loads(said[said.index("{"):])
    print(f"10 requests for {name}: transactions {said['transactions']}, successful {said['successful_transactions']}, failed {said['failed_transactions']},",
          f"availability {said['availability']:.0f}")
END
cat > expected <<'END'
10 requests for 200: transactions 10, successful 10, failed 0, availability 100
10 requests for 402: transactions 10, successful 0, failed 0, availability 100
10 requests for 404: transactions 10, successful 0, failed 0, availability 100
10 requests for 429: transactions 10, successful 0, failed 0, availability 100
10 requests for 503: transactions 0, successful 0, failed 10, availability 0
10 requests for page: transactions 40, successful 40, failed 0, availability 100
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
