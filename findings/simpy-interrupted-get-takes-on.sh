#!/usr/bin/env bash
# A SimPy process that was interrupted while it waited for an item still takes one: the item is gone.
#
# Seen with: simpy 4.1.2 (PyPI), 2026-11-28.
# One would guess: an interrupt (a worker that is killed) or a lost race against a time-out ends the wait, so the next item goes to
#   whoever still waits.
# Behaviour: the request stays in the store's queue. The next item is given to it, nobody receives it and nothing is raised; the worker
#   behind gets the second one. The same happens to a get that lost against a timeout in `get | timeout`, and to an interrupted put: its
#   item is put later. A Resource's request in a `with` block is taken back, a Store's get outside of one is not.
# What it means: a model of dying workers loses a message a death, and reaches its end early or never. Call cancel() on the request.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install simpy==4.1.2
cat > ask.py <<'END'
import simpy

def interrupted():
    env = simpy.Environment(); store = simpy.Store(env); got = []
    def worker(name):
        try:
            got.append(f"{name} {(yield store.get())}")
        except simpy.Interrupt:
            got.append(f"{name} killed")
    first, _ = env.process(worker("first")), env.process(worker("second"))
    def rest():
        yield env.timeout(1)
        first.interrupt()
        for item in ("m1", "m2"):
            yield env.timeout(1)
            yield store.put(item)
    env.process(rest()); env.run()
    return ", ".join(got), store.items

def lost_race():
    env = simpy.Environment(); store = simpy.Store(env); got = []
    def worker():
        request = store.get()
        got.append("in time" if request in (yield request | env.timeout(1)) else "too late")
        got.append((yield store.get()))
    def rest():
        yield env.timeout(2)
        for item in ("m1", "m2"):
            yield store.put(item)
    env.process(worker()); env.process(rest()); env.run()
    return ", ".join(got), store.items

print("interrupted:", *interrupted())
print("lost race:", *lost_race())
END
cat > expected <<'END'
interrupted: first killed, second m2 []
lost race: too late, m2 []
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
