"""`zsms run --plan`: what the same scenario comes to in virtual time, beside the run at its end."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from zsms.cli.settings import scenario_of
from zsms.errors import UsageError
from zsms.words import many

if TYPE_CHECKING:
    import click

    from zsms.plan.against import Row
    from zsms.report.report import Report
    from zsms.scenario import Scenario


def planned(ctx: click.Context, config: str | None) -> Scenario:
    """The scenario of a run, before it begins. Raises UsageError for a run that has none."""
    if ctx.params.get("transport") is not None:
        raise UsageError("--plan is of simulated slots: nothing says how long a function takes")
    if ctx.params.get("input") is not None and ctx.params.get("messages") is None:
        raise UsageError("--plan beside --input: give --messages, too, so that it is known how many there will be")
    scenario = scenario_of(ctx, config, ctx.params)
    if any(group.gateway is not None for group in scenario.groups):
        raise UsageError("--plan is of simulated slots: nothing says how long a gateway takes")
    return scenario


def stand(scenario: Scenario, report: Report) -> list[str]:
    """Put the plan's figures into the report; returns lines for people."""
    from zsms.cli.plan import against_lines
    from zsms.plan import plan
    from zsms.plan.against import compared

    found = plan(scenario, variants=False)
    if report.messages.produced != found.messages:
        ended = f"{report.messages.produced:,} of {many(found.messages, 'message')} made"
        return [f"plan        not comparable: {ended}"]
    rows: tuple[Row, ...] = compared(found, report.to_json())
    report.plan = [asdict(row) for row in rows]
    return ["", *against_lines(rows)]
