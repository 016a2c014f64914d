"""A sender's decisions: what it asks brokers for, and what its slots do."""

from zsms.core.sender.core import UNBOUNDED, AckFrame, SenderCore
from zsms.core.sender.waiting import Waiting

__all__ = ["UNBOUNDED", "AckFrame", "SenderCore", "Waiting"]
