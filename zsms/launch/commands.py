"""The commands of a mesh: which processes there are to be, and the options of each. No process is started here.

config --> Commands --wanted()--> who, with how many slots
                    --collector(), broker(), producer(), sender()--> what one would type after ``zsms ROLE``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zsms.launch import arguments
from zsms.launch.judge import STANDBY, STATS_S
from zsms.launch.place import Wanted
from zsms.lists.stream import is_stream

if TYPE_CHECKING:
    from zsms.launch.caps import CapKeeper
    from zsms.scenario import MeshConfig

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
        self._log = log_messages
        self._taken = taken
        self.keeper: CapKeeper | None = None
        """Who keeps the caps that senders share; None: each has a fixed part."""

    def wanted(self) -> list[Wanted]:
        """What is to be started."""
        config = self._config
        at = config.broker_place
        servers = [Wanted("broker", name, place=at) for name in config.broker_names]
        standing = config.broker_names if config.standby else []
        servers += [Wanted("broker", f"{name}{STANDBY}", apart_from=(name,), place=at) for name in standing]
        # A broker that is lost may have another in its place, the collector has none.
        servers.append(Wanted("stats", "stats", apart_from=tuple(each.name for each in servers if standing)))
        groups = {name: config.group_of(name) for name in config.sender_names}
        senders = [Wanted("sender", name, each.concurrency, place=each.place) for name, each in groups.items()]
        reads = None if config.input is None or is_stream(config.input) else config.input
        return [*servers, *(Wanted("producer", name, reads=reads) for name in config.producer_names), *senders]

    def collector(self, bind: str) -> Options:
        """The collector, listening there."""
        return ["--bind", bind, *(["--insecure"] if self._insecure else []), *_given(metrics=self._metrics)]

    def slots_at(self, broker: str) -> int:
        """Of all senders that use it."""
        config = self._config
        return sum(each.senders * each.concurrency for each in config.groups if broker in config.brokers_of(each))

    def broker(self, number: int, name: str, stats: object) -> Options:
        """A broker, the first is number 1, but for where it listens."""
        return [*arguments.of_broker(self._config, name), "--stream", number, *self._common(stats)]

    def producer(self, index: int, stats: object, brokers: Sequence[str], path: str | None) -> Options:
        """The producer of that index, which uses those of these brokers that are of its line, and reads that list."""
        config = self._config
        own = arguments.of_producer(config, index, path)
        taken = None if self._taken is None else self._taken[config.producer_names[index]]
        begin = index // config.producers * config.brokers
        return [*self._peer(stats, brokers[begin : begin + config.brokers]), *own, *_given(before=taken)]

    def sender(self, number: int, stats: object, brokers: Sequence[str]) -> Options:
        """A sender, the first is number 1, which uses those of these brokers whose messages are for it."""
        name = self._config.sender_names[number - 1]
        group, shared = self._config.group_of(name), self.keeper is not None
        own = [*arguments.of_sender(self._config, name, shared=shared), "--stream", number]
        own += [] if self.keeper is None else self.keeper.options(group.name, number)
        names = self._config.brokers_of(group)
        its = [where for name, where in zip(self._config.broker_names, brokers, strict=True) if name in names]
        return [*self._peer(stats, its), *own, *([] if self._log is None else ["--log-messages", self._log])]

    def _common(self, stats: object) -> Options:
        return ["--stats", stats, "--stats-interval", STATS_S, "--drain-timeout", self._config.drain_timeout]

    def _peer(self, stats: object, brokers: Sequence[str]) -> Options:
        return [*self._common(stats), *(part for address in brokers for part in ("--broker", address))]


def _given(**options: Any) -> Options:
    """Command line options of those that are not None."""
    return [part for name, value in options.items() if value is not None for part in (f"--{name}", value)]
