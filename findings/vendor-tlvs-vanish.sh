#!/usr/bin/env bash
# A message that is read and written again loses its vendor TLVs without a word: with them go India's DLT identifiers.
#
# Seen with: smpp 0.5.1 (npm), smpp.pdu3 0.6 (PyPI); smpp34 1.5.0 (PyPI) keeps them; 2026-11-28.
# One would guess: SMPP 3.4 reserves the tags 0x1400 to 0x3FFF for vendors (section 5.3.2), so a library that takes a PDU apart
#   and puts it together again keeps what it doesn't know, or says that it does not.
# Behaviour: npm's smpp shows an unknown tag as a property (5120 for 0x1400) and leaves it out when the PDU is written, also when the
#   caller put it there; only tags that were made known with addTLV() go out. smpp.pdu3 drops it while reading.
# What it means: operators in India want the registered entity and template as TLVs 0x1400 and 0x1401; a proxy made with either
#   library forwards such messages without them, and they are refused, or answered with success and never delivered.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install smpp.pdu3==0.6 smpp34==1.5.0
npm install --silent --no-audit --no-fund smpp@0.5.1 >/dev/null
cat > pdu.py <<'END'
import struct
body = b"\0\1\1" + b"15550100\0" + b"\1\1" + b"15550101\0" + b"\0\0\0\0\0\1\0\0\0\2hi"
for tag, value in ((0x1400, b"1201150000000000001"), (0x1401, b"1207150000000000002")):
    body += struct.pack(">HH", tag, len(value)) + value
pdu = struct.pack(">IIII", 16 + len(body), 4, 0, 1) + body
END
cat > ask.py <<'END'
import io
import smpp34
from pdu import pdu
from smpp.pdu.pdu_encoding import PDUEncoder
smpp34_again = smpp34.decode(pdu).encode()
pdu3_again = PDUEncoder().encode(PDUEncoder().decode(io.BytesIO(pdu)))
for name, again in (("smpp34", smpp34_again), ("smpp.pdu3", pdu3_again)):
    print(f"{name}: {len(pdu)} octets read, {len(again)} written, tag 0x1400 {'kept' if b'1201150000000000001' in again else 'gone'}")
END
cat > ask.js <<'END'
const { PDU } = require("smpp");
const pdu = Buffer.from(process.argv[2], "hex"), read = new PDU(pdu), again = read.toBuffer();
console.log(`npm smpp: ${pdu.length} octets read, ${again.length} written, tag 0x1400 ${read[0x1400] ? "shown" : "hidden"} and ` +
            (again.includes("1201150000000000001") ? "kept" : "gone"));
END
cat > expected <<'END'
smpp34: 97 octets read, 97 written, tag 0x1400 kept
smpp.pdu3: 97 octets read, 51 written, tag 0x1400 gone
npm smpp: 97 octets read, 51 written, tag 0x1400 shown and gone
END
{ python/bin/python ask.py; node ask.js "$(python3 -c 'from pdu import pdu; print(pdu.hex())')"; } | tee seen
diff expected seen && echo "as described"
