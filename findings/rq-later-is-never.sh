#!/usr/bin/env bash
# RQ's worker repeats a message that failed at once, if no pause was asked for, and never, if one was; "in a second" and "an hour ago" are never, too.
#
# Seen with: rq 3.0.0, redis 8.1.0 (PyPI), redis-server 7.0.15 (Debian 12, unpacked, nothing is installed), 2026-11-28.
# One would guess: a worker does what is due in its queues, whatever it is that made it due: Retry(max=2, interval=1) is two more runs, a second apart; enqueue_in(1 s) is a run
#   in a second; at the least something warns of jobs that nobody will ever do.
# Behaviour: what is to be done later goes to a registry, which only a worker with with_scheduler=True (rq worker --with-scheduler) looks at; the default is False. Without one all
#   of them stay "scheduled" for ever, times that have passed included; Retry(max=2) without an interval is repeated at once by every worker.
# What it means: adding a pause to retries, so as not to press a busy gateway, ends retrying: each message that fails once is lost, none is in the registry of failed
#   ones, and the queue is empty. Run at least one worker with the scheduler, and alarm on jobs that are scheduled for a time that has passed.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q redis-server=5:7.0.15-1~deb12u10 redis-tools=5:7.0.15-1~deb12u10 libjemalloc2 liblzf1 liblua5.3-0 lua-bitop lua-cjson libatomic1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install rq==3.0.0 redis==8.1.0
LD_LIBRARY_PATH=root/usr/lib/x86_64-linux-gnu root/usr/bin/redis-server --port 0 --unixsocket "$work/redis" --save "" >/dev/null 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
until [ -S redis ]; do sleep 0.1; done
cat > sms.py <<'END_SMS'
import collections
runs = collections.Counter()

def send(name, fails):
    runs[name] += 1
    if fails:
        raise OSError
END_SMS
cat > ask.py <<'END_ASK'
import datetime, logging, time
import redis, rq
import sms

logging.disable(logging.CRITICAL)
connection = redis.Redis(unix_socket_path="redis")
queue = rq.Queue("sms", connection=connection)
jobs = {"retry at once": queue.enqueue(sms.send, "retry at once", True, retry=rq.Retry(max=2)),
        "retry in a second": queue.enqueue(sms.send, "retry in a second", True, retry=rq.Retry(max=2, interval=1)),
        "in a second": queue.enqueue_in(datetime.timedelta(seconds=1), sms.send, "in a second", False),
        "an hour ago": queue.enqueue_at(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1), sms.send, "an hour ago", False)}
for name, scheduler in (("a worker", False), ("a worker with the scheduler", True)):
    for _ in range(4):
        rq.SimpleWorker([queue], connection=connection).work(burst=True, with_scheduler=scheduler, logging_level="CRITICAL")
        time.sleep(2)
    print(f"{name}: {', '.join(f'{job} {sms.runs[job]} runs and {found.get_status(refresh=True).value}' for job, found in jobs.items())}; "
          f"in the queue {len(queue)}, in the registry of failed ones {queue.failed_job_registry.count}")
END_ASK
cat > expected <<'END_EXPECTED'
a worker: retry at once 3 runs and failed, retry in a second 1 runs and scheduled, in a second 0 runs and scheduled, an hour ago 0 runs and scheduled; in the queue 0, in the registry of failed ones 1
a worker with the scheduler: retry at once 3 runs and failed, retry in a second 3 runs and failed, in a second 1 runs and finished, an hour ago 1 runs and finished; in the queue 0, in the registry of failed ones 2
END_EXPECTED
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
