"""Receipts: what became of messages after a gateway had accepted them. Counted, and nothing else."""

from __future__ import annotations

import numpy as np

from zsms.core.broker.incoming import Receipts
from zsms.core.broker.ledger import Counters
from zsms.message import Delivery
from zsms.stats.histogram import Histogram


class ReceiptBook:
    """All receipts that senders have told."""

    def __init__(self, counters: Counters) -> None:
        self.times = Histogram()
        """From a gateway's acceptance to the receipt that tells of a delivery, since this start of the broker."""
        self._counters = counters

    def add(self, told: Receipts) -> None:
        """Count these."""
        unknown = Delivery.UNKNOWN.value
        counts = np.bincount(np.minimum(told.outcomes, unknown), minlength=unknown + 1).tolist()
        counters = self._counters
        counters.receipts_delivered += counts[Delivery.DELIVERED.value]
        counters.receipts_undelivered += counts[Delivery.UNDELIVERED.value]
        counters.receipts_expired += counts[Delivery.EXPIRED.value]
        counters.receipts_rejected += counts[Delivery.REJECTED.value]
        counters.receipts_unknown += counts[unknown]
        self.times.record(told.took[(told.outcomes == Delivery.DELIVERED.value) & (told.took >= 0)])
