#!/usr/bin/env bash
# Python's HdrHistogram leaves out what is above its upper limit: p99 and the maximum are 100 ms, where 5 % took two minutes.
#
# Seen with: hdrhistogram 0.10.8 (PyPI), hdr-histogram-js 3.0.1 (npm), 2026-11-28.
# One would guess: a value above the limit that the constructor was given is an error, is counted as the limit, or makes the histogram grow; it isn't lost.
# Behaviour: record_value() returns False, and the value is in no percentile, not in the maximum and not in the count; record_corrected_value() drops all
#   that it would have filled in, too. The limit isn't quite the one given either: of 60,000 values up to 65,535 fit. The JavaScript port grows by itself.
# What it means: "1 ms to 60 s" is a natural choice for answers, and the ones that hang for longer, which are looked for, vanish: the worse the outage,
#   the better the percentiles. Check the result of each record_value(), or record min(value, limit).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install hdrhistogram==0.10.8
npm install --silent --no-audit --no-fund hdr-histogram-js@3.0.1 >/dev/null
cat > ask.py <<'END'
from hdrh.histogram import HdrHistogram

histogram = HdrHistogram(1, 60_000, 3)
taken = [histogram.record_value(value) for value in [100] * 95 + [120_000] * 5]
print(f"Python: recorded {histogram.get_total_count()} of 100 ({taken.count(False)} False), p99 {histogram.get_value_at_percentile(99)}, "
      f"maximum {histogram.get_max_value()}")
histogram.record_corrected_value(120_000, 1_000)
print(f"Python, one of 120,000 corrected for a pace of 1,000: recorded {histogram.get_total_count() - 95} of 120")
print("Python, of 60,000, 65,535 and 65,536:", *(HdrHistogram(1, 60_000, 3).record_value(value) for value in (60_000, 65_535, 65_536)))
END
cat > ask.js <<'END'
const histogram = require("hdr-histogram-js").build({ lowestDiscernibleValue: 1, highestTrackableValue: 60000, numberOfSignificantValueDigits: 3 });
for (let n = 0; n < 100; n++) histogram.recordValue(n < 95 ? 100 : 120000);
console.log(`JavaScript: recorded ${histogram.totalCount} of 100, p99 ${histogram.getValueAtPercentile(99)}, maximum ${histogram.maxValue}`);
END
cat > expected <<'END'
Python: recorded 95 of 100 (5 False), p99 100, maximum 100
Python, one of 120,000 corrected for a pace of 1,000: recorded 0 of 120
Python, of 60,000, 65,535 and 65,536: True True False
JavaScript: recorded 100 of 100, p99 120063, maximum 120000
END
{ python/bin/python ask.py; node ask.js; } | tee seen
diff expected seen && echo "as described"
