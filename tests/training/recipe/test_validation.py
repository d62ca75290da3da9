import numpy as np
import pytest
import torch

from unweave.models.bandmask import BandMaskNet
from unweave.training.recipe.corpus.index import active_rms
from unweave.training.recipe.validation import BandSong, rebalanced_stems


def test_rebalancing_gives_the_documented_levels(corpus):
    stems = rebalanced_stems(corpus / "songs" / "one")
    assert np.abs(stems.sum(0)).max() == pytest.approx(0.98, abs=1e-5)
    levels = [20 * np.log10(active_rms(s)[0]) for s in stems]
    assert np.subtract(levels, levels[0]) == pytest.approx([0, 1, -1, -2], abs=0.01)


def test_band_scores_equal_scores_of_the_masked_signals(corpus):
    """The short cut in the band domain must agree with separating and subtracting."""
    torch.manual_seed(0)
    net = BandMaskNet(widths=(4, 4, 4), recurrent=8).eval()
    stems = rebalanced_stems(corpus / "songs" / "one")
    quick = BandSong(stems, net).sdr(net)
    audio = torch.from_numpy(stems.transpose(0, 2, 1).copy())
    with torch.no_grad():
        estimates = net(audio.sum(0)[None])[0]
    noise = (estimates - audio).square().sum((1, 2))
    direct = 10 * torch.log10(audio.square().sum((1, 2)) / noise)
    for name, value in zip(net.sources, direct.tolist(), strict=True):
        assert quick[name] == pytest.approx(value, abs=0.5)
