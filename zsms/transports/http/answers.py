"""What an HTTP answer means for the message that was sent with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from zsms.message import Outcome
from zsms.stats.failures import MAX_EXAMPLE, printable
from zsms.transports.http.settings import HttpSettings, word_of
from zsms.transports.judging import FailedSend

MAX_ANSWER = 65_536
"""Octets of an answer that are read."""
_TEMPORARY = (408, 425)


def outcome(
    settings: HttpSettings, status: int, body: bytes, *, pause: bool = False, broken: str = ""
) -> Outcome | FailedSend:
    """By status; of a success also by what its JSON says.

    `pause`: it asks for one (Retry-After). `broken` is why not all of the body could be read.
    """
    if status in settings.success:
        if not settings.success_path or (not broken and _is_there(settings, body)):
            return Outcome.SENT
        if broken or len(body) >= MAX_ANSWER:  # the rest is not known: it may have been accepted
            why = "whose body can't be read" if broken else "too long to be read"
            return FailedSend(Outcome.UNCERTAIN, f"HTTP {status} {why}", broken or _shown(body))
        return FailedSend(Outcome.REJECTED, f"HTTP {status} without its {settings.success_path}"[:64], _shown(body))
    reason, example = f"HTTP {status}", _shown(body)
    if 200 <= status < 300:  # a success in HTTP's words, which the user has not said to be one
        return FailedSend(Outcome.UNCERTAIN, reason, example)
    if status == 429 or (status == 503 and pause):
        return FailedSend(Outcome.THROTTLED, reason, example)
    if status >= 500 or status in _TEMPORARY:
        return FailedSend(Outcome.TEMPORARY, reason, example)
    return FailedSend(Outcome.REJECTED, reason, example)


def _shown(body: bytes) -> str:
    return printable(body[: 4 * MAX_EXAMPLE].decode("utf-8", "replace"), MAX_EXAMPLE)


def _is_there(settings: HttpSettings, body: bytes) -> bool:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return False
    for step in settings.success_path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False
    if settings.success_values:
        return word_of(value) in settings.success_values
    return value is not None and value is not False and value != ""


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3); None for one that can't be read.

    A time is compared with `date`, the answer's own: the gateway's clock may be another than ours.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal():
        return float(min(int(text[:12]), 10**9))
    at, now = _time(text), _time(date)
    return None if at is None else max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def _time(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text or "")
    except (TypeError, ValueError, OverflowError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
