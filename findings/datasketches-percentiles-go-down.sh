#!/usr/bin/env bash
# The t-digest of Apache DataSketches says that p96.9 is far above p97.1; nine of ten steps from one percentile to the next go down.
#
# Seen with: datasketches 5.2.0, fastdigest 0.12.0 (PyPI), 2026-11-28.
# One would guess: a t-digest is near the truth, nearest at the ends, and whatever its error a higher rank never has a lower value.
# Behaviour: between the middles of two neighbouring clusters the values run the wrong way, from the greater to the smaller, and jump up at each
#   middle. Of 100,000 smooth (lognormal) values p50 and p95 are within 2 %, but 9 of 10 steps of a tenth of a percent go down. With 97 % of the
#   answers at 10 ms and 3 % at 10 s a rank that is just below 97 has several seconds, one just above has less. fastdigest has no step down.
# What it means: the percentiles of alerts, where most go out at once and the rest after a retry, can be wrong by the whole difference around the step, and a
#   limit for p97 fails where p97.1 passes. A KLL sketch of the same package gives values that were there.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install datasketches==5.2.0 fastdigest==0.12.0 numpy==2.4.6
cat > ask.py <<'END'
import datasketches, fastdigest, numpy

def datasketches_t_digest(values):
    digest = datasketches.tdigest_double(100)
    for value in values:
        digest.update(value)
    return digest.get_quantile

def kll(values):
    sketch = datasketches.kll_doubles_sketch(200)
    for value in values:
        sketch.update(value)
    return sketch.get_quantile

def fast(values):
    return fastdigest.TDigest.from_values(values).quantile

random = numpy.random.default_rng(1)
smooth = random.lognormal(0, 1, 100_000).tolist()
steps = random.permutation([10.0] * 9_700 + [10_000.0] * 300).tolist()
for name, made in (("t-digest of datasketches", datasketches_t_digest), ("KLL of datasketches", kll), ("t-digest of fastdigest", fast)):
    ask = made(smooth)
    values = [ask(rank / 1000) for rank in range(1, 1000)]
    down = sum(after < before for before, after in zip(values, values[1:]))
    error = max(abs(ask(q) / numpy.quantile(smooth, q) - 1) for q in (0.5, 0.95))
    print(f"{name}, smooth: p50 and p95 {'within' if error < 0.05 else 'not within'} 5 %, "
          f"{'more than 800' if down > 800 else down} of 998 steps go down")
    ask = made(steps)
    values = [ask(rank / 1000) for rank in range(960, 981)]
    print(f"{name}, 97 % and 3 %: from p96 to p98 {'values go down' if values != sorted(values) else 'values never go down'}")
END
cat > expected <<'END'
t-digest of datasketches, smooth: p50 and p95 within 5 %, more than 800 of 998 steps go down
t-digest of datasketches, 97 % and 3 %: from p96 to p98 values go down
KLL of datasketches, smooth: p50 and p95 within 5 %, 0 of 998 steps go down
KLL of datasketches, 97 % and 3 %: from p96 to p98 values never go down
t-digest of fastdigest, smooth: p50 and p95 within 5 %, 0 of 998 steps go down
t-digest of fastdigest, 97 % and 3 %: from p96 to p98 values never go down
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
