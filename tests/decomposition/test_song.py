import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.decomposition import nmf, resynthesise, song
from unweave.errors import ParameterError
from unweave.transforms import STFT


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(300, 9000),
    hop=st.sampled_from([32, 64, 100]),
    channels=st.integers(1, 2),
    mode=st.sampled_from(["mask", "raw"]),
    seed=st.integers(0, 99),
)
def test_blocks_are_the_whole(length, hop, channels, mode, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(channels, length, generator=generator, dtype=torch.float64)
    kept = x.clone()
    transform = STFT(n_fft=128, hop_length=hop)
    frames = transform(x).shape[-1]
    W = torch.rand(65, 3, generator=generator, dtype=torch.float64)
    H = torch.rand(3, frames, generator=generator, dtype=torch.float64)
    options = {"transform": transform, "mode": mode, "groups": [0, 1, 0]}
    expected = resynthesise(W, H, x, **options).components
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(song, "_AT_ONCE", 1)
        patch.setattr(song, "_LEAST", 7)
        blocks = list(song.component_blocks(W, H, x, **options))
    assert len(blocks) == max(1, -(-length // (7 * hop)))
    # The floor of masks, -180 dB of the largest model, is that of the block
    torch.testing.assert_close(torch.cat(blocks, -1), expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(x, kept)


def test_magnitudes_of_channels_in_opposite_phase_are_not_lost():
    x = torch.randn(1, 2000, generator=torch.Generator().manual_seed(0))
    transform = STFT(n_fft=128)
    V = song.mean_magnitudes(torch.cat([x, -3 * x]), transform=transform)
    torch.testing.assert_close(V, 2 * transform(x[0]).abs())


def test_the_loudest_component_is_first_whatever_the_scale_of_its_template():
    W, H = torch.eye(4, 3) * torch.tensor([9.0, 1.0, 0.1]), torch.ones(3, 5)
    H[1:] = torch.tensor([[20.0], [1000.0]])
    assert song.loudest_first(W, H).tolist() == [2, 1, 0]


def test_factors_that_do_not_fit_are_refused():
    x, transform = torch.randn(1, 2000), STFT(n_fft=128)
    with pytest.raises(ParameterError, match="do not fit"):
        list(song.component_blocks(torch.ones(65, 2), torch.ones(2, 3), x, transform=transform))


@pytest.mark.parametrize(("beta", "every"), [(2, 1), (1, 10)])
def test_progress_tells_every_value_of_the_objective(beta, every):
    V = torch.rand(20, 30, generator=torch.Generator().manual_seed(0))
    told = []
    made = nmf(V, 3, beta=beta, n_iter=30, tol=0, progress=lambda n, value: told.append((n, value)))
    assert told == list(zip(made.iterations.tolist(), made.objective.tolist(), strict=True))
    assert [n for n, _ in told[:3]] == [0, every, 2 * every]


def test_progress_begins_anew_with_every_start_and_spectrogram():
    V = torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(0))
    steps = []
    nmf(V, 3, n_iter=5, tol=0, n_starts=2, progress=lambda n, _: steps.append(n))
    assert steps == 4 * [0, 1, 2, 3, 4, 5]
