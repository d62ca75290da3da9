import librosa
import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from unweave.decomposition import cluster_components
from unweave.decomposition._kmeans import kmeans
from unweave.decomposition.clustering import _timbre
from unweave.errors import ParameterError

RATE, BINS = 22050, 1025


def notes(pitches, slope):
    """Templates of one instrument: partials that fall by `slope` dB an octave."""
    frequencies = np.arange(BINS) * RATE / 2 / (BINS - 1)
    W = np.zeros((BINS, len(pitches)))
    for column, pitch in enumerate(pitches):
        for partial in pitch * np.arange(1, int(8000 / pitch)):
            level = 10 ** (-slope * np.log2(partial / 100) / 20)
            W[:, column] += level * np.exp(-(((frequencies - partial) / 15) ** 2))
    return W


def test_notes_of_two_instruments_are_told_apart():
    W = np.hstack([notes([220, 262, 294, 330], 3), notes([233, 277, 311, 349], 18)])
    order = np.random.default_rng(0).permutation(8)
    W = (W * 10.0 ** np.arange(-4, 4))[:, order]  # levels do not count
    kept = W.copy()
    labels = cluster_components(W, np.ones((8, 5)), n_clusters=2, sample_rate=RATE)
    instrument = order >= 4
    np.testing.assert_array_equal(labels == labels[0], instrument == instrument[0])
    assert labels[0] == 0
    assert isinstance(labels, np.ndarray)
    np.testing.assert_array_equal(W, kept)


def test_timbre_is_librosas_cepstrum():
    W = notes([220, 330, 500], 6)
    found = _timbre(torch.from_numpy(W), RATE, 12)
    power = (W / W.max(0)) ** 2
    for column in range(3):
        mel = librosa.feature.melspectrogram(S=power[:, [column]], sr=RATE, n_mels=40)
        expected = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=13)
        np.testing.assert_allclose(found[column], expected[1:, 0], atol=1e-3)


def test_parts_that_sound_together_belong_together():
    rng = np.random.default_rng(0)
    course = rng.random((2, 200)) ** 4
    H = np.stack([course[0], course[1], 100 * course[0], 0.01 * course[1], course[0]])
    H = H * (1 + 0.2 * rng.random(H.shape))
    W = rng.random((10, 5))
    assert cluster_components(W, H, n_clusters=2, features="activation").tolist() == [0, 1, 0, 1, 0]
    W, H = (torch.from_numpy(x).expand(3, 2, *x.shape) for x in (W, H))
    batch = cluster_components(W, H, n_clusters=2, features="activation")
    assert batch.shape == (3, 2, 5)
    assert (batch == torch.tensor([0, 1, 0, 1, 0])).all()


@pytest.mark.parametrize("count", [1, 3, 6])
def test_groups_are_as_narrow_as_scikit_learns(count):
    rng = np.random.default_rng(count)
    x = rng.normal(0, 1, (60, 4)) + 4 * rng.normal(0, 1, (5, 4))[rng.integers(0, 5, 60)]
    labels = kmeans(torch.from_numpy(x), count, torch.Generator().manual_seed(0)).numpy()
    spread = sum(((x[labels == g] - x[labels == g].mean(0)) ** 2).sum() for g in range(count))
    best = KMeans(count, n_init=20, random_state=0).fit(x).inertia_
    assert spread <= best * 1.02
    first = [int(np.flatnonzero(labels == g)[0]) for g in range(count)]
    assert first == sorted(first)


def test_as_many_groups_as_components_and_silent_components():
    W = torch.from_numpy(notes([220, 500, 900], 3))
    H = torch.ones(3, 4).double()
    assert cluster_components(W, H, n_clusters=3, sample_rate=RATE).tolist() == [0, 1, 2]
    W[:, 1:] = 0
    assert cluster_components(W, H, n_clusters=3, sample_rate=RATE).tolist() == [0, 1, 1]
    assert cluster_components(W, 0 * H, n_clusters=2, features="activation").tolist() == [0] * 3


def test_errors_say_what_is_wrong():
    W, H = torch.rand(65, 4), torch.rand(4, 9)
    options = {"n_clusters": 2, "sample_rate": RATE}
    with pytest.raises(ParameterError, match="at most the number of components, 4"):
        cluster_components(W, H, n_clusters=5, sample_rate=RATE)
    with pytest.raises(ParameterError, match="n_clusters=0"):
        cluster_components(W, H, n_clusters=0, sample_rate=RATE)
    with pytest.raises(ParameterError, match="sample_rate=None"):
        cluster_components(W, H, n_clusters=2)
    with pytest.raises(ParameterError, match="features='pitch'"):
        cluster_components(W, H, **options, features="pitch")
    with pytest.raises(ParameterError, match="n_mfcc=40 must be at most 39"):
        cluster_components(W, H, **options, n_mfcc=40)
    for bad in ((W, H[:3]), (W.long(), H), (W[:, :0], H[:0])):
        with pytest.raises(ParameterError, match="and not empty"):
            cluster_components(*bad, **options)
    with pytest.raises(ParameterError, match="H must be finite and not negative"):
        cluster_components(W, -H, **options)
