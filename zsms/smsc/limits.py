"""What a fake SMSC lets through: segments a second, by bind and by account."""

from __future__ import annotations

import numpy as np

from zsms.carriers.segments import GSM7, PART, SINGLE, UCS2
from zsms.core.smpp.pdu import Messages, Tag
from zsms.core.smpp.strings import I64, Bools, Strings, ones_of

_PARTS = 0x40  # esm_class: the text has a user data header, so it is one part of a longer one
_SEPTETS = (SINGLE[GSM7], PART[8][GSM7])
_OCTETS = (2 * SINGLE[UCS2], 2 * PART[8][UCS2])
"""Room of a text in one segment, and of a part of a longer one: of the default alphabet (one octet each), of others."""
_IN_SEPTETS = np.zeros(256, np.bool_)
"""By data_coding: is it sent in septets? The default alphabet, ASCII (node-smpp's own choice for plain texts), and the
default alphabet of 3GPP TS 23.038 with a class (0x10, 0xF0) or as a waiting indication (0xC0, 0xD0)."""
_IN_SEPTETS[[0x00, 0x01, *range(0x10, 0x14), *range(0xC0, 0xE0), *range(0xF0, 0xF4)]] = True


class Bucket:
    """A token bucket of segments: `rate` a second, `rate * burst` after a rest, at least one."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self._most = max(1.0, rate * burst)
        self._tokens = self._most
        self._at = now

    def tokens(self, now: float) -> float:
        """Segments that may pass now."""
        self._tokens = min(self._most, self._tokens + (now - self._at) * self.rate)
        self._at = now
        return self._tokens

    def spend(self, segments: int) -> None:
        """They passed."""
        self._tokens -= segments


def passing(segments: I64, buckets: list[Bucket], now: float) -> Bools:
    """Which of the messages pass all buckets, in order, bool[n]: those up to the first that has no room."""
    room = min((bucket.tokens(now) for bucket in buckets), default=np.inf)
    passed = np.cumsum(segments) <= room + 1e-9
    spent = int(segments[passed].sum())
    for bucket in buckets:
        bucket.spend(spent)
    return passed


def segments_of(messages: Messages) -> I64:
    """What each submit_sm costs, int64[n]: one, or for a longer text the parts that it will be sent in."""
    content = messages.content
    assert isinstance(content, Strings)
    if content.longest <= _OCTETS[0]:
        return ones_of(len(messages))
    assert not isinstance(messages.esm_class, int)
    septets = _IN_SEPTETS[np.asarray(messages.data_coding)]
    single = np.where(septets, _SEPTETS[0], _OCTETS[0])
    part = np.where(septets, _SEPTETS[1], _OCTETS[1])
    found = np.where(content.lengths <= single, 1, -(-content.lengths // part))
    whole = (np.asarray(messages.esm_class) & _PARTS) == 0
    sar = messages.tlv(Tag.SAR_TOTAL_SEGMENTS)
    if sar is not None and sar.present is not None:
        whole &= ~sar.present
    return np.where(whole, found, 1)
