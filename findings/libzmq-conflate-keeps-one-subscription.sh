#!/usr/bin/env bash
# A ZeroMQ subscriber that asks for the newest message only (ZMQ_CONFLATE) loses all of its subscriptions but one.
#
# Seen with: pyzmq 27.3.0, libzmq 4.3.5 (PyPI wheel), 2026-11-28.
# One would guess: ZMQ_CONFLATE shortens the queue of messages that wait to be received; what was subscribed to is another matter.
# Behaviour: a subscription is a message to the publisher, and the queue towards it is shortened to one as well. Of the topics subscribed to before
#   the connection is up only one reaches the publisher. Made one by one on a connection they all do, until the publisher is restarted:
#   then they are sent again at once, and only one of them arrives. Nothing is raised or logged.
# What it means: a monitor of "the newest figures of each topic" runs well and goes blind for all topics but one with the first restart.
#   One socket a topic, or no ZMQ_CONFLATE and a loop that reads until nothing is left.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pyzmq==27.3.0
cat > ask.py <<'END'
import zmq

context = zmq.Context()

def heard(publisher, subscriber):
    """The subscriptions that reached it, while the subscriber waits for messages."""
    found, poller = [], zmq.Poller()
    for each in (publisher, subscriber):
        poller.register(each, zmq.POLLIN)
    while poller.poll(1500):
        found.append(publisher.recv()[1:].decode())
    return " ".join(sorted(found))

def publisher(address="tcp://127.0.0.1:*"):
    made = context.socket(zmq.XPUB)
    made.bind(address)
    return made, made.last_endpoint.decode()

for conflate in (0, 1):
    server, address = publisher()
    client = context.socket(zmq.SUB)
    client.setsockopt(zmq.CONFLATE, conflate)
    client.reconnect_ivl = 20
    for topic in ("cpu", "queue", "errors"):
        client.subscribe(topic)
    client.connect(address)
    print(f"ZMQ_CONFLATE {conflate}, subscribed before the connection: {heard(server, client)}")
    client.close(0); server.close(0)

    server, address = publisher()
    client = context.socket(zmq.SUB)
    client.setsockopt(zmq.CONFLATE, conflate)
    client.reconnect_ivl = 20
    client.connect(address)
    seen = []
    for topic in ("cpu", "queue", "errors"):
        client.subscribe(topic)
        seen.append(heard(server, client))
    print(f"ZMQ_CONFLATE {conflate}, one by one on a connection: {' '.join(seen)}")
    monitor = client.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    server.close(0)
    monitor.poll(5000)  # the publisher is gone
    server, address = publisher(address)
    print(f"ZMQ_CONFLATE {conflate}, after the publisher's restart: {heard(server, client)}")
    client.disable_monitor(); client.close(0); server.close(0)
END
cat > expected <<'END'
ZMQ_CONFLATE 0, subscribed before the connection: cpu errors queue
ZMQ_CONFLATE 0, one by one on a connection: cpu queue errors
ZMQ_CONFLATE 0, after the publisher's restart: cpu errors queue
ZMQ_CONFLATE 1, subscribed before the connection: queue
ZMQ_CONFLATE 1, one by one on a connection: cpu queue errors
ZMQ_CONFLATE 1, after the publisher's restart: queue
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
