#!/usr/bin/env bash
# python-gsmmodem-new drops the first letter of each part of a long text whose reference has 16 bits, and an at sign at the end.
#
# Seen with: python-gsmmodem-new 0.13.0, python-messaging 0.5.13 (PyPI), 2026-11-28.
# One would guess: a decoder that reads parts with a header of 6 octets reads those with one of 7, too; a text ends where its length says.
# Behaviour: behind a header of 7 octets (16-bit reference of parts, or ports) septets begin at an octet; the decoder skips seven bits more,
#   the first letter. Of a text of 8, 16, ... 160 septets that ends in "@" (septet 0) the at sign is taken for padding. Neither raises.
#   python-messaging reads all of them.
# What it means: which network a reply comes from decides whether its first letter is there ("STOP" becomes "TOP"), and a joined text lacks
#   one letter a part. Read the raw PDUs with another decoder, or look at the length of the header.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install python-gsmmodem-new==0.13.0 python-messaging==0.5.13
cat > ask.py <<'END'
from gsmmodem.pdu import decodeSmsPdu
from messaging.sms import SmsDeliver

def deliver(text, header=b""):
    """An incoming SMS by 3GPP TS 23.040: septets in octets, behind a header from the next septet on."""
    taken = -(-len(header) * 8 // 7)
    bits = sum(({"@": 0}.get(letter, ord(letter))) << 7 * (taken + place) for place, letter in enumerate(text))
    length = taken + len(text)
    data = bytearray(bits.to_bytes(-(-length * 7 // 8), "little"))
    data[:len(header)] = header
    return (bytes.fromhex("00" f"{0x44 if header else 4:02x}" "0891515510000000" "62118221000000") + bytes([length]) + data).hex().upper()

for name, text, header in (("no header", "STOP", b""), ("8-bit reference", "STOP", b"\5\0\3\7\2\1"), ("16-bit reference", "STOP", b"\6\x08\4\0\7\2\1"),
                           ("ports", "STOP", b"\6\5\4\x0b\x84\x0b\x84"), ("7 septets", "mail a@", b""), ("8 septets", "mail me@", b""),
                           ("160 septets", "x" * 159 + "@", b"")):
    pdu = deliver(text, header)
    read = (decodeSmsPdu(pdu)["text"], SmsDeliver(pdu).text)
    print(f"{name}, {text[-9:]}: python-gsmmodem-new {read[0][-9:]}, python-messaging {read[1][-9:]}")
END
cat > expected <<'END'
no header, STOP: python-gsmmodem-new STOP, python-messaging STOP
8-bit reference, STOP: python-gsmmodem-new STOP, python-messaging STOP
16-bit reference, STOP: python-gsmmodem-new TOP, python-messaging STOP
ports, STOP: python-gsmmodem-new TOP, python-messaging STOP
7 septets, mail a@: python-gsmmodem-new mail a@, python-messaging mail a@
8 septets, mail me@: python-gsmmodem-new mail me, python-messaging mail me@
160 septets, xxxxxxxx@: python-gsmmodem-new xxxxxxxxx, python-messaging xxxxxxxx@
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
