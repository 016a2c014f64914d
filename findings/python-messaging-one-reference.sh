#!/usr/bin/env bash
# All long messages that python-messaging makes carry the same reference, 0, so phones may join parts of different ones.
#
# Seen with: python-messaging 0.5.13 (PyPI), 2026-11-28.
# One would guess: each long message has a reference of its own, drawn or counted; what the attribute is called (rand_id) promises it.
# Behaviour: the reference is the first of a list that each message makes anew, and so is the message's own number (TP-MR): both are 0 in each message
#   of each process. Of two texts of two parts to one number, all four parts differ in nothing but the number of the part.
# What it means: when two alerts for one recipient are under way at once (retries, a busy network, a phone that was off) the phone may show the first
#   half of one with the second half of the other. Set rand_id and ref for each message.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install python-messaging==0.5.13
cat > ask.py <<'END'
from messaging.sms import SmsSubmit

def parts(text, **own):
    message = SmsSubmit("+15550100", text)
    vars(message).update(own)
    for part in message.to_pdu():
        octets = bytes.fromhex(part.pdu)[1:]  # behind the length of the SMSC's address
        header = octets[octets.index(b"\5\0\3"):]
        yield f"number {octets[1]} reference {header[3]} part {header[5]} of {header[4]}"

for text in ("The river rises. " * 12, "All clear again. " * 12):
    print(f"{text[:16]} {'; '.join(parts(text))}")
print(f"with its own:    {'; '.join(parts('All clear again. ' * 12, rand_id=77, ref=78))}")
END
cat > expected <<'END'
The river rises. number 0 reference 0 part 1 of 2; number 0 reference 0 part 2 of 2
All clear again. number 0 reference 0 part 1 of 2; number 0 reference 0 part 2 of 2
with its own:    number 78 reference 77 part 1 of 2; number 78 reference 77 part 2 of 2
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
