#!/usr/bin/env bash
# got waits ten days when a gateway asks for ten, and not at all when it asks for thirty: it sends the request three times within a tenth of a second.
#
# Seen with: got 14.6.6 with ky 1.14.3 beside it (npm), Node.js 20, 2026-11-28.
# One would guess: a Retry-After of any length is waited for, or the request is given up when it is too long.
# Behaviour: the wait is handed to setTimeout, which holds 2^31 ms (24.8 days); what is above is 1 ms. So "Retry-After: 2592000" makes both retries follow at once, and
#   then the answer's error is raised. Node prints a TimeoutOverflowWarning on standard error. ky waits for it. A Retry-After of 24 days is waited for in silence:
#   the call hangs, for the time-out of got is off by default.
# What it means: a gateway whose monthly quota is used up says so with the date of the next month, and is asked three times as often, by every message, while a limit
#   of the day does as guessed. Set retry: {maxRetryAfter: 60000}: what is longer is an error at once.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund got@14.6.6 ky@1.14.3 >/dev/null
cat > ask.mjs <<'END_ASK'
import http from "node:http";
import got from "got";
import ky from "ky";

let asked = 0, days = 0, form = "seconds";
const server = http.createServer((_, answer) => {
  asked++;
  answer.writeHead(429, { "Retry-After": form === "seconds" ? days * 86400 : new Date(Date.now() + days * 86400e3).toUTCString() });
  answer.end();
});
await new Promise(done => server.listen(0, "127.0.0.1", done));
const url = `http://127.0.0.1:${server.address().port}/`;
for (const [name, ask] of [["got", () => got(url)], ["got, maxRetryAfter", () => got(url, { retry: { maxRetryAfter: 60000 } })], ["ky", () => ky(url, { timeout: false })]]) {
  for ([days, form] of [[10, "seconds"], [30, "seconds"], [30, "date"]]) {
    asked = 0;
    const waits = new Promise(done => setTimeout(done, 3000, "waits"));
    const said = await Promise.race([waits, ask().then(() => "answered", error => error.name)]);
    console.log(`${name}, ${days} days (${form}): asked ${asked} times within 3 s, ${said}`);
  }
}
process.exit();
END_ASK
cat > expected <<'END_EXPECTED'
got, 10 days (seconds): asked 1 times within 3 s, waits
got, 30 days (seconds): asked 3 times within 3 s, HTTPError
got, 30 days (date): asked 3 times within 3 s, HTTPError
got, maxRetryAfter, 10 days (seconds): asked 1 times within 3 s, HTTPError
got, maxRetryAfter, 30 days (seconds): asked 1 times within 3 s, HTTPError
got, maxRetryAfter, 30 days (date): asked 1 times within 3 s, HTTPError
ky, 10 days (seconds): asked 1 times within 3 s, waits
ky, 30 days (seconds): asked 1 times within 3 s, waits
ky, 30 days (date): asked 1 times within 3 s, waits
END_EXPECTED
node ask.mjs 2>/dev/null | tee seen
diff expected seen && echo "as described"
