"""Lines: the messages of a scenario by the groups that may send them, each with its own brokers and producers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsms import kinds
from zsms.fields import entry

if TYPE_CHECKING:
    from zsms.scenario.tables import Audience
    from zsms.scenario.whole import Scenario


@dataclass(frozen=True, slots=True)
class Line:
    """Messages that only some groups may send, on brokers and by producers of their own."""

    groups: tuple[str, ...] = entry((), "Names of the groups.", kinds.TEXT)
    messages: int = entry(0, "How many messages.", kinds.WHOLE)
    texts: tuple[str, ...] = entry((), "Random texts, if not those of the run.", kinds.TEXTS)


@dataclass(frozen=True, slots=True)
class Part:
    """Messages of an audience that have the same groups."""

    groups: tuple[str, ...]
    messages: int
    segments: float
    """Of a message."""


def lines_of(scenario: Scenario) -> dict[tuple[str, ...], list[Part]]:
    """The parts of all audiences that are somebody's messages, by their groups in the order of the file."""
    everyone = tuple(group.name for group in scenario.groups)
    if not scenario.audiences:
        return {everyone: [Part(everyone, scenario.messages, scenario.segments)]}
    found: dict[tuple[str, ...], list[Part]] = {}
    for audience in scenario.audiences:
        for part in _parts(audience, everyone, audience.segments or scenario.segments):
            if part.messages:
                found.setdefault(part.groups, []).append(part)
    return found or {everyone: [Part(everyone, 0, scenario.segments)]}


def _parts(audience: Audience, everyone: tuple[str, ...], segments: float) -> Iterator[Part]:
    messages = audience.messages or 0
    fixed = [(name, share) for name, share in audience.routes if share is not None]
    if not fixed:
        named = {name for name, _ in audience.routes}
        yield Part(tuple(name for name in everyone if not named or name in named), messages, segments)
        return
    begin, so_far = 0, 0.0
    for name, share in fixed:
        so_far += share
        end = round(messages * so_far)
        yield Part((name,), end - begin, segments)
        begin = end
