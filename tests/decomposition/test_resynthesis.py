import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.decomposition import component_spectrograms, resynthesise
from unweave.errors import ParameterError
from unweave.transforms import STFT


def factors(*lead, components=3, freq=9, frames=11, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    W = torch.rand(*lead, freq, components, generator=generator, dtype=dtype)
    H = torch.rand(*lead, components, frames, generator=generator, dtype=dtype)
    return (W - 0.4).clamp_min(0), (H - 0.4).clamp_min(0)  # zeros, as solvers leave them


def mixture(*shape, dtype=torch.complex128, seed=1):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def decibels(error, reference):
    return float(20 * torch.log10(error.abs().norm() / reference.abs().norm()))


def oracle(W, H, X, mode, power):
    """Component after component, as the formula has it."""
    models = [W[..., [k]] @ H[..., [k], :] for k in range(W.shape[-1])]
    if mode == "raw":
        return torch.stack([model * torch.exp(1j * X.angle()) for model in models])
    total = sum(model**power for model in models)
    return torch.stack(
        [torch.where(total > 0, m**power / total, 1 / len(models)) * X for m in models]
    )


@pytest.mark.parametrize("mode", ["mask", "raw"])
@pytest.mark.parametrize("power", [1, 2, 0.5])
def test_components_are_those_of_the_formula(mode, power):
    W, H = factors()
    W = torch.where(W > 0, W, 0.01)
    H = torch.where(H > 0, H, 0.01)
    X = mixture(9, 11)
    X[2, 3] = 0
    kept = [x.clone() for x in (W, H, X)]
    found = component_spectrograms(W, H, X, mode=mode, power=power)
    expected = oracle(W, H, X, mode, power)
    torch.testing.assert_close(found[:, X != 0], expected[:, X != 0], atol=1e-6, rtol=1e-4)
    if mode == "mask":
        assert (found[:, 2, 3] == 0).all()
    assert all(torch.equal(x, k) for x, k in zip((W, H, X), kept, strict=True))


@settings(deadline=None, max_examples=40)
@given(
    components=st.integers(1, 6),
    power=st.sampled_from([1, 2, 3.0]),
    level=st.sampled_from([1e-15, 1.0, 1e15]),
    seed=st.integers(0, 1000),
    single=st.booleans(),
)
def test_masked_components_sum_to_the_mixture(components, power, level, seed, single):
    W, H = factors(components=components, seed=seed)
    X = mixture(9, 11, seed=seed)
    W[:, 0] = 0
    H[:, 5] = 0  # frames that nothing explains
    W = level * W
    if single:
        W, H, X = W.float(), H.float(), X.to(torch.complex64)
    y = component_spectrograms(W, H, X, power=power)
    assert y.isfinite().all()
    assert decibels(y.sum(0) - X, X) < (-130 if single else -280)
    # What nothing explains is shared equally.
    torch.testing.assert_close(y[:, :, 5], (X[:, 5] / components).expand(components, 9))


def test_raw_components_sum_to_the_model_with_the_phase_of_the_mixture():
    W, H = factors()
    X = mixture(9, 11)
    y = component_spectrograms(W, H, X, mode="raw").sum(0)
    torch.testing.assert_close(y, W @ H * torch.exp(1j * X.angle()))


@pytest.mark.parametrize("mode", ["mask", "raw"])
def test_axes(mode):
    X = mixture(4, 2, 9, 11)
    W, H = factors()
    shared = component_spectrograms(W, H, X, mode=mode)
    assert shared.shape == (4, 3, 2, 9, 11)
    for lead in ((2,), (4, 2)):
        W, H = factors(*lead)
        found = component_spectrograms(W, H, X, mode=mode)
        for item in range(4):
            for channel in range(2):
                at = (item, channel)[-len(lead) :]
                single = component_spectrograms(W[at], H[at], X[item, channel], mode=mode)
                torch.testing.assert_close(found[item, :, channel], single, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        component_spectrograms(*factors(), X[0, :1], mode=mode)[:, 0],
        component_spectrograms(*factors(), X[0, 0], mode=mode),
    )


def test_groups_are_summed_before_they_are_compared():
    W, H = factors(components=4)
    X = mixture(9, 11)
    groups = [1, 0, 1, 2]
    whole = component_spectrograms(W, H, X)
    grouped = component_spectrograms(W, H, X, groups=groups)
    assert grouped.shape == (3, 9, 11)
    heard = W @ H > 0  # a share of nothing is that of a group, not of a component
    close = {"atol": 1e-6, "rtol": 1e-6}
    torch.testing.assert_close(grouped[0][heard], whole[1][heard], **close)
    torch.testing.assert_close(grouped[1][heard], (whole[0] + whole[2])[heard], **close)
    squared = component_spectrograms(W, H, X, groups=torch.tensor(groups), power=2)
    own = (W[:, [0, 2]] @ H[[0, 2]]) ** 2
    total = own + (W[:, [1]] @ H[[1]]) ** 2 + (W[:, [3]] @ H[[3]]) ** 2
    torch.testing.assert_close(squared[1][heard], (own / total * X)[heard], **close)
    assert decibels(squared.sum(0) - X, X) < -280


def test_blocks_and_the_plain_form_give_the_same(monkeypatch):
    W, H = factors(2)
    X = mixture(2, 9, 11)
    whole = component_spectrograms(W, H, X)
    monkeypatch.setattr("unweave.decomposition.resynthesis._BLOCK", 100)
    torch.testing.assert_close(component_spectrograms(W, H, X), whole)
    plain = component_spectrograms(W.clone().requires_grad_(), H, X)
    torch.testing.assert_close(plain.detach(), whole)


@pytest.mark.parametrize("mode", ["mask", "raw"])
def test_gradients_are_right(mode):
    W, H = factors(components=2, freq=3, frames=4)
    W, H = (W + 0.1).requires_grad_(), (H + 0.1).requires_grad_()
    X = mixture(3, 4)

    def work(W, H):
        return torch.view_as_real(component_spectrograms(W, H, X, mode=mode, power=2))

    assert torch.autograd.gradcheck(work, (W, H))


@pytest.mark.parametrize("channels", [(), (1,), (2,), (3, 2)])
@pytest.mark.parametrize("length", [4000, 4096, 5001])
def test_audio_has_the_length_of_the_mixture_and_sums_to_it(channels, length):
    x = torch.randn(*channels, length, generator=torch.Generator().manual_seed(0))
    transform = STFT(n_fft=512)
    frames = transform(x).shape[-1]
    W, H = factors(freq=257, frames=frames, dtype=torch.float32)
    parts = resynthesise(W, H, x, transform=transform)
    assert parts.components.shape == (*channels[:-1], 3, *channels[-1:], length)
    total = parts.components.sum(-2 if not channels else -3)
    assert decibels(total - x, x) < -100
    torch.testing.assert_close(parts.residual, x - total)
    raw = resynthesise(W, H, x, transform=transform, mode="raw")
    torch.testing.assert_close(
        raw.components.sum(-2 if not channels else -3) + raw.residual, x, atol=1e-4, rtol=0
    )
    assert raw.residual.norm() > 0.1 * x.norm()


def test_numpy_in_numpy_out():
    W, H = (x.numpy() for x in factors())
    assert isinstance(component_spectrograms(W, H, mixture(9, 11).numpy()), np.ndarray)


def test_errors_say_what_is_wrong():
    W, H = factors()
    X = mixture(9, 11)
    for bad in ((W[:5], H, X), (W, H[:2], X), (W[None], H[None], X), (W[:, :0], H[:0], X)):
        with pytest.raises(ParameterError, match="do not fit X"):
            component_spectrograms(*bad)
    with pytest.raises(ParameterError, match=r"not its \.abs"):
        component_spectrograms(W, H, X.abs())
    with pytest.raises(ParameterError, match="H must be finite and not negative"):
        component_spectrograms(W, -H, X)
    with pytest.raises(ParameterError, match="W must be finite"):
        component_spectrograms(W * torch.nan, H, X)
    with pytest.raises(ParameterError, match="floating"):
        component_spectrograms(W.long(), H, X)
    with pytest.raises(ParameterError, match="mode='soft' must be one of mask, raw"):
        component_spectrograms(W, H, X, mode="soft")
    with pytest.raises(ParameterError, match="power=0"):
        component_spectrograms(W, H, X, power=0)
    for groups in ([0, 1], [0, 1, -1], [0.0, 1.0, 2.0]):
        with pytest.raises(ParameterError, match="groups="):
            component_spectrograms(W, H, X, groups=groups)
    with pytest.raises(ParameterError, match="output='magnitude'"):
        resynthesise(W, H, torch.zeros(99), transform=STFT(n_fft=16, output="magnitude"))
