"""The names of all figures, once: what each role counts, and how it is now.

    role --BrokerFigures(...)--> to_wire() --counters, gauges--> collector --> BrokerFigures.of(...) --> attributes

A figure that nobody has told is None, never 0: an older process does not know it, and it is not on the wire. Names that
a newer process has more are passed over. Counters (`Count`) only grow and are added up over processes and starts;
gauges (`Gauge`) say how it is now. Messages unless the name says otherwise; times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from zsms.stats.reach import SHARES

Count = int | None
Gauge = float | None

OUTCOMES = {
    "sent": "sent",
    "failed": "failed_sends",
    "temporary": "temporary",
    "throttled": "throttled",
    "rejected": "rejected",
    "uncertain": "uncertain",
}
"""How a send ends, and the figure of a broker that counts it."""
RECEIPTS = ("delivered", "undelivered", "expired", "rejected", "unknown")
"""What a receipt tells; the figures are `receipts_...`."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """What every process has."""

    refused_frames: Count = None
    cpu_s: Gauge = None
    """Processor time."""
    rss_max_bytes: Gauge = None
    """The most memory that it has had resident."""

    @classmethod
    def of(cls, counters: Mapping[str, int], gauges: Mapping[str, float] | None = None) -> Self:
        """Of what a process has told."""
        counts, others = _names(cls)
        known: dict[str, Any] = {name: counters[name] for name in counts if name in counters}
        if gauges:
            known.update((name, gauges[name]) for name in others if name in gauges)
        return cls(**known)

    def to_wire(self) -> tuple[dict[str, int], dict[str, float]]:
        """Counters and gauges by name, those that are known."""
        counts, others = _names(type(self))
        return self._known(counts), self._known(others)

    def _known(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_NAMES: dict[Any, tuple[tuple[str, ...], tuple[str, ...]]] = {}


def _names(of: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of its counters and of its gauges; those that every process has come last."""
    if of not in _NAMES:
        common = {field.name for field in fields(Figures)}
        told = sorted(fields(of), key=lambda field: field.name in common)
        _NAMES[of] = tuple(f.name for f in told if f.type == "Count"), tuple(f.name for f in told if f.type == "Gauge")
    return _NAMES[of]


@dataclass(slots=True, kw_only=True)
class BrokerFigures(Figures):
    """A broker's."""

    accepted: Count = None
    sent: Count = None
    failed: Count = None
    dead: Count = None
    """Given up after several attempts or deliveries."""
    redelivered: Count = None
    """Taken back from a sender that died, fell silent or ran out of its lease."""
    retried: Count = None
    """Failed sends that got another attempt."""
    failed_sends: Count = None
    """Sends that failed, and no more is known; the next four are not among them."""
    temporary: Count = None
    throttled: Count = None
    rejected: Count = None
    uncertain: Count = None
    duplicates: Count = None
    """Acknowledgements of what was settled or taken back before; of the next two, of what was never granted."""
    unknown: Count = None
    foreign: Count = None
    repeated_batches: Count = None
    skipped_batches: Count = None
    fenced_batches: Count = None
    strange_batches: Count = None
    sessions_ended: Count = None
    receipts_delivered: Count = None
    receipts_undelivered: Count = None
    receipts_expired: Count = None
    receipts_rejected: Count = None
    receipts_unknown: Count = None
    sends: Count = None
    """Sends that ended, whatever came of them."""
    refused_connections: Count = None

    queued: Gauge = None
    in_flight: Gauge = None
    queue_bytes: Gauge = None
    retrying: Gauge = None
    """Of those queued, they wait for the time of their next attempt."""
    senders: Gauge = None
    slots: Gauge = None
    full: Gauge = None
    """1 while it stops reading, for its queue is full."""
    first_accepted_at: Gauge = None
    """By the machine's clock; 0: nothing was accepted."""
    first_accepted_ago: Gauge = None
    busy_s: Gauge = None
    """From the first that was accepted to the last that was settled."""
    balanced: Gauge = None
    """1 while its accounts add up."""
    reach_of: Gauge = None
    """Of how many messages the next five tell when that share of them had been sent."""
    reach_p50_s: Gauge = None
    reach_p90_s: Gauge = None
    reach_p99_s: Gauge = None
    reach_p999_s: Gauge = None
    reach_p100_s: Gauge = None
    attempts: Gauge = None
    """How many a message gets."""
    retry_base_s: Gauge = None
    retry_cap_s: Gauge = None
    retry_first_s: Gauge = None
    """In how many seconds the first of those `retrying` is due, and the last."""
    retry_last_s: Gauge = None
    durability: Gauge = None
    """0: it keeps nothing on a disk."""
    journal_groups: Gauge = None
    journal_full: Gauge = None

    @property
    def held(self) -> int:
        """Queued or in flight."""
        return int((self.queued or 0) + (self.in_flight or 0))

    @property
    def reach_s(self) -> dict[str, float | None]:
        """When so many of `reach_of` had been sent, by the names of :data:`zsms.stats.reach.SHARES`."""
        return {name: getattr(self, f"reach_{name}_s") for name in SHARES}

    @property
    def outcomes(self) -> dict[str, int]:
        """Sends by how they ended, by the names of `OUTCOMES`."""
        return {name: getattr(self, figure) or 0 for name, figure in OUTCOMES.items()}

    @property
    def receipts(self) -> dict[str, int]:
        """Receipts by what they told, by the names of `RECEIPTS`."""
        return {name: getattr(self, f"receipts_{name}") or 0 for name in RECEIPTS}


@dataclass(slots=True, kw_only=True)
class ProducerFigures(Figures):
    """A producer's."""

    produced: Count = None
    confirmed: Count = None
    resent_batches: Count = None
    repeated: Count = None
    """Pushed more than once."""
    skipped_rows: Count = None
    """Bad rows of a list, and the lines that they are."""
    skipped_lines: Count = None
    repeated_rows: Count = None
    """Rows whose recipient had come before."""

    unconfirmed: Gauge = None
    unreachable: Gauge = None
    """Of these, they are for brokers that it can't reach."""
    exhausted: Gauge = None
    """1 when it has made all that there is to make."""
    brokers: Gauge = None
    """Brokers that have confirmed something."""
    total: Gauge = None
    """How many it will make; 0: it does not know."""
    rate: Gauge = None
    """Arrivals a second, as asked for now."""
    arrivals: Gauge = None
    """What that came to, over how many seconds."""
    arrivals_s: Gauge = None


@dataclass(slots=True, kw_only=True)
class SenderFigures(Figures):
    """A sender's. Its counters are of sends."""

    started: Count = None
    sent: Count = None
    failed: Count = None
    given_away: Count = None
    """Sends that ended when others had been given their messages: `took_s` and the histograms leave them out."""
    refused_grants: Count = None
    lost_receipts: Count = None
    receipts_missing: Count = None
    """Asked for, and given up because they have not come in time."""
    receipts_unmatched: Count = None
    """Of no message that waits here."""
    receipts_handed_on: Count = None
    """Of no message here, and handed to the other senders of the gateway's account."""
    receipts_taken_over: Count = None
    """Handed on by one of those (or by this one, before the answer came), and of a message here."""
    messages_in: Count = None
    """Messages of people that a gateway handed over."""
    receipts_awaited: Gauge = None
    receipts_early: Gauge = None
    """Came, and wait for the answer of their message."""

    slots: Gauge = None
    busy: Gauge = None
    waiting: Gauge = None
    """Messages that it holds and that no slot has taken."""
    prefetch: Gauge = None
    asked_s: Gauge = None
    """How long its slots were asked to sleep, in all."""
    took_s: Gauge = None
    """How long its sends took, in all; see `given_away`."""
    blocked_s: Gauge = None
    steady_s: Gauge = None
    """The window of :mod:`zsms.stats.steady`, and in it the slot seconds worked and those that there were."""
    steady_worked_s: Gauge = None
    steady_slot_s: Gauge = None
    worked_s: Gauge = None
    """Slot seconds worked, in all, and of those that there were: slots are opened bit by bit."""
    open_s: Gauge = None
    mean_s: Gauge = None
    """How long a send is asked to take, its deviation, and the place of its model in
    :data:`zsms.stats.delay.MODELS` from 1 on; without a model, how long they took."""
    sd_s: Gauge = None
    delay_model: Gauge = None

    @property
    def sends(self) -> int:
        """Sends that have ended."""
        return (self.sent or 0) + (self.failed or 0)

    @property
    def timed_sends(self) -> int:
        """Those whose times count."""
        return self.sends - (self.given_away or 0)

    @property
    def error_share(self) -> float | None:
        """The share of them that failed; None while none has ended."""
        return (self.failed or 0) / self.sends if self.sends else None

    @property
    def send_time_s(self) -> float | None:
        """The mean time of `timed_sends`; None while there is none."""
        return None if not self.timed_sends or self.took_s is None else self.took_s / self.timed_sends


@dataclass(slots=True, kw_only=True)
class CollectorFigures(Figures):
    """The collector's own."""

    refused_connections: Count = None
    stale: Count = None
    """Snapshots older than what it knew."""


OF_ROLE: dict[str, type[Figures]] = {
    "broker": BrokerFigures,
    "producer": ProducerFigures,
    "sender": SenderFigures,
    "stats": CollectorFigures,
}


def added(figures: Iterable[float | None]) -> float:
    """The sum of those that are known."""
    return sum(figure for figure in figures if figure is not None)


def most(figures: Iterable[float | None]) -> float | None:
    """The highest of those that are known; None where none is."""
    return max((figure for figure in figures if figure is not None), default=None)


def least(figures: Iterable[float | None]) -> float | None:
    """The lowest of those that are known; None where none is."""
    return min((figure for figure in figures if figure is not None), default=None)
