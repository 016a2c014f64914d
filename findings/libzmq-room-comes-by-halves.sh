#!/usr/bin/env bash
# A full ZeroMQ queue of 1,000 has room for the next message only when 500 have been read.
#
# Seen with: pyzmq 27.3.0, libzmq 4.3.5 (PyPI wheel), 2026-11-28.
# One would guess: at the high-water mark a PUSH or DEALER waits until the reader takes a message, then it may send one: a sender that is blocked goes at
#   the reader's pace, message by message.
# Behaviour: the reader tells the sender what it has taken once in half of the mark. So one that is blocked stays so for that many messages, and
#   then sends as many at once (over inproc, where both marks add up: 1,000 taken, 500 read, 500 sent; over TCP it was half of the receiver's mark). A
#   poll for POLLOUT says the same.
# What it means: with a reader of 10 messages a second and marks of 1,000 a sender stands still for minutes and looks hung, time-outs of send() fire while
#   messages are being read, and a PUSH gives work to the one whose half is up, not to who is free. Set marks of a few messages, or let workers ask
#   (credit).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pyzmq==27.3.0
cat > ask.py <<'END'
import zmq

context = zmq.Context()
for mark in (1, 2, 10, 500):
    push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    push.sndhwm = pull.rcvhwm = mark
    pull.bind(f"inproc://{mark}"); push.connect(f"inproc://{mark}")
    def fill():
        number = 0
        while push.poll(100, zmq.POLLOUT):
            push.send(b"message")
            number += 1
        return number
    taken, read = fill(), 0
    while not push.poll(5, zmq.POLLOUT):
        pull.recv()
        read += 1
    print(f"both marks {mark}: full after {taken}, room after {read} read, then for {fill()}")
    push.close(0); pull.close(0)
END
cat > expected <<'END'
both marks 1: full after 2, room after 1 read, then for 1
both marks 2: full after 4, room after 2 read, then for 2
both marks 10: full after 20, room after 10 read, then for 10
both marks 500: full after 1000, room after 500 read, then for 500
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
