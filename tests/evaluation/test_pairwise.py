import numpy as np
import pytest
import torch

from unweave.errors import ParameterError
from unweave.evaluation import pairwise_si_sdr, si_sdr


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("leading", [(), (2,), (2, 1)])
@pytest.mark.parametrize("level", [0.3, 1e-5])
def test_every_pair_scores_as_alone(leading, level):
    s = noise(*leading, 3, 2, 40_001)
    e = torch.cat((s.flip(-3), s[..., :1, :, :]), -3)
    e = e + level * noise(*leading, 4, 2, 40_001, seed=1)
    kept = e.clone(), s.clone()
    expected = torch.stack(
        [
            torch.stack([si_sdr(e.select(-3, i), s.select(-3, j)) for j in range(3)], -1)
            for i in range(4)
        ],
        -2,
    )
    got = pairwise_si_sdr(e, s)
    assert got.shape == (*leading, 4, 3)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-7)
    plain = pairwise_si_sdr(e.clone().requires_grad_(), s).detach()
    torch.testing.assert_close(plain, expected, rtol=0, atol=1e-3)
    assert torch.equal(e, kept[0])
    assert torch.equal(s, kept[1])


def test_single_precision_arrays_and_silence():
    s, e = (noise(3, 1, 500, seed=seed).float().numpy() for seed in (0, 1))
    s[1] = 0
    got = pairwise_si_sdr(e, s)
    assert isinstance(got, np.ndarray)
    assert got.dtype == np.float32
    assert np.isnan(got).all(0).tolist() == [False, True, False]
    assert np.isfinite(got[:, [0, 2]]).all()


def test_gradients():
    s, e = noise(2, 1, 6), noise(3, 1, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda e: pairwise_si_sdr(e, s), e)


@pytest.mark.parametrize("shape", [(3, 2, 9), (3, 1, 8), (2, 3, 2, 8), (2, 8)])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(ParameterError, match="nothing else different"):
        pairwise_si_sdr(torch.ones(shape), torch.ones(4, 2, 8))
