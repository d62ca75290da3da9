import numpy as np
import pytest
import torch

from unweave.models.bandmask import BandMaskNet
from unweave.training.recipe.corpus.index import read_index
from unweave.training.recipe.mixing import Bands, MixConfig, band_loss, draw_batch
from unweave.training.recipe.pool import Pool, PoolConfig


def random_stems(batch=2, frames=5, bins=12):
    torch.manual_seed(0)
    return torch.randn(batch, 4, 2, frames, bins, dtype=torch.complex128)


def bands_of(stems, sums, voiceless):
    mixture = stems.sum(1)
    cross = (stems * mixture[:, None].conj()).real @ sums
    return Bands(mixture.abs().square() @ sums, cross, voiceless)


@pytest.mark.parametrize("voiceless", [False, True])
def test_band_loss_equals_the_error_of_every_bin(voiceless):
    stems = random_stems()
    band_of_bin = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2])
    sums = torch.nn.functional.one_hot(band_of_bin).double()
    if voiceless:
        stems[:, 1:3] = 0
    bands = bands_of(stems, sums, torch.full((2,), voiceless))
    masks = torch.rand(2, 4, 2, 5, 3, dtype=torch.float64).softmax(1)

    estimates = masks[..., band_of_bin] * stems.sum(1)[:, None]
    if voiceless:
        pairs = [(estimates[:, 0], stems[:, 0]), (estimates[:, 1:].sum(1), stems[:, 1:].sum(1))]
    else:
        pairs = [(estimates[:, i], stems[:, i]) for i in range(4)]
    direct = sum((e - s).abs().square() @ sums - s.abs().square() @ sums for e, s in pairs)

    energy = bands.mixture
    weight = 1 / energy.mean((1, 2, 3), keepdim=True)
    loss = band_loss(masks, bands, weight_power=0.0)
    assert loss == pytest.approx(float((direct * weight).mean()), rel=1e-5)


def test_the_best_masks_are_the_ratio_of_cross_energy():
    stems = random_stems()
    sums = torch.eye(12, dtype=torch.float64)
    bands = bands_of(stems, sums, torch.zeros(2, dtype=torch.bool))
    best = bands.cross / bands.mixture[:, None]
    floor = float(band_loss(best, bands, weight_power=0.5))
    for seed in range(5):
        torch.manual_seed(seed)
        worse = best + 0.1 * torch.randn_like(best)
        assert float(band_loss(worse, bands, weight_power=0.5)) > floor


def test_a_batch_holds_consistent_band_sums(corpus):
    rng = np.random.default_rng(1)
    pool = Pool(read_index(corpus), PoolConfig(frames=12, singles=3, songs=2), rng)
    pool.fill()
    net = BandMaskNet(widths=(4, 4, 4), recurrent=8)
    bands = draw_batch(pool, MixConfig(batch_size=6, voiceless=0.3), net, rng)
    assert bands.hints is None
    assert bands.mixture.shape == (6, 2, 12, 195)
    assert bands.cross.shape == (6, 4, 2, 12, 195)
    # The mixture is the sum of its stems, so the cross energies sum to its energy.
    torch.testing.assert_close(bands.cross.sum(1), bands.mixture, rtol=2e-3, atol=1e-3)
    assert (bands.mixture >= 0).all()


def test_equal_seeds_draw_equal_batches(corpus):
    def draw():
        rng = np.random.default_rng(7)
        pool = Pool(read_index(corpus), PoolConfig(frames=8, singles=2, songs=1), rng)
        pool.fill()
        net = BandMaskNet(widths=(4, 4, 4), recurrent=8)
        return draw_batch(pool, MixConfig(batch_size=2), net, rng).mixture

    assert torch.equal(draw(), draw())
