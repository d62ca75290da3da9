import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.evaluation import si_sar, si_sdr, si_sir


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def formula(estimate, references, index):
    """Split an estimate by least squares on the true sources, as columns."""
    e, columns = estimate.flatten(), references.flatten(1).T
    s = columns[:, index]
    target = (e @ s) / (s @ s) * s
    projected = columns @ torch.linalg.lstsq(columns, e).solution
    return target, projected - target, e - projected


def ratio(signal, noise):
    return 10 * torch.log10(signal.square().sum() / noise.square().sum())


@pytest.mark.parametrize("leading", [(), (2,), (2, 2)])
def test_it_is_the_orthogonal_decomposition(leading):
    s = noise(*leading, 3, 2, 50)
    e = s + 0.3 * s.roll(1, -3) + 0.2 * noise(*leading, 3, 2, 50, seed=1)
    pairs = zip(e.reshape(-1, 3, 2, 50), s.reshape(-1, 3, 2, 50), strict=True)
    parts = [formula(a[j], b, j) for a, b in pairs for j in range(3)]
    sir = torch.stack([ratio(t, i) for t, i, _ in parts]).reshape(*leading, 3)
    sar = torch.stack([ratio(t, a) for t, _, a in parts]).reshape(*leading, 3)
    torch.testing.assert_close(si_sir(e, s), sir)
    torch.testing.assert_close(si_sar(e, s), sar)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-2, 1e2))
def test_interference_and_artifacts_make_up_the_distortion_at_any_level(seed, scale):
    s = noise(3, 1, 40, seed=seed)
    e = scale * (s + 0.5 * noise(3, 1, 40, seed=seed + 1))
    parts = [10 ** (-x / 10) for x in (si_sir(e, s), si_sar(e, s))]
    torch.testing.assert_close(sum(parts), 10 ** (-si_sdr(e, s) / 10))


@pytest.mark.parametrize("score", [si_sir, si_sar])
@pytest.mark.parametrize("level", [1.0, 1e-5])
def test_one_pass_in_blocks_is_the_formula(score, level):
    s = noise(2, 3, 2, 30_001)
    e = s + level * (0.3 * s.roll(1, -3) + noise(2, 3, 2, 30_001, seed=1))
    plain = score(e.clone().requires_grad_(), s).detach()
    torch.testing.assert_close(score(e, s), plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("score", [si_sir, si_sar])
def test_gradients(score):
    s, e = noise(2, 1, 6), noise(2, 1, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda e: score(e, s), e)


def test_known_values():
    basis = torch.eye(4, dtype=torch.float64)[:, None]
    s = basis[:2]
    e = s + 0.1 * s.flip(0) + 0.01 * basis[2]
    torch.testing.assert_close(si_sir(e, s), torch.full((2,), 20.0, dtype=torch.float64))
    torch.testing.assert_close(si_sar(e, s), torch.full((2,), 40.0, dtype=torch.float64))


def test_silence_affects_its_own_source_only():
    s, e = noise(3, 1, 30), noise(3, 1, 30, seed=1)
    s[1] = 0
    for score in (si_sir, si_sar):
        got = score(e, s)
        assert torch.isnan(got).tolist() == [False, True, False]
        torch.testing.assert_close(got[[0, 2]], score(e[[0, 2]], s[[0, 2]]))


def test_arrays_and_errors():
    s, e = noise(2, 1, 30), noise(2, 1, 30, seed=1)
    assert si_sir(e.numpy(), s.numpy()).tolist() == si_sir(e, s).tolist()
    for score in (si_sir, si_sar):
        with pytest.raises(ParameterError, match="same shape"):
            score(e, s[:1])
        with pytest.raises(ParameterError, match="sources, channels, time"):
            score(e[0], s[0])
