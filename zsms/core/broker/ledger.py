"""The accounts: what became of every message, by producer.

    accepted = sent + failed + dead + queued + in_flight        at every moment

`queued` counts those that wait, for a sender or for their next attempt. `sent` and `failed` only grow, and so does
`dead` unless somebody kicks dead letters, which are queued again.
A message moves between the columns, in the one place that decides, and nothing is written down twice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ProducerAccount:
    """One start of one producer: its account, and the mark up to which its batches are held."""

    producer: int
    epoch: int
    name: str
    peer: bytes
    next: int = 0
    """The batch expected next; every batch below it is in the ledger."""
    durable_through: int = 0
    """Every batch below it is as safe as was promised: the mark that the producer is told. With a journal, it follows
    `next` when a group of the journal is on disk; without one it is `next`."""
    confirmed_through: int = -1
    """The `durable_through` of the last confirm."""
    accepted: int = 0
    queued: int = 0
    in_flight: int = 0
    sent: int = 0
    failed: int = 0
    dead: int = 0
    gone: bool = False
    """It has said goodbye."""
    index: int = 0
    """Names it in the rows of mixed messages of this broker."""

    @property
    def settled(self) -> int:
        """Messages whose fate is final."""
        return self.sent + self.failed + self.dead

    @property
    def balanced(self) -> bool:
        """Whether the account adds up."""
        return self.accepted == self.settled + self.queued + self.in_flight

    def add(self, other: ProducerAccount) -> None:
        """Take over the figures of an account that is closed for good."""
        self.accepted += other.accepted
        self.queued += other.queued
        self.in_flight += other.in_flight
        self.sent += other.sent
        self.failed += other.failed
        self.dead += other.dead


@dataclass(slots=True)
class Counters:
    """What else the broker counts, in messages unless the name says otherwise."""

    redelivered: int = 0
    """Taken back from a sender that died, fell silent or ran out of its lease."""
    retried: int = 0
    """Failed sends that got another attempt."""
    failed_sends: int = 0
    """Sends that failed, and no more is known; the next four are not among them."""
    temporary: int = 0
    """Sends that failed so that the gateway asks to try again."""
    throttled: int = 0
    """Sends that a gateway did not take because it was given too much; each is tried again."""
    rejected: int = 0
    """Sends that a gateway refused for good."""
    uncertain: int = 0
    """Sends without an answer, which may have arrived."""
    duplicates: int = 0
    """Acknowledgements of what was settled or taken back before."""
    unknown: int = 0
    """Acknowledgements of what was never granted to that sender; refused."""
    foreign: int = 0
    """Acknowledgements of a session by a peer that it does not belong to, another sender or a connection that broke;
    refused."""
    repeated_batches: int = 0
    """Batches that came again although they were held."""
    skipped_batches: int = 0
    """Batches refused because an earlier one is missing; the producer sends both again."""
    fenced_batches: int = 0
    """Batches of an earlier start of a producer."""
    strange_batches: int = 0
    """Batches of a producer that has not joined."""
    sessions_ended: int = 0
    """Senders given up."""
    receipts_delivered: int = 0
    """Receipts, outside of the accounts: messages that gateways have told to be delivered,"""
    receipts_undelivered: int = 0
    receipts_expired: int = 0
    receipts_rejected: int = 0
    receipts_unknown: int = 0
    """or to have ended otherwise."""
