#!/usr/bin/env bash
# One message over ZMQ_MAXMSGSIZE takes the good messages behind it along.
#
# Seen with: pyzmq 27.3.0, libzmq 4.3.5 (PyPI wheel), 2026-11-28.
# One would guess: the receiver refuses the message that is too big, and the ones before and after it arrive (the manual: the peer is
#   disconnected; ZeroMQ connects again by itself and goes on).
# Behaviour: what the sender had already handed to the connection, small messages that fit in one write, is lost with it: of 50 messages of
#   which number 5 is too big, 0 to 4 arrive. A message sent after the reconnect arrives. Nothing is told to the sender.
# What it means: one long row in a list costs its neighbours. Check lengths where messages are made, and confirm what must not be lost.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pyzmq==27.3.0
cat > ask.py <<'END'
import zmq
from zmq.utils.monitor import recv_monitor_message

context = zmq.Context()
for size in (1000, 2000):
    pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    pull.maxmsgsize, push.reconnect_ivl = 1000, 20
    pull.bind("tcp://127.0.0.1:*")
    address = pull.last_endpoint.decode()
    if size > 1000:
        events = push.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    for number in range(50):  # they wait in the queue of the connect() that follows
        if number == 0:
            push.connect(address)
        push.send(b"%03d" % number + bytes(size - 3 if number == 5 else 7))
    got = []
    while pull.poll(1500):
        got.append(int(pull.recv()[:3]))
    if size > 1000:
        for _ in range(2):  # connected, and connected again
            events.poll(5000); recv_monitor_message(events)
    push.send(b"050 later")
    got.append(int(pull.recv()[:3]) if pull.poll(1500) else "(nothing)")
    print(f"number 5 has {size} octets: received {got[0]} to {got[-2]} ({len(got) - 1}), then {got[-1]}")
    if size > 1000:
        push.disable_monitor()
    push.close(0); pull.close(0)
END
cat > expected <<'END'
number 5 has 1000 octets: received 0 to 49 (50), then 50
number 5 has 2000 octets: received 0 to 4 (5), then 50
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
