#!/usr/bin/env bash
# Items of one priority leave a SimPy PriorityStore in an order of its own; requests of one priority leave a PriorityResource in turn.
#
# Seen with: simpy 4.1.2 (PyPI), 2026-11-28.
# One would guess: first in, first out among equals, as in PriorityResource of the same package and in the plain Store.
# Behaviour: the store is a bare binary heap without a counter. Five equal items that were put as 0 1 2 3 4 come out as 0 2 4 1 3, in every
#   run the same, so it doesn't look like chance either.
# What it means: a model of "urgent before ordinary" over a PriorityStore is not FIFO within a class, and its waiting times have another
#   spread (same mean) than those of the queue that was meant. Put (priority, counter) in.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install simpy==4.1.2
cat > ask.py <<'END'
import simpy

env = simpy.Environment(); store = simpy.PriorityStore(env); out = []
for number in range(5):
    store.put(simpy.PriorityItem(1, number))
def take():
    for _ in range(5):
        out.append((yield store.get()).item)
env.process(take()); env.run()
print("PriorityStore:", *out)

env = simpy.Environment(); resource = simpy.PriorityResource(env, 1); out = []
def use(number):
    with resource.request(priority=1) as request:
        yield request
        out.append(number)
        yield env.timeout(1)
for number in range(5):
    env.process(use(number))
env.run()
print("PriorityResource:", *out)
END
cat > expected <<'END'
PriorityStore: 0 2 4 1 3
PriorityResource: 0 1 2 3 4
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
