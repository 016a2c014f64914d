#!/usr/bin/env bash
# redis-py pushes one message onto a list eleven times when the answer is late, and four times when the server hangs up thrice; its version 5 did so once.
#
# Seen with: redis 8.1.0 with 5.3.1 beside it (PyPI), ioredis 6.0.0 with redis 6.3.1 beside it (npm), 2026-11-28.
# One would guess: a command that may have been carried out is not sent again by the client: RPUSH, INCR and PUBLISH aren't idempotent, and the caller is told.
# Behaviour: the newer redis-py retries every command, whatever it does, on a broken connection and on a time-out, ten times by default with a growing pause;
#   ioredis sends again whatever was unanswered when a connection broke (autoResendUnfulfilledCommands, maxRetriesPerRequest = 20). In each case the server had read
#   the whole command. If one of them is answered the call is a plain success. npm's redis raises instead, as redis-py 5 did.
# What it means: a queue of messages kept in Redis holds a message up to eleven times after the server was slow or was restarted, and counters of what was sent are too
#   high; an upgrade of a package is enough. Give retry=Retry(NoBackoff(), 0), autoResendUnfulfilledCommands: false, or push under an id that the server knows again.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
for version in 8.1.0 5.3.1; do
  python3 -m venv "python$version" && "python$version/bin/pip" --quiet --disable-pip-version-check install "redis==$version"
done
npm install --silent --no-audit --no-fund ioredis@6.0.0 redis@6.3.1 >/dev/null
cat > server.py <<'END_SERVER'
"""A Redis that reads each command and answers all but RPUSH; that it answers when the fourth has come, and until then hangs up or is silent."""
import pathlib, socketserver, sys

class Handler(socketserver.StreamRequestHandler):
    def command(self):
        words = []
        for _ in range(int(self.rfile.readline()[1:])):
            words.append(self.rfile.read(int(self.rfile.readline()[1:])))
            self.rfile.readline()
        return words[0].upper()

    def handle(self):
        try:
            while True:
                command = self.command()
                if command == b"RPUSH":
                    pathlib.Path("pushed").open("a").write("x")
                    if sys.argv[1] == "silent":
                        continue
                    if len(pathlib.Path("pushed").read_text()) < 4:
                        return
                    self.wfile.write(b":1\r\n")
                elif command == b"HELLO":
                    self.wfile.write(b"%1\r\n+proto\r\n:3\r\n")
                elif command == b"INFO":
                    self.wfile.write(b"$21\r\nredis_version:7.0.15\n\r\n")
                else:
                    self.wfile.write(b"+OK\r\n")
        except (ValueError, OSError):
            pass

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
END_SERVER
cat > ask.py <<'END_ASK'
import sys, redis
try:
    redis.Redis(port=int(sys.argv[1]), socket_timeout=0.3).rpush("messages", "evacuate")
    print("success", end="")
except redis.RedisError as error:
    print(type(error).__name__, end="")
END_ASK
cat > ask.js <<'END_ASK'
const [, , port, name] = process.argv;
async function ask() {
  if (name === "ioredis") {
    const { Redis } = require("ioredis");
    const client = new Redis(Number(port), "127.0.0.1");
    client.on("error", () => {});
    await client.rpush("messages", "evacuate");
  } else {
    const client = require("redis").createClient({ socket: { host: "127.0.0.1", port: Number(port) } });
    client.on("error", () => {});
    await client.connect();
    await client.rPush("messages", "evacuate");
  }
}
ask().then(() => "success", error => error.constructor.name).then(said => { process.stdout.write(said); process.exit(); });
END_ASK
try() {  # what the server does with a push, then the client
  rm -f pushed port
  python3 server.py "$1" > port & server=$!
  trap 'kill "$server" 2>/dev/null || true' EXIT
  until [ -s port ]; do sleep 0.1; done
  said=$("${@:3:2}" "$(cat port)" "${5:-}")
  echo "$2, a server that $( [ "$1" = silent ] && echo "doesn't answer" || echo "hangs up three times" ): $said, read by it $(wc -c < pushed) times"
  kill "$server"; wait "$server" 2>/dev/null || true
}
cat > expected <<'END_EXPECTED'
redis-py 8.1.0, a server that hangs up three times: success, read by it 4 times
redis-py 8.1.0, a server that doesn't answer: TimeoutError, read by it 11 times
redis-py 5.3.1, a server that hangs up three times: ConnectionError, read by it 1 times
redis-py 5.3.1, a server that doesn't answer: TimeoutError, read by it 1 times
ioredis 6.0.0, a server that hangs up three times: success, read by it 4 times
redis 6.3.1 (npm), a server that hangs up three times: SocketClosedUnexpectedlyError, read by it 1 times
END_EXPECTED
{
  for version in 8.1.0 5.3.1; do
    for manner in hang-up silent; do
      try "$manner" "redis-py $version" "python$version/bin/python" ask.py
    done
  done
  try hang-up "ioredis 6.0.0" node ask.js ioredis
  try hang-up "redis 6.3.1 (npm)" node ask.js redis
} | tee seen
diff expected seen && echo "as described"
