"""What a plan's text and its page say alike, from its JSON (docs/plan.schema.json)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_COUNTS = ("accepted", "delivered", "failed", "expired", "undelivered", "lost", "unsent", "retried", "redelivered")
_TURN = 0.995
"""Of a share of replications: from there on, and as near to 0, whole per cents would say that all or none make it."""


class Effect(NamedTuple):
    """What a fault costs, or a change does."""

    share: str
    """Of the messages, whose time is told."""
    later_s: float | None
    """By how much they come later; None: `never` says why not."""
    at_s: float | None
    never: str


def effect_of(plan: Mapping[str, Any], row: Mapping[str, Any], fault: bool) -> Effect:
    """Of a row of the plan's `faults` or `sensitivity`: 99 % of the messages, or half where so many never come."""
    usual, half = plan["reach_s"]["p99"]["p50"], plan["reach_s"]["p50"]["p50"]
    later, at = row["later_s"], row["p99_s"]
    if later is not None:
        return Effect("99 %", later, at, "")
    if usual is None and at is None and None not in (half, row["p50_s"]):
        later = half - row["p50_s"] if fault else row["p50_s"] - half
        return Effect("50 %", later, row["p50_s"], "")
    if at is None:
        return Effect("99 %", None, at, "99 % are never reached")
    return Effect("99 %", None, at, f"99 % are reached only {'without it' if fault else 'so'}")


def counts_of(plan: Mapping[str, Any]) -> str:
    """Messages by what became of them; those that are none are left out."""
    counts = plan["counts"]
    return ", ".join(f"{counts[name]:,.0f} {name}" for name in _COUNTS if round(counts[name]) or name == "delivered")


def chance(probability: float) -> str:
    """In per cent; neither all nor none where it is not."""
    if _TURN <= probability < 1:
        return "more than 99 %"
    return "less than 1 %" if 0 < probability <= 1 - _TURN else f"{probability * 100:.0f} %"


def solution_of(found: Mapping[str, Any], span: Callable[[float], str]) -> str:
    """What --solve found."""
    wish = f"{found['share'] * 100:g} % in {span(found['deadline_s'])}"
    groups, made = found["groups"], chance(found["probability"])
    if found["least"] is None:
        return f"no number of {found['what']} makes {wish}: with {sum(groups.values()):,} its probability is {made}"
    by = ", ".join(f"{name} {number:,}" for name, number in groups.items())
    cost = f", for {found['cost']:,.2f} by then" if found["cost"] else ""
    return f"{found['least']:,} {found['what']} make {wish} with a probability of {made}{cost}: {by}"
