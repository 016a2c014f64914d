#!/usr/bin/env bash
# A client made with npm's smpp never answers an SMSC's enquire_link, so it is thrown out after some quiet minutes.
#
# Seen with: smpp 0.5.1 (npm), with smpplib 2.2.4 (PyPI) beside it, 2026-11-28.
# One would guess: a library that keeps a session answers enquire_link, and unbind, by itself, as smpplib, Net::SMPP and Kannel do; a PDU of an
#   unknown command gets a generic_nack.
# Behaviour: it answers nothing: each PDU is an event, and what has no listener is dropped. auto_enquire_link_period sends enquiries of its own, but
#   answers none. One line does: session.on("enquire_link", pdu => session.send(pdu.response())).
# What it means: against an SMSC that asks only when a session is quiet everything works by day, and at night the link is closed; the alert that breaks
#   the silence finds a dead session. (Receipts have to be answered by hand as well, or the SMSC sends them again.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install smpplib==2.2.4
npm install --silent --no-audit --no-fund smpp@0.5.1 >/dev/null
cat > client.js <<'END'
const smpp = require("smpp"), [port, listen, period] = process.argv.slice(2).map(Number);
const session = smpp.connect({ url: `smpp://127.0.0.1:${port}`, auto_enquire_link_period: period || undefined });
if (listen) session.on("enquire_link", (pdu) => session.send(pdu.response()));
session.on("connect", () => session.bind_transceiver({ system_id: "u", password: "p" }));
session.on("close", () => process.exit());
session.on("error", () => process.exit());
END
cat > client.py <<'END'
import logging, sys, warnings
warnings.simplefilter("ignore")
import smpplib.client
logging.disable(logging.CRITICAL)
client = smpplib.client.Client("127.0.0.1", int(sys.argv[1]))
client.connect(); client.bind_transceiver(system_id="u", password="p")
try:
    client.listen()
except Exception:
    pass
END
cat > ask.py <<'END'
import socket, struct, subprocess

def asked(command):
    """What a client sends within 3 s after it was asked once whether it is there."""
    place = socket.create_server(("127.0.0.1", 0))
    client = subprocess.Popen([part.format(port=place.getsockname()[1]) for part in command])
    connection = place.accept()[0]
    stream, seen = connection.makefile("rb"), set()
    connection.settimeout(3)
    try:
        while head := stream.read(16):
            length, command, _, number = struct.unpack(">4I", head)
            stream.read(length - 16)
            seen.add({0x80000015: "enquire_link_resp", 0x15: "its own enquire_link"}.get(command, "bind"))
            if command == 9:
                connection.sendall(struct.pack(">4I", 18, 0x80000009, 0, number) + b"s\0" + struct.pack(">4I", 16, 0x15, 0, 7))
            if command == 0x15 or command == 0x80000015:
                break
    except TimeoutError:
        pass
    client.kill(); client.wait(); connection.close()
    return ", ".join(sorted(seen - {"bind"})) or "nothing"

print("smpp:", asked(["node", "client.js", "{port}", "0", "0"]))
print("smpp, auto_enquire_link_period:", asked(["node", "client.js", "{port}", "0", "1000"]))
print("smpp, a listener of one's own:", asked(["node", "client.js", "{port}", "1", "0"]))
print("smpplib:", asked(["python/bin/python", "client.py", "{port}"]))
END
cat > expected <<'END'
smpp: nothing
smpp, auto_enquire_link_period: its own enquire_link
smpp, a listener of one's own: enquire_link_resp
smpplib: enquire_link_resp
END
python3 ask.py | tee seen
diff expected seen && echo "as described"
