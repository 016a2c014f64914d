#!/usr/bin/env bash
# What has waited in Kannel's queue goes out newest first: after an outage, and always while more comes in than goes out.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: a queue is first in, first out among messages of one priority; the oldest alert goes first when the link is back.
# Behaviour: the bearerbox orders by priority and then by the second a message came in, the *later* second first (within a second nearly as they came). Of 20
#   messages that came in 6 s while the SMSC didn't answer the last ones go first and the first ones last. With a throughput of 2 a second and 4
#   coming in, messages of the first second are still there when the last one has gone. Whatever fits at once keeps its order, so a quiet test sees none.
# What it means: in a burst above the contract the first alerts are overtaken by all later ones: the mean wait is that of a fair queue, the longest is the
#   whole burst, and an update ("all clear") arrives before what it corrects. Give Kannel no more than it can send, and hold the queue before it.
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
    """Answers a bind only while `open` is set."""
    def __init__(self):
        self.place, self.submits, self.bound, self.open = socket.create_server(("127.0.0.1", 0)), [], threading.Event(), threading.Event()
        self.port = self.place.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.connection = self.place.accept()[0]
            stream = self.connection.makefile("rb")
            while head := stream.read(16):
                length, command, _, number = struct.unpack(">4I", head)
                body = stream.read(length - 16)
                if command == 9:
                    self.bound.set()
                    self.open.wait()
                if command == 4:
                    self.submits.append(body)
                if command in (4, 6, 9, 0x15):
                    name = b"" if command == 0x15 else b"%d\0" % len(self.submits)
                    self.connection.sendall(struct.pack(">4I", 16 + len(name), command | 1 << 31, 0, number) + name)

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

def order(smsc):
    """Numbers of the messages as they were submitted, from 1."""
    return [int(submit.rsplit(b"m", 1)[1]) for submit in smsc.submits]

def send(kannel, number, pause):
    for each in range(1, number + 1):
        kannel.send(f"m{each}")
        gateway.time.sleep(pause)

def wait(smsc, number):
    while len(smsc.submits) < number:
        gateway.time.sleep(0.1)
    return order(smsc)

smsc = gateway.Smsc()
kannel = gateway.Kannel([smsc])
send(kannel, 20, 0.3)
smsc.open.set()
seen = wait(smsc, 20)
print("#", *seen)
print(f"after an outage: message 20 is sent {'among the first 5' if 20 in seen[:5] else 'later'},",
      f"message 1 {'among the last 5' if 1 in seen[-5:] else 'earlier'}")
kannel.stop()

smsc = gateway.Smsc(); smsc.open.set()
kannel = gateway.Kannel([smsc], in_smsc="throughput = 2")
send(kannel, 24, 0.25)
seen = wait(smsc, 24)
print("#", *seen)
print(f"above the throughput: the last one sent is {'one of the first 6' if seen[-1] <= 6 else 'another'} of 24,",
      f"message 24 has {'5 and more' if len(seen) - seen.index(24) > 5 else 'fewer'} behind it")
kannel.stop()

smsc = gateway.Smsc(); smsc.open.set()
kannel = gateway.Kannel([smsc])
send(kannel, 24, 0.1)
print("below it:", "in order" if wait(smsc, 24) == list(range(1, 25)) else "not in order")
kannel.stop()
END
cat > expected <<'END'
after an outage: message 20 is sent among the first 5, message 1 among the last 5
above the throughput: the last one sent is one of the first 6 of 24, message 24 has 5 and more behind it
below it: in order
END
python3 ask.py | tee said
grep -v '^#' said > seen
diff expected seen && echo "as described"
