#!/usr/bin/env bash
# uvicorn --limit-concurrency N answers N - 1 clients, idle ones included, and everybody else 503; with 1 it answers nobody.
#
# Seen with: uvicorn 0.54.0, h11 0.16.0 (PyPI), 2026-11-28.
# One would guess: at most N requests are worked on at once; a client that only keeps its connection open is in nobody's way.
# Behaviour: connections are counted as well, idle kept ones and the asking one itself. Six clients that ask one after the other, each answered
#   before the next asks, see 200 N - 1 times and then 503, until the first connections are closed (5 s of silence by default).
# What it means: a limit that was set to the number of requests a gateway can bear refuses clients while it does nothing; a load test with
#   as many connections sees errors that have nothing to do with load. Bound the work in the application, or set clients + 1.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install uvicorn==0.54.0 h11==0.16.0
cat > ask.py <<'END'
import asyncio, http.client, socket
import uvicorn

async def gateway(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"accepted"})

def six(port):
    clients, seen = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(6)], []
    for client in clients:
        client.request("GET", "/")
        answer = client.getresponse()
        answer.read()
        seen.append(str(answer.status))
    for client in clients:
        client.close()
    return " ".join(seen)

async def main():
    for limit in (1, 2, 5, 7):
        place = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(gateway, http="h11", lifespan="off", limit_concurrency=limit, log_level="critical"))
        serving = asyncio.create_task(server.serve(sockets=[place]))
        while not server.started:
            await asyncio.sleep(0.01)
        print(f"--limit-concurrency {limit}, six clients in turn: {await asyncio.to_thread(six, place.getsockname()[1])}")
        server.should_exit = True
        await serving

asyncio.run(main())
END
cat > expected <<'END'
--limit-concurrency 1, six clients in turn: 503 503 503 503 503 503
--limit-concurrency 2, six clients in turn: 200 503 503 503 503 503
--limit-concurrency 5, six clients in turn: 200 200 200 200 503 503
--limit-concurrency 7, six clients in turn: 200 200 200 200 200 200
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
