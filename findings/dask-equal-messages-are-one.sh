#!/usr/bin/env bash
# Dask runs two equal tasks once: of three messages of which two are alike it sends two, and a test text sent again is not sent.
#
# Seen with: distributed 2026.8.0 (PyPI), 2026-11-28.
# One would guess: each submit() is a run, as with the executors of the standard library after which it is modelled; map(send, ["a", "a", "b"]) calls send
#   three times.
# Behaviour: pure=True is the default: the function and its arguments are the task's name, and a name that is known isn't run again, for as long as anybody
#   holds its future, another client of the same cluster included. Both futures are finished and have a result, and it is one result. So the second
#   submit() of a text is answered with the id of the first, and after the first future is released the same call does send.
# What it means: two recipients who share a phone, a reminder with the same text, a load test of equal messages: fewer go out than were asked for, the
#   rate is far too good, and the number of results is right. Give pure=False wherever a task does something.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install distributed==2026.8.0 dask==2026.8.0
cat > ask.py <<'END'
import concurrent.futures, logging, pathlib, time
from distributed import Client, LocalCluster

def send(message, log):
    with open(log, "a") as out:
        print(message, file=out)
    return message

def sent(log):
    count = len(log.read_text().split())
    log.unlink()
    return count

def main():
    log = pathlib.Path("log").absolute()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        results = list(pool.map(send, ["a", "a", "b"], [log] * 3))
        print(f"ThreadPoolExecutor.map: {len(results)} results, {sent(log)} sent")
    options = dict(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL)
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        for pure in ({}, {"pure": False}):
            results = client.gather(client.map(send, ["a", "a", "b"], log=log, **pure))
            print(f"Client.map {pure}: {len(results)} results, {sent(log)} sent")
        first = client.submit(send, "c", log)
        first.result()
        with Client(cluster) as other:
            second = other.submit(send, "c", log)
            print(f"submitted by two clients: {second.result()}, {sent(log)} sent")
        del first, second
        while any(client.who_has().values()):
            time.sleep(0.1)
        client.submit(send, "c", log).result()
        print(f"submitted again after the future was released: {sent(log)} sent")

if __name__ == "__main__":
    main()
END
cat > expected <<'END'
ThreadPoolExecutor.map: 3 results, 3 sent
Client.map {}: 3 results, 2 sent
Client.map {'pure': False}: 3 results, 3 sent
submitted by two clients: c, 1 sent
submitted again after the future was released: 1 sent
END
python/bin/python ask.py 2>/dev/null | tee seen
diff expected seen && echo "as described"
