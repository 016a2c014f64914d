#!/usr/bin/env bash
# autocannon reports a 99th percentile of some milliseconds while one request in ten is never answered.
#
# Seen with: autocannon 9.0.0 (npm), 2026-11-28.
# One would guess: a request that timed out has taken at least its time-out, so the upper percentiles and the maximum show it.
# Behaviour: latencies are those of answers; what timed out is counted under errors and timeouts and is in no percentile. So with 10 % lost, or with
#   everything above the time-out cut off, latency looks better the worse the server is. Requests in total leave them out, too: 90 of the 100 sent.
# What it means: a limit for p99 (or requests.total) in CI passes with a server that drops a tenth. Check errors and timeouts first, or add them to
#   the histogram at the time-out's value. (Answers with 503 are in the percentiles, and are fast.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund autocannon@9.0.0 >/dev/null
cat > ask.js <<'END'
const autocannon = require("autocannon"), http = require("http");
const silent = Number(process.argv[2]);  // every so many-th request is never answered
let seen = 0;
const server = http.createServer((request, response) => {
  seen += 1;
  if (!silent || seen % silent) response.end("202 accepted");
});
server.listen(0, "127.0.0.1", async () => {
  const { latency, requests, timeouts } = await autocannon({ url: `http://127.0.0.1:${server.address().port}/`, connections: 2, amount: 100, timeout: 1 });
  const said = (milliseconds) => (milliseconds < 500 ? "below 500 ms" : milliseconds);
  console.log(`${silent ? "one in ten is never answered" : "all are answered"}: requests sent ${requests.sent}, in total ${requests.total}, ` +
              `timeouts ${timeouts}, p99 ${said(latency.p99)}, maximum ${said(latency.max)}`);
  process.exit();
});
END
cat > expected <<'END'
all are answered: requests sent 100, in total 100, timeouts 0, p99 below 500 ms, maximum below 500 ms
one in ten is never answered: requests sent 100, in total 90, timeouts 10, p99 below 500 ms, maximum below 500 ms
END
{ node ask.js 0; node ask.js 10; } | tee seen
diff expected seen && echo "as described"
