#!/usr/bin/env bash
# "max_retries=1" is no retry at all for taskiq, and "max_attempts=1" is two attempts for procrastinate: each counts what the other's name says.
#
# Seen with: taskiq 0.13.0, procrastinate 3.10.0, dramatiq 2.2.1, huey 3.5.4, tenacity 9.2.1, backoff 2.2.1 (PyPI), p-retry 7.1.1 (npm), 2026-11-28.
# One would guess: retries are the runs after the first, attempts (tries) are all of them: three retries are four runs, three attempts are three, whatever the package.
# Behaviour: taskiq's SimpleRetryMiddleware and SmartRetryMiddleware run a task of max_retries=3 three times, one of max_retries=1 once. procrastinate's
#   RetryStrategy(max_attempts=3) runs it four times. dramatiq (max_retries), huey (retries), p-retry (retries), tenacity (stop_after_attempt) and backoff (max_tries) are
#   as their names say. No name in the call tells which of them one has.
# What it means: "one more try" for a gateway's hiccup is none, so each hiccup loses a message, and "send once and never again" sends twice what was sent and not
#   confirmed. Count the runs of a task that always fails, before trusting a number.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python
python/bin/pip --quiet --disable-pip-version-check install taskiq==0.13.0 procrastinate==3.10.0 dramatiq==2.2.1 huey==3.5.4 tenacity==9.2.1 backoff==2.2.1
npm install --silent --no-audit --no-fund p-retry@7.1.1 >/dev/null
cat > ask.py <<'END_ASK'
import asyncio, logging
import backoff, dramatiq, huey, procrastinate, tenacity
from dramatiq.brokers.stub import StubBroker
from procrastinate.testing import InMemoryConnector
from taskiq import InMemoryBroker, SimpleRetryMiddleware, SmartRetryMiddleware

logging.disable(logging.CRITICAL)
runs = []

def fail():
    runs.append(1)
    raise OSError

def by_taskiq(middleware, number):
    async def main():
        broker = InMemoryBroker(await_inplace=True).with_middlewares(middleware)

        @broker.task(retry_on_error=True, max_retries=number)
        async def send():
            fail()

        await broker.startup()
        await send.kiq()
        before = -1
        while before != len(runs):  # until nothing comes any more
            before = len(runs)
            await asyncio.sleep(1)
        await broker.shutdown()
    asyncio.run(main())

def by_procrastinate(number):
    async def main():
        app = procrastinate.App(connector=InMemoryConnector())

        @app.task(retry=procrastinate.RetryStrategy(max_attempts=number))
        async def send():
            fail()

        async with app.open_async():
            await send.defer_async()
            await app.run_worker_async(wait=False)
    asyncio.run(main())

def by_dramatiq(number):
    broker = StubBroker()
    broker.emit_after("process_boot")
    send = dramatiq.actor(fail, actor_name=f"send{number}", broker=broker, max_retries=number, min_backoff=1, max_backoff=2)
    worker = dramatiq.Worker(broker, worker_threads=1)
    worker.start()
    send.send()
    broker.join(send.queue_name, fail_fast=False)
    worker.join()
    worker.stop()

def by_huey(number):
    huey.MemoryHuey(immediate=True).task(retries=number)(fail)()

ways = {"taskiq SimpleRetryMiddleware max_retries": lambda number: by_taskiq(SimpleRetryMiddleware(), number),
        "taskiq SmartRetryMiddleware max_retries": lambda number: by_taskiq(SmartRetryMiddleware(default_delay=0.01, use_jitter=False), number),
        "procrastinate max_attempts": by_procrastinate, "dramatiq max_retries": by_dramatiq, "huey retries": by_huey,
        "tenacity stop_after_attempt": lambda number: tenacity.retry(stop=tenacity.stop_after_attempt(number))(fail)(),
        "backoff max_tries": lambda number: backoff.on_exception(backoff.constant, OSError, interval=0, max_tries=number)(fail)()}
for name, way in ways.items():
    counts = []
    for number in (1, 3):
        runs.clear()
        try:
            way(number)
        except (OSError, tenacity.RetryError):
            pass
        counts.append(f"{number} is {len(runs)} runs")
    print(f"{name}: {', '.join(counts)}")
END_ASK
cat > ask.mjs <<'END_ASK'
import pRetry from "p-retry";
const counts = [];
for (const retries of [1, 3]) {
  let runs = 0;
  await pRetry(() => { runs++; throw new Error("x"); }, { retries, minTimeout: 1 }).catch(() => {});
  counts.push(`${retries} is ${runs} runs`);
}
console.log(`p-retry retries: ${counts.join(", ")}`);
END_ASK
cat > expected <<'END_EXPECTED'
taskiq SimpleRetryMiddleware max_retries: 1 is 1 runs, 3 is 3 runs
taskiq SmartRetryMiddleware max_retries: 1 is 1 runs, 3 is 3 runs
procrastinate max_attempts: 1 is 2 runs, 3 is 4 runs
dramatiq max_retries: 1 is 2 runs, 3 is 4 runs
huey retries: 1 is 2 runs, 3 is 4 runs
tenacity stop_after_attempt: 1 is 1 runs, 3 is 3 runs
backoff max_tries: 1 is 1 runs, 3 is 3 runs
p-retry retries: 1 is 2 runs, 3 is 4 runs
END_EXPECTED
{ python/bin/python ask.py 2>/dev/null; node ask.mjs; } | tee seen
diff expected seen && echo "as described"
