#!/usr/bin/env bash
# smpplib sends to another number when one is too long, node-smpp writes it as it is; smpplib cuts names and passwords, too.
#
# Seen with: smpplib 2.2.4 (PyPI), smpp 0.5.1 (npm), 2026-11-28.
# One would guess: a destination_addr of more than 20 characters, a password of more than 8 or a system_id of more than 15, for which
#   SMPP 3.4 has no room, is an error of the caller's, told before anything is sent.
# Behaviour: smpplib keeps the first 20 digits, 8 and 15 characters, and says nothing: a row with two numbers run together goes to
#   somebody. node-smpp writes all 25 digits, which a strict SMSC refuses with a status.
# What it means: check the lengths of numbers where they come in, whatever client sends them.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv >/dev/null && venv/bin/pip install --quiet --disable-pip-version-check smpplib==2.2.4
npm install --silent --no-audit --no-fund smpp@0.5.1 >/dev/null
cat > ask.py <<'END'
from smpplib import client, smpp

peer = client.Client("localhost", 1, allow_unknown_opt_params=True)

def octets(command, **fields):
    pdu = smpp.make_pdu(command, client=peer, **fields)
    pdu.sequence = 1
    return pdu.generate()

sent = smpp.parse_pdu(octets("submit_sm", destination_addr="4477009001234477009004567", short_message=b"x"), client=peer)
print("smpplib, 25 digits:", sent.destination_addr.decode())
print("smpplib, bind:", octets("bind_transceiver", system_id="a-name-of-20-letters", password="correct-horse")[16:40])
END
cat > ask.js <<'END'
const smpp = require("smpp");
const pdu = new smpp.PDU("submit_sm", { destination_addr: "4477009001234477009004567", short_message: "x" });
console.log("node-smpp, 25 digits:", smpp.PDU.fromBuffer(pdu.toBuffer()).destination_addr);
END
cat > expected <<'END'
smpplib, 25 digits: 44770090012344770090
smpplib, bind: b'a-name-of-20-le\x00correct-'
node-smpp, 25 digits: 4477009001234477009004567
END
{ venv/bin/python ask.py; node ask.js; } | tee seen
diff expected seen && echo "as described"
