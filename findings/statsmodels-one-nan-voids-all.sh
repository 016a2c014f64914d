#!/usr/bin/env bash
# One comparison without a value makes all corrected p-values of statsmodels NaN, so that a gate "p < 0.05" finds nothing wrong.
#
# Seen with: statsmodels 0.15.0, scipy 1.17.1, pingouin 0.7.0 (PyPI), 2026-11-28.
# One would guess: a NaN among the p-values (a figure that was equal in all runs, or measured in none) is left out, stays NaN alone, or is an error.
# Behaviour: multipletests() says nothing. With fdr_bh, fdr_by and simes-hochberg each corrected p-value is NaN, with hommel besides nothing is rejected at
#   all; holm and bonferroni correct the others, for one test more than there were. The array "reject" of fdr_bh is right beside the NaN.
#   pingouin leaves it out, scipy's false_discovery_control raises.
# What it means: a comparison of two releases over twenty figures passes, however much slower one became, because of the one that nobody measured. Leave NaN
#   out oneself before correcting, and let a gate fail on NaN: "not p >= 0.05".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1 pingouin==0.7.0
cat > ask.py <<'END'
import scipy.stats
from pingouin import multicomp
from statsmodels.stats.multitest import multipletests

values = [0.001, 0.01, float("nan"), 0.5]
for method in ("holm", "bonferroni", "fdr_bh", "fdr_by", "simes-hochberg", "hommel"):
    reject, corrected = multipletests(values, method=method)[:2]
    print(f"{method}: corrected {' '.join(f'{value:.3f}' for value in corrected)}, below 0.05: {(corrected < 0.05).sum()}, rejected: {reject.sum()}")
reject, corrected = multicomp(values, method="fdr_bh")
print(f"pingouin, fdr_bh: corrected {' '.join(f'{value:.3f}' for value in corrected)}, below 0.05: {(corrected < 0.05).sum()}, rejected: {reject.sum()}")
try:
    print("scipy:", scipy.stats.false_discovery_control(values))
except ValueError as error:
    print("scipy: ValueError")
END
cat > expected <<'END'
holm: corrected 0.004 0.030 nan 1.000, below 0.05: 2, rejected: 2
bonferroni: corrected 0.004 0.040 nan 1.000, below 0.05: 2, rejected: 2
fdr_bh: corrected nan nan nan nan, below 0.05: 0, rejected: 2
fdr_by: corrected nan nan nan nan, below 0.05: 0, rejected: 2
simes-hochberg: corrected nan nan nan nan, below 0.05: 0, rejected: 2
hommel: corrected nan nan nan nan, below 0.05: 0, rejected: 0
pingouin, fdr_bh: corrected 0.003 0.015 nan 0.500, below 0.05: 2, rejected: 2
scipy: ValueError
END
python/bin/python ask.py 2>/dev/null | tee seen
diff expected seen && echo "as described"
