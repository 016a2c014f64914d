#!/usr/bin/env bash
# npm's smpp turns a Russian alert into eight at signs when data_coding 0 is asked for, and loses the at sign when nothing is.
#
# Seen with: smpp 0.5.1 (npm), aiosmpplib 0.7.4 (PyPI) as the reader, 2026-11-28.
# One would guess: letters that the asked alphabet lacks are an error or question marks; without data_coding, text of the GSM alphabet goes out as
#   data_coding 0, the one value that means it by custom.
# Behaviour: with data_coding 0 a letter outside of the GSM alphabet becomes octet 0, which is "@" there: one of them in a text is easily taken for a
#   slip. Without data_coding such text goes out as 1, in GSM octets; 1 is IA5 (ASCII) by the specification, and a reader that goes by it finds a
#   NUL for "@", a control character for "_" and ESC with a letter for "{" and the euro sign. (Latin letters go out as 3, others as 8: well.)
# What it means: set data_coding 0 for texts known to be GSM, and never for others; look for octet 0 in what one sends. Between two node-smpp
#   nothing shows, since it reads 1 as it writes it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install aiosmpplib==0.7.4
npm install --silent --no-audit --no-fund smpp@0.5.1 >/dev/null
cat > ask.js <<'END'
const { PDU } = require("smpp");
for (const message of [{ short_message: "Внимание", data_coding: 0 }, { short_message: "Garçon, 5 €", data_coding: 0 },
                       { short_message: "me@home {5_€}" }, { short_message: "Garçon" }, { short_message: "Внимание" }]) {
  const pdu = new PDU("submit_sm", { source_addr: "15550100", destination_addr: "15550101", ...message }).toBuffer();
  console.log(JSON.stringify([message.short_message, message.data_coding ?? "left out", PDU.fromBuffer(pdu).short_message.message, pdu.toString("hex")]));
}
END
cat > ask.py <<'END'
import json, struct, sys
from aiosmpplib.protocol import SubmitSm
from aiosmpplib.state import PduHeader, SmppCommand, SmppCommandStatus

for line in sys.stdin:
    text, asked, again, pdu = json.loads(line)
    octets = bytes.fromhex(pdu)
    header = PduHeader(len(octets), SmppCommand.SUBMIT_SM, SmppCommandStatus.ESME_ROK, 1)
    read = SubmitSm.from_pdu(octets, header, default_encoding="gsm0338")
    coding = octets[16 + octets[16:].index(b"15550101\0") + 9 + 3 + 1 + 1 + 1 + 1]
    print(f"{text}, data_coding {asked}: sent as {coding}, node-smpp reads {again!r}, aiosmpplib {read.short_message!r}")
END
cat > expected <<'END'
Внимание, data_coding 0: sent as 0, node-smpp reads '@@@@@@@@', aiosmpplib '@@@@@@@@'
Garçon, 5 €, data_coding 0: sent as 0, node-smpp reads 'Gar@on, 5 €', aiosmpplib 'Gar@on, 5 €'
me@home {5_€}, data_coding left out: sent as 1, node-smpp reads 'me@home {5_€}', aiosmpplib 'me\x00home \x1b(5\x11\x1be\x1b)'
Garçon, data_coding left out: sent as 3, node-smpp reads 'Garçon', aiosmpplib 'Garçon'
Внимание, data_coding left out: sent as 8, node-smpp reads 'Внимание', aiosmpplib 'Внимание'
END
node ask.js | python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
