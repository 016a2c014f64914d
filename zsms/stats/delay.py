"""How long one send takes: the delay models, each by its mean and standard deviation in seconds.

    normal       mean, sd   cut at 0 (a negative draw counts as 0); the moments are those after the cut
    constant     mean
    exponential  mean       (its sd is its mean)
    lognormal    mean, sd   of the delay itself, not of its logarithm
    gamma        mean, sd
    weibull      mean, sd

So a mean and an sd are always those of the times that are drawn: rates, efficiencies and prefetches that are reckoned
with them are right. The moments become the usual parameters by the textbook identities (N. L. Johnson, S. Kotz, N.
Balakrishnan, "Continuous Univariate Distributions", vol. 1, 1994); Weibull's shape and the cut normal's place have no
closed form and are found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erfc, exp, inf, isfinite, lgamma, log, pi, sqrt

import numpy as np
import numpy.typing as npt

from zsms.errors import UsageError
from zsms.options import checked

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


def _cut_normal(mean: float, sd: float) -> Draw:
    return _normal(*cut_normal(mean, sd))


def cut_normal(mean: float, sd: float) -> tuple[float, float]:
    """Mean and sd of the normal that has these moments once its negative part counts as 0 (sd / mean up to 100).

    With z = mean / sd of the normal, density f and distribution F, the moments after the cut are sd (z F(z) + f(z)) and
    sd^2 ((z^2 + 1) F(z) + z f(z)) (J. Tobin, "Estimation of relationships for limited dependent variables", 1958).
    """
    if sd < mean / 10:
        return mean, sd  # the cut is 10 sd away

    def moments(place: float) -> tuple[float, float]:
        density, below = exp(-place * place / 2) / sqrt(2 * pi), erfc(-place / sqrt(2)) / 2
        first = place * below + density
        return first, sqrt(max(0.0, (place * place + 1) * below + place * density - first * first))

    low, high = -5.0, 20.0  # sd / mean falls as the place rises
    for _ in range(60):
        middle = (low + high) / 2
        first, spread = moments(middle)
        low, high = (middle, high) if spread * mean > sd * first else (low, middle)
    scale = mean / moments(low)[0]
    return low * scale, scale


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
    "normal": _cut_normal,
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
_NEEDS_MEAN = ("normal", "lognormal", "gamma", "weibull")


@checked
@dataclass(frozen=True, slots=True)
class DelayModel:
    """A named distribution of send times. Raises UsageError for a name or moments that can't be."""

    name: str = "normal"
    mean: float = 1.0
    sd: float | None = None
    """None: a tenth of the mean."""

    def __post_init__(self) -> None:
        if self.name not in _MODELS:
            raise UsageError(f"delay model {self.name!r}: choose one of {', '.join(MODELS)}")
        for what, value in (("mean", self.mean), ("sd", self.deviation)):
            if not isfinite(value) or not 0 <= value <= MAX_SECONDS:
                raise UsageError(f"{what} {value}: give seconds from 0 to {MAX_SECONDS:.0f}")
        if self.name in _NEEDS_MEAN:
            if self.mean == 0 and (self.deviation or self.name != "normal"):
                other = ", or an sd of 0" if self.name == "normal" else ""
                raise UsageError(f"a {self.name} delay needs a mean above 0{other}")
            least = 0 if self.name == "normal" else 0.01
            if self.deviation and not least <= self.deviation / self.mean <= 100:
                raise UsageError(f"a {self.name} delay needs an sd of 0, or of {least:g} to 100 times its mean")

    def sampler(self) -> Draw:
        """A function (rng, n) -> float32[n] seconds, none below 0 or above `MAX_SECONDS`."""
        constant = self.name == "constant" or (self.deviation == 0 and self.name != "exponential")
        draw = (_constant if constant else _MODELS[self.name])(self.mean, self.deviation)
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
                if self.name == "normal":
                    place, scale = cut_normal(mean, sd)
                    longest = max(place + _RARE_SD * scale, mean)
        return min(longest, MAX_SECONDS)

    @property
    def deviation(self) -> float:
        """`sd`, or what stands for it, in seconds."""
        return self.mean / 10 if self.sd is None else self.sd

    @property
    def spread(self) -> float:
        """The standard deviation that the model really has, in seconds."""
        if self.name == "exponential":
            return self.mean
        return 0.0 if self.name == "constant" else self.deviation

    @property
    def zeros(self) -> float:
        """The share of sends of a normal delay that take no time at all, because of the cut."""
        if self.name != "normal" or not self.deviation:
            return 0.0
        mean, sd = cut_normal(self.mean, self.deviation)
        return erfc(mean / sd / sqrt(2)) / 2
