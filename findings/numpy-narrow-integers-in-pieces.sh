#!/usr/bin/env bash
# A repeatable list of random 64-bit or 32-bit integers is the same in one piece and in two; of 16-bit and 8-bit integers and booleans it isn't.
#
# Seen with: numpy 2.4.6 (PyPI), 2026-11-28.
# One would guess: a generator with a seed gives one sequence, and integers(n) twice gives what integers(2 n) gives, whatever the dtype.
# Behaviour: for narrow types a 32-bit word is cut into two, four or 32 values, and what is left of the last word is thrown away at the end of
#   each call. So an odd number of 16-bit values, or 5 of 8 bits, shifts all that follow. bytes() does the same; random(), floats,
#   choice() and wider integers don't.
# What it means: a test's messages (their lengths, their yes or no) change with the size of the blocks they are drawn in, so with memory or the
#   number of processes, although the seed is fixed. Draw blocks of a fixed size, or wide integers and make them narrow afterwards.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install numpy==2.4.6
cat > ask.py <<'END'
import numpy as np

for dtype in ("int64", "int32", "uint16", "uint8", "bool"):
    high = 2 if dtype == "bool" else 100
    whole = np.random.default_rng(1).integers(0, high, 10, dtype=dtype)
    rng = np.random.default_rng(1)
    pieces = np.concatenate([rng.integers(0, high, 5, dtype=dtype) for _ in range(2)])
    print(f"{dtype}: 10 at once {' '.join(map(str, whole.astype(int)))}; 5 and 5 {' '.join(map(str, pieces.astype(int)))}")
END
cat > expected <<'END'
int64: 10 at once 47 51 75 95 3 14 82 94 24 31; 5 and 5 47 51 75 95 3 14 82 94 24 31
int32: 10 at once 47 51 75 95 3 14 82 94 24 31; 5 and 5 47 51 75 95 3 14 82 94 24 31
uint16: 10 at once 89 47 74 51 65 75 58 95 9 3; 5 and 5 89 47 74 51 65 58 95 9 3 64
uint8: 10 at once 99 13 47 94 73 2 39 65 75 58; 5 and 5 99 13 47 94 73 39 65 75 58 31
bool: 10 at once 1 1 1 1 1 1 1 1 0 0; 5 and 5 1 1 1 1 1 1 1 0 0 1
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
