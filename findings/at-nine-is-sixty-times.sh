#!/usr/bin/env bash
# "hour=9" is one alert a day for APScheduler, and sixty for Celery, huey, arq and node-schedule: one each minute from 9:00 to 9:59.
#
# Seen with: APScheduler 3.11.3, celery 5.7.0, huey 3.5.4, arq 0.28.0 (PyPI), node-schedule 2.1.1 (npm), 2026-11-28.
# One would guess: a schedule by keywords of which only the hour is given is at that hour, the minute being 0, as the second is 0 in all of them, and as
#   APScheduler has it.
# Behaviour: what isn't given is "every". APScheduler takes the least value for what is finer than the finest that was given, and "every" for what is coarser; celery's
#   crontab(hour=9), huey's crontab(hour="9"), arq's cron(..., hour=9) and node-schedule's {hour: 9} leave the minute free, and the second at 0.
# What it means: a job that moves from APScheduler to one of them, or is written as it reads, sends a reminder to everybody sixty times. A test of "next run" shows 9:00
#   and is content. Give the minute always, and look at the next three runs.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install APScheduler==3.11.3 celery==5.7.0 huey==3.5.4 arq==0.28.0
npm install --silent --no-audit --no-fund node-schedule@2.1.1 >/dev/null
cat > ask.py <<'END_ASK'
from datetime import datetime, timedelta, timezone
from apscheduler.triggers.cron import CronTrigger
from arq import cron
from celery.schedules import crontab as celery_crontab
from huey import crontab as huey_crontab

begin = datetime(2026, 11, 30, tzinfo=timezone.utc)
end = begin + timedelta(days=1)

async def send(_):
    pass

def apscheduler():
    trigger, now, runs = CronTrigger(hour=9, timezone="UTC"), begin, 0
    while (run := trigger.get_next_fire_time(None, now)) < end:
        now, runs = run + timedelta(microseconds=1), runs + 1
    return runs

def celery():
    schedule, now, runs = celery_crontab(hour=9, nowfun=lambda: now), begin, 0
    while (run := now + schedule.remaining_estimate(now)) < end:
        now, runs = run, runs + 1
    return runs

def arq():
    job, runs = cron(send, hour=9), -1
    job.next_run = begin
    while job.next_run < end:
        job.calculate_next(job.next_run)
        runs += 1
    return runs

def huey():
    due = huey_crontab(hour="9")
    return sum(due((begin + timedelta(minutes=minute)).replace(tzinfo=None)) for minute in range(1440))

for name, count in (("APScheduler", apscheduler), ("celery", celery), ("huey", huey), ("arq", arq)):
    print(f"{name}: {count()} a day")
END_ASK
cat > ask.js <<'END_ASK'
const schedule = require("node-schedule");
const rule = Object.assign(new schedule.RecurrenceRule(), { hour: 9, tz: "Etc/UTC" });
let run = new Date("2026-11-30T00:00:00Z"), runs = -1;
for (const end = new Date("2026-12-01T00:00:00Z"); run < end; runs++) run = new Date(+rule.nextInvocationDate(run));
console.log(`node-schedule: ${runs} a day`);
END_ASK
cat > expected <<'END_EXPECTED'
APScheduler: 1 a day
celery: 60 a day
huey: 60 a day
arq: 60 a day
node-schedule: 60 a day
END_EXPECTED
{ python/bin/python ask.py; TZ=UTC node ask.js; } | tee seen
diff expected seen && echo "as described"
