#!/usr/bin/env bash
# Kannel hands "costs 5 € only" to a web service as "costs 5 " and four characters that nobody wrote.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: %a in a get-url is the text of the incoming message, its words with one space between them, in UTF-8 or as %C says.
# Behaviour: a message in UCS-2 is handed over in UTF-16BE (%C says so), but spaces are sought octet by octet: any 0x20 counts, also the one
#   in U+20AC (euro), U+201C and U+2019 (quotes), and of two in a row one is left out, also at the beginning and end. From there on every
#   character is shifted by an octet. %b, the text as it is, is right; %a, %k, %r and %s are affected.
# What it means: replies with a price or a typographic quote, which phones write by themselves and which make a text UCS-2 in the first
#   place, arrive as Chinese. Use %b and cut words oneself.
set -euo pipefail
[ "$(dpkg-query -W -f '${Version}' kannel 2>/dev/null)" = 1.4.5-12 ] || { echo "needs Debian's package kannel 1.4.5-12, installed"; exit 2; }
export PATH=$PATH:/usr/sbin
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat > gateway.py <<'END'
"""Kannel between an SMSC that takes everything and whoever asks over HTTP, all on this machine."""
import http.server, socket, struct, subprocess, threading, time, urllib.error, urllib.parse, urllib.request

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as place:
        return place.getsockname()[1]

class Smsc:
    def __init__(self):
        self.place, self.submits, self.bound = socket.create_server(("127.0.0.1", 0)), [], threading.Event()
        self.port = self.place.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.connection = self.place.accept()[0]
            stream = self.connection.makefile("rb")
            while head := stream.read(16):
                length, command, _, number = struct.unpack(">4I", head)
                body = stream.read(length - 16)
                if command == 4:
                    self.submits.append(body)
                if command in (4, 6, 9, 0x15):
                    name = b"" if command == 0x15 else b"%d\0" % len(self.submits)
                    self.connection.sendall(struct.pack(">4I", 16 + len(name), command | 1 << 31, 0, number) + name)
                if command == 9:
                    self.bound.set()

class Kannel:
    def __init__(self, smscs, in_smsc="", in_service="text = x\nmax-messages = 0"):
        self.port, ports = free_port(), (free_port(), free_port())
        groups = [f"group = core\nadmin-port = {ports[0]}\nadmin-password = x\nsmsbox-port = {ports[1]}\nbox-allow-ip = 127.0.0.1"]
        for number, smsc in enumerate(smscs):
            groups.append(f"group = smsc\nsmsc = smpp\nsmsc-id = s{number}\nhost = 127.0.0.1\nport = {smsc.port}\n"
                          f"smsc-username = u\nsmsc-password = p\nsystem-type = x\ntransceiver-mode = 1\n{in_smsc.format(number=number)}")
        groups += [f"group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = {self.port}",
                   "group = sendsms-user\nusername = u\npassword = p\nconcatenation = 1\nmax-messages = 5",
                   f"group = sms-service\nkeyword = default\n{in_service}"]
        open("kannel.conf", "w").write("\n\n".join(groups) + "\n")
        self.boxes = []
        for box, port in (("bearerbox", ports[1]), ("smsbox", self.port)):
            self.boxes.append(subprocess.Popen([box, "kannel.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
        for smsc in smscs:
            smsc.bound.wait()
        time.sleep(1)

    def send(self, text, **options):
        asked = {"username": "u", "password": "p", "from": "1234", "to": "+491510000000", "text": text, **options}
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/cgi-bin/sendsms?{urllib.parse.urlencode(asked)}") as answer:
                return answer.status
        except urllib.error.HTTPError as answer:
            return answer.code

    def stop(self):
        for box in reversed(self.boxes):
            box.terminate()
            box.wait()
END
cat > ask.py <<'END'
import gateway
from urllib.parse import parse_qs

asked = []

class Service(gateway.http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(parse_qs(self.path[2:], encoding="latin-1"))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = gateway.http.server.HTTPServer(("127.0.0.1", 0), Service)
gateway.threading.Thread(target=server.serve_forever, daemon=True).start()
smsc = gateway.Smsc()
url = f'get-url = "http://127.0.0.1:{server.server_port}/?words=%a&text=%b&charset=%C"'
kannel = gateway.Kannel([smsc], in_service=url + "\nmax-messages = 0")
for text in ("costs 5 euros only", "costs 5 € only", "it’s here", "“yes” please"):
    unicode = not text.isascii()
    octets = text.encode("utf-16-be" if unicode else "ascii")
    body = b"\0\1\0015550100\0\1\1" + b"1234\0\0\0\0\0\0\0\0" + bytes([8 * unicode, 0, len(octets)]) + octets
    asked.clear()
    smsc.connection.sendall(gateway.struct.pack(">4I", 16 + len(body), 5, 0, 7) + body)
    for _ in range(100):
        gateway.time.sleep(0.1)
        if asked:
            break
    found = {name: value[0] for name, value in asked[0].items()}
    words, whole = (found[name].encode("latin-1").decode(found["charset"], "replace") for name in ("words", "text"))
    print(f"{text} | {found['charset']} | %b {'as written' if whole == text else ascii(whole)} | %a {'as written' if words == text else ascii(words)}")
kannel.stop()
END
cat > expected <<'END'
costs 5 euros only | UTF-8 | %b as written | %a as written
costs 5 € only | UTF-16BE | %b as written | %a 'costs 5 \uac00\u2000\u6f00\u6e00\u6c00\ufffd'
it’s here | UTF-16BE | %b as written | %a as written
“yes” please | UTF-16BE | %b as written | %a '\u1c00\u7900\u6500\u7320\u1d00\u2000\u7000\u6c00\u6500\u6100\u7300\ufffd'
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
