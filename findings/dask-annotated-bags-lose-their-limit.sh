#!/usr/bin/env bash
# A limit on a Dask bag's tasks that is given with dask.annotate is dropped without a word: eight sends at once through two modems.
#
# Seen with: dask and distributed 2026.8.0 (PyPI), 2026-11-29.
# One would guess: tasks that are made under `dask.annotate(resources={"modem": 1})` run only where a modem is free, whatever they are made with.
# Behaviour: for delayed functions it is so. A bag's graph is fused when it is computed or persisted, and the fused tasks have no annotation,
#   whether the whole bag or only its map was annotated. Around compute(), as an argument of Client.compute, or without optimization
#   it holds. Annotated retries are lost, and hold, in the same places.
# What it means: who bounds a gateway's load, or keeps sends on the hosts that have its line, by annotating where the work is described has no
#   bound: annotate where it is computed, and count on the worker how many run at once.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install dask==2026.8.0 distributed==2026.8.0
cat > gateway.py <<'END'
import threading, time

most = now = 0
tries = {}
lock = threading.Lock()

def send(number):
    global most, now
    with lock:
        now += 1
        most = max(most, now)
    time.sleep(0.05)
    with lock:
        now -= 1
    return number

def refused_twice(number):
    tries[number] = tries.get(number, 0) + 1
    if tries[number] < 3:
        raise OSError("busy")
END
cat > limits.py <<'END'
import dask, dask.bag, gateway
from distributed import Client, LocalCluster

LIMIT = {"modem": 1}
NUMBERS = range(40)

def delayed():
    with dask.annotate(resources=LIMIT):
        sends = [dask.delayed(gateway.send)(number) for number in NUMBERS]
    dask.compute(*sends)

def bag():
    return dask.bag.from_sequence(NUMBERS, npartitions=40).map(gateway.send)

def annotated(compute):
    with dask.annotate(resources=LIMIT):
        sends = bag()
    compute(sends)

def around():
    sends = bag()
    with dask.annotate(resources=LIMIT):
        sends.compute()

with LocalCluster(
    n_workers=1, threads_per_worker=8, processes=False, resources={"modem": 2}, dashboard_address=None
) as cluster, Client(cluster) as client:
    ways = {
        "delayed functions, annotated": delayed,
        "a bag, annotated, computed": lambda: annotated(lambda sends: sends.compute()),
        "a bag, annotated, persisted": lambda: annotated(lambda sends: sends.persist().compute()),
        "a bag, annotated, not optimized": lambda: annotated(lambda sends: sends.compute(optimize_graph=False)),
        "a bag, its compute() annotated": around,
        "a bag, Client.compute(resources=...)": lambda: client.compute(bag(), resources=LIMIT).result(),
    }
    for name, way in ways.items():
        gateway.most = 0
        way()
        print(f"{name}: {'at most two' if gateway.most <= 2 else 'more than two'} at once")
    for name, first, made, computed in (
        ("when it is made", 100, {"retries": 3}, {}),
        ("around compute()", 200, {}, {"retries": 3}),
    ):
        with dask.annotate(**made):
            sends = dask.bag.from_sequence(range(first, first + 5), npartitions=5).map(gateway.refused_twice)
        try:
            with dask.annotate(**computed):
                sends.compute()
            print(f"a bag with three retries {name}: done")
        except OSError as error:
            print(f"a bag with three retries {name}: {error}")
END
cat > expected <<'END'
delayed functions, annotated: at most two at once
a bag, annotated, computed: more than two at once
a bag, annotated, persisted: more than two at once
a bag, annotated, not optimized: at most two at once
a bag, its compute() annotated: at most two at once
a bag, Client.compute(resources=...): at most two at once
a bag with three retries when it is made: busy
a bag with three retries around compute(): done
END
python/bin/python limits.py 2>errors | tee seen
diff expected seen && echo "as described"
