"""A group of senders: what its slots do, and how its processes are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from zsms import kinds
from zsms.core.sender.asking import MAX_RAMP_S, auto_prefetch, check_asking, delay_warnings
from zsms.core.sender.cap import Cap
from zsms.core.sender.route import WHEN_FULL, RouteLaw
from zsms.core.sender.shares import check_brokers
from zsms.core.sender.slots import Slots
from zsms.errors import UsageError
from zsms.fields import entry
from zsms.message import MAX_PEER_NAME
from zsms.options import checked
from zsms.stats.delay import MODELS, DelayModel

RAMP_FROM = 100_000
"""Slots of a mesh from which on they are not all opened at once, unless asked for."""
_SENT = ("run", "plan", "sender")


@checked
@dataclass(frozen=True, slots=True)
class SenderGroup:
    """Senders that are alike."""

    name: str = entry("sender", "Of the group; its senders are NAME-1, NAME-2, ...", kinds.TEXT)
    senders: int = entry(
        2, "Sender processes.", kinds.COUNT, on=("run", "plan"), also="processes", like=("workers", "instances")
    )
    concurrency: int = entry(
        5_000,
        "Slots of each sender; each sends one message at a time.",
        kinds.COUNT,
        on=_SENT,
        also="slots",
        differs={"sender": {"default": 1_000, "help": "Slots; each sends one message at a time."}},
        like=("threads", "connections", "parallel", "users"),
    )
    delay: str = entry("normal", "How the time of a send is drawn.", kinds.one_of(*MODELS), on=_SENT)
    mean: float = entry(
        1.0,
        "Mean time of a send, seconds; of what is drawn, also where a normal one is cut at 0.",
        kinds.SECONDS,
        on=_SENT,
        like=("latency",),
    )
    sd: float | None = entry(
        None,
        "Standard deviation of the time of a send, seconds.",
        kinds.SECONDS,
        unless="a tenth of the mean",
        on=_SENT,
        reported=True,
    )
    failure_rate: float = entry(
        0.0,
        "Share of sends that fail for now, 0 to 1.",
        kinds.SHARE,
        on=_SENT,
        like=("failures", "errors", "error_rate"),
    )
    throttled_rate: float = entry(
        0.0,
        "Share of sends that the gateway throttles, 0 to 1: no attempt is spent.",
        kinds.SHARE,
        on=_SENT,
    )
    permanent_rate: float = entry(0.0, "Share of sends that are refused for good, 0 to 1.", kinds.SHARE, on=_SENT)
    tick: float | None = entry(
        None,
        "Seconds between two looks at the slots.",
        kinds.SOME_SECONDS,
        unless="mean / 100, from 0.001 to 0.010",
        on=_SENT,
    )
    prefetch: int | None = entry(
        None,
        "Messages that a sender holds beside those in slots.",
        kinds.WHOLE,
        unless="what its slots send in 20 ms",
        on=_SENT,
    )
    ramp: float | None = entry(
        None,
        "Seconds over which a sender opens its slots.",
        kinds.SECONDS,
        unless="the mean in a run of 100,000 slots, else 0",
        on=_SENT,
    )
    cap: float | None = entry(
        None,
        "Segments a second that may begin, a group's senders together.",
        kinds.ABOVE_0,
        unless="as many as they can",
        on=_SENT,
        differs={"sender": {"help": "Segments a second that may begin here.", "unless": "as many as can"}},
        like=("tps", "limit", "rate", "throughput", "max_rate"),
    )
    burst: float = entry(0.0, "Segments that may begin at once after a rest.", kinds.FROM_0, on=_SENT)
    queue: float | None = entry(
        None,
        "Seconds of its cap that the route keeps waiting: it accepts at once and sends at its cap.",
        kinds.SOME_SECONDS,
        unless="it keeps nothing, and we send no more than the cap",
        on=_SENT,
        option="route-queue",
    )
    when_full: str = entry(
        "reject",
        "What a route's full queue does: reject or throttle, which are tried again (throttled spends no attempt), or "
        "expire: accept and lose.",
        kinds.one_of(*WHEN_FULL),
        on=_SENT,
    )
    delivered: float = entry(1.0, "Share of accepted messages that reach their handset.", kinds.SOME_SHARE, on=_SENT)
    gateway: str | None = entry(
        None,
        "Send to this gateway instead of sleeping: smpp://[SYSTEM_ID@]HOST[:PORT], or http://HOST:PORT/PATH, each "
        "with its settings behind it, such as ?binds=4&window=100 or #kannel&username=NAME. Its windows, or "
        "connections, are the slots.",
        kinds.TEXT,
        unless="slots sleep",
        on=_SENT,
        metavar="URL",
    )

    place: str | None = entry(
        None,
        "Run them on workers of the cluster that have a resource of this name; with --cluster.",
        kinds.TEXT,
        unless="on any worker",
        on=("run",),
        metavar="NAME",
    )

    @property
    def model(self) -> DelayModel:
        """How the time of a send is drawn. Raises UsageError."""
        return DelayModel(self.delay, self.mean, self.sd)

    @property
    def slots(self) -> int:
        """All of its slots."""
        return self.senders * self.concurrency

    @property
    def processes(self) -> list[str]:
        """The names of its processes."""
        return [f"{self.name}-{number + 1}" for number in range(self.senders)]

    def check_route(self) -> None:
        """Raises UsageError for a route that can't be."""
        law = RouteLaw(self.cap, self.queue, self.when_full, self.delivered)
        law.check()
        if self.queue is not None and self.burst:
            raise UsageError("a burst beside a route's queue: the queue takes at once what there is room for")
        if self.gateway is not None and not law.plain:
            raise UsageError("route-queue and delivered are of simulated routes; a gateway says what it has done")

    def warnings(self) -> list[str]:
        """What can be done, but hardly as it was meant."""
        found = delay_warnings(self.model, self.tick)
        return [f"group {self.name!r}: {warning}" for warning in found]

    def check_name(self) -> None:
        """Raises UsageError for one that its processes can't have."""
        room = MAX_PEER_NAME - len(f"-{self.senders}")
        if not (0 < len(self.name) <= room and self.name.isprintable()):
            raise UsageError(f"group name {self.name[:80]!r}: give 1 to {room} printable characters")

    def check(self, brokers: int = 1) -> None:
        """Raises UsageError for what can't be, before any process is started."""
        self.check_name()
        if not 1 <= self.senders <= 1_000:
            raise UsageError(f"group {self.name!r}: senders {self.senders}: give 1 to 1000 processes")
        Slots(
            self.concurrency,
            self.model,
            failure_rate=self.failure_rate,
            throttled_rate=self.throttled_rate,
            permanent_rate=self.permanent_rate,
            tick=self.tick,
        )
        check_asking(self.prefetch, self.ramp)
        if self.cap is not None:
            Cap(self.cap, self.burst)
        self.check_route()
        prefetch = auto_prefetch(self.concurrency, self.mean) if self.prefetch is None else self.prefetch
        check_brokers(brokers, self.concurrency, prefetch)


def ramp_of(group: SenderGroup, slots: int) -> float:
    """Seconds over which a sender of the group opens its slots: what was asked for, else the mean from `RAMP_FROM`
    `slots` of the whole mesh on, however they are divided."""
    if group.ramp is not None:
        return group.ramp
    return min(group.mean, MAX_RAMP_S) if slots >= RAMP_FROM else 0.0
