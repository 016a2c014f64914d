#!/usr/bin/env bash
# A ZeroMQ socket with IPv6 switched on never reaches a server that listens on a name's IPv4 address only.
#
# Seen with: pyzmq 27.1.0, libzmq 4.3.5 (PyPI wheel), 2026-11-28.
# One would guess: ZMQ_IPV6 means "IPv6 too", and a name with two addresses is tried by both, as browsers, curl and every other client do.
# Behaviour: the name is resolved to its first address and that one is tried for ever, each time it reconnects. Of a name that is ::1 and 127.0.0.1
#   a peer at 127.0.0.1 is never reached, nothing is raised, and messages wait. Without ZMQ_IPV6 the same call works at once.
# What it means: switching IPv6 on "to be safe" cuts off all IPv4-only peers that are known by a name with two addresses. Resolve the name
#   yourself and give addresses, one of which is reached.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pyzmq==27.1.0
cat > ask.py <<'END'
import socket, zmq

families = [entry[0] for entry in socket.getaddrinfo("broker.example", 80, type=socket.SOCK_STREAM)]
print("broker.example:", *(family.name for family in families))
context = zmq.Context()
for ipv6 in (0, 1):
    server = context.socket(zmq.PULL)
    port = server.bind_to_random_port("tcp://127.0.0.1")
    client = context.socket(zmq.PUSH)
    client.setsockopt(zmq.IPV6, ipv6)
    client.connect(f"tcp://broker.example:{port}")
    try:
        client.send(b"x", zmq.NOBLOCK)  # may wait for a connection
    except zmq.Again:
        pass
    print(f"ZMQ_IPV6 {ipv6}: {'reached' if server.poll(5000) else 'not reached in 5 s'}")
    client.close(0); server.close(0)
END
printf '::1 broker.example\n127.0.0.1 broker.example\n' > hosts  # seen by this script only, in a mount namespace of its own
cat > expected <<'END'
broker.example: AF_INET6 AF_INET
ZMQ_IPV6 0: reached
ZMQ_IPV6 1: not reached in 5 s
END
unshare --user --map-root-user --mount sh -c "mount --bind hosts /etc/hosts && python/bin/python ask.py" | tee seen
diff expected seen && echo "as described"
