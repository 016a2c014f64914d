"""An SMPP 3.4 gateway as a transport: settings, connections, messages on their way, and what holds them together."""

from __future__ import annotations

from zsms.transports.smpp.settings import SmppSettings
from zsms.transports.smpp.transport import SmppTransport

__all__ = ["SmppSettings", "SmppTransport"]
