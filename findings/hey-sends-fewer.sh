#!/usr/bin/env bash
# hey, asked for 100 requests, sends 90, and prints "0% in 0.0000 secs" where the 99th percentile belongs.
#
# Seen with: hey 0.1.4 (Debian 12's hey 0.1.4-2+b4, unpacked, nothing is installed), 2026-11-28.
# One would guess: -n 100 -c 30 sends 100 requests over 30 connections, as ab does with the same options; a percentile that can't be had is left out.
# Behaviour: each of the 30 sends 100 / 30 = 3 requests, the rest is dropped without a word. With fewer than about a hundred answers the line for 99 %
#   reads "0% in 0.0000 secs", so a script that takes the last line of the distribution finds zero. (-q is a rate of each connection, not of all.)
# What it means: a list of 100 messages sent with it lacks ten; the rate and the count of a comparison with ab are of other numbers. Choose n as a multiple
#   of c, of a hundred and more each.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q hey=0.1.4-2+b4 >/dev/null 2>&1
dpkg -x hey_*.deb root
cat > ask.py <<'END'
import http.server, re, subprocess, threading

class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version, asked = "HTTP/1.1", []
    def do_GET(self):
        self.asked.append(1)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

server = Server(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
for number in (100, 59, 3000):
    Gateway.asked.clear()
    said = subprocess.run(["root/usr/bin/hey", "-n", str(number), "-c", "30", f"http://127.0.0.1:{server.server_port}/"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    last = re.findall(r"^ *\d+%.*$", said, re.M)[-1].strip()
    print(f"hey -n {number} -c 30: {len(Gateway.asked)} requests" + (f"; {last}" if last.startswith("0%") else ""))
END
cat > expected <<'END'
hey -n 100 -c 30: 90 requests; 0% in 0.0000 secs
hey -n 59 -c 30: 30 requests; 0% in 0.0000 secs
hey -n 3000 -c 30: 3000 requests
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
