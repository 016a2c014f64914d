#!/usr/bin/env bash
# "Tomorrow at the same time" in Berlin is an hour off with dayjs in the night when the clocks change, on a server that runs in UTC, and right on a laptop in Berlin.
#
# Seen with: dayjs 1.11.23, luxon 3.7.2, moment-timezone 0.6.6 (npm), tzdata of Node.js 20, 2026-11-28.
# One would guess: dayjs.tz("2026-10-24 09:00", "Europe/Berlin").add(1, "day") is 09:00 in Berlin on the 25th, as with luxon and moment, wherever the program runs.
# Behaviour: the time is kept with the offset of the day it came from: format() says "2026-10-25T09:00:00+02:00", hour() says 9, and it is 08:00 in Berlin, which has
#   +01:00 by then. hour(9) on a time of the same night and two weeks on are wrong as well; so it stays until the object is made anew. In a process whose own TZ is the
#   asked zone it is right, so tests on the developers' machines pass, too.
# What it means: reminders, quiet hours ("not before 8") and "again tomorrow" are an hour early or late for everything that was planned across that night. Make the
#   time anew from its wall clock: dayjs.tz(time.format("YYYY-MM-DDTHH:mm"), zone); or use luxon.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund dayjs@1.11.23 luxon@3.7.2 moment-timezone@0.6.6 >/dev/null
cat > ask.js <<'END_ASK'
const dayjs = require("dayjs"), moment = require("moment-timezone"), { DateTime } = require("luxon");
dayjs.extend(require("dayjs/plugin/utc"));
dayjs.extend(require("dayjs/plugin/timezone"));
const zone = "Europe/Berlin";
const berlin = time => DateTime.fromJSDate(time, { zone }).toFormat("MM-dd HH:mm");
for (const day of ["2026-10-24", "2027-03-27"]) {
  const from = dayjs.tz(`${day} 09:00`, zone);
  const next = from.add(1, "day");
  console.log(`in ${process.env.TZ}, ${day} 09:00 and a day, in Berlin: dayjs ${berlin(next.toDate())} (says ${next.format("HH:mmZ")}), two weeks ${berlin(from.add(2, "week").toDate())}, `
    + `made anew ${berlin(dayjs.tz(next.format("YYYY-MM-DDTHH:mm"), zone).toDate())}, moment ${berlin(moment.tz(`${day} 09:00`, zone).add(1, "day").toDate())}, `
    + `luxon ${berlin(DateTime.fromISO(`${day}T09:00`, { zone }).plus({ days: 1 }).toJSDate())}`);
}
END_ASK
cat > expected <<'END_EXPECTED'
in UTC, 2026-10-24 09:00 and a day, in Berlin: dayjs 10-25 08:00 (says 09:00+02:00), two weeks 11-07 08:00, made anew 10-25 09:00, moment 10-25 09:00, luxon 10-25 09:00
in UTC, 2027-03-27 09:00 and a day, in Berlin: dayjs 03-28 10:00 (says 09:00+01:00), two weeks 04-10 10:00, made anew 03-28 09:00, moment 03-28 09:00, luxon 03-28 09:00
in Europe/Berlin, 2026-10-24 09:00 and a day, in Berlin: dayjs 10-25 09:00 (says 09:00+02:00), two weeks 11-07 09:00, made anew 10-25 09:00, moment 10-25 09:00, luxon 10-25 09:00
in Europe/Berlin, 2027-03-27 09:00 and a day, in Berlin: dayjs 03-28 09:00 (says 09:00+01:00), two weeks 04-10 09:00, made anew 03-28 09:00, moment 03-28 09:00, luxon 03-28 09:00
END_EXPECTED
for zone in UTC Europe/Berlin; do TZ=$zone node ask.js; done | tee seen
diff expected seen && echo "as described"
