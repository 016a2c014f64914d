#!/usr/bin/env bash
# Dask starts a running task a second time on another worker when its own is retired, and lets the first run to its end as well.
#
# Seen with: distributed 2026.8.0 (PyPI), 2026-11-28.
# One would guess: retiring a worker, by retire_workers(), by a smaller scale() or by an adaptive cluster, is the gentle way: it takes no new
#   tasks, ends what it runs, hands its results over and goes. A second run is for workers that died.
# Behaviour: retire_workers() and scale() return at once, the task begins again elsewhere as soon as there is room, the retired worker goes
#   on with the first run, and its result is thrown away. No retries= is used up, nothing is logged at the usual level.
# What it means: each scaling down of a cluster whose tasks send messages sends those that are under way again. Let tasks ask before they
#   send whether the message is out (an id in a store), or wait until no task runs before scaling down.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install distributed==2026.8.0 dask==2026.8.0
cat > ask.py <<'END'
import logging, pathlib, time
from distributed import Client, LocalCluster

def send(message, log):
    for event in ("begins", "ends"):
        with open(log, "a") as out:
            print(message, event, file=out)
        if event == "begins":
            time.sleep(4)
    return message

def main():
    for how in ("retire_workers", "scale"):
        log = pathlib.Path(how).absolute()
        log.touch()
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL) as cluster, Client(cluster) as client:
            futures = client.map(send, ["m1", "m2"], log=str(log), pure=False)
            while len(log.read_text().split()) < 4:
                time.sleep(0.1)
            if how == "scale":
                cluster.scale(1)
            else:
                client.retire_workers([next(iter(client.processing()))])
            results = client.gather(futures)
            time.sleep(1)
        seen = log.read_text().split("\n")
        runs = sorted((seen.count(f"{message} begins"), seen.count(f"{message} ends")) for message in results)
        print(f"{how}: one message began and ended {runs[0]} times, the other {runs[1]}")

if __name__ == "__main__":
    main()
END
cat > expected <<'END'
retire_workers: one message began and ended (1, 1) times, the other (2, 2)
scale: one message began and ended (1, 1) times, the other (2, 2)
END
python/bin/python ask.py 2>/dev/null | tee seen
diff expected seen && echo "as described"
