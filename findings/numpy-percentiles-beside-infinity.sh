#!/usr/bin/env bash
# numpy says that the median of 1, 2, 3 and two times infinity is NaN; where two of a hundred answers never came, its p99 is NaN, and a limit "p99 > 1 s" finds nothing wrong.
#
# Seen with: numpy 2.4.6, pandas 3.1.1, polars 2.1.0 (PyPI), 2026-11-28.
# One would guess: infinity is the honest time of an answer that never came; it sorts behind all others, so that each rank below it is untouched and each above is
#   infinite.
# Behaviour: the default method goes along the line to the next value even where the rank hits one exactly, and 3 + 0 x infinity is NaN, infinity - infinity as well. So the
#   last rank before the infinite ones, and all ranks among them, are NaN; one between the two is right. np.median is 3 and pandas' median() is 3, np.quantile(..., 0.5)
#   and pandas' quantile(0.5) are NaN, and describe() shows that as 50%. polars says 3 and infinity.
# What it means: every comparison with NaN is false, so the outage that is to be found passes, and a little less of it doesn't. Give method="higher" or
#   "inverted_cdf", which take a value that is there, and let a limit fail on what isn't below it: "not p99 <= 1".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install numpy==2.4.6 pandas==3.1.1 polars==2.1.0
cat > ask.py <<'END_ASK'
import warnings
import numpy, pandas, polars

warnings.simplefilter("ignore")
inf = float("inf")
few = [1.0, 2.0, 3.0, inf, inf]
print(f"1, 2, 3, inf, inf: np.median {numpy.median(few)}, np.quantile {numpy.quantile(few, 0.5)}, pandas median() {pandas.Series(few).median()}, "
      f"quantile() {pandas.Series(few).quantile(0.5)}, describe() {pandas.Series(few).describe()['50%']}, polars {polars.Series(few).quantile(0.5, interpolation='linear')}")
for lost in (1, 2, 3):
    answers = [0.01] * (101 - lost) + [inf] * lost
    for name, found in (("numpy", numpy.percentile(answers, [95, 97, 98, 99, 100])),
                        ("numpy, higher", numpy.percentile(answers, [95, 97, 98, 99, 100], method="higher")),
                        ("pandas", pandas.Series(answers).quantile([0.95, 0.97, 0.98, 0.99, 1])),
                        ("polars", [polars.Series(answers).quantile(rank, interpolation="linear") for rank in (0.95, 0.97, 0.98, 0.99, 1)])):
        found = [float(value) for value in found]
        print(f"{lost} of 101 lost, {name}: p95 {found[0]}, p97 {found[1]}, p98 {found[2]}, p99 {found[3]}, most {found[4]}; p99 > 1 s: {found[3] > 1}")
END_ASK
cat > expected <<'END_EXPECTED'
1, 2, 3, inf, inf: np.median 3.0, np.quantile nan, pandas median() 3.0, quantile() nan, describe() nan, polars 3.0
1 of 101 lost, numpy: p95 0.01, p97 0.01, p98 0.01, p99 nan, most nan; p99 > 1 s: False
1 of 101 lost, numpy, higher: p95 0.01, p97 0.01, p98 0.01, p99 0.01, most inf; p99 > 1 s: False
1 of 101 lost, pandas: p95 0.01, p97 0.01, p98 0.01, p99 nan, most nan; p99 > 1 s: False
1 of 101 lost, polars: p95 0.01, p97 0.01, p98 0.01, p99 0.01, most inf; p99 > 1 s: False
2 of 101 lost, numpy: p95 0.01, p97 0.01, p98 nan, p99 nan, most nan; p99 > 1 s: False
2 of 101 lost, numpy, higher: p95 0.01, p97 0.01, p98 0.01, p99 inf, most inf; p99 > 1 s: True
2 of 101 lost, pandas: p95 0.01, p97 0.01, p98 nan, p99 nan, most nan; p99 > 1 s: False
2 of 101 lost, polars: p95 0.01, p97 0.01, p98 0.01, p99 inf, most inf; p99 > 1 s: True
3 of 101 lost, numpy: p95 0.01, p97 nan, p98 nan, p99 nan, most nan; p99 > 1 s: False
3 of 101 lost, numpy, higher: p95 0.01, p97 0.01, p98 inf, p99 inf, most inf; p99 > 1 s: True
3 of 101 lost, pandas: p95 0.01, p97 nan, p98 nan, p99 nan, most nan; p99 > 1 s: False
3 of 101 lost, polars: p95 0.01, p97 0.01, p98 inf, p99 inf, most inf; p99 > 1 s: True
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
