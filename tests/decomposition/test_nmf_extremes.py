"""NMF of very quiet and very loud data, and by divergences far from the usual ones."""

import numpy as np
import pytest
import torch

from unweave.decomposition import nmf, nmfd
from unweave.errors import ParameterError

LEVELS = (1e-42, 1e-30, 1e-20, 1e20, 1e30)


def data(dtype=torch.float32):
    draw = torch.Generator().manual_seed(0)
    W, H = (torch.rand(shape, generator=draw, dtype=dtype) for shape in ((20, 3), (3, 30)))
    return W @ H + 0.1 * torch.rand(20, 30, generator=draw, dtype=dtype)


def error(V, W, H, gain):
    V, W, H = (x.double() for x in (V, W, H))
    return float((V - W @ H / gain).norm() / V.norm())


@pytest.mark.parametrize("gain", LEVELS)
@pytest.mark.parametrize("beta", [0, 0.5, 1, 2])
def test_levels_at_the_ends_of_single_precision_change_nothing(beta, gain):
    V = data()
    usual, extreme = nmf(V, 3, beta=beta), nmf(V * gain, 3, beta=beta)
    for x in (extreme.W, extreme.H):
        assert bool(x.isfinite().all())
    expected, found = (
        error(x / scale, y.W, y.H, scale)
        for x, y, scale in ((V.double(), usual, 1), ((V * gain).double(), extreme, gain))
    )
    assert found == pytest.approx(expected, rel=0.02, abs=1e-3)
    if gain > 1e-40:
        ratio = float(extreme.objective[-1] / usual.objective[-1])
        assert ratio == pytest.approx(float(V.new_tensor(gain).double()) ** beta, rel=0.05)


@pytest.mark.parametrize("gain", [1e-20, 1e20])
@pytest.mark.parametrize("beta", [0, 1, 2])
def test_convolutive_factors_bear_them_too(beta, gain):
    V, options = data(), {"template_frames": 2, "beta": beta, "n_iter": 20}
    seed = torch.Generator().manual_seed
    usual = nmfd(V, 2, generator=seed(0), **options)
    extreme = nmfd(V * gain, 2, generator=seed(0), **options)
    assert bool(extreme.W.isfinite().all())
    assert bool(extreme.H.isfinite().all())
    ratio = float(extreme.objective[-1] / usual.objective[-1])
    assert ratio == pytest.approx(gain**beta, rel=0.05)


@pytest.mark.parametrize("factorise", [nmf, lambda *a, **k: nmfd(*a, template_frames=2, **k)])
@pytest.mark.parametrize("beta", [40, 1e300, -1e300])
def test_a_divergence_that_leaves_the_range_of_floats_is_refused(factorise, beta):
    V = data()
    V[3, 4] = 300.0
    with pytest.raises(ParameterError, match=r"leaves the range of torch\.float32.*V\.double"):
        factorise(V, 2, beta=beta, n_iter=20)


@pytest.mark.parametrize("beta", [1e-8, 1e-6, 1e-3])
def test_a_beta_of_nearly_zero_is_nearly_itakura_saito_in_silence_too(beta):
    V = data()
    V[4], V[:, 7:9] = 0, 0
    near, zero = (nmf(V, 3, beta=number) for number in (beta, 0))
    assert float(near.objective[-1]) == pytest.approx(float(zero.objective[-1]), rel=0.05)
    assert near.n_iter > 20


@pytest.mark.parametrize("beta", [np.float32(1), np.float64(1), np.int64(1)])
def test_numbers_of_numpy_are_numbers(beta):
    torch.testing.assert_close(nmf(data(), 2, beta=beta).W, nmf(data(), 2, beta=1).W)


def test_progress_tells_the_objective_of_the_data_themselves():
    told = []
    found = nmf(100 * data(), 2, beta=0.5, n_iter=30, progress=lambda *row: told.append(row))
    assert told[0][1] == pytest.approx(float(found.objective[0]))
    assert told[-1][1] == pytest.approx(float(found.objective[-1]))
