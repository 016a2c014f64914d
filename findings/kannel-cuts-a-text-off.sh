#!/usr/bin/env bash
# Kannel cuts an alert off after 160 letters and answers "202 Accepted"; with max-messages it becomes two texts that no phone joins.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: a text that is too long for one SMS goes out in linked parts, as with every provider's HTTP interface, or is refused (or answered
#   with a word of warning).
# Behaviour: a sendsms-user has max-messages = 1 unless something else is said: of 300 letters the first 160 go out, the rest is thrown away, "0: Accepted
#   for delivery". With max-messages = 3 alone all goes out, as two messages without a header of parts, cut in the middle of a word, which phones show
#   as two, in any order. concatenation = true alone cuts as before, to 153 letters. Only both together send linked parts.
# What it means: a test text of 100 letters passes, and of the alert in need the end is missing: where to go, what to do. Set both, and compare the
#   number of submit_sm with the number of parts one has counted oneself.
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
import gateway

def parts(submit):
    """Octets of the text of a submit_sm, and whether it has a header of parts."""
    rest = submit.split(b"\0", 1)[1][2:].split(b"\0", 1)[1][2:].split(b"\0", 1)[1]
    linked, length = rest[0] & 0x40, rest[3:].split(b"\0", 2)[2][4]
    return f"{length} octets{', linked' if linked else ''}"

for user in ("", "max-messages = 3", "concatenation = true", "max-messages = 3\nconcatenation = true"):
    smsc = gateway.Smsc()
    kannel = gateway.Kannel([smsc], user)
    answer = kannel.send("a" * 300)
    gateway.time.sleep(2)
    print(f"{user.replace(chr(10), ', ') or 'no option'}: {answer}; {'; '.join(map(parts, smsc.submits))}")
    kannel.stop()
END
cat > expected <<'END'
no option: 202; 160 octets
max-messages = 3: 202; 160 octets; 140 octets
concatenation = true: 202; 153 octets
max-messages = 3, concatenation = true: 202; 159 octets, linked; 153 octets, linked
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
