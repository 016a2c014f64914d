#!/usr/bin/env bash
# A recv of pyzmq's asyncio sockets that times out may have taken a message, which nobody gets any more.
#
# Seen with: pyzmq 27.3.0 (PyPI), 2026-11-29, CPython 3.11.
# One would guess: `async with asyncio.timeout(s): await socket.recv()` either returns a message, or times out and leaves what comes for the next recv;
#   an asyncio.Queue's get does just that.
# Behaviour: when the message and the deadline meet in one turn of a loop that was busy, the socket's handler has received the message into a future
#   by the time that the task is cancelled; the task sees TimeoutError, and the message is gone with the future. No log, no error. Waiting with
#   socket.poll(ms), or with RCVTIMEO, loses none.
# What it means: a worker that "looks every second whether to stop" drops an alert now and then, when its loop is late: under load. PUSH and PULL have
#   no acknowledgement by which anybody would miss it. Poll, then receive.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install pyzmq==27.3.0
cat > late.py <<'END'
import asyncio
import time

import zmq
import zmq.asyncio

DEADLINE_S, BUSY_S = 0.3, 0.6

async def timeout_recv(pull):
    async with asyncio.timeout(DEADLINE_S):
        return await pull.recv()

async def rcvtimeo_recv(pull):
    pull.rcvtimeo = int(DEADLINE_S * 1000)
    try:
        return await pull.recv()
    finally:
        pull.rcvtimeo = -1

async def poll_then_recv(pull):
    if not await pull.poll(int(DEADLINE_S * 1000)):
        raise TimeoutError
    return await pull.recv()

async def worker(way, pull, got):
    while len(got) < 2:
        try:
            got.append(await way(pull))
        except (TimeoutError, zmq.Again):
            got.append("timed out")

async def messages(way):
    context, outside = zmq.asyncio.Context(), zmq.Context()
    pull, push = context.socket(zmq.PULL), outside.socket(zmq.PUSH)
    push.connect(f"tcp://127.0.0.1:{pull.bind_to_random_port('tcp://127.0.0.1')}")
    push.send(b"0")
    await pull.recv()  # connected
    got = []
    task = asyncio.create_task(worker(way, pull, got))
    await asyncio.sleep(0.1)
    push.send(b"1")
    time.sleep(BUSY_S)  # something in this loop takes its time
    push.send(b"2")
    await task
    print(way.__name__, *(each if isinstance(each, str) else each.decode() for each in got), sep=" | ")
    for each in (pull, push):
        each.close(0)
    context.term()
    outside.term()

async def timeout_queue_get(queue):
    async with asyncio.timeout(DEADLINE_S):
        return await queue.get()

async def queued():
    queue, got = asyncio.Queue(), []
    task = asyncio.create_task(worker(timeout_queue_get, queue, got))
    await asyncio.sleep(0.1)
    asyncio.get_running_loop().call_soon(queue.put_nowait, b"1")
    time.sleep(BUSY_S)
    await task
    print(timeout_queue_get.__name__, *(each if isinstance(each, str) else each.decode() for each in got), sep=" | ")

for way in (timeout_recv, rcvtimeo_recv, poll_then_recv):
    asyncio.run(messages(way))
asyncio.run(queued())
END
cat > expected <<'END'
timeout_recv | timed out | 2
rcvtimeo_recv | 1 | 2
poll_then_recv | 1 | 2
timeout_queue_get | timed out | 1
END
python/bin/python late.py | tee seen
diff expected seen && echo "as described"
