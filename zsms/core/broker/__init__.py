"""The broker's decisions: events in, sends out."""

from zsms.core.broker.accounts import Put
from zsms.core.broker.core import BrokerCore
from zsms.core.broker.dispatch import Granted
from zsms.core.broker.failures import Failed
from zsms.core.broker.limits import BrokerLimits
from zsms.core.broker.lot import DeadLetter

__all__ = ["BrokerCore", "BrokerLimits", "DeadLetter", "Failed", "Granted", "Put"]
