"""How long one send takes: the delay models, each by its mean and standard deviation in seconds.

    normal       mean, sd   cut at 0 (a negative draw counts as 0)
    constant     mean
    exponential  mean       (its sd is its mean)
    lognormal    mean, sd   of the delay itself, not of its logarithm
    gamma        mean, sd
    weibull      mean, sd

The moments become the usual parameters by the textbook identities (N. L. Johnson, S. Kotz, N. Balakrishnan,
"Continuous Univariate Distributions", vol. 1, 1994); Weibull's shape has no closed form and is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, isfinite, lgamma, log, sqrt

import numpy as np
import numpy.typing as npt

from zsms.errors import UsageError

F32 = npt.NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], F32]

MAX_SECONDS = 86_400.0
"""The longest mean: a day. Drawn delays are cut here too."""


def _normal(mean: float, sd: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> F32:
        delays = rng.standard_normal(n, dtype=np.float32)
        delays *= np.float32(sd)
        delays += np.float32(mean)
        return delays

    return draw


def _constant(mean: float, sd: float) -> Draw:
    return lambda rng, n: np.full(n, mean, dtype=np.float32)


def _exponential(mean: float, sd: float) -> Draw:
    return lambda rng, n: rng.standard_exponential(n, dtype=np.float32) * np.float32(mean)


def _lognormal(mean: float, sd: float) -> Draw:
    variance = log(1.0 + (sd / mean) ** 2)
    normal = _normal(log(mean) - variance / 2, sqrt(variance))
    return lambda rng, n: np.exp(normal(rng, n))


def _gamma(mean: float, sd: float) -> Draw:
    shape = (mean / sd) ** 2
    scale = np.float32(mean / shape)
    return lambda rng, n: rng.standard_gamma(shape, n, dtype=np.float32) * scale


def _weibull(mean: float, sd: float) -> Draw:
    shape = weibull_shape(sd / mean)
    power, scale = np.float32(1.0 / shape), np.float32(mean / exp(lgamma(1.0 + 1.0 / shape)))
    return lambda rng, n: scale * rng.standard_exponential(n, dtype=np.float32) ** power


def weibull_shape(variation: float) -> float:
    """The shape k of the Weibull distribution whose sd / mean is `variation` (0.01 to 100)."""

    def excess(shape: float) -> float:
        log_ratio = lgamma(1.0 + 2.0 / shape) - 2.0 * lgamma(1.0 + 1.0 / shape)
        return (sqrt(exp(log_ratio) - 1.0) if log_ratio < 700 else inf) - variation

    low, high = 0.05, 200.0  # variation falls as the shape grows
    for _ in range(80):
        middle = sqrt(low * high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return sqrt(low * high)


_MODELS: dict[str, Callable[[float, float], Draw]] = {
    "normal": _normal,
    "constant": _constant,
    "exponential": _exponential,
    "lognormal": _lognormal,
    "gamma": _gamma,
    "weibull": _weibull,
}
MODELS = tuple(_MODELS)
"""The names that `DelayModel` knows."""

_RARE, _RARE_SD = -log(1e-9), 6.0
"""One in 1e9, as the exponent of an exponential and in standard deviations of a normal."""
_NEEDS_MEAN = ("lognormal", "gamma", "weibull")


@dataclass(frozen=True, slots=True)
class DelayModel:
    """A named distribution of send times. Raises UsageError for a name or moments that can't be."""

    name: str = "normal"
    mean: float = 1.0
    sd: float = 0.1

    def __post_init__(self) -> None:
        if self.name not in _MODELS:
            raise UsageError(f"delay model {self.name!r}: choose one of {', '.join(MODELS)}")
        for what, value in (("mean", self.mean), ("sd", self.sd)):
            if not isfinite(value) or not 0 <= value <= MAX_SECONDS:
                raise UsageError(f"{what} {value}: give seconds from 0 to {MAX_SECONDS:.0f}")
        if self.name in _NEEDS_MEAN:
            if self.mean == 0:
                raise UsageError(f"a {self.name} delay needs a mean above 0")
            if self.sd and not 0.01 <= self.sd / self.mean <= 100:
                raise UsageError(f"a {self.name} delay needs an sd of 0, or of 0.01 to 100 times its mean")

    def sampler(self) -> Draw:
        """A function (rng, n) -> float32[n] seconds, none below 0 or above `MAX_SECONDS`."""
        constant = self.name == "constant" or (self.sd == 0 and self.name != "exponential")
        draw = (_constant if constant else _MODELS[self.name])(self.mean, self.sd)
        if constant:
            return draw

        def cut(rng: np.random.Generator, n: int) -> F32:
            delays = draw(rng, n)
            np.clip(delays, np.float32(0), np.float32(MAX_SECONDS), out=delays)
            return delays

        return cut

    @property
    def longest(self) -> float:
        """Seconds that about one send in a thousand million exceeds; an estimate, for leases and the like."""
        mean, sd = self.mean, self.spread
        if not sd:
            return mean
        match self.name:
            case "exponential":
                longest = mean * _RARE
            case "lognormal":
                variance = log(1.0 + (sd / mean) ** 2)
                longest = exp(min(log(mean) - variance / 2 + _RARE_SD * sqrt(variance), 700.0))
            case "weibull":
                shape = weibull_shape(sd / mean)
                longest = mean / exp(lgamma(1.0 + 1.0 / shape)) * _RARE ** (1.0 / shape)
            case "gamma":
                # Near its mean it is as a normal, far out as an exponential of its scale: together they bound it.
                longest = mean + _RARE_SD * sd + _RARE * sd * sd / mean
            case _:
                longest = mean + _RARE_SD * sd
        return min(longest, MAX_SECONDS)

    @property
    def spread(self) -> float:
        """The standard deviation that the model really has, in seconds (before a normal is cut)."""
        if self.name == "exponential":
            return self.mean
        return 0.0 if self.name == "constant" else self.sd
