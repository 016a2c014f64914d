#!/usr/bin/env bash
# The t-digest of PyPI's tdigest says that the median is 310 ms and p95 9.3 s, where 97 of 100 answers took 10 ms each.
#
# Seen with: tdigest 0.5.2.2, fastdigest 0.12.0 (PyPI), 2026-11-28.
# One would guess: a t-digest is exact for a few values, and where nearly all values are equal each percentile among them is that value.
# Behaviour: equal values are one cluster, and the way from one cluster to the next is a straight line over all the ranks: between 97 times 10 and 3 times 10,000
#   the line begins near rank 0. One value alone, or values that all differ, come out well, so a try with 1 to 100 shows nothing. fastdigest
#   gives 10 for both.
# What it means: times that are rounded to whole milliseconds, time-outs and retries after a fixed pause are just that kind of values, and a limit of "p95 up to
#   one second" fails where three of a hundred were slow. Count such values in a histogram, or use another digest.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install tdigest==0.5.2.2 fastdigest==0.12.0
cat > ask.py <<'END'
from fastdigest import TDigest as Other
from tdigest import TDigest

for what, values in (("97 x 10, 3 x 10000", [10] * 97 + [10_000] * 3), ("1 to 100", range(1, 101))):
    at_once, one_by_one = TDigest(), TDigest()
    at_once.batch_update(values)
    for value in values:
        one_by_one.update(value)
    other = Other.from_values([float(value) for value in values])
    print(f"{what}: true p50 {sorted(values)[49]}, p95 {sorted(values)[94]}")
    for name, digest, p50, p95 in (("tdigest, batch_update", at_once, 50, 95), ("tdigest, update", one_by_one, 50, 95), ("fastdigest", other, 0.5, 0.95)):
        ask = digest.quantile if name == "fastdigest" else digest.percentile
        print(f"  {name}: p50 {ask(p50):.0f}, p95 {ask(p95):.0f}")
END
cat > expected <<'END'
97 x 10, 3 x 10000: true p50 10, p95 10
  tdigest, batch_update: p50 310, p95 9301
  tdigest, update: p50 310, p95 9301
  fastdigest: p50 10, p95 10
1 to 100: true p50 50, p95 95
  tdigest, batch_update: p50 50, p95 96
  tdigest, update: p50 50, p95 96
  fastdigest: p50 50, p95 95
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
