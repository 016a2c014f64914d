"""Message ids in columns: serial numbers in the forms that SMSCs use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zsms.core.smpp.strings import Strings, digits

U64 = npt.NDArray[np.uint64]

_HEX = np.frombuffer("".join(f"{number:02x}" for number in range(256)).encode(), "<u2")
_LONG = 64
_TENS = np.array([10**power for power in range(19, -1, -1)], np.uint64)
_DIGITS = {10: b"0123456789", 16: b"0123456789abcdefABCDEF"}
_DASHES = (8, 13, 18, 23)


def _hex(numbers: U64) -> npt.NDArray[np.uint8]:
    """Sixteen digits each, uint8[n, 16]."""
    octets = np.ascontiguousarray(numbers.astype(">u8")).view(np.uint8).reshape(-1, 8)
    return _HEX[octets].view(np.uint8).reshape(-1, 16)


def _mixed(numbers: U64, constant: int) -> U64:
    """Numbers that look drawn: the finalizer of SplitMix64. (Steele, Lea and Flood, 2014.)"""
    z = numbers * np.uint64(0x9E3779B97F4A7C15) + np.uint64(constant)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: U64 = z ^ (z >> np.uint64(31))
    return found


def ids_of(serials: U64, form: str, *, receipt: bool = False) -> Strings:
    """The ids of messages by serial number (1 on) in a form of `zsms.smsc.rules.IDS`, in the answer or the receipt."""
    rows = len(serials)
    if form == "decimal" or (form == "mixed" and receipt):
        return digits(serials)
    if form in ("hex", "mixed"):
        matrix = _hex(serials)
        zeros = (matrix != ord("0")).argmax(axis=1).astype(np.int64)
        return Strings(matrix.reshape(-1), np.arange(rows, dtype=np.int64) * 16 + zeros, 16 - zeros)
    if form == "uuid":
        both = np.concatenate([_hex(_mixed(serials, 1)), _hex(_mixed(serials, 2))], axis=1)
        matrix = np.full((rows, 36), ord("-"), np.uint8)
        matrix[:, [place for place in range(36) if place not in _DASHES]] = both
        return Strings(matrix.reshape(-1), np.arange(rows, dtype=np.int64) * 36, np.full(rows, 36, np.int64))
    matrix = np.full((rows, _LONG), ord("0"), np.uint8)
    matrix[:, -len(_TENS) :] += (serials[:, None] // _TENS % np.uint64(10)).astype(np.uint8)
    return Strings(matrix.reshape(-1), np.arange(rows, dtype=np.int64) * _LONG, np.full(rows, _LONG, np.int64))


def few_ids(serials: U64, form: str) -> list[bytes]:
    """The same in the answer, one by one: faster for a few."""
    if form == "decimal":
        return [b"%d" % each for each in serials.tolist()]
    return ids_of(serials, form).tolist()


def serial_of(message_id: bytes, form: str) -> int | None:
    """The serial number of an id that was given in an answer; None for one that can't have been (or is a UUID)."""
    base = 16 if form in ("hex", "mixed") else 10
    if not message_id or message_id.translate(None, _DIGITS[base]):
        return None
    return int(message_id, base)
