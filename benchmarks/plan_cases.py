"""Scenarios of caps, faults, retries, routes, arrivals and brokers that are run and planned beside each other: TOML."""

from __future__ import annotations

from typing import Any


def _lines(title: str, values: dict[str, Any]) -> str:
    shown = (f"{key.rstrip('_').replace('_', '-')} = {value!r}" for key, value in values.items())
    return "\n".join([title, *shown]).replace("'", '"') + "\n"


def _run(messages: int | None = None, **values: Any) -> str:
    return _lines("[run]", values if messages is None else {"messages": messages, **values})


def _group(name: str, slots: int, mean: float, **values: Any) -> str:
    return _lines("[[group]]", {"name": name, "processes": 1, "slots": slots, "mean": mean, **values})


def _fault(at: float, what: str, whom: str, **values: Any) -> str:
    return _lines("[[faults]]", {"at": at, "what": what, "whom": whom, **values})


def _stage(lasts: float, rate: float, **values: Any) -> str:
    return _lines("[[arrival]]", {"for": lasts, "rate": rate, **values})


_TWO = _group("a", 250, 0.5, processes=2)
_THREE = _group("a", 200, 0.5, processes=3)
_ROUTES = _lines("[[audience]]", {"name": "town", "share": 0.5, "routes": ["a"]}) + _lines(
    "[[audience]]", {"name": "land", "share": 0.5, "routes": ["a", "b"]}
)
_ACCOUNT = _lines("[[account]]", {"name": "x", "cap": 900})
_DAY = '[scenario]\nstart = "2026-11-28T23:59:57+00:00"\n'

CASES = {
    "cap": _run(4_000) + _group("a", 500, 0.2, processes=2, cap=800),
    "cap and burst": _run(4_000) + _group("a", 1_000, 0.2, cap=600, burst=600),
    "cap beside slots": _run(4_000)
    + _group("a", 300, 0.2, processes=2, cap=500)
    + _group("b", 100, 0.5, delay="exponential"),
    "cap, large": _run(40_000) + _group("a", 4_000, 0.5, processes=2, cap=8_000),
    "account": _run(4_500)
    + _group("a", 300, 0.2, account="x", cap=300)
    + _group("b", 300, 0.3, account="x")
    + _ACCOUNT,
    "account, one killed": _run(4_500, liveness=1.0)
    + _group("a", 300, 0.2, account="x")
    + _group("b", 300, 0.3, account="x")
    + _ACCOUNT
    + _fault(1.5, "kill", "a"),
    "capped, one killed": _run(3_000, liveness=1.0)
    + _group("a", 300, 0.3, processes=3, cap=600)
    + _fault(1.5, "kill", "a-2"),
    "day and hours": _DAY
    + _run(3_500)
    + _group("a", 200, 0.2, processes=2, daily_cap=900)
    + _group("b", 100, 0.2, quiet="23:59:58-00:00:01")
    + _group("c", 20, 0.1, from_=1.5, until=4.5),
    "throttle": _run(5_000) + _TWO + _fault(1.5, "throttle", "a", for_=2, cap=400),
    "kill": _run(6_000, liveness=1.0) + _THREE + _fault(2, "kill", "a-1"),
    "kill at the end": _run(3_000, liveness=2.0)
    + _group("a", 200, 1.0, sd=0.2, processes=3)
    + _fault(4.5, "kill", "a-2"),
    "kill half a route": _run(6_000, liveness=1.0)
    + _group("a", 200, 0.5, processes=4, delay="gamma", sd=0.2)
    + _group("b", 100, 0.3)
    + _fault(1.5, "kill", "a", share=0.5),
    "stop, short": _run(5_000, liveness=3.0) + _TWO + _fault(2, "stop", "a-1", for_=0.8),
    "stop, long": _run(5_000, liveness=1.0) + _TWO + _fault(2, "stop", "a-1", for_=2.5),
    "restart": _run(5_000, liveness=1.0) + _TWO + _fault(2, "restart", "a-2", for_=1.5),
    "slow": _run(5_000) + _group("a", 250, 0.5) + _group("b", 250, 0.5) + _fault(1.5, "slow", "a", for_=2, factor=3.0),
    "fail": _run(4_000, max_attempts=4, retry_base=0.2)
    + _group("a", 250, 0.5, processes=2, failure_rate=0.05)
    + _fault(1.5, "fail", "a", for_=1.5, rate=0.5),
    "kinds of failure": _run(4_000, max_attempts=2, retry_base=0.3)
    + _group("a", 250, 0.4, processes=2, failure_rate=0.1, throttled_rate=0.1, permanent_rate=0.05),
    "retries under a cap": _run(3_500, max_attempts=3, retry_base=0.3)
    + _group("a", 400, 0.3, processes=2, failure_rate=0.2, cap=800),
    "routes, failures, kill": _run(5_000, max_attempts=3, retry_base=0.2, liveness=1.0)
    + _group("a", 200, 0.4, processes=2, failure_rate=0.1)
    + _group("b", 150, 1.0, delay="lognormal", sd=0.5, failure_rate=0.02)
    + _fault(1.5, "kill", "a-2"),
    "below capacity, kill": _run(liveness=1.0)
    + _stage(5, 600)
    + _group("a", 150, 0.5, processes=3)
    + _fault(2, "kill", "a-1"),
    "above a cap": _run() + _stage(4, 1_200) + _group("a", 600, 0.3, cap=900),
    "ramp up and down": _run()
    + _stage(2, 200, to=1_500)
    + _stage(2, 1_500, to=200)
    + _group("a", 300, 0.6, processes=2, delay="exponential"),
    "poisson, 95 % busy": _run(arrivals="poisson")
    + _stage(6, 950)
    + _group("a", 150, 0.3, processes=2, delay="exponential"),
    "three brokers, kill": _run(6_000, brokers=3, liveness=1.0) + _THREE + _fault(2, "kill", "a-3"),
    "two brokers, retries": _run(4_500, brokers=2, max_attempts=3, retry_base=0.3)
    + _group("a", 200, 0.5, processes=2, failure_rate=0.1)
    + _group("b", 100, 0.3, delay="weibull", sd=0.15, failure_rate=0.1),
    "two brokers, arrivals": _run(brokers=2)
    + _stage(5, 700)
    + _group("a", 250, 0.5, processes=2, delay="gamma", sd=0.25),
    "broker stops": _run(5_000, liveness=3.0) + _TWO + _fault(2, "stop", "broker", for_=0.7),
    "one of two brokers stops": _run(brokers=2, liveness=4.0)
    + _stage(4, 800)
    + _group("a", 250, 0.4, processes=2)
    + _fault(1.5, "stop", "broker-1", for_=1.2),
    "the same, 96 % busy": _run(brokers=2, liveness=4.0)
    + _stage(4, 1_200)
    + _group("a", 250, 0.4, processes=2)
    + _fault(1.5, "stop", "broker-1", for_=1.2),
    "routes of audiences": _run(8_000) + _group("a", 100, 0.2, processes=2) + _group("b", 150, 0.3) + _ROUTES,
    "route queue": _run(5_000, max_attempts=6, retry_base=0.5) + _group("a", 100, 0.2, processes=2, cap=700, queue=1.0),
    "route queue, expires": _run(5_000)
    + _group("a", 100, 0.2, processes=2, cap=700, queue=1.0, when_full="expire", delivered=0.9),
    "slow, then kill": _run(6_000, liveness=1.0)
    + _THREE
    + _fault(1, "slow", "a-1", for_=2, factor=2.0)
    + _fault(2.5, "kill", "a-2"),
}
