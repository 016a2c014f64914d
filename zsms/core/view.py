"""What a collector's answer means: the figures that people watch, from one answer or from two."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STALE_INTERVALS = 4
"""A process that has been silent for this many of its intervals does not count as alive."""


@dataclass(slots=True)
class View:
    """The whole mesh at one moment. Counts in messages, times in seconds."""

    at: float
    """When the answer came, the asker's clock."""
    produced: int
    accepted: int
    sent: int
    failed: int
    dead: int
    redelivered: int
    duplicates: int
    retried: int
    queued: int
    in_flight: int
    slots: int
    senders_alive: int
    held: int
    """Queued or in flight in brokers that live: what may still be settled."""
    brokers_alive: int
    producers_done: bool
    """Every producer that was ever heard of has made everything and had it confirmed."""
    all_reached: bool
    """They have made everything, and what is not confirmed is for brokers that they can't reach."""
    balanced: bool
    mean_s: float
    """Mean time per message, from slot to outcome."""
    busy_s: float
    """Seconds from the first message that a broker accepted to the last that was settled."""
    processes: list[dict[str, Any]] = field(default_factory=list)
    """The collector's rows, as they came."""
    histograms: dict[str, dict[str, Any]] | None = None
    """By role and name, as they came (`Histogram.from_wire` reads them); None when they were not asked for."""

    @property
    def settled(self) -> int:
        """Messages whose fate is final."""
        return self.sent + self.failed + self.dead

    def held_by(self, broker: str) -> int:
        """Messages queued and in flight at the broker of this name."""
        rows = (row["gauges"] for row in self.processes if (row["role"], row["name"]) == ("broker", broker))
        return int(sum(gauges.get("queued", 0) + gauges.get("in_flight", 0) for gauges in rows))

    @property
    def done(self) -> bool:
        """Whether there was work and none is left."""
        return (
            self.producers_done
            and self.settled == self.produced == self.accepted
            and not self.queued
            and not self.in_flight
        )

    @property
    def stuck(self) -> bool:
        """Whether nothing can become of the rest, as far as is known: the broker that held it has gone.

        A broker's word may be older than a producer's: believe it when it has been so for some time.
        """
        return self.producers_done and not self.held and self.settled < self.produced

    def rate_since(self, before: View | None) -> float:
        """Messages settled a second since an earlier view, or since the first message."""
        if before is None:
            return self.rate
        elapsed = self.at - before.at
        return (self.settled - before.settled) / elapsed if elapsed > 0 else 0.0

    @property
    def rate(self) -> float:
        """Messages settled a second since the first message."""
        return self.settled / self.busy_s if self.busy_s > 0 else 0.0

    def to_json(self, before: View | None = None) -> dict[str, Any]:
        """The figures as a JSON object."""
        return {
            "produced": self.produced,
            "sent": self.sent,
            "failed": self.failed,
            "dead": self.dead,
            "queued": self.queued,
            "in_flight": self.in_flight,
            "redelivered": self.redelivered,
            "duplicates": self.duplicates,
            "mean_s": round(self.mean_s, 6),
            "rate_per_s": round(self.rate_since(before), 1),
            "overall_per_s": round(self.rate, 1),
            "senders_alive": self.senders_alive,
            "slots": self.slots,
            "balanced": self.balanced,
            "done": self.done,
        }

    @classmethod
    def of(cls, answer: dict[str, Any], at: float) -> View:
        """Read a collector's answer. What nobody has reported counts as 0."""
        totals = answer.get("totals", {})
        rows: list[dict[str, Any]] = answer.get("processes", [])
        broker, producer = totals.get("broker", {}), totals.get("producer", {})
        alive = [row for row in rows if is_alive(row)]

        def gauge(role: str, name: str, of: list[dict[str, Any]]) -> float:
            return float(sum(row["gauges"].get(name, 0) for row in of if row["role"] == role))

        producers = [row for row in rows if row["role"] == "producer"]
        brokers = [row for row in alive if row["role"] == "broker"]
        made = bool(producers or answer.get("finished", {}).get("producer"))
        # Past starts are in no row, so the mean is of those that are: near enough, and exact without restarts.
        sends = sum(
            row["counters"].get("sent", 0) + row["counters"].get("failed", 0) for row in rows if row["role"] == "sender"
        )
        return cls(
            at=at,
            produced=producer.get("produced", 0),
            accepted=broker.get("accepted", 0),
            sent=broker.get("sent", 0),
            failed=broker.get("failed", 0),
            dead=broker.get("dead", 0),
            redelivered=broker.get("redelivered", 0),
            duplicates=broker.get("duplicates", 0),
            retried=broker.get("retried", 0),
            queued=int(gauge("broker", "queued", rows)),
            in_flight=int(gauge("broker", "in_flight", rows)),
            # A sender has all its slots at every broker that it knows.
            slots=int(max((row["gauges"].get("slots", 0) for row in rows if row["role"] == "broker"), default=0)),
            senders_alive=sum(row["role"] == "sender" and row["state"] != "done" for row in alive),
            held=int(gauge("broker", "queued", brokers) + gauge("broker", "in_flight", brokers)),
            brokers_alive=len(brokers),
            producers_done=made and all(row["state"] == "done" for row in producers),
            all_reached=bool(producers) and all(map(_reached_all, producers)),
            balanced=all(row["gauges"].get("balanced", 1) for row in rows if row["role"] == "broker"),
            mean_s=gauge("sender", "took_s", rows) / sends if sends else 0.0,
            busy_s=_busy([row for row in rows if row["role"] == "broker"]),
            processes=rows,
            histograms=answer.get("histograms"),
        )


def _reached_all(row: dict[str, Any]) -> bool:
    gauges = row["gauges"]
    return bool(gauges.get("exhausted", 0) and gauges.get("unconfirmed", 0) <= gauges.get("unreachable", 0))


def _busy(brokers: list[dict[str, Any]]) -> float:
    """From the first message that any of them accepted to the last that any settled, whatever their clocks say."""
    worked = [row for row in brokers if row["gauges"].get("busy_s", 0)]
    if len(worked) < 2:
        return float(sum(row["gauges"]["busy_s"] for row in worked))
    began = [row["age"] + row["gauges"].get("first_accepted_ago", 0) for row in worked]
    ended = [ago - row["gauges"]["busy_s"] for ago, row in zip(began, worked, strict=True)]
    return float(max(began) - min(ended))


def is_alive(row: dict[str, Any]) -> bool:
    """Whether a process's row is fresh."""
    return bool(row["age"] <= STALE_INTERVALS * row["interval"] + 0.5)
