#!/usr/bin/env bash
# Dask sends messages again that were sent, whose results were gathered, and whose worker was idle, when that worker dies.
#
# Seen with: distributed 2026.8.0 (PyPI), 2026-11-28.
# One would guess: a task that has finished is done; above all when its result has been handed to the caller. A worker's death repeats what it was
#   running.
# Behaviour: results stay on the worker that made them for as long as the caller holds the futures, and are part of the graph: when the worker is lost, all that it
#   had finished is computed again on the others, at once, without anybody asking for it. gather() or result() copy a result, they don't release it. No
#   retries= is used up, nothing is logged at the usual level; the futures say "finished" before and after.
# What it means: a program that keeps its list of futures to the end (futures = client.map(send, messages)) sends up to a worker's whole share of the list twice
#   when one is killed, whenever that happens. Release what is done (del futures, or as_completed and forget), and let tasks ask a store before they send.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install distributed==2026.8.0 dask==2026.8.0
cat > ask.py <<'END'
import logging, os, pathlib, signal, time
from distributed import Client, LocalCluster

def send(message, log):
    with open(log, "a") as out:
        print(message, file=out)
    return os.getpid()

def main():
    for kept in (True, False):
        log = pathlib.Path(f"kept {kept}").absolute()
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL) as cluster, Client(cluster) as client:
            futures = client.map(send, range(40), log=str(log), pure=False)
            processes = client.gather(futures)
            first, victim = len(log.read_text().split()), processes[0]
            if not kept:
                del futures
                while any(client.who_has().values()):
                    time.sleep(0.1)
            time.sleep(1)
            os.kill(victim, signal.SIGKILL)
            time.sleep(10)
            again = len(log.read_text().split()) - first
        share = processes.count(victim)
        told = "none" if not again else "the killed worker's share" if again == share else again
        print(f"futures {'kept' if kept else 'released'}: {first} sent and gathered, an idle worker is killed, sent again: {told}")

if __name__ == "__main__":
    main()
END
cat > expected <<'END'
futures kept: 40 sent and gathered, an idle worker is killed, sent again: the killed worker's share
futures released: 40 sent and gathered, an idle worker is killed, sent again: none
END
python/bin/python ask.py 2>/dev/null | tee seen
diff expected seen && echo "as described"
