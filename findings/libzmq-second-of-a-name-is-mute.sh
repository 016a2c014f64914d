#!/usr/bin/env bash
# A ZeroMQ worker that comes back under its own name while its old connection is still known stays connected and mute for ever.
#
# Seen with: pyzmq 27.3.0, libzmq 4.3.5 (PyPI wheel), 2026-11-28.
# One would guess: a ROUTER turns a second peer of the same routing id away, so that it tries again, and takes it in when the first has gone; with
#   ZMQ_ROUTER_HANDOVER the first is disconnected.
# Behaviour: the second finishes its handshake and keeps its connection, but nothing it sends is received, also long after the first has
#   gone; the next one of that name is served. With ZMQ_ROUTER_HANDOVER it is the first that is left connected and mute. send() takes
#   messages as always; no event of a socket monitor tells of it, on any side.
# What it means: after a host's crash the ROUTER believes in the old connection for as long as TCP does. A worker that reuses a fixed name must
#   expect an answer to its greeting, and make a new socket without one; or let the ROUTER give names and send its own as data.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pyzmq==27.3.0
cat > ask.py <<'END'
import zmq
from zmq.utils.monitor import recv_monitor_message

context = zmq.Context()

def worker(address):
    made = context.socket(zmq.DEALER)
    made.identity, made.reconnect_ivl = b"worker-7", 20
    events = made.get_monitor_socket()
    made.connect(address)
    while recv_monitor_message(events)["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED:
        pass
    return made, events

for handover in (0, 1):
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.ROUTER_HANDOVER, handover)
    router.bind("tcp://127.0.0.1:*")
    address = router.last_endpoint.decode()

    def heard():
        return router.recv_multipart()[1].decode() if router.poll(1500) else "nothing"

    first, first_events = worker(address)
    first.send(b"first")
    seen = [heard()]
    second, second_events = worker(address)
    second.send(b"second")
    seen.append(heard())
    if handover:
        first.send(b"first again")
        seen.append(heard())
        mute = first_events
    else:
        first.disable_monitor(); first.close(0)
        context.socket(zmq.PAIR).poll(500)
        second.send(b"second, alone")
        seen.append(heard())
        third, _ = worker(address)
        third.send(b"third")
        seen.append(heard())
        mute = second_events
    print(f"ZMQ_ROUTER_HANDOVER {handover}: heard {', '.join(seen)}; the mute one is told {'something' if mute.poll(1500) else 'nothing'}")
context.destroy(linger=0)
END
cat > expected <<'END'
ZMQ_ROUTER_HANDOVER 0: heard first, nothing, nothing, third; the mute one is told nothing
ZMQ_ROUTER_HANDOVER 1: heard first, second, nothing; the mute one is told nothing
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
