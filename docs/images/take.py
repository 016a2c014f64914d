"""The pictures of the dashboard: a run with a slow group of senders, a shaky one and a sender that dies, seen by a
Chromium. Called by bin/screenshot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.web.browser import Browser  # noqa: E402  # after the path

RUN_S = 75
KILL_S = 40
SCENARIO = """
[run]
messages = 4_500_000
rate = 12_500
seed = 7
max-attempts = 2

[[run.groups]]
name = "city"
senders = 3
concurrency = 3_500
mean = 0.8
sd = 0.12
failure-rate = 0.004

[[run.groups]]
name = "rural"
senders = 1
concurrency = 6_000
delay = "lognormal"
mean = 2.4
sd = 0.5

[[run.groups]]
name = "roaming"
senders = 1
concurrency = 2_000
delay = "gamma"
mean = 1.2
sd = 0.4
failure-rate = 0.12
"""


def main(folder: Path) -> None:
    """Run, wait, look."""
    with tempfile.TemporaryDirectory() as temporary:
        scenario = Path(temporary, "scenario.toml")
        scenario.write_text(SCENARIO, encoding="utf-8")
        command = [sys.executable, "-m", "zsms", "run", "--quiet", "--dashboard", "127.0.0.1:0", "--config", scenario]
        run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert run.stderr is not None
        url = run.stderr.readline().rpartition(" ")[2].strip()
        try:
            with Browser(Path(temporary, "chromium")) as browser:
                browser.look(width=1280, height=1000)
                browser.open(url)
                time.sleep(KILL_S)
                os.kill(
                    browser.evaluate("picture.senders.find((row) => row.name === 'city-3').pid"),
                    signal.SIGKILL,
                )
                time.sleep(RUN_S - KILL_S)
                for name, dark in (("dashboard", False), ("dashboard-dark", True)):
                    browser.look(width=1280, height=1000, dark=dark)
                    time.sleep(1)
                    browser.picture(folder / f"{name}.png", whole=True)
        finally:
            for _ in range(2):
                run.send_signal(signal.SIGINT)
                time.sleep(0.5)
            run.communicate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
