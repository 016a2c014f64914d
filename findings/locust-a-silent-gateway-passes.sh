#!/usr/bin/env bash
# Locust reports the full rate and no failure for a gateway that fell silent after a quarter of the test.
#
# Seen with: locust 2.47.0 (PyPI), 2026-11-28.
# One would guess: req/s is requests by the time of the test, and what was asked and not answered when the test ended counts as failed, or is told of.
# Behaviour: the rate's time ends with the last answer, so seconds in which nothing came back don't count: 10 users with a second's pause, answered for
#   5 s and then no more, are given as about 10 a second after 20 s. Their requests that hang (there is no time-out unless one is set) are
#   cut off at the end and are in no line: not failed, not in the percentiles. Exit code 0.
# What it means: a run in CI passes while the gateway is dead, and the worse it is the better it looks: the silence has no latency. Set a time-out for each
#   request, well below --run-time, and compare the number of requests with users x time oneself.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install locust==2.47.0
cat > locustfile.py <<'END'
from locust import HttpUser, constant, task
class Sender(HttpUser):
    wait_time = constant(1)
    @task
    def send(self):
        self.client.post("/send", data="hi")
END
cat > ask.py <<'END'
import csv, http.server, subprocess, threading

class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers at once, until `quiet` is set."""
    protocol_version, asked, quiet, over = "HTTP/1.1", 0, threading.Event(), threading.Event()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if Gateway.asked == 0:
            threading.Timer(5, self.quiet.set).start()
        Gateway.asked += 1
        if self.quiet.is_set():
            self.over.wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

server = Server(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
done = subprocess.run(["python/bin/locust", "--headless", "-u", "10", "-r", "10", "-t", "20s", "--csv", "said", "-H", f"http://127.0.0.1:{server.server_port}"],
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
row = list(csv.DictReader(open("said_stats.csv")))[-1]
rate, requests = float(row["Requests/s"]), int(row["Request Count"])
print(f"# asked {Gateway.asked}, reported {requests}, {rate} a second")
print("req/s x 20 s:", "twice the requests and more" if rate * 20 > 2 * requests else "about the requests")
print("asked and not reported:", Gateway.asked - requests)
print(f"failures: {row['Failure Count']}, exit code {done.returncode}, 99.99 % under 1 s: {float(row['99.99%']) < 1000}")
END
cat > expected <<'END'
req/s x 20 s: twice the requests and more
asked and not reported: 10
failures: 0, exit code 0, 99.99 % under 1 s: True
END
python/bin/python ask.py | tee said
grep -v '^#' said > seen
diff expected seen && echo "as described"
