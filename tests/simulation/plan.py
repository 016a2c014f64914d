"""What a seed draws: how large the mesh is, how bad the network, and what goes wrong when.

Each seed turns on a random part of the kinds of fault, because a schedule in which everything goes wrong at once hides
what two kinds alone would show (A. Groce et al., "Swarm testing", ISSTA 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from zsms.core.broker import BrokerLimits

KINDS = (
    "cut",
    "stall",
    "pause sender",
    "pause producer",
    "pause broker",
    "pause everyone",
    "kill sender",
    "stop sender",
    "kill producer",
    "stop producer",
    "rival producer",
    "kill broker",
    "stop broker",
    "disk slow",
    "disk full",
    "disk fails",
    "operator inspects",
    "operator kicks",
    "operator purges",
)
LONG_S = 1_000.0
"""Of a lease or a liveness time: it never ends."""
_UNNOTICED = {
    *("pause producer", "kill producer", "stop producer", "rival producer"),
    *("disk slow", "disk full", "operator inspects"),
}
"""Of these kinds senders notice nothing."""
_OUTLASTED = {"pause broker", "pause everyone"}
"""Through these no message comes back when the lease is long."""
_ENDURED = {"cut", "stall", "pause sender"}
"""Nor through these, when nobody is given up for silence either."""
_OFTEN = ("cut", "operator kicks", "operator purges")
ROOMY = 1_000
"""Frames that a wire takes when nobody should notice that it has an end."""
BEGIN_S = 4.0
"""Faults begin in the first seconds, and end when they end."""


_NARROW = 4
"""Frames of a pipe that is full time and again."""


@dataclass(frozen=True)
class Size:
    """A sender's slots and prefetch."""

    slots: int
    prefetch: int


@dataclass(frozen=True)
class Plan:
    """Times in seconds, shares from 0 to 1."""

    seed: int
    brokers: int
    journal: bool
    """Whether brokers keep their queue on a disk."""
    commit: float
    """A group is on the disk within this time."""
    limits: BrokerLimits
    senders: tuple[Size, ...]
    producers: tuple[int, ...]
    """Messages of each producer."""
    rate: float | None
    """Messages a second that a producer makes; None: as fast as it may."""
    batch: int
    window: int
    resend_after: float
    latency: float
    """A frame takes up to this long."""
    reaction: float
    """A process wakes up to this long after something has come."""
    notices: float
    """The broker's side notices within this time that a connection is gone."""
    pipe: int
    """Frames that a wire takes."""
    repeats: float
    """Share of the frames that arrive twice."""
    fails: float
    """Share of the sends that fail."""
    hangs: float
    """Share of the sends that end long after the lease, or never."""
    mean: float
    """Of a send."""
    trouble: float
    """Around this long takes what goes wrong."""
    clocks: bool
    """Whether every process has a clock of its own."""
    faults: tuple[tuple[float, str], ...]
    """What goes wrong when."""
    outcomes: bool = False
    """Whether failed sends fail in all ways that there are, and gateways tell of receipts."""

    @property
    def endpoints(self) -> list[str]:
        """Of the brokers."""
        return [f"inproc://broker-{index}" for index in range(self.brokers)]

    @property
    def gentle(self) -> bool:
        """Whether no message has a reason to come back to the broker: what is done twice is done wrong."""
        quiet = set(_UNNOTICED)
        if self.limits.lease != LONG_S and self.pipe <= _NARROW and self.latency:
            return False  # what is granted waits for joins, one after the other, for longer than that
        if self.limits.lease == LONG_S:
            quiet |= _OUTLASTED
            if self.limits.liveness == LONG_S:
                quiet |= _ENDURED
        return not self.repeats and not self.hangs and quiet.issuperset(kind for _, kind in self.faults)

    @classmethod
    def draw(cls, seed: int) -> Plan:
        rng = Random(seed)

        def seldom(value: float) -> float:
            return value if rng.random() < 0.3 else 0.0

        mood = rng.choice(("strict", "strict", "strict", "outlasting", "patient"))
        patient = mood == "patient"
        lease = rng.choice((4.0, LONG_S)) if mood == "strict" else LONG_S
        share = rng.choice((0.05, 0.2, 0.4))
        kinds = [kind for kind in KINDS if rng.random() < share]
        if patient:
            kinds = [kind for kind in kinds if kind in _UNNOTICED | _OUTLASTED | _ENDURED] + ["cut"]
        elif mood == "outlasting":
            kinds = [kind for kind in kinds if kind in _UNNOTICED] + sorted(_OUTLASTED)
        if "operator kicks" in kinds:
            kinds.append("operator purges")  # so that there are dead letters
        faults = [
            (rng.random() * (2 * BEGIN_S if kind.startswith("operator") else BEGIN_S), kind)
            for kind in kinds
            for _ in range(rng.randint(1, 6 if kind in _OFTEN else 3))
        ]
        brokers = rng.choice((1, 1, 1, 1, 1, 1, 2, 3))
        return cls(
            seed=seed,
            brokers=brokers,
            journal=rng.random() < 0.6,
            commit=rng.choice((0.0, 0.02, 0.3)),
            limits=BrokerLimits(
                max_messages=rng.choice((8, 30, 1_000)),
                max_attempts=rng.choice((1, 3)),
                max_deliveries=rng.choice((2, 20)),
                retry_base=0.3,
                retry_cap=2.0,
                lease=lease,
                liveness=LONG_S if patient else 2.0,
            ),
            senders=tuple(Size(rng.randint(1, 4), rng.randint(brokers - 1, 3)) for _ in range(rng.randint(1, 3))),
            producers=tuple(rng.randint(1, 24) for _ in range(rng.randint(1, 2))),
            rate=rng.choice((None, 6.0, 12.0, 20.0)),
            batch=rng.randint(1, 8),
            window=rng.randint(1, 40),
            resend_after=30.0 if patient else rng.choice((0.5, 2.0)),
            latency=rng.choice((0.0, 0.02, 0.2)),
            reaction=rng.choice((0.0, 0.01)),
            notices=rng.choice((0.0, 1.0)),
            pipe=rng.choice((2, 4, ROOMY)),
            repeats=seldom(0.1),
            fails=seldom(0.3),
            hangs=0.0 if lease == LONG_S else seldom(0.05),
            mean=0.4,
            trouble=2.0,
            clocks=rng.random() < 0.3,
            faults=tuple(sorted(faults)),
            outcomes=Random(f"outcomes at {seed}").random() < 0.5,
        )
