#!/usr/bin/env bash
# zmq_unbind, called to take no new clients, cuts off the old ones, and what they say next is lost.
#
# Seen with: pyzmq 27.3.0, libzmq 4.3.5 (PyPI wheel), 2026-11-28.
# One would guess: unbind undoes bind: nobody new gets in, and clients that are connected are served on, as after closing a listening TCP socket.
# Behaviour: what clients sent before can still be received, but nothing can be answered any more ("Host unreachable", or silence without
#   ZMQ_ROUTER_MANDATORY). A client isn't told: its connection stays up until it sends, that message is gone, and only then is it
#   disconnected. Over inproc a client is served on.
# What it means: a server that drains by unbinding first loses its answers and a request of each client. Keep the socket bound, tell
#   clients to go by a message, and close when they have.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pyzmq==27.3.0
cat > ask.py <<'END'
import zmq

context = zmq.Context()
for where in ("tcp://127.0.0.1:*", "ipc://socket", "inproc://server"):
    server, client = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    server.router_mandatory, client.reconnect_ivl = 1, 20
    server.bind(where)
    gone = client.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    client.connect(server.last_endpoint)
    client.send(b"first")
    client.send(b"second")
    name, _ = server.recv_multipart()
    assert server.poll(2000)  # the second has come, too
    server.unbind(server.last_endpoint)
    context.socket(zmq.PAIR).poll(500)
    kind = where.split(":")[0]
    print(f"{kind}: sent before: {'received' if server.poll(2000) else 'lost'};", end=" ")
    server.recv_multipart(zmq.NOBLOCK)
    try:
        server.send_multipart([name, b"answer"])
        print("an answer:", "received" if client.poll(2000) else "lost", end="; ")
    except zmq.ZMQError as error:
        print("an answer:", error, end="; ")
    print("client told:", "yes" if gone.poll(1500) else "no", end="; ")
    client.send(b"third")
    print("sent after:", "received" if server.poll(1500) else "lost", end="; ")
    print("client told:", "yes" if gone.poll(1500) else "no")
    client.disable_monitor(); client.close(0); server.close(0)
END
cat > expected <<'END'
tcp: sent before: received; an answer: Host unreachable; client told: no; sent after: lost; client told: yes
ipc: sent before: received; an answer: Host unreachable; client told: no; sent after: lost; client told: yes
inproc: sent before: received; an answer: received; client told: no; sent after: received; client told: no
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
