"""What a collector's answer means: the figures that people watch, from one answer or from two."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from math import inf
from typing import Any

from zsms.stats.arrivals import told_of
from zsms.stats.audit import Audit

STALE_INTERVALS = 4
"""A process that has been silent for this many of its intervals does not count as alive."""
FRESH_S = 0.35
"""Seconds by which a process's next word may be late before its figures are shown as stale."""
GONE_S = 30.0
"""Seconds of silence after which what a broker held in memory only is given up. Until then it may be restarting from a
journal that its last words did not speak of, or be stopped."""


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
    """The arrival rate of the producers that still make messages, messages a second; None where there is none."""
    accounts_balance: bool = True
    """Every broker's own accounts add up."""
    confirmed: int = 0
    """By the producers' count, as far as the brokers' figures are newer; see :class:`zsms.stats.audit.Audit`."""
    repeated: int = 0
    untold: str = ""
    """Why there may be more messages than producers have told of; empty when there are not."""
    processes: list[dict[str, Any]] = field(default_factory=list)
    """The collector's rows, as they came."""
    histograms: dict[str, dict[str, Any]] | None = None
    """By role and name, as they came (`Histogram.from_wire` reads them); None when they were not asked for."""

    @property
    def first_accepted_at(self) -> float | None:
        """When a broker of this machine accepted the first message, by the machine's clock; None: none has yet."""
        times = (row["gauges"].get("first_accepted_at", 0.0) for row in self.processes if row["role"] == "broker")
        return min((float(at) for at in times if at), default=None)

    @property
    def settled(self) -> int:
        """Messages whose fate is final."""
        return self.sent + self.failed + self.dead

    def held_by(self, broker: str) -> int:
        """Messages queued and in flight at the broker of this name."""
        rows = (row["gauges"] for row in self.processes if (row["role"], row["name"]) == ("broker", broker))
        return int(sum(gauges.get("queued", 0) + gauges.get("in_flight", 0) for gauges in rows))

    def told_after(self, broker: str, moment: float) -> bool:
        """Whether the broker of this name has spoken for itself since `moment` (monotonic seconds, as `at`).

        What it said may be as old as its interval when it comes: so long is waited for besides.
        """
        rows = (row for row in self.processes if (row["role"], row["name"]) == ("broker", broker))
        return any(self.at - row["age"] - row["interval"] > moment for row in rows)

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
        return any(row["role"] == "broker" and not has_ended(row) and not is_alive(row) for row in self.processes)

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
        totals = answer.get("totals", {})
        rows: list[dict[str, Any]] = answer.get("processes", [])
        broker, producer = totals.get("broker", {}), totals.get("producer", {})
        alive = [row for row in rows if is_alive(row)]
        brokers = [row for row in rows if row["role"] == "broker"]
        holding = [row for row in brokers if row["name"] not in gone and not _is_gone(row)]
        living = [row for row in alive if row["role"] == "broker" and not has_ended(row)]
        producers = [row for row in rows if row["role"] == "producer"]
        made = bool(producers or answer.get("finished", {}).get("producer"))
        produced, repeated = producer.get("produced", 0), producer.get("repeated", 0)
        ended = made and all(map(has_ended, producers))
        more = broker.get("accepted", 0) - repeated > produced
        # Past starts are in no row, so the mean is of those that are: near enough, and exact without restarts.
        sends = sum(
            row["counters"].get("sent", 0) + row["counters"].get("failed", 0) for row in rows if row["role"] == "sender"
        )
        accounts_balance = all(row["gauges"].get("balanced", 1) for row in brokers)
        view = cls(
            at=at,
            produced=produced,
            accepted=broker.get("accepted", 0),
            sent=broker.get("sent", 0),
            failed=broker.get("failed", 0),
            dead=broker.get("dead", 0),
            redelivered=broker.get("redelivered", 0),
            duplicates=broker.get("duplicates", 0),
            retried=broker.get("retried", 0),
            queued=int(_sum(holding, "queued")),
            in_flight=int(_sum(holding, "in_flight")),
            # A sender has all its slots at every broker that it knows.
            slots=int(max((row["gauges"].get("slots", 0) for row in brokers), default=0)),
            senders_alive=sum(row["role"] == "sender" and not has_ended(row) for row in alive),
            held=int(_sum(living, "queued") + _sum(living, "in_flight")),
            brokers_alive=len(living),
            producers_done=ended,
            all_reached=bool(producers) and all(map(_reached_all, producers)),
            balanced=accounts_balance,
            accounts_balance=accounts_balance,
            mean_s=_sum([row for row in rows if row["role"] == "sender"], "took_s") / sends if sends else 0.0,
            busy_s=_busy(brokers),
            lasted_s=max((_lasted(row) for row in brokers), default=0.0),
            asked_per_s=sum(told_of(row) for row in producers if not _made_all(row)) or None,
            confirmed=_confirmed(producer, rows, producers, holding),
            repeated=repeated,
            untold=_untold(answer, producers, more and (ended or not made)),
            processes=rows,
            histograms=answer.get("histograms"),
        )
        view.balanced = accounts_balance and view.audit.lost == 0
        return view


def has_ended(row: dict[str, Any]) -> bool:
    """Whether a process has said its last word."""
    return bool(row.get("ended") or row["state"] in ("done", "left"))


def is_alive(row: dict[str, Any]) -> bool:
    """Whether a process's row is fresh."""
    return bool(row["age"] <= STALE_INTERVALS * row["interval"] + 0.5)


def is_fresh(row: dict[str, Any]) -> bool:
    """Whether a process speaks at its pace: what it says of its present is true of now."""
    return not has_ended(row) and bool(row["age"] <= row["interval"] + FRESH_S)


def state_of(row: dict[str, Any]) -> str:
    """starting, running or draining, by its own word; "left" when that was its last, "silent" when it is old."""
    return "left" if has_ended(row) else str(row["state"]) if is_alive(row) else "silent"


def _sum(rows: list[dict[str, Any]], gauge: str) -> float:
    return float(sum(row["gauges"].get(gauge, 0) for row in rows))


def _is_gone(row: dict[str, Any]) -> bool:
    """Whether a broker has died, as far as silence can tell, with what it held: it kept nothing on a disk."""
    silent = not has_ended(row) and row["age"] > max(GONE_S, STALE_INTERVALS * row["interval"] + 0.5)
    return silent and not row["gauges"].get("durability", 0)


def _confirmed(
    totals: dict[str, int], rows: list[dict[str, Any]], producers: list[dict[str, Any]], brokers: list[dict[str, Any]]
) -> int:
    """Messages that these brokers must answer for.

    A producer's figures may be newer than a broker's, so a broker's row says what had been confirmed before it.
    """
    known = sum(row["role"] == "broker" for row in rows)
    if known < max((row["gauges"].get("brokers", 0) for row in producers), default=0) or (rows and not known):
        return 0  # one of them has not been heard of yet, by a collector that has just begun
    # What has its last word behind it is all confirmed when its state says so, whatever else it counts.
    done = sum(row["counters"].get("produced", 0) for row in producers if row["state"] == "done")
    everything = max(totals.get("confirmed", 0), done)
    return int(min([everything, *(row.get("confirmed", inf) for row in brokers)]))


def _untold(answer: dict[str, Any], producers: list[dict[str, Any]], more: bool) -> str:
    """Why the producers' own count is not whole; empty when it is. `more`: brokers have accepted more than it."""
    silent = [row for row in producers if not has_ended(row) and not is_alive(row)]
    if silent:
        return f"{names_of(silent)} {'is' if len(silent) == 1 else 'are'} silent"
    if answer.get("unheard", {}).get("producer"):
        return "a producer was killed before it could say all"
    return "a producer's last word did not reach this collector" if more else ""


def names_of(rows: list[dict[str, Any]], most: int = 3) -> str:
    """The names of the first of them, and how many more there are."""
    more = len(rows) - most
    return ", ".join(str(row["name"]) for row in rows[:most]) + (f" and {more} more" if more > 0 else "")


def _made_all(row: dict[str, Any]) -> bool:
    return has_ended(row) or bool(row["gauges"].get("exhausted", 0))


def _reached_all(row: dict[str, Any]) -> bool:
    gauges = row["gauges"]
    return bool(gauges.get("exhausted", 0) and gauges.get("unconfirmed", 0) <= gauges.get("unreachable", 0))


def _lasted(row: dict[str, Any]) -> float:
    """Seconds from a broker's first message to its last word; to now, where it has been silent for long."""
    gauges = row["gauges"]
    ago = gauges.get("first_accepted_ago", 0.0)
    return float(ago + (0.0 if is_alive(row) else row["age"])) if ago and not has_ended(row) else 0.0


def _busy(brokers: list[dict[str, Any]]) -> float:
    """From the first message that any of them accepted to the last that any settled, whatever their clocks say."""
    worked = [row for row in brokers if row["gauges"].get("busy_s", 0)]
    if len(worked) < 2:
        return float(sum(row["gauges"]["busy_s"] for row in worked))
    began = [row["age"] + row["gauges"].get("first_accepted_ago", 0) for row in worked]
    ended = [ago - row["gauges"]["busy_s"] for ago, row in zip(began, worked, strict=True)]
    return float(max(began) - min(ended))
