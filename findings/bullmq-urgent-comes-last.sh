#!/usr/bin/env bash
# A BullMQ job with priority 1, the highest there is, is done after all jobs that have no priority at all.
#
# Seen with: bullmq 6.7.0, ioredis 6.0.0 (npm), redis-server 7.0.15 (Debian 12, unpacked, nothing is installed), 2026-11-28.
# One would guess: "priority: 1" on the few urgent jobs puts them before the many that were added without one, as in Celery, RQ's "at_front", or an operating
#   system; a job without a priority is an ordinary one.
# Behaviour: 1 is the highest among those that have one (up to 2,097,151), and 0, which is none, is above them all: those are a list of their own, that is emptied first.
#   So naming a priority for some jobs makes them the last. lifo: true puts a job in front of everything, in the reverse of the order they were added in.
# What it means: alerts that were marked urgent wait behind a whole mailing, and the more is sent the longer, while a test with priorities on all jobs shows the right
#   order. Give every job a priority, ordinary ones too, or keep a queue for the urgent.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q redis-server=5:7.0.15-1~deb12u10 redis-tools=5:7.0.15-1~deb12u10 libjemalloc2 liblzf1 liblua5.3-0 lua-bitop lua-cjson libatomic1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
npm install --silent --no-audit --no-fund bullmq@6.7.0 ioredis@6.0.0 >/dev/null
LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu root/usr/bin/redis-server --port 0 --unixsocket "$work/redis" --save "" >/dev/null 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until [ -S redis ]; do sleep 0.1; done
cat > ask.js <<'END_ASK'
const { Queue, QueueEvents, Worker } = require("bullmq");
const { Redis } = require("ioredis");
const connection = () => new Redis(`${process.cwd()}/redis`, { maxRetriesPerRequest: null });

async function order(name, jobs) {
  const queue = new Queue(name, { connection: connection() }), done = [];
  for (const [job, options] of jobs) await queue.add(job, {}, options);
  const all = new Promise(resolve => new Worker(name, async job => { if (done.push(job.name) === jobs.length) resolve(); }, { connection: connection() }));
  await all;
  return done.join(", ");
}

(async () => {
  const mailing = [1, 2, 3].map(number => [`mailing ${number}`, {}]);
  console.log("none for the mailing:", await order("a", [...mailing, ["note", { priority: 5 }], ["urgent", { priority: 1 }], ["mailing 4", {}]]));
  console.log("10 for the mailing:", await order("b", [...mailing.map(([name]) => [name, { priority: 10 }]), ["note", { priority: 5 }], ["urgent", { priority: 1 }]]));
  console.log("lifo:", await order("c", [...mailing, ["urgent 1", { lifo: true }], ["urgent 2", { lifo: true }]]));
  process.exit();
})();
END_ASK
cat > expected <<'END_EXPECTED'
none for the mailing: mailing 1, mailing 2, mailing 3, mailing 4, urgent, note
10 for the mailing: urgent, note, mailing 1, mailing 2, mailing 3
lifo: urgent 2, urgent 1, mailing 1, mailing 2, mailing 3
END_EXPECTED
timeout 60 node ask.js | tee seen
diff expected seen && echo "as described"
