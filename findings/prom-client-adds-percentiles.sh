#!/usr/bin/env bash
# prom-client adds the 99th percentiles of a cluster's workers: four workers whose answers take 1 s show a p99 of 4 s.
#
# Seen with: prom-client 15.1.3 (npm), 2026-11-28.
# One would guess: percentiles of several processes can't be joined, so a Summary is left out of the cluster's figures, kept apart by worker, or the
#   largest or mean is taken, with a warning.
# Behaviour: what AggregatorRegistry has no other word for is summed, and that is done to the quantiles of a Summary as well as to its sum and count. A
#   Gauge is summed too: a share of 0.5 in each of four workers is 2. A Summary without a single observation says 0 for each percentile, not NaN.
#   (aggregator: "average" or "max" can be named for a metric, but then sum and count are averaged as well.)
# What it means: the latency on the board grows with the number of workers, and falls when one dies. Use a Histogram, whose buckets can be added, and name
#   an aggregator for each Gauge.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund prom-client@15.1.3 >/dev/null
cat > ask.js <<'END'
const prom = require("prom-client");
async function worker(observe, options = {}) {
  const registers = [new prom.Registry()];
  const answers = new prom.Summary({ name: "answer_seconds", help: "Answers", percentiles: [0.5, 0.99], registers, ...options });
  const busy = new prom.Gauge({ name: "busy_share", help: "Share of busy slots", registers });
  if (observe) { for (let n = 0; n < 100; n++) answers.observe(1); busy.set(0.5); }
  return registers[0];
}
function show(name, text) {
  console.log(name + ": " + text.split("\n").filter((line) => /^[ab]/.test(line)).join(", "));
}
async function cluster(number, options) {
  const workers = [];
  for (let n = 0; n < number; n++) workers.push(await (await worker(true, options)).getMetricsAsJSON());
  return prom.AggregatorRegistry.aggregate(workers).metrics();
}
(async () => {
  show("one worker", await (await worker(true)).metrics());
  show("four workers", await cluster(4));
  show('four workers, "average"', await cluster(4, { aggregator: "average" }));
  show("nothing observed", await (await worker(false)).metrics());
})();
END
cat > expected <<'END'
one worker: answer_seconds{quantile="0.5"} 1, answer_seconds{quantile="0.99"} 1, answer_seconds_sum 100, answer_seconds_count 100, busy_share 0.5
four workers: answer_seconds{quantile="0.5"} 4, answer_seconds{quantile="0.99"} 4, answer_seconds_sum 400, answer_seconds_count 400, busy_share 2
four workers, "average": answer_seconds{quantile="0.5"} 1, answer_seconds{quantile="0.99"} 1, answer_seconds_sum 100, answer_seconds_count 100, busy_share 2
nothing observed: answer_seconds{quantile="0.5"} 0, answer_seconds{quantile="0.99"} 0, answer_seconds_sum 0, answer_seconds_count 0, busy_share 0
END
node ask.js | tee seen
diff expected seen && echo "as described"
