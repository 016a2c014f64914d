"""`zsms run --dry-run`: what would be started, when all has been checked that can be without starting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsms.core.broker.durability import hidden
from zsms.errors import UsageError
from zsms.formats import count as whole
from zsms.launch.private_folder import PrivateFolder
from zsms.report.summary import wrapped

if TYPE_CHECKING:
    from zsms.launch.mesh import Mesh
    from zsms.launch.resume import Before
    from zsms.scenario import MeshConfig, SenderGroup


def lines(mesh: Mesh, outputs: list[str], before: Before | None = None) -> list[str]:
    """The lines, wide as those of a summary; `before` is the run that this one would go on with.

    Raises UsageError, and ZsmsError, for what would not work.
    """
    config = mesh.config
    PrivateFolder("broker-16.2").remove()
    if config.secure:
        import zmq

        if not zmq.has("curve"):
            raise UsageError("--secure: this build of ZeroMQ has no CURVE encryption")
    names = ["stats", *config.broker_names, *config.producer_names, *config.sender_names]
    groups = [f"{group.senders} x {group.concurrency:,} ({_how(group, config)})" for group in config.groups]
    slots = config.slots
    count = _messages(config)
    rows = [
        ("messages", f"{_count(count)} {'of ' + config.input if config.input else 'random'}"),
        ("processes", f"{len(names)}: {', '.join(names)}"),
        ("slots", f"{slots:,}: {', '.join(groups)}"),
    ]
    if config.rate is not None:
        rows.append(("rate", f"{config.rate:,g} messages/s, {config.arrivals}"))
    simulated = config.transport is None and all(group.gateway is None for group in config.groups)
    if simulated and count is not None:
        capacity = sum(group.slots / group.mean for group in config.groups if group.mean)
        reached = min(capacity or float("inf"), config.rate or float("inf"))
        took = (count - (0 if before is None else before.settled)) / reached
        rows.append(("time", f"about {whole(took) if took >= 10 else f'{took:.3g}'} s, of the sends alone"))
    if before is not None:
        rows.append(("resume", before.come_to))
    if config.journal is not None:
        rows.append(("journal", hidden(config.journal)))
    rows += [("output", output) for output in outputs]
    rows += [("threshold", f"{threshold}") for threshold in mesh.thresholds]
    rows += [("warning", warning) for warning in config.warnings()]
    rows.append(("dry run", "nothing was started"))
    return [line for label, text in rows for line in wrapped(label, text)]


def _how(group: SenderGroup, config: MeshConfig) -> str:
    """What its slots do."""
    if group.gateway is not None:
        from zsms.transports.gateways import settings_of

        return settings_of(group.gateway).address
    return f"{group.delay}, mean {group.mean:g} s" if config.transport is None else f"{config.transport}"


def _count(count: int | None) -> str:
    return "all" if count is None else f"{count:,}"


def _messages(config: MeshConfig) -> int | None:
    """How many there will be; a list is read to its end, a pipe is not. Raises UsageError for a bad row."""
    if config.input is None:
        return config.total
    from zsms.lists.files import FileSource, source_of
    from zsms.lists.stream import is_stream

    if is_stream(config.input):
        return config.messages
    source = source_of(config)
    assert isinstance(source, FileSource)
    try:
        return sum(map(len, source.whole()))
    finally:
        source.close()
