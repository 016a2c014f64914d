from __future__ import annotations

import numpy as np
import pytest

from zsms.errors import UsageError
from zsms.stats.delay import MAX_SECONDS, MODELS, DelayModel, cut_normal, weibull_shape

MOMENTS = [(1.0, 0.1), (0.2, 0.06), (5.0, 5.0)]
CASES = [(name, *moments) for name in MODELS for moments in MOMENTS]


@pytest.mark.parametrize(("name", "mean", "sd"), CASES)
def test_a_model_draws_the_moments_that_were_asked_for(name, mean, sd):
    model = DelayModel(name, mean, sd)
    drawn = model.sampler()(np.random.default_rng(1), 200_000)
    assert drawn.dtype == np.float32 and drawn.min() >= 0
    assert drawn.mean(dtype=float) == pytest.approx(mean, rel=0.02)
    assert drawn.std(dtype=float) == pytest.approx(model.spread, rel=0.05)
    assert model.spread == {"constant": 0.0, "exponential": mean}.get(name, sd)


def test_no_draw_is_negative_or_endless():
    cut = DelayModel("normal", 1.0, 1.5).sampler()(np.random.default_rng(1), 10_000)
    assert cut.min() == 0.0 and 0.4 < (cut == 0).mean() < 0.6
    long = DelayModel("lognormal", MAX_SECONDS, MAX_SECONDS).sampler()(np.random.default_rng(1), 10_000)
    assert long.max() == MAX_SECONDS


def test_without_spread_every_model_but_the_exponential_is_constant():
    for name in MODELS:
        drawn = DelayModel(name, 0.5, 0.0).sampler()(np.random.default_rng(1), 100)
        assert (drawn == 0.5).all() == (name != "exponential")


def test_the_generator_decides():
    draw = DelayModel("gamma").sampler()
    one, same, other = (draw(np.random.default_rng(seed), 100).tolist() for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize(("variation", "shape"), [(1.0, 1.0), (0.5227232, 2.0), (2.2360680, 0.5)])
def test_known_weibull_shapes(variation, shape):
    assert weibull_shape(variation) == pytest.approx(shape, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "mean", "sd"),
    [
        ("Normal", 1, 0.1),
        ("normal", -1, 0.1),
        ("normal", 1, float("nan")),
        ("constant", float("inf"), 0),
        ("constant", MAX_SECONDS * 2, 0),
        ("gamma", 0, 1),
        ("weibull", 1, 0.001),
        ("lognormal", 1, 101),
    ],
)
def test_what_can_not_be_is_refused(name, mean, sd):
    with pytest.raises(UsageError):
        DelayModel(name, mean, sd)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sd", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_no_draw_of_a_million_exceeds_the_longest_and_it_is_no_wild_guess(name: str, sd: float) -> None:
    model = DelayModel(name, 1.0, sd)
    drawn = model.sampler()(np.random.default_rng(5), 1_000_000)
    assert drawn.max() <= model.longest * (1 + 1e-5)
    assert model.longest <= 20 * max(1.0, float(drawn.max()))


@pytest.mark.parametrize("variation", [0.05, 0.1, 0.3, 0.5, 1, 2, 3, 10])
def test_a_cut_normal_has_the_moments_that_were_asked_for(variation):
    """By integrating the cut density on a grid, which knows nothing of the closed form."""
    mean, sd = cut_normal(2.0, 2.0 * variation)
    x = np.linspace(0, max(mean, 0) + 12 * sd, 2_000_001)
    density = np.exp(-(((x - mean) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi))
    first, second = (np.trapezoid(x**k * density, x) for k in (1, 2))
    assert first == pytest.approx(2.0, rel=1e-6)
    assert np.sqrt(second - first**2) == pytest.approx(2.0 * variation, rel=1e-5)


@pytest.mark.parametrize("variation", [0.1, 0.5, 1, 2, 3])
def test_the_mean_of_a_normal_delay_is_what_was_asked_for(variation):
    model = DelayModel("normal", 0.5, 0.5 * variation)
    delays = model.sampler()(np.random.Generator(np.random.SFC64(2)), 400_000).astype(np.float64)
    assert delays.mean() == pytest.approx(0.5, abs=5 * 0.5 * variation / np.sqrt(400_000))
    assert (delays == 0).mean() == pytest.approx(model.zeros, abs=0.005)


def test_a_delay_without_an_sd_has_a_tenth_of_its_mean():
    assert DelayModel("normal", 0.02).deviation == pytest.approx(0.002)
    assert DelayModel("normal", 0.02, 0.0).deviation == 0
    assert DelayModel("normal", 0.0).spread == 0


def test_a_normal_delay_of_no_mean_can_not_spread():
    with pytest.raises(UsageError, match="a mean above 0, or an sd of 0"):
        DelayModel("normal", 0.0, 0.1)
