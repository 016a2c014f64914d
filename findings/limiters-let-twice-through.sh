#!/usr/bin/env bash
# Four rate limiters that are told "10 in a second" let 19 or 20 through within one.
#
# Seen with: p-throttle 8.1.1, p-queue 9.3.5, bottleneck 2.19.5 (npm), aiolimiter 1.3.0 (PyPI), 2026-11-28.
# One would guess: limit 10, interval 1 s: no second has more than ten calls in it.
# Behaviour: three of them count in windows of a second that begin when it suits them: one call opens a window, nine at its end and ten at the
#   beginning of the next fall into a tenth of a second. aiolimiter is a leaky bucket that is empty at first, so ten pass at once and ten
#   more within the second. After that the mean is right, and after each pause it all begins anew. (p-throttle and p-queue have strict: true.)
# What it means: a carrier that counts any second answers up to half of each burst with "throttled", while the sender's own figures say that
#   its limit was kept. Set half of the limit, or space the calls (aiolimiter: AsyncLimiter(1, 0.1)).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install aiolimiter==1.3.0
npm install --silent --no-audit --no-fund p-throttle@8.1.1 p-queue@9.3.5 bottleneck@2.19.5 >/dev/null
cat > ask.mjs <<'END'
import pThrottle from "p-throttle";
import PQueue from "p-queue";
import Bottleneck from "bottleneck";

const throttled = (options) => pThrottle({ limit: 10, interval: 1000, ...options })((call) => call());
const queue = new PQueue({ intervalCap: 10, interval: 1000 });
const bottleneck = new Bottleneck({ reservoir: 10, reservoirRefreshAmount: 10, reservoirRefreshInterval: 1000 });
const ways = { "p-throttle": throttled({}), "p-throttle, strict": throttled({ strict: true }), "p-queue": (call) => queue.add(call),
               "bottleneck": (call) => bottleneck.schedule(async () => call()) };
for (const [name, send] of Object.entries(ways)) {
  const times = [], call = () => times.push(performance.now());
  await send(call);
  await new Promise((done) => setTimeout(done, 850));
  await Promise.all(Array.from({ length: 29 }, () => send(call)));
  const most = Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 980).length));
  console.log(`${name}: ${most >= 18 ? "18 or more" : most <= 11 ? "10 or so" : most} in a second`);
}
process.exit();
END
cat > ask.py <<'END'
import asyncio, time
from aiolimiter import AsyncLimiter

async def main():
    for name, limiter in (("aiolimiter", AsyncLimiter(10, 1)), ("aiolimiter, 1 in 0.1 s", AsyncLimiter(1, 0.1))):
        times = []
        async def send():
            async with limiter:
                times.append(time.monotonic())
        await asyncio.gather(*(send() for _ in range(30)))
        most = max(sum(begin <= at < begin + 0.98 for at in times) for begin in times)
        print(f"{name}: {'18 or more' if most >= 18 else '10 or so' if most <= 11 else most} in a second")

asyncio.run(main())
END
cat > expected <<'END'
p-throttle: 18 or more in a second
p-throttle, strict: 10 or so in a second
p-queue: 18 or more in a second
bottleneck: 18 or more in a second
aiolimiter: 18 or more in a second
aiolimiter, 1 in 0.1 s: 10 or so in a second
END
{ node ask.mjs; python/bin/python ask.py; } | tee seen
diff expected seen && echo "as described"
