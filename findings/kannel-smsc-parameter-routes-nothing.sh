#!/usr/bin/env bash
# Kannel's sendsms takes "smsc=s1" and sends by any SMSC; one that doesn't exist is taken, too.
#
# Seen with: kannel 1.4.5-12 (Debian 12), 2026-11-28.
# One would guess: the parameter smsc names the SMSC (its smsc-id) by which the message goes out, and an unknown one is refused.
# Behaviour: it is the name of the SMSC that the message is said to come *from*, a mark that nothing looks at until an SMSC's group has
#   allowed-smsc-id, denied-smsc-id or preferred-smsc-id. Without those, messages for s1, s0 and "nowhere" are spread over all SMSCs by
#   chance. With allowed-smsc-id in each group it does what was meant, and messages without the parameter get 403.
# What it means: the traffic of two customers or of a test and a live line is mixed while every answer is 202, and with one SMSC (or one that
#   is down) nobody notices. Give each group its allowed-smsc-id.
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

for in_smsc in ("", "allowed-smsc-id = s{number}"):
    smscs = gateway.Smsc(), gateway.Smsc()
    kannel = gateway.Kannel(smscs, in_smsc)
    for options in ({"smsc": "s1"}, {"smsc": "nowhere"}, {}):
        answers = {kannel.send("x", **options) for _ in range(60)}
        gateway.time.sleep(2)
        by = [len(smsc.submits) for smsc in smscs]
        print(f"{in_smsc.format(number='N') or 'as installed'}, smsc={options.get('smsc')}: answered {answers}, by s0 and s1:",
              *("none" if n == 0 else "all" if n == 60 else "some" for n in by))
        for smsc in smscs:
            smsc.submits.clear()
    kannel.stop()
END
cat > expected <<'END'
as installed, smsc=s1: answered {202}, by s0 and s1: some some
as installed, smsc=nowhere: answered {202}, by s0 and s1: some some
as installed, smsc=None: answered {202}, by s0 and s1: some some
allowed-smsc-id = sN, smsc=s1: answered {202}, by s0 and s1: none all
allowed-smsc-id = sN, smsc=nowhere: answered {403}, by s0 and s1: none none
allowed-smsc-id = sN, smsc=None: answered {403}, by s0 and s1: none none
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
