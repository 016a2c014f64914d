#!/usr/bin/env bash
# Python's statistics.quantiles says that the 99th percentile is 1.9 s where the slowest of ten answers took 1 s, and that the first percentile is minus 4.7 s.
#
# Seen with: Python 3.11.7's standard library, numpy 2.4.6 and scipy 1.17.1 beside it (PyPI), simple-statistics 7.12.1 (npm), 2026-11-28.
# One would guess: a percentile of measurements is one of them or lies between two; its default method, "exclusive", is numpy's "weibull" and R's type 6, and these
#   stop at the largest.
# Behaviour: with fewer than about a hundred values it goes on along the line through the two largest (and the two smallest) until the rank is reached: of nine answers in 10 ms
#   and one in 1,000 p99 is 1,881 ms. Of two answers in 100 and 5,000 ms p99 is 9,753 and p1 is -4,653. numpy and scipy, asked for the same rule, give 1,000, and
#   100 and 5,000; so does method="inclusive", within the values.
# What it means: a short test or a rare group fails a limit that no answer exceeded, or shows a negative latency; and quantiles(..., n=100)[98] is the line that one finds
#   for p99 everywhere. Give method="inclusive", or take a rank that exists.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install numpy==2.4.6 scipy==1.17.1
npm install --silent --no-audit --no-fund simple-statistics@7.12.1 >/dev/null
cat > ask.py <<'END_ASK'
import statistics
import numpy
from scipy.stats import mstats

for answers in ([10] * 9 + [1000], [10] * 49 + [1000], [100, 5000]):
    ranks = {"p1": 0, "p50": 49, "p99": 98}
    found = {"exclusive (default)": statistics.quantiles(answers, n=100), "inclusive": statistics.quantiles(answers, n=100, method="inclusive"),
             "numpy weibull": numpy.percentile(answers, range(1, 100), method="weibull"), "scipy, the same": mstats.mquantiles(answers, numpy.arange(1, 100) / 100, 0, 0)}
    for name, cuts in found.items():
        print(f"{len(answers)} answers, {min(answers)} to {max(answers)} ms, {name}: {', '.join(f'{rank} {cuts[place]:.0f}' for rank, place in ranks.items())}")
END_ASK
cat > ask.js <<'END_ASK'
const { quantile } = require("simple-statistics");
const answers = [...Array(9).fill(10), 1000];
console.log(`10 answers, 10 to 1000 ms, simple-statistics: ${[0.01, 0.5, 0.99].map(rank => `p${100 * rank} ${quantile(answers, rank).toFixed(0)}`).join(", ")}`);
END_ASK
cat > expected <<'END_EXPECTED'
10 answers, 10 to 1000 ms, exclusive (default): p1 10, p50 10, p99 1881
10 answers, 10 to 1000 ms, inclusive: p1 10, p50 10, p99 911
10 answers, 10 to 1000 ms, numpy weibull: p1 10, p50 10, p99 1000
10 answers, 10 to 1000 ms, scipy, the same: p1 10, p50 10, p99 1000
50 answers, 10 to 1000 ms, exclusive (default): p1 10, p50 10, p99 1485
50 answers, 10 to 1000 ms, inclusive: p1 10, p50 10, p99 515
50 answers, 10 to 1000 ms, numpy weibull: p1 10, p50 10, p99 1000
50 answers, 10 to 1000 ms, scipy, the same: p1 10, p50 10, p99 1000
2 answers, 100 to 5000 ms, exclusive (default): p1 -4653, p50 2550, p99 9753
2 answers, 100 to 5000 ms, inclusive: p1 149, p50 2550, p99 4951
2 answers, 100 to 5000 ms, numpy weibull: p1 100, p50 2550, p99 5000
2 answers, 100 to 5000 ms, scipy, the same: p1 100, p50 2550, p99 5000
10 answers, 10 to 1000 ms, simple-statistics: p1 10, p50 10, p99 911
END_EXPECTED
{ python/bin/python ask.py; node ask.js; } | tee seen
diff expected seen && echo "as described"
