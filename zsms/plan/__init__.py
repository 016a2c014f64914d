"""Plans: a scenario in virtual time.

>>> from zsms.plan import plan
>>> from zsms.scenario import Group, Scenario
>>> found = plan(Scenario(messages=1_000, groups=(Group(senders=1, concurrency=100, delay="constant"),)))
>>> found.reach_s["p100"].p50
10.0

Importing this loads no zmq, and nothing here starts a process, opens a socket or looks at a clock.
"""

from __future__ import annotations

from zsms.plan.planner import Band, Plan, plan

__all__ = ["Band", "Plan", "plan"]
