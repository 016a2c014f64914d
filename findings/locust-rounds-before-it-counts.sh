#!/usr/bin/env bash
# Locust says that 99 % of the answers took 1,000 ms when every one of them took 1,049.
#
# Seen with: locust 2.47.0 (PyPI), 2026-11-28.
# One would guess: percentiles are measured times, as minimum, maximum and average are; at least they lie between minimum and maximum, and are
#   not below the truth.
# Behaviour: each time is rounded to two significant digits (to the nearest) before it is counted, and percentiles are taken of that: 1,049 ms counts
#   as 1,000, 1,051 ms as 1,100, 10,499 as 10,000. The median is then put back between minimum and maximum; the percentiles aren't, p50
#   among them.
# What it means: "p99 up to 1,000 ms" passes with 4.9 % more than that, and a step from 1,049 to 1,051 ms looks like 10 %. Judge limits by times that one
#   keeps oneself (a listener of the request event).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install locust==2.47.0
cat > ask.py <<'END'
from locust.stats import RequestStats

for time in (99, 104, 1049, 1051, 10499):
    stats = RequestStats()
    for _ in range(1000):
        stats.log_request("GET", "/sendsms", time, 0)
    total = stats.total
    print(f"all {time} ms: minimum {total.min_response_time}, average {total.avg_response_time:.0f}, median {total.median_response_time}, "
          f"p50 {total.get_response_time_percentile(0.5)}, p99 {total.get_response_time_percentile(0.99)}, maximum {total.max_response_time}")
END
cat > expected <<'END'
all 99 ms: minimum 99, average 99, median 99, p50 99, p99 99, maximum 99
all 104 ms: minimum 104, average 104, median 104, p50 100, p99 100, maximum 104
all 1049 ms: minimum 1049, average 1049, median 1049, p50 1000, p99 1000, maximum 1049
all 1051 ms: minimum 1051, average 1051, median 1051, p50 1100, p99 1100, maximum 1051
all 10499 ms: minimum 10499, average 10499, median 10499, p50 10000, p99 10000, maximum 10499
END
python/bin/python ask.py 2>/dev/null | tee seen
diff expected seen && echo "as described"
