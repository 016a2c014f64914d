"""What a broker holds, described for people: ready, in flight and dead messages.

    {"ready":     {messages, bytes, retrying, oldest_s, letters},
     "in_flight": {messages, oldest_s, senders: [{name, slots, messages, sent, failed, oldest_s, silent_s}, ...], more},
     "dead":      {messages, kept, bytes, oldest_s, reasons: {reason: messages}, letters}}

A letter is one message: {recipient, text, length, attempt, delivery, age_s, producer, seq, reason}. Ages are since the
broker took a message in; of one that a sender had before, since it was due. Describing changes nothing, and costs a
statement a lot, not a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zsms.core.broker.core import BrokerCore
from zsms.core.broker.lot import Lot
from zsms.core.broker.session import Session

MAX_LETTERS = 1_000
"""Messages described at most, of those that are ready and of those that are dead each."""
MAX_SENDERS = 1_000
"""Senders described at most: those that hold most."""
_MOST_REASONS = 1_000
"""Reasons of dead letters that are told apart at most: the most frequent; the rest are `OTHERS`."""
OTHERS = "others"
_TEXT = 300
"""Characters of a text that are shown at most."""


def holdings(core: BrokerCore, now: float, messages: int = 0) -> dict[str, Any]:
    """The description above, plain values throughout; with the first `messages` letters of either kind."""
    messages = min(messages, MAX_LETTERS)
    totals = core.totals()
    waiting = [*core.queue.lots(), *core.retries.lots()]
    sessions = sorted(core.sessions.values(), key=lambda session: session.in_flight, reverse=True)
    reasons: dict[str, int] = {}
    for letter in core.dead_letters:
        reasons[letter.reason] = reasons.get(letter.reason, 0) + letter.lot.size
    if len(reasons) > _MOST_REASONS:
        ranked = sorted(reasons.items(), key=lambda item: -item[1])
        reasons = dict(ranked[:_MOST_REASONS])
        reasons[OTHERS] = reasons.get(OTHERS, 0) + sum(count for _, count in ranked[_MOST_REASONS:])
    dead = [letter.lot for letter in core.dead_letters]
    return {
        "ready": {
            "messages": totals["queued"],
            "bytes": core.queue.nbytes + core.retries.nbytes,
            "retrying": core.retries.messages,
            "oldest_s": _oldest(waiting, now),
            "letters": _letters(core, ((lot, "") for lot in waiting), messages, now),
        },
        "in_flight": {
            "messages": totals["in_flight"],
            "oldest_s": max((_held(session, now) for session in sessions), default=0.0),
            "senders": [_sender(session, now) for session in sessions[:MAX_SENDERS]],
            "more": max(0, len(sessions) - MAX_SENDERS),
        },
        "dead": {
            "messages": totals["dead"],
            "kept": sum(lot.size for lot in dead),
            "bytes": sum(lot.batch.nbytes for lot in dead),
            "oldest_s": _oldest(dead, now),
            "reasons": reasons,
            "letters": _letters(core, ((letter.lot, letter.reason) for letter in core.dead_letters), messages, now),
        },
    }


def _oldest(lots: list[Lot], now: float) -> float:
    return max((max(now - lot.oldest, 0.0) for lot in lots), default=0.0)


def _held(session: Session, now: float) -> float:
    """Seconds since the oldest grant that is still open."""
    at = session.oldest_grant
    return 0.0 if at is None else now - at


def _sender(session: Session, now: float) -> dict[str, Any]:
    return {
        "name": session.name,
        "slots": session.slots,
        "messages": session.in_flight,
        "sent": session.sent,
        "failed": session.failed,
        "oldest_s": _held(session, now),
        "silent_s": now - session.last_seen,
    }


def _letters(core: BrokerCore, lots: Iterable[tuple[Lot, str]], most: int, now: float) -> list[dict[str, Any]]:
    """The first `most` messages of these lots."""
    rows: list[dict[str, Any]] = []
    for lot, reason in lots:
        if len(rows) >= most:
            break
        part = lot.part(0, min(lot.size, most - len(rows)))
        since = [part.oldest] * part.size if lot.attempt else part.rows["due"].tolist()
        accounts = [lot.account] * part.size if lot.attempt else [core.sources[i] for i in part.rows["source"].tolist()]
        for message, at, account in zip(part.messages(), since, accounts, strict=True):
            row = {
                "recipient": message.recipient,
                "text": message.text[:_TEXT],
                "length": len(message.text),
                "attempt": message.attempt,
                "delivery": message.delivery,
                "age_s": max(now - at, 0.0),
                "producer": "" if account is None else account.name,
                "seq": message.id.seq,
            }
            rows.append(row | {"reason": reason} if reason else row)
    return rows
