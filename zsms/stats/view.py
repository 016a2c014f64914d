"""What a collector's answer means: the figures that people watch, from one answer or from two."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from zsms.stats.audit import Audit
from zsms.stats.figures import BrokerFigures, Figures, ProducerFigures, SenderFigures, added, least, most
from zsms.stats.row import Row, names_of

GONE_S = 30.0
"""Seconds of silence after which what a broker held in memory only is given up. Until then it may be restarting from a
journal that its last words did not speak of, or be stopped."""


class Totals(NamedTuple):
    """Counters by role, added up over all processes and starts."""

    broker: BrokerFigures
    producer: ProducerFigures
    sender: SenderFigures

    @classmethod
    def of(cls, told: dict[str, dict[str, int]]) -> Totals:
        """Of the totals of a collector's answer."""
        return cls(
            BrokerFigures.of(told.get("broker", {})),
            ProducerFigures.of(told.get("producer", {})),
            SenderFigures.of(told.get("sender", {})),
        )


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
    """Every producer that was ever heard of has said its last word; none is awaited any more."""
    all_reached: bool
    """They have made everything, and what is not confirmed is for brokers that they can't reach."""
    balanced: bool
    """The brokers' accounts add up, and answer for all that was confirmed and for nothing else."""
    mean_s: float
    """Mean time per message, from slot to outcome."""
    busy_s: float
    """Seconds from the first message that a broker accepted to the last that was settled."""
    lasted_s: float = 0.0
    """The same up to the brokers' last word, as long as there is anything to do or to come."""
    asked_per_s: float | None = None
    """The arrival rate of the producers that make messages now, messages a second; None where there is none."""
    accounts_balance: bool = True
    """Every broker's own accounts add up."""
    confirmed: int = 0
    """By the producers' count, as far as the brokers' figures are newer; see :class:`zsms.stats.audit.Audit`."""
    repeated: int = 0
    untold: str = ""
    """Why there may be more messages than producers have told of; empty when there are not."""
    processes: list[Row[Figures]] = field(default_factory=list)
    """All that the collector told of; of these the next three by role."""
    brokers: list[Row[BrokerFigures]] = field(default_factory=list)
    producers: list[Row[ProducerFigures]] = field(default_factory=list)
    senders: list[Row[SenderFigures]] = field(default_factory=list)
    totals: Totals = field(default_factory=lambda: Totals.of({}))
    histograms: dict[str, dict[str, Any]] | None = None
    """By role and name, as they came (`Histogram.from_wire` reads them); None when they were not asked for."""

    @property
    def first_accepted_at(self) -> float | None:
        """When a broker of this machine accepted the first message, by the machine's clock; None: none has yet."""
        return least(row.figures.first_accepted_at or None for row in self.brokers)

    @property
    def settled(self) -> int:
        """Messages whose fate is final."""
        return self.sent + self.failed + self.dead

    @property
    def ready(self) -> int:
        """Messages that wait for a slot, and not for the time of their next attempt."""
        return self.queued - int(added(row.figures.retrying for row in self.brokers))

    def held_by(self, broker: str) -> int:
        """Messages queued and in flight at the broker of this name."""
        return sum(row.figures.held for row in self.brokers if row.name == broker)

    def reported_after(self, broker: str, moment: float) -> bool:
        """Whether the broker of this name has spoken for itself since `moment` (monotonic seconds, as `at`).

        What it said may be as old as its interval when it comes: so long is waited for besides.
        """
        return any(self.at - row.age - row.interval > moment for row in self.brokers if row.name == broker)

    @property
    def audit(self) -> Audit:
        """What producers know against what brokers answer for."""
        return Audit(
            produced=self.produced,
            confirmed=self.confirmed,
            accepted=self.accepted,
            settled=self.settled,
            held=self.queued + self.in_flight,
            repeated=self.repeated,
            told=not self.untold,
            ended=self.producers_done,
        )

    @property
    def made(self) -> int:
        """Messages made: the producers' count, or more where brokers know of more; with `untold`, at least so many."""
        return self.audit.made

    @property
    def missing(self) -> int:
        """Messages that were confirmed and that no broker answers for."""
        return self.audit.missing

    @property
    def done(self) -> bool:
        """Whether there was work and none is left."""
        return (
            self.producers_done
            and self.made <= self.settled <= self.accepted
            and not self.queued
            and not self.in_flight
            and not self.missing
        )

    def rate_since(self, before: View | None) -> float:
        """Messages settled a second since an earlier view, or since the first message."""
        if before is None:
            return self.rate
        elapsed = self.at - before.at
        return (self.settled - before.settled) / elapsed if elapsed > 0 else 0.0

    @property
    def rate(self) -> float:
        """Messages settled a second since the first message; while there is anything to do, the time goes on."""
        seconds = self.busy_s if self.done else max(self.lasted_s, self.busy_s)
        return self.settled / seconds if seconds > 0 else 0.0

    @property
    def silent_brokers(self) -> bool:
        """Whether a broker that has not said its last word is silent: what it does now is not known."""
        return any(not row.has_ended and not row.is_alive for row in self.brokers)

    def to_json(self, before: View | None = None) -> dict[str, Any]:
        """The figures as a JSON object. The rate is null while a broker is silent: it may be anything."""
        return {
            "produced": self.made,
            "produced_at_least": bool(self.untold),
            "sent": self.sent,
            "failed": self.failed,
            "dead": self.dead,
            "queued": self.queued,
            "in_flight": self.in_flight,
            "missing": self.missing,
            "redelivered": self.redelivered,
            "duplicates": self.duplicates,
            "mean_s": round(self.mean_s, 6),
            "rate_per_s": None if self.silent_brokers else round(self.rate_since(before), 1),
            "overall_per_s": round(self.rate, 1),
            "asked_per_s": self.asked_per_s,
            "senders_alive": self.senders_alive,
            "slots": self.slots,
            "balanced": self.balanced,
            "done": self.done,
        }

    @classmethod
    def of(cls, answer: dict[str, Any], at: float, gone: Collection[str] = ()) -> View:
        """Read a collector's answer. What nobody has reported counts as 0.

        `gone` are names of brokers that are known to have died with what they held.
        """
        rows = [Row.of(row) for row in answer.get("processes", [])]
        brokers = cast(list[Row[BrokerFigures]], [row for row in rows if row.role == "broker"])
        producers = cast(list[Row[ProducerFigures]], [row for row in rows if row.role == "producer"])
        senders = cast(list[Row[SenderFigures]], [row for row in rows if row.role == "sender"])
        totals = Totals.of(answer.get("totals", {}))
        broker, producer = totals.broker, totals.producer
        holding = [row for row in brokers if row.name not in gone and not _is_gone(row)]
        living = [row for row in brokers if row.is_present]
        made = bool(producers or answer.get("finished", {}).get("producer"))
        produced, repeated = producer.produced or 0, producer.repeated or 0
        ended = made and all(row.has_ended for row in producers)
        more = (broker.accepted or 0) - repeated > produced
        # Past starts are in no row, so the mean is of those that are: near enough, and exact without restarts.
        sends = sum(row.figures.timed_sends for row in senders)
        accounts_balance = all(row.figures.balanced is None or row.figures.balanced for row in brokers)
        view = cls(
            at=at,
            produced=produced,
            accepted=broker.accepted or 0,
            sent=broker.sent or 0,
            failed=broker.failed or 0,
            dead=broker.dead or 0,
            redelivered=broker.redelivered or 0,
            duplicates=broker.duplicates or 0,
            retried=broker.retried or 0,
            queued=int(added(row.figures.queued for row in holding)),
            in_flight=int(added(row.figures.in_flight for row in holding)),
            # A sender has all its slots at every broker that it knows.
            slots=int(most(row.figures.slots for row in brokers) or 0),
            senders_alive=sum(row.is_present for row in senders),
            held=sum(row.figures.held for row in living),
            brokers_alive=len(living),
            producers_done=ended,
            all_reached=bool(producers) and all(map(_reached_all, producers)),
            balanced=accounts_balance,
            accounts_balance=accounts_balance,
            mean_s=added(row.figures.took_s for row in senders) / sends if sends else 0.0,
            busy_s=_busy(brokers),
            lasted_s=max(map(_lasted, brokers), default=0.0),
            asked_per_s=added(row.figures.rate for row in producers if row.is_fresh and not _made_all(row)) or None,
            confirmed=_confirmed(producer, producers, brokers, holding) if brokers or not rows else 0,
            repeated=repeated,
            untold=_untold(answer, producers, more and (ended or not made)),
            processes=rows,
            brokers=brokers,
            producers=producers,
            senders=senders,
            totals=totals,
            histograms=answer.get("histograms"),
        )
        view.balanced = accounts_balance and view.audit.lost == 0
        return view


def _is_gone(row: Row[BrokerFigures]) -> bool:
    """Whether a broker has died, as far as silence can tell, with what it held: it kept nothing on a disk."""
    return not row.has_ended and row.age > max(GONE_S, row.patience) and not row.figures.durability


def _confirmed(
    totals: ProducerFigures,
    producers: list[Row[ProducerFigures]],
    brokers: list[Row[BrokerFigures]],
    holding: list[Row[BrokerFigures]],
) -> int:
    """Messages that the brokers which hold something must answer for.

    A producer's figures may be newer than a broker's, so a broker's row says what had been confirmed before it.
    """
    if len(brokers) < (most(row.figures.brokers for row in producers) or 0):
        return 0  # one of them has not been heard of yet, by a collector that has just begun
    # What has its last word behind it is all confirmed when its state says so, whatever else it counts.
    done = sum(row.figures.produced or 0 for row in producers if row.state == "done")
    everything = max(totals.confirmed or 0, done)
    return min([everything, *(row.confirmed for row in holding if row.confirmed is not None)])


def _untold(answer: dict[str, Any], producers: list[Row[ProducerFigures]], more: bool) -> str:
    """Why the producers' own count is not whole; empty when it is. `more`: brokers have accepted more than it."""
    silent = [row for row in producers if not row.has_ended and not row.is_alive]
    if silent:
        return f"{names_of(silent)} {'is' if len(silent) == 1 else 'are'} silent"
    if answer.get("unheard", {}).get("producer"):
        return "an earlier start of a producer did not live to say all that it made"
    if not more:
        return ""
    return (
        "a producer's last word did not reach this collector"
        if producers
        else "no producer has spoken to this collector"
    )


def _made_all(row: Row[ProducerFigures]) -> bool:
    return row.has_ended or bool(row.figures.exhausted)


def _reached_all(row: Row[ProducerFigures]) -> bool:
    figures = row.figures
    return bool(figures.exhausted) and (figures.unconfirmed or 0) <= (figures.unreachable or 0)


def _lasted(row: Row[BrokerFigures]) -> float:
    """Seconds from a broker's first message to its last word; to now, where it has been silent for long."""
    ago = row.figures.first_accepted_ago
    return ago + (0.0 if row.is_alive else row.age) if ago and not row.has_ended else 0.0


def _busy(brokers: list[Row[BrokerFigures]]) -> float:
    """From the first message that any of them accepted to the last that any settled, whatever their clocks say."""
    worked = [(row, row.figures.busy_s) for row in brokers if row.figures.busy_s]
    if len(worked) < 2:
        return sum(busy_s for _, busy_s in worked)
    began = [row.age + (row.figures.first_accepted_ago or 0) for row, _ in worked]
    ended = [ago - busy_s for ago, (_, busy_s) in zip(began, worked, strict=True)]
    return max(began) - min(ended)
