"""How a run got over what went wrong on purpose: reckoned from its course over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_BEFORE_S = 5.0
"""The rate of before is that of so many seconds, or of all there were."""
_BACK_S = 1.0
"""The rate is back when so long a time has it."""
_BACK = 0.95
"""It is back at that share of what it was."""
_LEAST_S = 0.5


class Struck(NamedTuple):
    """A fault that was carried out; times in seconds from the first message that was accepted."""

    at: float
    what: str
    whom: str
    until: float | None


def recoveries(struck: Sequence[Struck], columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """A row a fault, from the columns of :class:`zsms.stats.series.Series`.

    `rate_before_per_s` is of messages sent in the `_BEFORE_S` seconds before it. `recovered_s` is how long it took
    until a second had 95 % of that rate; None when that did not come before the end. `behind` is how many messages
    fewer had been sent by then than with the rate of before, `redelivered` how many were handed out again from this
    fault to the next one or the end. What the run is too short to tell is None.
    """
    times, sent = np.array(columns["t_s"], np.float64), np.array(columns["sent"], np.float64)
    again = np.array(columns.get("redelivered", []), np.float64)
    ends = [*(each.at for each in struck[1:]), float("inf")][: len(struck)]
    return [_row(each, times, sent, again, end) for each, end in zip(struck, ends, strict=True)]


def _row(
    struck: Struck, times: np.ndarray[Any, Any], sent: np.ndarray[Any, Any], again: np.ndarray[Any, Any], end: float
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "at_s": round(struck.at, 3),
        "what": struck.what,
        "whom": struck.whom,
        "until_s": None if struck.until is None else round(struck.until, 3),
        "rate_before_per_s": None,
        "recovered_s": None,
        "behind": None,
        "redelivered": None,
    }
    if len(times) < 2:
        return row
    if len(again) == len(times):
        row["redelivered"] = int(
            np.interp(min(end, times[-1]), times, again) - np.interp(struck.at, times, again) + 0.5
        )
    begin = max(struck.at - _BEFORE_S, float(times[0]))
    if struck.at - begin < _LEAST_S:
        return row
    at = np.interp([begin, struck.at], times, sent)
    rate = float(at[1] - at[0]) / (struck.at - begin)
    row["rate_before_per_s"] = round(rate, 1)
    if rate <= 0:
        return row
    begins = times[(times >= struck.at) & (times + _BACK_S <= times[-1])]
    window = np.interp(begins + _BACK_S, times, sent) - np.interp(begins, times, sent)
    lower = np.flatnonzero(window < _BACK * rate * _BACK_S)
    # Back for good is back after the last window that was below; a tail without work is no setback of the fault's.
    back = begins[window >= _BACK * rate * _BACK_S]
    if not len(back):
        return row
    fell = lower[begins[lower] < back[-1]]
    since = struck.at if not len(fell) else float(begins[begins > begins[fell[-1]]][0])
    row["recovered_s"] = round(since - struck.at, 3)
    row["behind"] = max(0, round(rate * (since - struck.at) - float(np.interp(since, times, sent) - at[1])))
    return row
