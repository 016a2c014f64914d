"""The commands of a mesh: which processes there are to be, and the options of each. No process is started here.

config --> Commands --wanted()--> who, with how many slots
                    --collector(), broker(), producer(), sender()--> what one would type after ``zsms ROLE``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zsms.launch.judge import STANDBY, STATS_S
from zsms.launch.place import Wanted

if TYPE_CHECKING:
    from zsms.launch.mesh import MeshConfig, SenderGroup

Options = list[Any]


class Commands:
    """Of one mesh."""

    def __init__(
        self,
        config: MeshConfig,
        *,
        insecure: bool = False,
        metrics: str | None = None,
        log_messages: str | None = None,
        taken: Mapping[str, int] | None = None,
    ) -> None:
        """`insecure`: the collector may listen without keys where others reach it, and `metrics` is the address of its
        figures. `log_messages` is the senders' file of messages; `taken` is how many messages of the source each
        producer of an interrupted run had taken."""
        self._config = config
        self._insecure = insecure
        self._metrics = metrics
        self._log_messages = log_messages
        self._taken = taken

    def wanted(self) -> list[Wanted]:
        """What is to be started."""
        config = self._config
        servers = [Wanted("broker", name) for name in config.broker_names]
        standing = config.broker_names if config.standby else []
        servers += [Wanted("broker", f"{name}{STANDBY}", apart_from=(name,)) for name in standing]
        # A broker that is lost may have another in its place, the collector has none.
        servers.append(Wanted("stats", "stats", apart_from=tuple(each.name for each in servers if standing)))
        slots = [group.concurrency for group in config.groups for _ in range(group.senders)]
        senders = [Wanted("sender", name, size) for name, size in zip(config.sender_names, slots, strict=True)]
        return [*servers, *(Wanted("producer", name) for name in config.producer_names), *senders]

    def collector(self, bind: str) -> Options:
        """The collector, listening there."""
        return ["--bind", bind, *(["--insecure"] if self._insecure else []), *_given(metrics=self._metrics)]

    def broker(self, number: int, name: str, stats: object) -> Options:
        """A broker, the first is number 1, but for where it listens."""
        config = self._config
        limits = [
            part for field, value in asdict(config.limits).items() for part in (f"--{field.replace('_', '-')}", value)
        ]
        keeps = _given(journal=config.journal_of(name), durability=config.durability)
        standby = ["--standby"] if config.standby else []
        return [*limits, "--seed", config.seed, "--stream", number, *keeps, *self._common(stats), *standby]

    def producer(self, index: int, stats: object, brokers: Sequence[str], path: str | None) -> Options:
        """The producer of that index, which uses these brokers and reads that list."""
        config = self._config
        options = [*self._peer(stats, brokers), "--seed", config.seed, *_given(messages=config.total)]
        if path is not None:
            options += ["--input", path, *(["--input-format", config.input_format] if config.input_format else [])]
            options += ["--skip-bad-rows"] if config.skip_bad_rows else []
            options += ["--unique"] if config.unique else []
        options += ["--min-length", config.min_length, "--max-length", config.max_length]
        for prefix in config.prefixes:
            options += ["--prefix", prefix]
        rate = None if config.rate is None else config.rate / config.producers
        options += ["--arrivals", config.arrivals]
        options += _given(alphabet=config.alphabet, rate=rate, batch=config.batch, window=config.window)
        options += ["--share", f"{index}/{config.producers}"]
        return options + ([] if self._taken is None else ["--before", self._taken[config.producer_names[index]]])

    def sender(self, number: int, stats: object, brokers: Sequence[str]) -> Options:
        """A sender, the first is number 1, which uses these brokers."""
        config = self._config
        group = [group for group in config.groups for _ in range(group.senders)][number - 1]
        options: Options = ["--concurrency", group.concurrency, "--delay", group.delay, "--mean", group.mean]
        options += ["--failure-rate", group.failure_rate, "--seed", config.seed, "--stream", number]
        options += _given(sd=group.sd, tick=group.tick, prefetch=group.prefetch, ramp=config.ramp_of(group))
        options += _given(gateway=group.gateway)
        options += ["--yes-really-send"] if config.yes_really_send and group.gateway is not None else []
        options += _given(cap=None if group.cap is None else group.cap / group.senders)
        options += _given(burst=group.burst / group.senders or None, lease=self._lease_of(group))
        options += [] if self._log_messages is None else ["--log-messages", self._log_messages]
        return [*self._peer(stats, brokers), *options, *self._transport()]

    def _common(self, stats: object) -> Options:
        return ["--stats", stats, "--stats-interval", STATS_S, "--drain-timeout", self._config.drain_timeout]

    def _peer(self, stats: object, brokers: Sequence[str]) -> Options:
        return [*self._common(stats), *(part for address in brokers for part in ("--broker", address))]

    def _lease_of(self, group: SenderGroup) -> float | None:
        """What sends of the group may need when a fault makes them slow; None: what they need as they are."""
        own = [fault for fault in self._config.faults if fault.what == "slow" and fault.factor is not None]
        factor = max((fault.factor or 1.0 for fault in own), default=1.0)
        if factor <= 1:
            return None
        from zsms.roles.sender import MAX_LEASE_S, auto_lease

        return min(factor * auto_lease(group.model, 1.0), MAX_LEASE_S)

    def _transport(self) -> Options:
        if self._config.transport is None:
            return []
        from zsms.launch.mesh import importable

        name, folder = importable(self._config.transport)
        return ["--transport", name, *([] if folder is None else ["--transport-folder", folder])]


def _given(**options: Any) -> Options:
    """Command line options of those that are not None."""
    return [part for name, value in options.items() if value is not None for part in (f"--{name}", value)]
