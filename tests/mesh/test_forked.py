"""Roles that are forks of `zsms run`: each is a process of its own in everything that can be seen of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import psutil
import pytest

from tests.roles.waiting import until
from zsms.launch.forked import may_fork

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks only where threads can be counted")


@pytest.fixture
def running():
    command = [
        sys.executable,
        "-P",
        "-m",
        "zsms",
        "run",
        "--ui",
        "none",
        "--messages",
        "1000000",
        "--concurrency",
        "10",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield psutil.Process(process.pid), process
    finally:
        process.kill()
        process.communicate()


def roles(of: psutil.Process) -> dict[str, psutil.Process]:
    found = {}
    for child in of.children():
        words = " ".join(child.cmdline()).split()
        if "--name" in words:
            found[words[words.index("--name") + 1]] = child
    return found


ALL = {"stats", "broker", "producer-1", "sender-1", "sender-2"}


@linux
def test_each_is_a_process_of_its_own(running):
    parent, _ = running
    until(lambda: roles(parent).keys() == ALL, "five roles")
    found = roles(parent)
    assert all(os.getsid(child.pid) == child.pid for child in found.values())
    assert not any("run" in child.cmdline() for child in found.values())
    assert all(os.readlink(f"/proc/{child.pid}/fd/1") == "/dev/null" for child in found.values())
    said = {os.readlink(f"/proc/{child.pid}/fd/2") for child in found.values()}
    assert len(said) == 5 and all(each.startswith("pipe:") for each in said)
    # The orders of one are not held open by another: each sees the end of its parent, however that comes.
    parent.kill()
    gone, alive = psutil.wait_procs(found.values(), timeout=25)
    assert not alive and len(gone) == 5


@linux
def test_one_that_is_killed_is_noticed_and_named(running):
    parent, process = running
    until(lambda: roles(parent).keys() == ALL, "five roles")
    roles(parent)["sender-2"].kill()
    until(lambda: re.search(r"sender-2 .*was killed by SIGKILL; its messages go", process.stderr.readline()), "a line")
    process.send_signal(signal.SIGINT)
    until(lambda: "again to stop at once" in process.stderr.readline(), "the first is heard")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


@linux
def test_a_process_with_threads_is_not_forked():
    code = (
        "import threading, zsms.launch.forked as f; a = f.may_fork(); e = threading.Event(); "
        "t = threading.Thread(target=e.wait); t.start(); b = f.may_fork(); e.set(); t.join(); print(a, b)"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["True", "False"]
    assert may_fork() in (True, False)


@linux
def test_a_run_has_no_thread_that_would_keep_it_from_forking():
    code = (
        "import sys, zsms.cli\nfrom zsms.launch.forked import may_fork\n"
        "sys.argv = ['zsms', 'config', 'show', 'run']\n"
        "try:\n    zsms.cli.main()\nfinally:\n    print(may_fork(), 'numpy' in sys.modules, file=sys.stderr)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr.split() == ["True", "True"]
