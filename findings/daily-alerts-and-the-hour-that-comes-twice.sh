#!/usr/bin/env bash
# A daily alert at 02:30 goes out twice in the night when summer time ends, by two of three schedulers; in spring each has a time of its own.
#
# Seen with: APScheduler 3.11.3, croniter 7.0.0, tzdata 2026.6 (PyPI), cron-parser 5.10.6 (npm), 2026-11-28.
# One would guess: "30 2 * * *" is once a day, in every library as in cron itself, which runs a job of a fixed time once in such a night.
# Behaviour (Europe/Berlin): on 2026-10-25 APScheduler's CronTrigger and croniter give 02:30 summer time and, an hour later, 02:30 again; cron-parser
#   gives the first only. On 2027-03-28, when 02:30 doesn't exist, croniter gives 03:00, the other two 03:30.
# What it means: all recipients of a planned notification get it twice, once a year, and a job that moves from one library to another changes its
#   time. Plan no sending between 01:00 and 03:00, or by UTC, or remember the day of the last run.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install APScheduler==3.11.3 croniter==7.0.0 tzdata==2026.6
npm install --silent --no-audit --no-fund cron-parser@5.10.6 >/dev/null
cat > ask.py <<'END'
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
from apscheduler.triggers.cron import CronTrigger
from croniter import croniter

berlin = ZoneInfo("Europe/Berlin")

def apscheduler(start):
    trigger, run, now = CronTrigger.from_crontab("30 2 * * *", timezone=berlin), None, start
    while True:  # as its schedulers do: woken at the time of a run, they ask for the next one
        run = trigger.get_next_fire_time(run, now)
        yield run
        now = (run.astimezone(timezone.utc) + timedelta(milliseconds=1)).astimezone(berlin)

for name, runs in (("APScheduler", apscheduler), ("croniter", lambda start: croniter("30 2 * * *", start, ret_type=datetime))):
    for start in (datetime(2026, 10, 24, 12, tzinfo=berlin), datetime(2027, 3, 27, 12, tzinfo=berlin)):
        found = [run.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M") for run, _ in zip(runs(start), range(3))]
        print(f"{name}, the first three in UTC: {', '.join(found)}")
END
cat > ask.js <<'END'
const { CronExpressionParser } = require("cron-parser");
for (const currentDate of ["2026-10-24T10:00:00Z", "2027-03-27T11:00:00Z"]) {
  const runs = CronExpressionParser.parse("30 2 * * *", { currentDate, tz: "Europe/Berlin" });
  const found = [1, 2, 3].map(() => runs.next().toDate().toISOString().slice(0, 16).replace("T", " "));
  console.log(`cron-parser, the first three in UTC: ${found.join(", ")}`);
}
END
cat > expected <<'END'
APScheduler, the first three in UTC: 2026-10-25 00:30, 2026-10-25 01:30, 2026-10-26 01:30
APScheduler, the first three in UTC: 2027-03-28 01:30, 2027-03-29 00:30, 2027-03-30 00:30
croniter, the first three in UTC: 2026-10-25 00:30, 2026-10-25 01:30, 2026-10-26 01:30
croniter, the first three in UTC: 2027-03-28 01:00, 2027-03-29 00:30, 2027-03-30 00:30
cron-parser, the first three in UTC: 2026-10-25 00:30, 2026-10-26 01:30, 2026-10-27 01:30
cron-parser, the first three in UTC: 2027-03-28 01:30, 2027-03-29 00:30, 2027-03-30 00:30
END
{ python/bin/python ask.py; node ask.js; } | tee seen
diff expected seen && echo "as described"
