"""A gateway that is spoken to over HTTP as a transport: settings, requests and what answers mean, and the pool."""

from __future__ import annotations

from zsms.transports.http.settings import HttpSettings
from zsms.transports.http.transport import HttpTransport

__all__ = ["HttpSettings", "HttpTransport"]
