#!/usr/bin/env bash
# wget posts an SMS twenty times when the gateway hangs up without an answer, and once when there is no gateway.
#
# Seen with: GNU Wget 1.21.3 (Debian 12), 2026-11-28.
# One would guess: wget asks once and exits with an error, at least with --post-data; if it tries again, then where nothing has been sent.
# Behaviour: --tries is 20 by default, and a connection that ends unanswered is a reason, for GET and POST alike: the gateway reads 20 whole requests. A refused
#   connection, where nothing was sent, is final after one try; so are the answers 429 and 503. (Between the tries it waits 1, 2, ... up to 10 s;
#   here not at all.)
# What it means: the scripts of monitoring systems that "just send an SMS with wget" send it up to twenty times in two minutes, when a gateway falls over
#   each message it takes. Give --tries=1.
set -euo pipefail
command -v wget >/dev/null && [[ "$(wget --version)" = "GNU Wget 1.21.3 "* ]] || { echo "needs GNU Wget 1.21.3 (Debian 12's package wget)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat > ask.py <<'END'
import http.server, socket, subprocess, threading

class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version, asked = "HTTP/1.1", 0
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        Gateway.asked += 1
        if "hangs-up" in self.path:
            self.close_connection = True
            return
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_POST = answer
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as place:
    nobody = place.getsockname()[1]
here = f"http://127.0.0.1:{server.server_port}"
for name, asked in {"POST, hangs up": ["--post-data=text=hi", f"{here}/hangs-up"], "GET, hangs up": [f"{here}/hangs-up?text=hi"],
                    "POST, hangs up, --tries=1": ["--tries=1", "--post-data=text=hi", f"{here}/hangs-up"],
                    "POST, answers 503": ["--post-data=text=hi", f"{here}/503"], "POST, answers 429": ["--post-data=text=hi", f"{here}/429"],
                    "POST, nobody there": ["--post-data=text=hi", f"http://127.0.0.1:{nobody}/"]}.items():
    Gateway.asked = 0
    done = subprocess.run(["wget", "--no-config", "--no-proxy", "--waitretry=0", "-O", "out", *asked], stderr=subprocess.PIPE, text=True)
    print(f"{name}: the gateway has read {Gateway.asked}, exit code {done.returncode}, tries {1 + done.stderr.count('(try:')}")
END
cat > expected <<'END'
POST, hangs up: the gateway has read 20, exit code 4, tries 20
GET, hangs up: the gateway has read 20, exit code 4, tries 20
POST, hangs up, --tries=1: the gateway has read 1, exit code 4, tries 1
POST, answers 503: the gateway has read 1, exit code 8, tries 1
POST, answers 429: the gateway has read 1, exit code 8, tries 1
POST, nobody there: the gateway has read 0, exit code 4, tries 1
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
