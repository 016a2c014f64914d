#!/usr/bin/env bash
# Kannel says of one long text "rejected" and then "delivered": a part was refused, and the receipt of the first part counts for all.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-29.
# One would guess: a text that goes out in three linked parts is one message with one final callback (dlr-mask 3): delivered, or refused as soon as one
#   of its parts is; and after a refusal the remaining parts stay at home.
# Behaviour: all parts are submitted whatever becomes of those before. Only the first asks for a receipt. A part that the SMSC refuses is told as 16
#   at once; if the first part was accepted its receipt follows as 1, delivered. Both are for the same dlr-url.
# What it means: who keeps the last word of each message counts a text as delivered that no phone can join; who keeps the first is right here, and
#   has a second callback that fits nothing. Treat 16 and 2 as final, whatever follows, and expect more callbacks than messages.
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
    """Answers the submit_sm in turn with these statuses, and each that it accepts with a receipt after half a second, if one is asked for."""

    def __init__(self, *statuses):
        self.statuses = statuses
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
                status = 0
                if command == 4:
                    status = self.statuses[len(self.submits) % len(self.statuses)]
                    self.submits.append(body)
                if command in (4, 6, 9, 0x15):
                    name = b"" if command == 0x15 or status else b"%d\0" % len(self.submits)
                    self.connection.sendall(struct.pack(">4I", 16 + len(name), command | 1 << 31, status, number) + name)
                if command == 4 and not status and asks_for_receipt(body):
                    threading.Timer(0.5, self.tell, [len(self.submits)]).start()
                if command == 9:
                    self.bound.set()

    def tell(self, number):
        text = b"id:%d sub:001 dlvrd:001 submit date:2611290700 done date:2611290700 stat:DELIVRD err:000 text:" % number
        body = b"\0\0\0" + b"491510000000\0\0\0" + b"1234\0" + b"\4\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text
        self.connection.sendall(struct.pack(">4I", 16 + len(body), 5, 0, number) + body)

def asks_for_receipt(submit):
    rest = submit.split(b"\0", 1)[1][2:].split(b"\0", 1)[1][2:].split(b"\0", 1)[1]
    return rest[3:].split(b"\0", 2)[2][0]

class Callbacks(http.server.BaseHTTPRequestHandler):
    """Keeps what Kannel says of a message."""
    said = []

    def do_GET(self):
        self.said.append(self.path[1:])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass

class Kannel:
    def __init__(self, smscs, in_user="", in_smsc="", in_service="text = x\nmax-messages = 0"):
        self.port, ports = free_port(), (free_port(), free_port())
        groups = [f"group = core\nadmin-port = {ports[0]}\nadmin-password = x\nsmsbox-port = {ports[1]}\nbox-allow-ip = 127.0.0.1"]
        for number, smsc in enumerate(smscs):
            groups.append(f"group = smsc\nsmsc = smpp\nsmsc-id = s{number}\nhost = 127.0.0.1\nport = {smsc.port}\n"
                          f"smsc-username = u\nsmsc-password = p\nsystem-type = x\ntransceiver-mode = 1\n{in_smsc.format(number=number)}")
        groups += [f"group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = {self.port}",
                   f"group = sendsms-user\nusername = u\npassword = p\n{in_user}",
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
import threading
import gateway

server = gateway.http.server.HTTPServer(("127.0.0.1", 0), gateway.Callbacks)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/%d"
for what, statuses in (("all accepted", [0]), ("second part refused (0x45)", [0, 0x45]), ("last part refused", [0, 0, 0x45]),
                       ("first part refused", [0x45, 0, 0])):
    smsc = gateway.Smsc(*statuses)
    kannel = gateway.Kannel([smsc], "max-messages = 3\nconcatenation = true")
    gateway.Callbacks.said.clear()
    answer = kannel.send("a" * 400, **{"dlr-mask": 3, "dlr-url": url})
    gateway.time.sleep(4)
    asks = [gateway.asks_for_receipt(each) for each in smsc.submits]
    callbacks = " ".join(gateway.Callbacks.said)
    print(f"{what}: {answer}; parts {len(asks)}, receipts asked for {sum(map(bool, asks))}; callbacks {callbacks}", flush=True)
    kannel.stop()
END
cat > expected <<'END'
all accepted: 202; parts 3, receipts asked for 1; callbacks 1
second part refused (0x45): 202; parts 3, receipts asked for 1; callbacks 16 1
last part refused: 202; parts 3, receipts asked for 1; callbacks 16 1
first part refused: 202; parts 3, receipts asked for 1; callbacks 16
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
