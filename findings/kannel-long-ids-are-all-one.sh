#!/usr/bin/env bash
# Kannel gives the receipt of the third message to the first when ids have 20 digits and msg-id-type is set.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: msg-id-type tells whether ids are decimal or hexadecimal in the answer and in the receipt, so that both can be compared; where both are
#   alike it changes nothing.
# Behaviour: with it set, to whatever value, an id is read into a number of 64 bits (signed), and all that are larger become the largest one. Ids of
#   20 digits (a time and a counter, for example), or of 17 that are read as hexadecimal, are then all the same: the next receipt, whosever it is,
#   goes to the oldest message that still waits for one. Shorter ones, and all without msg-id-type, find their own.
# What it means: every message gets a receipt, the counts are right, and who was reached is wrong. Leave msg-id-type out when both ids are written
#   alike, and look at the length of the ids when an SMSC changes them.
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
    ids = b"%d"

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
                    name = b"" if command == 0x15 else self.ids % len(self.submits) + b"\0"
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

told = []

class Receipts(gateway.http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told.append(parse_qs(self.path[2:])["message"][0])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = gateway.http.server.HTTPServer(("127.0.0.1", 0), Receipts)
gateway.threading.Thread(target=server.serve_forever, daemon=True).start()
for ids in (b"202611281200000%04d", b"2026112812000000%04d", b"a2026112812000000%d"):
    for setting in ("", "msg-id-type = 0x00", "msg-id-type = 0x03"):
        smsc = gateway.Smsc()
        smsc.ids = ids
        kannel = gateway.Kannel([smsc], setting)
        told.clear()
        for message in ("first", "second", "third"):
            url = f"http://127.0.0.1:{server.server_port}/?message={message}"
            kannel.send("x", **{"dlr-mask": 3, "dlr-url": url})
            gateway.time.sleep(0.5)
        text = b"id:" + ids % 3 + b" sub:001 dlvrd:000 submit date:2611281200 done date:2611281201 stat:UNDELIV err:001 text:x"
        body = b"\0\1\1" + b"4915100000000\0\0\1" + b"1234\0\4\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text
        smsc.connection.sendall(gateway.struct.pack(">4I", 16 + len(body), 5, 0, 7) + body)
        gateway.time.sleep(2)
        print(f"{(ids % 3).decode()} ({len(ids % 3)} digits), {setting or 'no msg-id-type'}: the third failed, told of the {', '.join(told) or 'nobody'}")
        kannel.stop()
END
cat > expected <<'END'
2026112812000000003 (19 digits), no msg-id-type: the third failed, told of the third
2026112812000000003 (19 digits), msg-id-type = 0x00: the third failed, told of the third
2026112812000000003 (19 digits), msg-id-type = 0x03: the third failed, told of the first
20261128120000000003 (20 digits), no msg-id-type: the third failed, told of the third
20261128120000000003 (20 digits), msg-id-type = 0x00: the third failed, told of the first
20261128120000000003 (20 digits), msg-id-type = 0x03: the third failed, told of the first
a20261128120000003 (18 digits), no msg-id-type: the third failed, told of the third
a20261128120000003 (18 digits), msg-id-type = 0x00: the third failed, told of the first
a20261128120000003 (18 digits), msg-id-type = 0x03: the third failed, told of the first
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
