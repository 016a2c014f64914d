#!/usr/bin/env bash
# One message that is refused as "throttled" ends smpplib's listen(); the messages behind it go out, and nobody reads their answers.
#
# Seen with: smpplib 2.2.4 (PyPI), 2026-11-28.
# One would guess: a submit_sm_resp with a status is an answer as any other: the handler of sent messages is called and looks at pdu.status.
# Behaviour: an answer with a status goes to an error handler instead, which raises PDUError out of read_once() and listen(). The usual thread that
#   listens is over; the handler of sent messages never hears of that message. send_message() works on and raises nothing, so all further
#   messages are sent, and their answers and receipts are neither read nor acknowledged.
# What it means: a burst that a carrier throttles for a moment (status 0x58) leaves a sender that sends blindly, loses every message id from there on, and
#   is dropped by the SMSC when its unacknowledged receipts fill a window. set_error_pdu_handler(lambda pdu: None) makes
#   it do as guessed.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install smpplib==2.2.4
cat > ask.py <<'END'
import logging, socket, struct, threading, warnings
warnings.simplefilter("ignore")
import smpplib.client
logging.disable(logging.CRITICAL)

class Smsc:
    """Refuses the second of five messages, and sends a receipt for the first when all are there."""
    def __init__(self):
        self.place, self.submits, self.receipts, self.all_there = socket.create_server(("127.0.0.1", 0)), 0, 0, threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection = self.place.accept()[0]
        stream = connection.makefile("rb")
        while head := stream.read(16):
            length, command, _, number = struct.unpack(">4I", head)
            stream.read(length - 16)
            self.submits += command == 4
            self.receipts += command == 0x80000005
            if command == 4 and self.submits == 2:
                connection.sendall(struct.pack(">4I", 16, 0x80000004, 0x58, number))
            elif command in (4, 9):
                name = b"%d\0" % self.submits
                connection.sendall(struct.pack(">4I", 16 + len(name), command | 1 << 31, 0, number) + name)
            if self.submits == 5 and not self.all_there.is_set():
                text = b"id:1 sub:001 dlvrd:001 submit date:2611281200 done date:2611281201 stat:DELIVRD err:000 text:"
                body = b"\0\1\x0115550101\0\0\x001234\0\4\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text
                connection.sendall(struct.pack(">4I", 16 + len(body), 5, 0, 1) + body)
                self.all_there.set()

for told in ("the default", "an error handler that does nothing"):
    smsc, answers = Smsc(), []
    client = smpplib.client.Client("127.0.0.1", smsc.place.getsockname()[1], timeout=2)
    client.set_message_sent_handler(lambda pdu: answers.append(pdu.status))
    if told != "the default":
        client.set_error_pdu_handler(lambda pdu: None)
    client.connect(); client.bind_transceiver(system_id="u", password="p")
    ended = []
    def listen():
        try:
            client.listen(auto_send_enquire_link=False)
        except Exception as error:
            ended.append(type(error).__name__)
    thread = threading.Thread(target=listen, daemon=True); thread.start()
    for _ in range(5):
        client.send_message(source_addr="1234", destination_addr="15550101", short_message=b"hi")
    smsc.all_there.wait(); thread.join(1.5)
    print(f"{told}: sent {smsc.submits}, answers seen {len(answers)}, receipts acknowledged {smsc.receipts},",
          f"listen() {'raised ' + ended[0] if ended and ended[0] == 'PDUError' else 'goes on'}")
END
cat > expected <<'END'
the default: sent 5, answers seen 1, receipts acknowledged 0, listen() raised PDUError
an error handler that does nothing: sent 5, answers seen 5, receipts acknowledged 1, listen() goes on
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
