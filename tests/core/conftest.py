"""Hypothesis draws the same examples on every run; HYPOTHESIS_PROFILE=core-long searches further."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

COMMON = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],  # it takes as long as all the rest
)
settings.register_profile("core", COMMON, derandomize=True, max_examples=60, stateful_step_count=40)
settings.register_profile("core-long", COMMON, max_examples=2_000, stateful_step_count=80)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "core"))
