#!/usr/bin/env bash
# A siren test for Mondays goes out on Tuesdays with APScheduler, and one for the first Monday of a month ten or eleven times with the others.
#
# Seen with: APScheduler 3.11.3, croniter 7.0.0, tzdata 2026.6 (PyPI), cron-parser 5.10.6, croner 11.0.1 (npm), 2026-11-28.
# One would guess: CronTrigger.from_crontab("0 11 * * 1") reads a crontab's line, where Monday is 1; and "0 11 1-7 * 1" is the Monday among the first seven days, by
#   all of them.
# Behaviour: APScheduler counts days of the week from 0 for Monday, in from_crontab(), too: 1 is Tuesday, 1-5 is Tuesday to Saturday, 7 is an error; names are right.
#   With a day of the month *and* one of the week APScheduler wants both, so "1-7 * mon" is the first Monday; croniter, cron-parser and croner take either, as
#   cron does: each of the first seven days and each Monday.
# What it means: a line that moves from a crontab to APScheduler is a day late, on working days silent on Monday and loud on Saturday; and a monthly test that moves the
#   other way wakes everybody for a week. Write days by name, and look at the next ten times before a schedule goes live.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install APScheduler==3.11.3 croniter==7.0.0 tzdata==2026.6
npm install --silent --no-audit --no-fund cron-parser@5.10.6 croner@11.0.1 >/dev/null
cat > ask.py <<'END'
from datetime import datetime, timedelta, timezone
from apscheduler.triggers.cron import CronTrigger
from croniter import croniter

begin, end = datetime(2026, 11, 1, tzinfo=timezone.utc), datetime(2026, 12, 1, tzinfo=timezone.utc)
for line in ("0 11 * * 1", "0 11 * * mon", "0 11 1-7 * mon"):
    trigger, days, now = CronTrigger.from_crontab(line, timezone=timezone.utc), [], begin
    while (now := trigger.get_next_fire_time(None, now)) < end:
        days.append(now.strftime("%a %d"))
        now += timedelta(minutes=1)
    print(f"APScheduler, {line}: {', '.join(days)}")
    times, days = croniter(line, begin), []
    while (now := times.get_next(datetime)) < end:
        days.append(now.strftime("%a %d"))
    print(f"croniter, {line}: {', '.join(days)}")
END
cat > ask.mjs <<'END'
import { CronExpressionParser } from "cron-parser";
import { Cron } from "croner";
const begin = new Date("2026-11-01T00:00:00Z"), end = new Date("2026-12-01T00:00:00Z");
const day = time => time.toUTCString().slice(0, 3) + " " + time.toISOString().slice(8, 10);
for (const line of ["0 11 * * 1", "0 11 1-7 * mon"]) {
  const times = CronExpressionParser.parse(line, { tz: "UTC", currentDate: begin });
  const some = Array.from({ length: 20 }, () => times.next().toDate()).filter(time => time < end);
  console.log(`cron-parser, ${line}: ${some.map(day).join(", ")}`);
  const others = new Cron(line, { timezone: "UTC" }).nextRuns(20, begin).filter(time => time < end);
  console.log(`croner, ${line}: ${others.map(day).join(", ")}`);
}
END
cat > expected <<'END'
APScheduler, 0 11 * * 1: Tue 03, Tue 10, Tue 17, Tue 24
croniter, 0 11 * * 1: Mon 02, Mon 09, Mon 16, Mon 23, Mon 30
APScheduler, 0 11 * * mon: Mon 02, Mon 09, Mon 16, Mon 23, Mon 30
croniter, 0 11 * * mon: Mon 02, Mon 09, Mon 16, Mon 23, Mon 30
APScheduler, 0 11 1-7 * mon: Mon 02
croniter, 0 11 1-7 * mon: Sun 01, Mon 02, Tue 03, Wed 04, Thu 05, Fri 06, Sat 07, Mon 09, Mon 16, Mon 23, Mon 30
cron-parser, 0 11 * * 1: Mon 02, Mon 09, Mon 16, Mon 23, Mon 30
croner, 0 11 * * 1: Mon 02, Mon 09, Mon 16, Mon 23, Mon 30
cron-parser, 0 11 1-7 * mon: Sun 01, Mon 02, Tue 03, Wed 04, Thu 05, Fri 06, Sat 07, Mon 09, Mon 16, Mon 23, Mon 30
croner, 0 11 1-7 * mon: Sun 01, Mon 02, Tue 03, Wed 04, Thu 05, Fri 06, Sat 07, Mon 09, Mon 16, Mon 23, Mon 30
END
(python/bin/python ask.py; node ask.mjs) | tee seen
diff expected seen && echo "as described"
