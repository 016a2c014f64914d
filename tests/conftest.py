"""Where CI is set, a test that skips has failed: nothing may drop out of CI unnoticed.

Hypothesis draws the same examples on every run; HYPOTHESIS_PROFILE=core-long searches further.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings

COMMON = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],  # it takes as long as all the rest
)
settings.register_profile("core", COMMON, derandomize=True, max_examples=60, stateful_step_count=40)
settings.register_profile("core-long", COMMON, max_examples=2_000, stateful_step_count=80)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "core"))

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

pytest_plugins = ["tests.journal.servers"]
# It needs daemons that a machine of its own is better for: asked for, it runs.
collect_ignore = [] if os.environ.get("ZSMS_TEST_SLURM") else ["real/test_slurm.py"]

# What starts tests in the background has signals ignored: a shell's & two of them, nohup a third. Processes that tests
# start would ignore them, too; what is handled is not handed on.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

# Where bytecode may not be kept, as in many containers, each of the hundreds of processes that tests start compiles the
# whole package: twice the processor of all the rest that it does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def fail_if_skipped(report: Report) -> Report:
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"a test may not skip in CI ({reason})"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return fail_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return fail_if_skipped((yield))
