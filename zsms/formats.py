"""Numbers for people, in one place: static/format.js is the same for pages, and a test holds the two together.

Rounding is that of a page, half up: both say the same of the same number.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

UNKNOWN = "-"
"""What stands for a figure that was not measured."""
_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def fixed(value: float, digits: int = 0) -> str:
    """With so many digits after the point, and thousands apart: 1,234.5."""
    try:
        return f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,f}"
    except InvalidOperation:  # beyond what any figure is
        return f"{value:,.{digits}f}"


def three(value: float) -> str:
    """Three digits that count, more before the point where there are more: 1.23, 12.3, 1,234."""
    return fixed(value, 2 if value < 9.995 else 1 if value < 99.95 else 0)


def count(value: float) -> str:
    """A whole number: 1,234."""
    return fixed(value)


def narrow(value: float) -> str:
    """A whole number in at most ten characters: 9,999,999, then 12.3M."""
    if value < 9_999_999.5:
        return fixed(value)
    return f"{fixed(value / 1e6, 1)}M" if value < 9_999_950_000 else f"{fixed(value / 1e9, 1)}G"


def short(value: float) -> str:
    """For an axis: 0.002, 1, 300, 10k, 2.5M; three digits that count, and no zeros behind them."""
    for unit, size in _UNITS:
        if value >= 0.9995 * size:
            return f"{_trimmed(three(value / size))}{unit}"
    if value >= 0.9995:
        return _trimmed(three(value))
    digits, limit = 3, 0.09995
    while value < limit and digits < 9:
        digits, limit = digits + 1, limit / 10
    return _trimmed(fixed(value, digits))


def spoken(value: float) -> str:
    """For a sentence: 931, 32,600, 3.9 million; three digits of it."""
    if value >= 1e6:
        return f"{float(f'{value:.3g}') / 1e6:g} million"
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def rate(value: float) -> str:
    """Of something a second: 9,870, below ten with a digit more."""
    return fixed(value, 1) if 0 < value < 9.95 else fixed(value)


def percent(share: float) -> str:
    """A share of 1. Never 100 % while something is missing, and never 0 % when something is there."""
    if share in (0, 1):
        return f"{fixed(100 * share)} %"
    value = min(max(100 * share, 0.01), 99.99)
    return f"{fixed(value, 2 if value < 1 or value > 99.9 else 1)} %"


def share(value: float, digits: int = 0) -> str:
    """A share of 1 in a column of such: 62 % or 62.3 %."""
    return f"{fixed(100 * value, digits)} %"


def seconds(value: float) -> str:
    """A duration of sends, three digits in a unit that suits it: 20 µs, 3.20 ms, 1.01 s, 1,250 s."""
    if value == 0:
        return "0 s"
    if value >= 0.9995:
        return f"{three(value)} s"
    return f"{three(1e3 * value)} ms" if value >= 0.9995e-3 else f"{fixed(1e6 * value)} µs"


def exact_seconds(value: float) -> str:
    """The same with a digit more of seconds, without a letter that is not ASCII; seven characters up to a day."""
    if value >= 0.9995:
        return f"{fixed(value, 2 if value < 100 else 1 if value < 1_000 else 0).replace(',', '')} s"
    if value >= 0.9995e-3:
        return f"{three(1e3 * value)} ms"
    return f"{fixed(1e6 * value)} us"


def duration(value: float) -> str:
    """How long something takes or took: a moment, 12 s, 2 min 05 s, 1 h 30 min."""
    if value < 1:
        return "a moment"
    if value < 99.5:
        return f"{fixed(value)} s"
    if value < 5_400:
        return f"{int(value / 60)} min {int(value % 60):02d} s"
    return f"{fixed(int(value / 3_600))} h {int(value % 3_600 / 60):02d} min"


def ago(value: float) -> str:
    """An age: 0.2 s, 12 s, 3 min, 2 h."""
    if value < 9.95:
        return f"{fixed(max(0.0, value), 1)} s"
    if value < 99.5:
        return f"{fixed(value)} s"
    return f"{fixed(value / 60)} min" if value < 5_970 else f"{fixed(value / 3_600)} h"


def clock(value: float) -> str:
    """A time as 0:07 or 1:02:03."""
    whole = int(fixed(value).replace(",", ""))
    hours, minute, second = whole // 3_600, whole // 60 % 60, whole % 60
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def size(value: float) -> str:
    """Bytes: 9,999 bytes, 85.3 MiB, 120 MiB, 4.2 GiB."""
    if value < 10_000:
        return f"{fixed(value)} byte{'' if fixed(value) == '1' else 's'}"
    if value >= 2**30:
        return f"{fixed(value / 2**30, 1)} GiB"
    return f"{fixed(value / 2**20, 1 if value < 100 * 2**20 else 0)} MiB"


def told(value: float | None, unit: str = "") -> str:
    """Six digits of a figure and its unit, or `UNKNOWN`."""
    return UNKNOWN if value is None else f"{value:,.6g}{unit}"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
