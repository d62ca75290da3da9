"""Scaling laws: their formulas, inverses, gradients and errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.codec import Scaling, scale, unscale
from unweave.errors import ParameterError

LAWS = ("power", "log", "log1p", "linear")
FORMULAS = {
    "power": lambda s: s ** (1 / 3),
    "log": lambda s: 20 * np.log10(np.maximum(s, 2.0**-52)),
    "log1p": lambda s: np.log(1 + 1000 * s),
    "linear": lambda s: s,
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_levels_are_those_of_the_formula(law, lead):
    s = np.random.default_rng(0).random((*lead, 5, 4)) ** 4
    s[..., 0, 0] = 0
    given_ = s.copy()
    levels = scale(s, law=law)
    assert isinstance(levels, np.ndarray)
    np.testing.assert_allclose(levels, FORMULAS[law](s), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(s, given_)


@pytest.mark.parametrize("law", LAWS)
@settings(deadline=None)
@given(value=st.floats(1e-5, 1e5), exponent=st.floats(0.2, 1.5), factor=st.floats(1e-2, 1e6))
def test_the_inverse_gives_magnitudes_back(law, value, exponent, factor):
    layer = Scaling(law=law, exponent=exponent, factor=factor)
    s = torch.tensor([0.0, value], dtype=torch.float64)
    again = layer.inverse(layer(s))
    assert float(again[1]) == pytest.approx(value, rel=1e-9)
    assert 0 <= float(again[0]) < 1e-15


@pytest.mark.parametrize("law", LAWS)
def test_levels_rise_with_magnitudes(law):
    s = torch.logspace(-6, 6, 500, dtype=torch.float64)
    assert bool((scale(s, law=law).diff() > 0).all())


@pytest.mark.parametrize("law", LAWS)
def test_both_ways_are_differentiable(law):
    s = (0.1 + torch.rand(2, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: scale(x, law=law), s)
    assert torch.autograd.gradcheck(lambda x: unscale(x, law=law), s)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept(law, dtype):
    s = torch.rand(2, 3).to(dtype)
    assert scale(s, law=law).dtype == unscale(s, law=law).dtype == dtype


def test_levels_below_silence_are_silence():
    assert unscale(torch.tensor([-1.0]), law="power") == 0
    assert unscale(torch.tensor([-1.0]), law="log1p") == 0
    assert float(unscale(torch.tensor([-20.0]), law="log")) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"law": "cube"}, "law='cube' must be one of"),
        ({"exponent": 0.0}, "exponent=0.0 must be a positive number"),
        ({"factor": -1.0}, "factor=-1.0"),
        ({"exponent": math.nan}, "exponent=nan"),
    ],
)
def test_wrong_parameters_are_refused(options, text):
    for make in (lambda: scale(torch.ones(2), **options), lambda: Scaling(**options)):
        with pytest.raises(ParameterError, match=text):
            make()


@pytest.mark.parametrize("law", LAWS)
def test_complex_and_integer_values_are_refused(law):
    for wrong in (torch.ones(2, dtype=torch.complex64), torch.ones(2, dtype=torch.int64)):
        with pytest.raises(ParameterError, match="real and floating"):
            scale(wrong, law=law)
        with pytest.raises(ParameterError, match="real and floating"):
            unscale(wrong, law=law)


def test_the_layer_names_its_law():
    assert "law='log'" in repr(Scaling(law="log"))
