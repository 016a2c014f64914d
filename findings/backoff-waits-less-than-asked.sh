#!/usr/bin/env bash
# The package backoff, told to wait as long as Retry-After says, waits a random part of it: half on average, and next to nothing at times.
#
# Seen with: backoff 2.2.1, tenacity 9.2.1, urllib3 2.8.0 beside it (PyPI), 2026-11-28.
# One would guess: backoff.runtime, made for Retry-After, waits what its value function returns, and backoff.constant with interval=60 waits 60 s; randomness is for
#   exponential waits, and is added on top.
# Behaviour: jitter=full_jitter is the default of every decorator, whatever the wait: the real one is drawn evenly from 0 to the one asked for. (The example of the
#   documentation for runtime has jitter=None in it, without a word why.) tenacity.wait_fixed and urllib3 wait what was asked.
# What it means: a gateway that says "in 60 s" is asked again after half of that, which it refuses as well, and may take for a reason to wait
#   longer; with max_tries=3 a message is given up after a minute on average in place of two. Give jitter=None, or a jitter that adds.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install backoff==2.2.1 tenacity==9.2.1 urllib3==2.8.0
cat > ask.py <<'END_ASK'
import random, time
import backoff, tenacity, urllib3

waits = []
time.sleep = waits.append  # both packages sleep by time.sleep
random.seed(1)

class Busy(Exception):
    retry_after = 60

def send():
    raise Busy

def tries(decorate, times=1000):
    """What is waited in `times` messages that are refused throughout, in three tries each."""
    waits.clear()
    for _ in range(times):
        try:
            decorate(send)()
        except (Busy, tenacity.RetryError):
            pass
    return f"{len(waits)} waits, least {min(waits):.0f}, mean {sum(waits) / len(waits):.0f}, most {max(waits):.0f} s, below 55 s {sum(wait < 55 for wait in waits) / len(waits):.0%}"

def asked(error):
    return error.retry_after

print("backoff.runtime, 60:", tries(backoff.on_exception(backoff.runtime, Busy, value=asked, max_tries=3)))
print("backoff.runtime, 60, jitter=None:", tries(backoff.on_exception(backoff.runtime, Busy, value=asked, max_tries=3, jitter=None)))
print("backoff.constant, 60:", tries(backoff.on_exception(backoff.constant, Busy, interval=60, max_tries=3)))
print("tenacity.wait_fixed, 60:", tries(tenacity.retry(wait=tenacity.wait_fixed(60), stop=tenacity.stop_after_attempt(3), sleep=waits.append)))
waits.clear()
urllib3.Retry(3).sleep(urllib3.HTTPResponse(headers={"Retry-After": "60"}))
print("urllib3, 60:", *(f"{wait:.0f}" for wait in waits))
END_ASK
cat > expected <<'END_EXPECTED'
backoff.runtime, 60: 2000 waits, least 0, mean 30, most 60 s, below 55 s 92%
backoff.runtime, 60, jitter=None: 2000 waits, least 60, mean 60, most 60 s, below 55 s 0%
backoff.constant, 60: 2000 waits, least 0, mean 30, most 60 s, below 55 s 91%
tenacity.wait_fixed, 60: 2000 waits, least 60, mean 60, most 60 s, below 55 s 0%
urllib3, 60: 60
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
