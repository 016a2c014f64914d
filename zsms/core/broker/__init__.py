"""The broker's decisions: events in, sends out."""

from zsms.core.broker.core import BrokerCore, BrokerLimits, DeadLetter, Failed, Granted, Put

__all__ = ["BrokerCore", "BrokerLimits", "DeadLetter", "Failed", "Granted", "Put"]
