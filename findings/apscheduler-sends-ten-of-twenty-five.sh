#!/usr/bin/env bash
# Of 25 alerts that APScheduler is to send at one time it sends ten; the others are never sent, and are planned no more.
#
# Seen with: APScheduler 3.11.3 (PyPI), 2026-11-28.
# One would guess: what is due waits for its turn when all workers are busy, and goes out late; so does what was due while the program was busy.
# Behaviour: a job that begins more than misfire_grace_time after its time (a second by default) isn't run at all, but logged as missed; a "date" job is
#   removed all the same. The time in the executor's queue counts, so with its ten threads and jobs of 2 s the eleventh job due at one time is already too
#   late. An AsyncIOScheduler misses all that was due while its event loop was held up for more than a second.
# What it means: alerts, reminders and retries for the full hour are dropped by chance, the more the busier it is, with a line in the log as the only trace.
#   Set job_defaults={"misfire_grace_time": None} (or the minutes that an alert may be late), and count EVENT_JOB_MISSED.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install APScheduler==3.11.3
cat > ask.py <<'END'
import asyncio, logging, threading, time
from datetime import datetime, timedelta, timezone
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
logging.disable(logging.CRITICAL)

def soon():
    return datetime.now(timezone.utc) + timedelta(seconds=1)

def watch(scheduler, number, enough):
    """Counts of jobs run and missed; `enough` is called when each job is one of them."""
    counts = {EVENT_JOB_EXECUTED: 0, EVENT_JOB_MISSED: 0}
    def count(event):
        counts[event.code] += 1
        if sum(counts.values()) == number:
            enough()
    scheduler.add_listener(count, EVENT_JOB_EXECUTED | EVENT_JOB_MISSED)
    return counts

def tell(name, counts, scheduler):
    print(f"{name}: sent {counts[EVENT_JOB_EXECUTED]}, missed {counts[EVENT_JOB_MISSED]}, still planned {len(scheduler.get_jobs())}")

for grace in (1, None):
    scheduler, done = BackgroundScheduler(timezone="UTC", job_defaults={} if grace else {"misfire_grace_time": None}), threading.Event()
    counts, at = watch(scheduler, 25, done.set), soon()
    for _ in range(25):
        scheduler.add_job(time.sleep, "date", run_date=at, args=[2])
    scheduler.start(); done.wait(60)
    tell("25 at one time, 2 s each, " + ("no options" if grace else "misfire_grace_time None"), counts, scheduler)
    scheduler.shutdown()

async def held_up():
    scheduler, done = AsyncIOScheduler(timezone="UTC"), asyncio.Event()
    counts, at = watch(scheduler, 3, done.set), soon()
    for _ in range(3):
        scheduler.add_job(asyncio.sleep, "date", run_date=at, args=[0])
    scheduler.start()
    await asyncio.sleep(0.5)
    time.sleep(3)  # something else holds the loop
    await asyncio.wait_for(done.wait(), 60)
    tell("3 at one time, the loop held up for 3 s", counts, scheduler)
asyncio.run(held_up())
END
cat > expected <<'END'
25 at one time, 2 s each, no options: sent 10, missed 15, still planned 0
25 at one time, 2 s each, misfire_grace_time None: sent 25, missed 0, still planned 0
3 at one time, the loop held up for 3 s: sent 0, missed 3, still planned 0
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
