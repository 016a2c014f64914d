#!/usr/bin/env bash
# node-schedule never sends what was due a moment before it was asked: it returns null, and nothing is thrown or logged.
#
# Seen with: node-schedule 2.1.1 (npm), Node.js 20 with its own setTimeout beside it, 2026-11-28.
# One would guess: a job for a time that has just passed runs at once, as with setTimeout, at(1) or a queue's delay of less than nothing, or is an error.
# Behaviour: scheduleJob() with a time that has passed returns null in place of a job and does nothing else. A start-up that schedules what a table holds gets null for all
#   that fell due while it was down.
# What it means: "now" computed a line earlier, a retry whose time came while the event loop was busy, and every alert that was due during a restart are dropped. Send by
#   hand what is due (if the job is null), and count it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund node-schedule@2.1.1 >/dev/null
cat > ask.js <<'END_ASK'
const schedule = require("node-schedule");
const sleep = wait => new Promise(done => setTimeout(done, wait));
(async () => {
  for (const [name, wait] of [["an hour ago", -3600e3], ["10 ms ago", -10], ["in a second", 1000]]) {
    let sent = 0, byTimer = 0;
    const job = schedule.scheduleJob(new Date(Date.now() + wait), () => sent++);
    setTimeout(() => byTimer++, wait);
    await sleep(2500);
    console.log(`${name}: scheduleJob() returned ${job === null ? "null" : "a job"}, sent ${sent}; setTimeout ${byTimer}`);
  }
  process.exit();
})();
END_ASK
cat > expected <<'END_EXPECTED'
an hour ago: scheduleJob() returned null, sent 0; setTimeout 1
10 ms ago: scheduleJob() returned null, sent 0; setTimeout 1
in a second: scheduleJob() returned a job, sent 1; setTimeout 1
END_EXPECTED
node ask.js | tee seen
diff expected seen && echo "as described"
