#!/usr/bin/env bash
# Kannel sends 4915110000000, and +4915110000000 as one types it into a URL, as a *national* number.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: a number in full, with its country code, goes out as TON 1 (international), with or without the plus, as with the HTTP interfaces of
#   most providers; at least all the ways to write one number give one address.
# Behaviour: TON is guessed from the plus alone. Without it each number of digits gets TON 2 (national), the same digits; the plus of a query string that
#   isn't written as %2B is a space, which separates numbers, so it is dropped. 00 is kept, as TON 2 as well. All are answered 202. Only %2B gives
#   TON 1. The same holds for numeric senders.
# What it means: an SMSC that goes by TON looks for 49151... in its own country: refused with 0x0B, or delivered to somebody. Write %2B (let a library make
#   the query), or set source-addr-ton and dest-addr-ton in the SMSC's group.
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

smsc = gateway.Smsc()
kannel = gateway.Kannel([smsc])
for written in ("%2B4915110000000", "+4915110000000", "4915110000000", "004915110000000"):
    query = f"username=u&password=p&from=1234&text=x&to={written}"
    with gateway.urllib.request.urlopen(f"http://127.0.0.1:{kannel.port}/cgi-bin/sendsms?{query}") as answer:
        status = answer.status
    while not smsc.submits:
        gateway.time.sleep(0.1)
    fields = smsc.submits.pop()[1:].split(b"\0", 1)  # behind service_type: the sender, then TON, NPI and number of the recipient
    ton, npi, number = fields[1][0], fields[1][1], fields[1][2:].split(b"\0")[0].decode()
    print(f"to={written}: {status}, sent as {number}, TON {ton}, NPI {npi}")
kannel.stop()
END
cat > expected <<'END'
to=%2B4915110000000: 202, sent as 4915110000000, TON 1, NPI 1
to=+4915110000000: 202, sent as 4915110000000, TON 2, NPI 1
to=4915110000000: 202, sent as 4915110000000, TON 2, NPI 1
to=004915110000000: 202, sent as 004915110000000, TON 2, NPI 1
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
