from __future__ import annotations

import numpy as np
import pytest

from zsms.core.delay import MAX_SECONDS, MODELS, DelayModel, weibull_shape
from zsms.errors import UsageError

MOMENTS = [(1.0, 0.1), (0.2, 0.06), (5.0, 5.0)]
# A normal is cut at 0, which shifts its moments when the sd is large.
CASES = [(name, *moments) for name in MODELS for moments in (MOMENTS[:2] if name == "normal" else MOMENTS)]


@pytest.mark.parametrize(("name", "mean", "sd"), CASES)
def test_a_model_draws_the_moments_that_were_asked_for(name, mean, sd):
    model = DelayModel(name, mean, sd)
    drawn = model.sampler()(np.random.default_rng(1), 200_000)
    assert drawn.dtype == np.float32 and drawn.min() >= 0
    assert drawn.mean(dtype=float) == pytest.approx(mean, rel=0.02)
    assert drawn.std(dtype=float) == pytest.approx(model.spread, rel=0.05)
    assert model.spread == {"constant": 0.0, "exponential": mean}.get(name, sd)


def test_no_draw_is_negative_or_endless():
    cut = DelayModel("normal", 0.0, 1.0).sampler()(np.random.default_rng(1), 10_000)
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
