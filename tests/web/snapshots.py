"""What the processes of a small mesh would say of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from zsms.stats.book import StatsBook
from zsms.stats.histogram import Histogram
from zsms.stats.snapshot import Snapshot


def snapshot(role: str, name: str, seq: int, start: int = 1, **figures: Any) -> Snapshot:
    figures = {"state": "running", "interval": 1.0, **figures}
    return Snapshot(role=role, name=name, start=start, seq=seq, host="here", pid=7, **figures)


def times(*seconds: float) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(seconds, dtype=np.float32))
    return histogram


def broker(seq: int, sent: int, *, total: int = 1_000, busy_s: float = 0.0, **more: Any) -> Snapshot:
    counters = {"accepted": total, "sent": sent, "failed": 3, "dead": 1, "retried": 5, "redelivered": 2}
    gauges = {"queued": total - sent - 24, "in_flight": 20, "slots": 20, "balanced": 1.0}
    gauges |= {"first_accepted_at": 1.0, "busy_s": busy_s}
    return snapshot("broker", "broker", seq, counters=counters, gauges=gauges, **more)


def producer(seq: int, total: int = 1_000, **more: Any) -> Snapshot:
    return snapshot("producer", "p", seq, counters={"produced": total}, gauges={"total": float(total)}, **more)


def sender(name: str, seq: int, sent: int, *, failed: int = 0, took: Histogram | None = None, **more: Any) -> Snapshot:
    histogram = took or Histogram()
    return snapshot(
        "sender",
        name,
        seq,
        counters={"sent": sent, "failed": failed},
        gauges={"slots": 10, "busy": 9, "took_s": histogram.sum},
        histograms={"send_time": histogram},
        **more,
    )


def mesh(book: StatsBook, seq: int, now: float, interval: float = 1.0) -> None:
    """Let everyone of a small mesh report: 10 messages a second from each of two senders. They may be silent for some
    of these intervals."""
    sent = 10 * seq
    book.put(producer(seq, interval=interval), now)
    book.put(broker(seq, 2 * sent, busy_s=float(seq), interval=interval), now)
    for name in ("sender-1", "sender-2"):
        took = times(*[1.0] * sent)
        book.put(sender(name, seq, sent, failed=seq // 10, took=took, interval=interval), now)
