#!/usr/bin/env bash
# smstools sends the short code 12345 to +12345, and 0151 0000000 to +01510000000; Kannel does the opposite with the same digits.
#
# Seen with: smstools 3.1.21 (Debian 12's smstools 3.1.21-4+b1, unpacked, nothing is installed), 2026-11-28.
# One would guess: "To: 12345" and "To: 0151..." go out as they are written, of unknown type (the phone network decides, as when one dials), and only
#   "+49..." is international.
# Behaviour: each number without more is sent as international (type of address 0x91): short codes, national numbers, and with or without the plus the same.
#   A leading 00 is taken off, a leading 0 isn't. Only an "s" in front of the digits (To: s12345) makes the type unknown (0x81).
# What it means: an answer to a short code goes to the United States (+1 2345) or nowhere, and the modem says OK. A list that goes through Kannel with
#   national numbers cannot be handed to smstools. Write "s" before short codes, and numbers in full.
set -euo pipefail
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q smstools=3.1.21-4+b1 libmm14=1.4.2-7 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
mkdir outgoing checked sent failed incoming
cat > modem.py <<'END'
"""A modem that takes each message, and notes to whom it went."""
import os, pty, tty
mine, theirs = pty.openpty()
tty.setraw(mine); tty.setraw(theirs)
os.symlink(os.ttyname(theirs), "modem")
answers = {"AT+CPIN?": "+CPIN: READY", "AT+CSQ": "+CSQ: 20,0", "AT+CREG?": "+CREG: 0,1", "AT+CGSN": "490000000000000", "AT+CIMI": "262000000000000"}
line, pdu = b"", False
while True:
    octet = os.read(mine, 1)
    if octet not in b"\r\x1a":
        line += octet
        continue
    said, line = line.decode().strip(), b""
    if pdu:
        submit = bytes.fromhex(said)[1:]  # without the centre's number
        digits, kind = submit[2], submit[3]
        number = "".join(f"{each & 15}{each >> 4}" for each in submit[4:4 + (digits + 1) // 2])[:digits]
        with open("taken", "a") as taken:
            print(f"type {kind:#x}, {number}", file=taken)
        os.write(mine, b"\r\n+CMGS: 1\r\n\r\nOK\r\n")
        pdu = False
    elif said.startswith("AT+CMGS="):
        os.write(mine, b"\r\n> ")
        pdu = True
    elif said:
        os.write(mine, b"\r\n" + (answers[said] + "\r\n\r\n" if said in answers else "").encode() + b"OK\r\n")
END
cat > smsd.conf <<END
devices = GSM1
logfile = $work/log
outgoing = $work/outgoing
checked = $work/checked
sent = $work/sent
failed = $work/failed
incoming = $work/incoming
delaytime = 1
[GSM1]
device = $work/modem
incoming = no
END
python3 modem.py & while [ ! -e modem ]; do sleep 0.1; done
LD_LIBRARY_PATH=root/usr/lib root/usr/sbin/smsd -c"$work/smsd.conf" -t >/dev/null 2>&1 &
touch taken
for number in 12345 s12345 01510000000 491510000000 +491510000000 00491510000000; do
  before=$(wc -l < taken)
  printf 'To: %s\n\nhi\n' "$number" > message; mv message "outgoing/$number"
  for _ in $(seq 300); do [ "$(wc -l < taken)" -gt "$before" ] && break; sleep 0.1; done
  echo "To: $number: $(tail -1 taken)"
done | tee seen
cat > expected <<'END'
To: 12345: type 0x91, 12345
To: s12345: type 0x81, 12345
To: 01510000000: type 0x91, 01510000000
To: 491510000000: type 0x91, 491510000000
To: +491510000000: type 0x91, 491510000000
To: 00491510000000: type 0x91, 491510000000
END
diff expected seen && echo "as described"
