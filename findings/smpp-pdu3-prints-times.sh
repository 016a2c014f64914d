#!/usr/bin/env bash
# A decoder of SMPP PDUs writes to standard output, and what it read it can't write again when the status is a vendor's.
#
# Seen with: smpp.pdu3 0.6 (PyPI; the codec of several gateways, in its port to Python 3), 2026-11-28.
# One would guess: decoding has no side effects, and encode(decode(x)) works for every x that decode took.
# Behaviour: for each absolute or relative time in a PDU (validity_period, schedule_delivery_time, final_date) its last character, "R",
#   "+" or "-", is printed. Every status from 0x400 to 0x4FF is read as one name, RESERVEDSTATUS_VENDOR_SPECIFIC, whose number is not known
#   any more: encoding that PDU raises ValueError. A successful bind answer without its body (a null system_id left out) is refused.
# What it means: a program whose result goes to standard output (JSON, CSV) has stray characters in it as soon as somebody sets a
#   validity; a vendor's reason (0x401 against 0x402) can't be told apart.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install smpp.pdu3==0.6
cat > ask.py <<'END'
import contextlib, io, struct
from smpp.pdu.pdu_encoding import PDUEncoder

def pdu(command, status, body=b""):
    return struct.pack(">IIII", 16 + len(body), command, status, 1) + body

submit = b"\0\1\1" + b"15550100\0" + b"\1\1" + b"15550101\0" + b"\0\0\0\0" + b"%s\0" + b"\1\0\0\0\2hi"
for time in (b"000001000000000R", b"261128120000000+"):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        PDUEncoder().decode(io.BytesIO(pdu(4, 0, submit % time)))
    print(f"a submit_sm with {time.decode()} prints {out.getvalue()!r}")
answers = [PDUEncoder().decode(io.BytesIO(pdu(0x80000004, status))) for status in (0x401, 0x402)]
print("0x401 and 0x402 are", "the same" if answers[0].status == answers[1].status else "different")
try:
    PDUEncoder().encode(answers[0])
except ValueError as error:
    print(f"writing it: ValueError: {error}")
END
cat > expected <<'END'
a submit_sm with 000001000000000R prints 'R\n'
a submit_sm with 261128120000000+ prints '+\n'
0x401 and 0x402 are the same
writing it: ValueError: Value -2 is less than min 0
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
