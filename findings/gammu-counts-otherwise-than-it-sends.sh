#!/usr/bin/env bash
# Gammu's own counter says one message where Gammu's own encoder makes three.
#
# Seen with: gammu 1.42.0 and python-gammu 3.2.4 of Debian 12 (unpacked from their packages, nothing is installed), 2026-11-28.
# One would guess: SMSCounter(text) tells how many messages EncodeSMS will make of that text.
# Behaviour: SMSCounter counts every text as GSM-7, also one that can only go out as UCS-2 (133 Cyrillic letters and a smiley: 1,
#   the encoder makes 3; 100 typographic apostrophes: 1 and 2), and it lets an escape straddle two parts (152 letters, the euro sign,
#   152 letters: 2, the encoder rightly makes 3).
# What it means: a cost that was estimated with the counter is too low by up to a factor of three.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q python3-gammu=3.2.4-1+b3 libgammu8=1.42.0-8 libgsmsd8=1.42.0-8 libbluetooth3 libusb-1.0-0 libcurl3-gnutls \
  libodbc2 libdbi1 libltdl7 libmariadb3 libpq5 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
cat > ask.py <<'END'
import gammu
for name, text in {"152 letters, euro, 152 letters": "a" * 152 + "\u20ac" + "a" * 152,
                   "66 Cyrillic, smiley, 66 Cyrillic": "\u044b" * 66 + "\U0001f600" + "\u044b" * 66,
                   "100 typographic apostrophes": "\u2019" * 100, "160 letters": "a" * 160}.items():
    made = gammu.EncodeSMS({"Class": -1, "Entries": [{"ID": "ConcatenatedAutoTextLong", "Buffer": text}]})
    print(f"{name}: counter {gammu.SMSCounter(text)[0]}, encoder {len(made)}")
END
cat > expected <<'END'
152 letters, euro, 152 letters: counter 2, encoder 3
66 Cyrillic, smiley, 66 Cyrillic: counter 1, encoder 3
100 typographic apostrophes: counter 1, encoder 2
160 letters: counter 1, encoder 1
END
LD_LIBRARY_PATH=root/usr/lib:root/usr/lib/x86_64-linux-gnu:root/lib/x86_64-linux-gnu \
  PYTHONPATH=root/usr/lib/python3/dist-packages /usr/bin/python3 ask.py | tee seen
diff expected seen && echo "as described"
