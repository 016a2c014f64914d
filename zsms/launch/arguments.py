"""What the processes of a mesh are started with: the options that each role has of the run's settings."""

from __future__ import annotations

from dataclasses import replace

from zsms.core.seeds import Stream, sequence
from zsms.core.sender.asking import MAX_LEASE_S, auto_lease
from zsms.fields import arguments
from zsms.launch.caps import part_of
from zsms.scenario import MeshConfig, SenderGroup


def of_broker(config: MeshConfig, name: str) -> list[str]:
    """Those of the broker of that name."""
    own = replace(config, journal=config.journal_of(name))
    return [*arguments(config.limits, "broker"), *arguments(own, "broker")]


def of_producer(config: MeshConfig, index: int, path: str | None) -> list[str]:
    """Those of the producer of that index, which reads its list at `path`."""
    rate = None if config.rate is None else config.rate * config.part_of(config.producer_names[index])
    own = replace(config, messages=config.total, input=path, rate=rate)
    number, part = divmod(index, config.producers)
    if config.lines:
        line = config.lines[number]
        drawn = sequence(config.seed, Stream.PRODUCER, "line", number).generate_state(1)
        own = replace(own, messages=line.messages, texts=line.texts or config.texts, seed=int(drawn[0]))
    return [*arguments(own, "producer"), "--share", f"{part}/{config.producers}"]


def of_sender(config: MeshConfig, name: str, *, shared: bool = False) -> list[str]:
    """Those of the sender of that name; with its part of the caps, unless those are `shared`."""
    group = config.group_of(name)
    cap, burst = (group.cap if group.queue is not None else None, 0.0) if shared else part_of(config, group)
    own = replace(group, ramp=config.ramp_of(group), cap=cap, burst=burst)
    found = [*arguments(own, "sender"), *arguments(config, "sender")]
    for option, value in (("--lease", _lease_of(config, group)), ("--transport-folder", config.transport_folder)):
        if value is not None:
            found += [option, str(value)]
    return found


def _lease_of(config: MeshConfig, group: SenderGroup) -> float | None:
    """What sends of the group may need when a fault makes them slow; None: what they need as they are."""
    slow = [fault.factor or 1.0 for fault in config.faults if fault.what == "slow"]
    factor = max(slow, default=1.0)
    return min(factor * auto_lease(group.model, 1.0), MAX_LEASE_S) if factor > 1 else None
