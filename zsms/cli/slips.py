"""What somebody meant who wrote something else than a plain number: a unit, separators, another language's point."""

from __future__ import annotations

import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60,
            "min": 60, "minutes": 60, "h": 3_600, "hours": 3_600, "d": 86_400, "days": 86_400}  # fmt: skip
_OTHERS = {"%": 0.01, "k": 1e3, "m": 1e6, "g": 1e9, "mio": 1e6, "million": 1e6, "kb": 1e3, "mb": 1e6, "gb": 1e9,
           "kib": 2**10, "mib": 2**20, "gib": 2**30, "/s": 1, "/sec": 1, "/min": 1 / 60, "/h": 1 / 3_600, "tps": 1,
           "msg/s": 1, "messages": 1, "x": 1}  # fmt: skip
_MOST = 1e15
_NUMBER = re.compile(r"([+-]?(?:\d[\d_ ,.'\u00a0\u202f]*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\D*)")


def meant(text: str, *, whole: bool, seconds: bool) -> str:
    """The number to write instead, or "" where nobody can tell. `seconds`: that is its unit."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return ""
    factor = (_SECONDS if seconds else _OTHERS).get(found[2].strip().lower(), None if found[2] else 1)
    digits = _plain(re.sub(r"[_ '\u00a0\u202f]", "", found[1]), whole)
    if factor is None or digits is None or not abs(digits * factor) < _MOST:
        return ""
    value = digits * factor
    if whole:
        return f"{round(value)}" if abs(value - round(value)) < 1e-9 * max(1.0, abs(value)) else ""
    return f"{value:.12g}"


def _plain(digits: str, whole: bool) -> float | None:
    """What digits with commas and points are; None where they may be two numbers."""
    if re.fullmatch(r"[+-]?\d{1,3}([.,])\d{3}(?:\1\d{3})+", digits) or (
        whole and re.fullmatch(r"\d{1,3},\d{3}", digits)
    ):
        digits = re.sub("[.,]", "", digits)
    elif digits.count(",") == 1 and "." not in digits and not re.fullmatch(r"\d{1,3},\d{3}", digits):
        digits = digits.replace(",", ".")
    try:
        return float(digits)
    except ValueError:
        return None


def advice(text: str, *, whole: bool, seconds: bool) -> str:
    """What to write instead of such a text, as the end of a sentence."""
    kind = ("a whole number" if whole else "a number") + (" of seconds" if seconds else "")
    instead = meant(text, whole=whole, seconds=seconds)
    return f"give {kind}, such as {instead}" if instead else f"give {kind}, without a unit"
