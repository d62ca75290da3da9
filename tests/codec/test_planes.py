"""Image planes: middle and side of two channels, and channels as they are."""

import numpy as np
import pytest
import torch

from unweave.codec import ImagePlanes, from_planes, to_planes
from unweave.errors import ParameterError


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("stereo", ["mid_side", "left_right"])
def test_the_inverse_gives_channels_back(lead, channels, stereo):
    levels = np.random.default_rng(0).random((*lead, channels, 5, 3))
    given = levels.copy()
    planes = to_planes(levels, stereo=stereo, center=0.5)
    np.testing.assert_allclose(from_planes(planes, stereo=stereo, center=0.5), levels, atol=1e-15)
    np.testing.assert_array_equal(levels, given)
    assert (stereo == "mid_side" and channels == 2) != np.array_equal(planes, levels)


def test_planes_stay_in_the_range_of_the_levels():
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).T.view(2, 4, 1)
    planes = to_planes(corners, center=0.5)
    assert float(planes.min()) == 0
    assert float(planes.max()) == 1


def test_an_error_of_the_planes_is_the_same_error_of_the_channels():
    planes = torch.randn(2, 50, 40, dtype=torch.float64)
    noise = torch.randn(2, 50, 40, dtype=torch.float64)
    error = from_planes(planes + noise) - from_planes(planes)
    assert float(error.square().mean() / noise.square().mean()) == pytest.approx(2)


def test_both_ways_are_differentiable():
    layer = ImagePlanes(center=0.25)
    levels = torch.rand(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, levels)
    assert torch.autograd.gradcheck(layer.inverse, levels)
    assert "center=0.25" in repr(layer)


def test_wrong_parameters_are_refused():
    with pytest.raises(ParameterError, match="stereo='both'"):
        ImagePlanes(stereo="both")
    with pytest.raises(ParameterError, match="channels, freq, frames"):
        to_planes(torch.ones(2, 3))
    with pytest.raises(ParameterError, match="channels, freq, frames"):
        from_planes(torch.ones(2, 3))
