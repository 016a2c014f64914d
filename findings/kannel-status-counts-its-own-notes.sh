#!/usr/bin/env bash
# Kannel's status page says that receipts were received from an SMSC that sent none, and 10 messages were sent where the bill says 20.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: the figures in an SMSC's line are what went over that link: "sent: sms" each submit_sm, "rcvd: dlr" each receipt.
# Behaviour: a text in two parts counts once, however many submit_sm it took. Kannel's own notes that an SMSC has accepted (8 in dlr-mask) or refused
#   (16) a message count as received receipts, beside the SMSC's own; so with dlr-mask=31, the usual one, and an SMSC that sends no receipt at all
#   "rcvd: dlr" is the number of messages.
# What it means: "as many receipts as messages" on the page says nothing about delivery, and its rate per second is below what a carrier with a cap of
#   submit_sm counts. Count submit_sm at the SMSC, and receipts by their %d in dlr-url.
set -euo pipefail
[ "$(dpkg-query -W -f '${Version}' kannel 2>/dev/null)" = 1.4.5-12 ] || { echo "needs Debian's package kannel 1.4.5-12, installed"; exit 2; }
export PATH=$PATH:/usr/sbin
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat > gateway.py <<'END'
"""Kannel between an SMSC that takes everything and whoever asks over HTTP, all on this machine."""
import re, socket, struct, subprocess, threading, time, urllib.error, urllib.parse, urllib.request

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
                    refused = command == 4 and b"bad" in body
                    name = b"" if command == 0x15 or refused else b"%d\0" % len(self.submits)
                    self.connection.sendall(struct.pack(">4I", 16 + len(name), command | 1 << 31, 0x0B if refused else 0, number) + name)
                if command == 9:
                    self.bound.set()

class Kannel:
    def __init__(self, smscs, in_user="", in_smsc="", in_service="text = x\nmax-messages = 0"):
        self.port, ports = free_port(), (free_port(), free_port())
        self.admin = ports[0]
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

    def status(self):
        """The SMSC's line of the status page: receipts received, messages sent and failed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/status.txt?password=x") as answer:
            text = answer.read().decode()
        return {name: int(re.search(pattern, text)[1]) for name, pattern in
                {"rcvd dlr": r"rcvd: sms \d+ \S+ / dlr (\d+)", "sent sms": r"sent: sms (\d+)", "failed": r"failed (\d+)"}.items()}

    def stop(self):
        for box in reversed(self.boxes):
            box.terminate()
            box.wait()
END
cat > ask.py <<'END'
import gateway

smsc = gateway.Smsc()
kannel = gateway.Kannel([smsc], "max-messages = 5\nconcatenation = true")
def told(name, number, text, **options):
    before, submits = kannel.status(), len(smsc.submits)
    for _ in range(number):
        kannel.send(text, **options)
    gateway.time.sleep(3)
    after = kannel.status()
    print(f"{number} {name}: {len(smsc.submits) - submits} submit_sm; " + ", ".join(f"{each} {after[each] - before[each]}" for each in after))

asked = {"dlr-mask": "31", "dlr-url": "http://127.0.0.1:1/"}
told("texts of two parts", 10, "a" * 300)
told("short texts", 10, "well")
told("short texts, dlr-mask 31, no receipt ever sent", 10, "well", **asked)
told("refused texts", 10, "bad")
told("refused texts, dlr-mask 31", 10, "bad", **asked)
kannel.stop()
END
cat > expected <<'END'
10 texts of two parts: 20 submit_sm; rcvd dlr 0, sent sms 10, failed 0
10 short texts: 10 submit_sm; rcvd dlr 0, sent sms 10, failed 0
10 short texts, dlr-mask 31, no receipt ever sent: 10 submit_sm; rcvd dlr 10, sent sms 10, failed 0
10 refused texts: 10 submit_sm; rcvd dlr 0, sent sms 0, failed 10
10 refused texts, dlr-mask 31: 10 submit_sm; rcvd dlr 10, sent sms 0, failed 10
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
