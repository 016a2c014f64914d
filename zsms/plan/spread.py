"""Where a time falls, in ticks: the law of a delay or of a jitter, cut into ticks so that its mean stays exact.

A time between two ticks belongs to the later one with the probability of the part that has gone by, as in
:class:`zsms.core.sender.wheel.TimingWheel`. So the share of tick k is the second difference of the integral of the
distribution F, which has a closed form for every delay model:

    share[k] = (S((k + 1) t) - 2 S(k t) + S((k - 1) t)) / t,      S(x) = integral of F from 0 to x = x F(x) - M(x)

with M the part of the mean below x. (Dither: L. Schuchman, 1964. The incomplete gamma function by its series and its
continued fraction: M. Abramowitz, I. Stegun, "Handbook of mathematical functions", 1964, 6.5.29 and 6.5.31.)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, erfc, exp, lgamma, log, pi, sqrt

import numpy as np
import numpy.typing as npt

from zsms.stats.delay import DelayModel, cut_normal, weibull_shape

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_BODY = 0.99
"""The share of a long-tailed law that is drawn by tick; the rest is drawn one by one."""
_SHORT = 160
"""A law over so many ticks has no tail."""
_MOST_TICKS = 200_000

_erfc = np.frompyfunc(erfc, 1, 1)


@dataclass(frozen=True, slots=True)
class Spread:
    """A law over ticks from now on: body (float64[k], sums to 1) from tick `first` on, and a tail of its own."""

    first: int
    body: F64
    tail_share: float
    tail_first: int
    tail: F64
    """Cumulated shares of the tail's ticks, the last is 1; empty without a tail."""
    whole: F64
    """Cumulated shares of all ticks, the last is 1."""

    @property
    def last(self) -> int:
        """The latest tick."""
        return self.first + len(self.whole) - 1

    @property
    def mean(self) -> float:
        """In ticks."""
        shares = np.diff(self.whole, prepend=0.0)
        return float(shares @ (self.first + np.arange(len(shares))))


def of_delay(model: DelayModel, tick: float, factor: float = 1.0) -> Spread:
    """The ticks that a send of this model takes, all its times multiplied by `factor`; none less than 1."""
    tick = tick / factor
    if model.mean == 0 or model.spread == 0 or model.mean > tick * _MOST_TICKS / 2:
        return _constant(model.mean / tick)
    ticks = min(ceil(model.longest / tick) + 2, _MOST_TICKS)
    return _of_integral(_integral(model, np.arange(ticks + 1, dtype=np.float64) * tick), tick)


def of_jitter(ceiling: float, tick: float) -> Spread:
    """The ticks of a time that is uniform from 0 to `ceiling` seconds; none less than 1."""
    if ceiling <= 0:
        return _constant(0.0)
    at = tick * np.arange(min(ceil(ceiling / tick) + 2, _MOST_TICKS) + 1)
    return _of_integral(np.where(at < ceiling, at * at / (2 * ceiling), at - ceiling / 2), tick)


def _constant(ticks: float) -> Spread:
    whole = int(ticks)
    part = ticks - whole
    return _cut(np.array([1 - part, part]), whole)


def _of_integral(integral: F64, tick: float) -> Spread:
    below = np.concatenate(([0.0], integral[:-2]))
    shares = np.clip((integral[1:] - 2 * integral[:-1] + below) / tick, 0.0, None)
    return _cut(shares, 0)


def _cut(shares: F64, first: int) -> Spread:
    """`shares` by tick from `first` on. What is due at once is due in a tick; others come earlier for it."""
    if first == 0:
        now = shares[0]
        shares = np.concatenate([shares[1:], np.zeros(2)])
        shares[0] += now
        moved = min(now, shares[1])
        shares[0] += moved
        shares[1] -= moved
        first = 1
    kept = np.flatnonzero(shares > 1e-12)
    shares = shares[kept[0] : kept[-1] + 1]
    first += int(kept[0])
    shares = shares / shares.sum()
    whole = np.cumsum(shares)
    whole[-1] = 1.0
    body = len(shares) if len(shares) <= _SHORT else int(np.searchsorted(whole, _BODY)) + 1
    tail = shares[body:]
    share = float(tail.sum())
    cumulated = np.cumsum(tail) / share if share else np.zeros(0)
    if share:
        cumulated[-1] = 1.0
    return Spread(
        first, shares[:body] / shares[:body].sum(), share, tail_first=first + body, tail=cumulated, whole=whole
    )


# -- the integral of a distribution -----------------------------------------------------------------------------------


def _normal_below(at: F64) -> F64:
    return np.asarray(_erfc(-at / sqrt(2)), dtype=np.float64) / 2


def _integral(model: DelayModel, at: F64) -> F64:
    """The integral of the model's distribution from 0 to each of `at`, seconds."""
    mean, sd = model.mean, model.spread
    match model.name:
        case "exponential":
            return at - mean * (1 - np.exp(-at / mean))
        case "lognormal":
            variance = log(1.0 + (sd / mean) ** 2)
            with np.errstate(divide="ignore"):
                z = (np.log(at) - (log(mean) - variance / 2)) / sqrt(variance)
            return at * _normal_below(z) - mean * _normal_below(z - sqrt(variance))
        case "gamma":
            shape = (mean / sd) ** 2
            x = at * shape / mean
            return at * gamma_below(shape, x) - mean * gamma_below(shape + 1, x)
        case "weibull":
            shape = weibull_shape(sd / mean)
            power = (at * exp(lgamma(1 + 1 / shape)) / mean) ** shape
            return at * -np.expm1(-power) - mean * gamma_below(1 + 1 / shape, power)
        case _:
            place, scale = cut_normal(mean, sd)
            z = (at - place) / scale
            density = np.exp(-z * z / 2) / sqrt(2 * pi)
            whole: F64 = scale * (z * _normal_below(z) + density)
            whole -= whole[0]
            return whole


def gamma_below(shape: float, at: F64) -> F64:
    """The regularized lower incomplete gamma function P(shape, at), float64[n]."""
    result = np.ones_like(at)
    result[at <= 0] = 0.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scale = np.exp(shape * np.log(np.maximum(at, 1e-300)) - at - lgamma(shape))
    low = (at > 0) & (at < shape + 1)
    x = at[low]
    term = np.full_like(x, 1 / shape)
    total = term.copy()
    for n in range(1, 20_000):
        term = term * x / (shape + n)
        total += term
        if not len(x) or (term < total * 1e-15).all():
            break
    result[low] = total * scale[low]
    high = (at >= shape + 1) & (scale > 0)
    x = at[high]
    b = x + 1 - shape
    c = np.full_like(x, 1e300)
    d = 1 / b
    fraction = d.copy()
    for n in range(1, 20_000):
        a = -n * (n - shape)
        b = b + 2
        d = 1 / _not_0(a * d + b)
        c = _not_0(b + a / c)
        step = c * d
        fraction *= step
        if not len(x) or (np.abs(step - 1) < 1e-14).all():
            break
    result[high] = 1 - scale[high] * fraction
    return np.clip(result, 0.0, 1.0)


def _not_0(values: F64) -> F64:
    return np.where(np.abs(values) < 1e-300, 1e-300, values)
