#!/usr/bin/env bash
# Apprise reports success for messages that the SMSC refused, one and all, and for recipients it has left out.
#
# Seen with: apprise 2.3.0, smpplib 2.2.4 (PyPI), 2026-11-28.
# One would guess: notify() is true when every recipient's message was accepted; its SMPP service waits for each submit_sm_resp, as its HTTP services look at the
#   status, and a recipient that is no number makes it false, or adding the URL fails.
# Behaviour: the service sends every submit_sm and reads none of the answers but one, which it takes for that to its unbind. Throttled (0x58), refused (0x0B) or out of
#   credit: notify() is true. Numbers of fewer than ten digits (112, a short code) are left out with a warning in the log; add() and notify() are true without
#   them, as long as one is left. A bind that is refused is noticed.
# What it means: a monitoring system that is told "sent" has told nobody, and its second way of alarm, for when the first fails, is never taken. Ask for receipts at
#   the SMSC, or use a provider's HTTP interface, whose status Apprise does read.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install apprise==2.3.0 smpplib==2.2.4
cat > ask.py <<'END_ASK'
import logging, socket, struct, threading
import apprise

logging.disable(logging.CRITICAL)

class Smsc:
    """Takes a bind and answers each submit_sm with a status."""
    def __init__(self, status, bind_status=0):
        self.status, self.bind_status, self.submits, self.place = status, bind_status, 0, socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            connection = self.place.accept()[0]
            stream = connection.makefile("rb")
            while head := stream.read(16):
                length, command, _, number = struct.unpack(">4I", head)
                stream.read(length - 16)
                self.submits += command == 4
                status = {4: self.status, 2: self.bind_status}.get(command, 0)
                body = b"" if status or command not in (2, 4) else b"id\0"
                connection.sendall(struct.pack(">4I", 16 + len(body), command | 1 << 31, status, number) + body)
        except OSError:
            pass

for what, smsc, targets in (("taken", Smsc(0), ["4915110000000", "4915110000001"]),
                            ("throttled (0x58)", Smsc(0x58), ["4915110000000", "4915110000001"]),
                            ("refused (0x0B)", Smsc(0x0B), ["4915110000000", "4915110000001"]),
                            ("taken, with a short code", Smsc(0), ["4915110000000", "112"]),
                            ("bind refused", Smsc(0, 0x0E), ["4915110000000", "4915110000001"])):
    notifier = apprise.Apprise()
    added = notifier.add(f"smpp://u:p@127.0.0.1:{smsc.place.getsockname()[1]}/12345678901/{'/'.join(targets)}")
    told = bool(notifier.notify(body="Evacuate now"))
    print(f"{what}: {len(targets)} recipients, add() {added}, {smsc.submits} asked for, notify() {told}")
END_ASK
cat > expected <<'END_EXPECTED'
taken: 2 recipients, add() True, 2 asked for, notify() True
throttled (0x58): 2 recipients, add() True, 2 asked for, notify() True
refused (0x0B): 2 recipients, add() True, 2 asked for, notify() True
taken, with a short code: 2 recipients, add() True, 1 asked for, notify() True
bind refused: 2 recipients, add() True, 0 asked for, notify() False
END_EXPECTED
python/bin/python ask.py 2>/dev/null | tee seen
diff expected seen && echo "as described"
