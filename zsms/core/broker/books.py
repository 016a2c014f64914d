"""What every decision about a message is written down in."""

from __future__ import annotations

from typing import NamedTuple

from zsms.core.broker.journal import Journal
from zsms.core.broker.ledger import Counters, ProducerAccount
from zsms.core.broker.progress import Progress


class Books(NamedTuple):
    """A broker's books."""

    sources: list[ProducerAccount]
    """The accounts by their index, by which the rows of mixed messages name them."""
    counters: Counters
    progress: Progress
    journal: Journal | None
    """What has to outlast the broker; None where nothing has."""
