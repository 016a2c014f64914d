#!/usr/bin/env bash
# Kannel with alt-charset sends an empty message for a text of 130 letters with accents, and mixes two encodings in one text.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: alt-charset = "UTF-8" in an SMSC's group encodes texts that way, cut so that each fits its PDU; with "ISO-8859-1" a character
#   that isn't in it becomes a question mark, or the text goes out otherwise or not at all.
# Behaviour: texts are cut by septets (160, 153) and encoded after that. What then has more than 254 octets goes out as a submit_sm *without*
#   text: 127 letters é are sent, 128 are an empty message; of a longer one the first part is empty, though the header of parts is announced. With
#   ISO-8859-1 the characters outside of it stay UTF-8 among Latin-1 neighbours. HTTP says 202, the SMSC takes it, a receipt would say delivered.
# What it means: an English test passes, and the French or Greek alert arrives empty. Leave alt-charset out where the SMSC can take GSM octets, or send
#   non-ASCII text as UCS-2 (coding=2, charset=UTF-8).
set -euo pipefail
[ "$(dpkg-query -W -f '${Version}' kannel 2>/dev/null)" = 1.4.5-12 ] || { echo "needs Debian's package kannel 1.4.5-12, installed"; exit 2; }
export PATH=$PATH:/usr/sbin
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat > gateway.py <<'END'
"""Kannel between an SMSC that takes everything and whoever asks over HTTP, all on this machine."""
import socket, struct, subprocess, threading, time, urllib.error, urllib.parse, urllib.request

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

def text(submit):
    """The text of a submit_sm: what is behind its fourteen fields of fixed and variable length."""
    rest = submit.split(b"\0", 1)[1][2:].split(b"\0", 1)[1][2:].split(b"\0", 1)
    rest = rest[1][3:].split(b"\0", 2)[2]
    return rest[5:5 + rest[4]]

for charset, texts in {"UTF-8": ("é" * 127, "é" * 128, "é" * 200), "ISO-8859-1": ("é 5 €",)}.items():
    smsc = gateway.Smsc()
    kannel = gateway.Kannel([smsc], f"alt-charset = {charset}")
    for sent in texts:
        answer = kannel.send(sent)
        gateway.time.sleep(2)
        found = [text(submit) for submit in smsc.submits]
        smsc.submits.clear()
        print(f"alt-charset {charset}, {len(sent)} letters: {answer}, {', '.join(f'{len(octets)} octets' for octets in found)}"
              + (f": {found[0]}" if len(sent) < 10 else ""))
    kannel.stop()
END
cat > expected <<'END'
alt-charset UTF-8, 127 letters: 202, 254 octets
alt-charset UTF-8, 128 letters: 202, 0 octets
alt-charset UTF-8, 200 letters: 202, 0 octets, 100 octets
alt-charset ISO-8859-1, 5 letters: 202, 7 octets: b'\xe9 5 \xe2\x82\xac'
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
