#!/usr/bin/env bash
# The first of a run's workers draws the same random numbers as the run itself: numpy takes the seeds 7 and [7, 0] for one.
#
# Seen with: numpy 2.4.6 (PyPI), 2026-11-28.
# One would guess: SeedSequence mixes all of its entropy, so that a list with the run's seed and the worker's number gives a stream of its own to each
#   worker, and the run's own stream is another one still.
# Behaviour: lists are filled up with zeros to four words before they are mixed, so zeros at the end count for nothing: default_rng(7), ([7]), ([7, 0])
#   and ([7, 0, 0, 0]) are one stream, and 2**32 is [0, 1]. A zero in front counts, and so does one in spawn_key: spawn(1)[0] is another stream.
# What it means: "seed and index" counts from 0, so worker 0 repeats what the program that started it draws (the same numbers, the same
#   gaps), and two streams that ought to be independent agree. Put the index first ([index, seed]), count from 1, or use spawn().
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install numpy==2.4.6
cat > ask.py <<'END'
from numpy.random import SeedSequence, default_rng

def first(seed):
    return int(default_rng(seed).integers(0, 10**9))

print("the run, seed 7:", first(7))
for seed in ([7, 0], [7, 0, 0, 0], [7, 1], [0, 7]):
    print(f"a worker, seed {seed}:", "the same" if first(seed) == first(7) else "another")
print("spawn(1)[0]:", "the same" if first(SeedSequence(7).spawn(1)[0]) == first(7) else "another")
print("2**32 and [0, 1]:", "the same" if first(2**32) == first([0, 1]) else "another")
END
cat > expected <<'END'
the run, seed 7: 944904955
a worker, seed [7, 0]: the same
a worker, seed [7, 0, 0, 0]: the same
a worker, seed [7, 1]: another
a worker, seed [0, 7]: another
spawn(1)[0]: another
2**32 and [0, 1]: the same
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
