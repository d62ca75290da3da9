"""The projection onto estimates that sum to the mixture."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.filtering import mixture_consistency

SETTINGS = settings(deadline=None, max_examples=25)


def values(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@given(
    weights=st.sampled_from(["uniform", "power"]),
    lead=st.sampled_from([(), (2,), (2, 3)]),
    scale=st.sampled_from([1e-25, 1.0, 1e25]),
    dtype=st.sampled_from([torch.complex64, torch.complex128]),
)
@SETTINGS
def test_estimates_sum_to_the_mixture(weights, lead, scale, dtype):
    y = values(*lead, 4, 2, 5, 7, dtype=dtype) * scale
    x = values(*lead, 2, 5, 7, seed=1, dtype=dtype) * scale
    found = mixture_consistency(y, x, weights=weights)
    assert found.dtype == dtype
    torch.testing.assert_close(found.sum(-4) / scale, x / scale, rtol=1e-5, atol=1e-5)


def test_uniform_shares_are_the_nearest():
    y, x = values(3, 2, 5, 7), values(2, 5, 7, seed=1)
    found = mixture_consistency(y, x)
    ones = torch.ones(3, 3, dtype=y.dtype) / 3
    others = y.reshape(3, -1)
    expected = others - ones @ others + x.reshape(1, -1) / 3
    torch.testing.assert_close(found.reshape(3, -1), expected)


def test_a_projection_changes_nothing_the_second_time():
    y, x = values(3, 2, 5, 7), values(2, 5, 7, seed=1)
    for weights in ("uniform", "power"):
        once = mixture_consistency(y, x, weights=weights)
        torch.testing.assert_close(mixture_consistency(once, x, weights=weights), once)


def test_power_shares_leave_silent_sources_silent():
    y, x = values(3, 2, 5, 7), values(2, 5, 7, seed=1)
    y[1] = 0
    y[:, :, 2] = 0
    found = mixture_consistency(y, x, weights="power")
    assert (found[1, :, [0, 1, 3, 4]] == 0).all()
    torch.testing.assert_close(found[:, :, 2], (x[:, 2] / 3).expand(3, 2, 7))
    power = y.abs().square()
    share = (power / power.sum(0))[:, :, 0]
    torch.testing.assert_close(found[:, :, 0], y[:, :, 0] + share * (x - y.sum(0))[:, 0])


def test_audio_and_shares_of_ones_own():
    y, x = values(3, 2, 100, dtype=torch.float64), values(2, 100, seed=1, dtype=torch.float64)
    shares = torch.tensor([0.0, 1.0, 3.0])[:, None, None]
    found = mixture_consistency(y, x, weights=shares, dim=-3)
    rest = x - y.sum(0)
    torch.testing.assert_close(found, y + shares.double() / 4 * rest)
    torch.testing.assert_close(mixture_consistency(y, x, dim=0), y + rest / 3)


def test_numpy_in_numpy_out_and_nothing_is_modified():
    y, x = values(3, 2, 5, 7).numpy(), values(2, 5, 7, seed=1).numpy()
    kept_y, kept_x = y.copy(), x.copy()
    y.flags.writeable = x.flags.writeable = False
    found = mixture_consistency(y, x, weights=np.ones((3, 1, 1, 1)))
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found.sum(0), x, atol=1e-12)
    np.testing.assert_array_equal(y, kept_y)
    np.testing.assert_array_equal(x, kept_x)


def test_gradients():
    y, x = values(3, 2, 2, 3).requires_grad_(), values(2, 2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(mixture_consistency, (y, x))
    # The peak that keeps powers in range cancels, so it is rightly a constant.
    assert torch.autograd.gradcheck(lambda *a: mixture_consistency(*a, weights="power"), (y, x))
    silent = torch.zeros(3, 2, 2, 3, dtype=torch.complex64, requires_grad=True)
    mixture_consistency(silent, x.to(torch.complex64), weights="power").abs().sum().backward()
    assert torch.isfinite(torch.view_as_real(silent.grad)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "loud"}, "weights='loud'"),
        ({"weights": -torch.ones(3, 1, 1, 1)}, "not negative"),
        ({"weights": torch.ones(2, 1, 1, 1)}, "do not broadcast"),
        ({"weights": torch.ones(3, 1, 1, 1) + 0j}, "real"),
        ({"dim": 4}, "dim=4"),
        ({"dim": -3}, "does not fit"),
    ],
)
def test_errors_say_what_was_wrong(options, message):
    with pytest.raises(ParameterError, match=message):
        mixture_consistency(values(3, 2, 5, 7), values(2, 5, 7), **options)


def test_no_sources_are_an_error_and_no_frames_are_none():
    with pytest.raises(ParameterError, match="at least"):
        mixture_consistency(values(0, 2, 5, 7), values(2, 5, 7))
    empty = mixture_consistency(values(3, 2, 5, 0), values(2, 5, 0), weights="power")
    assert empty.shape == (3, 2, 5, 0)
