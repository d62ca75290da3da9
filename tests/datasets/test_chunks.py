"""AudioDataset: as many chunks as asked for, of as many tracks, with something in each."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from unweave.audio import write
from unweave.datasets import AudioDataset, create_audio_dataset, scan_dataset
from unweave.errors import DatasetError, ParameterError

RATE = 8000


def test_the_example_of_auralflows_documents(dataset, cache):
    train_dataset = create_audio_dataset(
        dataset_path=dataset(3, subset="train", seconds=4),
        split="train",
        targets=["vocals"],
        chunk_size=3,
        num_chunks=1e5,
        max_num_tracks=80,
        sample_rate=44100,
        mono=True,
        cache_dir=cache,
    )
    mix_audio, target_audio = next(iter(train_dataset))
    assert len(train_dataset) == 100_000
    assert mix_audio.shape == (1, 132_300)
    assert target_audio.shape == (1, 1, 132_300)
    assert mix_audio.dtype == target_audio.dtype == torch.float32


@pytest.mark.parametrize("mono", [True, False])
def test_chunks_are_cut_from_all_stems_at_one_place(dataset, cache, noise, mono):
    chunks = create_audio_dataset(
        dataset(1), ["bass", "vocals"], chunk_size=0.5, num_chunks=9, mono=mono, cache_dir=cache
    )
    whole = [noise(i).mean(0, keepdim=True) if mono else noise(i) for i in range(4)]
    for index in range(9):
        mixture, targets = chunks[index]
        windows = whole[0][:, :-3968].unfold(1, 32, 1)
        start = int((windows - targets[0][:, None, :32]).abs().amax((0, 2)).argmin())
        expected = torch.stack(whole)[..., start : start + 4000]
        torch.testing.assert_close(targets, expected[[0, 3]], atol=2e-5, rtol=0)
        torch.testing.assert_close(mixture, expected.sum(0), atol=8e-5, rtol=0)


def test_the_mixtures_own_file_is_used(dataset, cache, noise):
    root = dataset(1)
    write(root / "song0" / "mixture.wav", noise(99), RATE, subtype="PCM_16")
    chunks = AudioDataset(scan_dataset(root), ["vocals"], 2, 3, cache_dir=cache)
    assert torch.equal(chunks[0][0], noise(99))
    assert torch.equal(chunks[0][1][0], noise(3))


def test_the_first_tracks_and_not_one_more(dataset, cache, noise):
    chunks = create_audio_dataset(
        dataset(3), ["vocals"], "train", 2, 50, 2, mono=False, cache_dir=cache
    )
    found = {chunks[i][1][0].numpy().tobytes() for i in range(50)}
    assert found == {noise(3).numpy().tobytes(), noise(13).numpy().tobytes()}


def test_chunks_depend_on_the_seed_and_stay_as_they_are(dataset, cache):
    root = dataset(2)
    words = {"chunk_size": 0.1, "num_chunks": 20, "cache_dir": cache}
    one, two, other = (create_audio_dataset(root, ["vocals"], **words, seed=s) for s in (0, 0, 1))
    assert all(torch.equal(one[i][0], two[i][0]) for i in range(20))
    assert any(not torch.equal(one[i][0], other[i][0]) for i in range(20))
    assert len({one[i][0].numpy().tobytes() for i in range(20)}) == 20
    assert len(list(one)) == 20


@pytest.mark.parametrize("level", [1.0, 1 / 256])
def test_silent_chunks_are_left_out_however_soft_the_song(
    tmp_path, write_track, noise, cache, level
):
    vocals = noise(0, 40)
    vocals[:, 4 * RATE : -3 * RATE] = 0
    write_track(tmp_path / "m" / "song", {"vocals": vocals * level, "drums": noise(1, 40) * level})
    chunks = create_audio_dataset(
        tmp_path / "m", ["vocals"], chunk_size=1, num_chunks=200, cache_dir=cache
    )
    assert all(target.abs().max() > 0 for _, target in (chunks[i] for i in range(200)))


def test_resampling_is_real(tmp_path, write_track, cache):
    tone = torch.sin(2 * torch.pi * 440 / RATE * torch.arange(2.0 * RATE))[None] * 0.5
    write_track(tmp_path / "m" / "song", {"vocals": tone})
    (tmp_path / "m" / "song" / "drums.wav").write_bytes(
        (tmp_path / "m" / "song" / "vocals.wav").read_bytes()
    )
    chunks = create_audio_dataset(
        tmp_path / "m", ["vocals"], num_chunks=1, sample_rate=11025, cache_dir=cache
    )
    _, target = chunks[0]
    assert target.shape == (1, 1, 11025)
    spectrum = np.abs(np.fft.rfft(target[0, 0].numpy() * np.hanning(11025)))
    assert spectrum.argmax() == 440


def test_workers_load_it(dataset, cache):
    chunks = create_audio_dataset(
        dataset(2), ["vocals"], chunk_size=0.1, num_chunks=8, cache_dir=cache
    )
    batches = list(DataLoader(chunks, batch_size=4, num_workers=2))
    assert [mixture.shape for mixture, _ in batches] == [(4, 1, 800)] * 2
    assert torch.equal(batches[1][0][3], chunks[7][0])


def test_what_cannot_be(dataset, cache, tmp_path, write_track, noise):
    root = dataset(1)
    with pytest.raises(DatasetError, match="no tracks"):
        AudioDataset([], ["vocals"])
    with pytest.raises(ParameterError, match="num_chunks"):
        create_audio_dataset(root, ["vocals"], num_chunks=0.5, cache_dir=cache)
    with pytest.raises(ParameterError, match="max_num_tracks"):
        create_audio_dataset(root, ["vocals"], max_num_tracks=0, cache_dir=cache)
    with pytest.raises(ParameterError, match="chunk_size"):
        create_audio_dataset(root, ["vocals"], chunk_size=-1, cache_dir=cache)
    with pytest.raises(ParameterError, match="unknown argument 'stereo'"):
        create_audio_dataset(root, ["vocals"], stereo=True)
    with pytest.raises(ParameterError, match="unknown argument 'stereo'"):
        AudioDataset(scan_dataset(root), ["vocals"], stereo=True)
    write_track(tmp_path / "silent" / "song", {"vocals": noise(0) * 0, "drums": noise(0)})
    with pytest.raises(DatasetError, match="vocals are silent in all tracks"):
        create_audio_dataset(tmp_path / "silent", ["vocals"], cache_dir=cache)
    for source in ("vocals", "drums"):
        write_track(tmp_path / "sources" / source, {"a": noise(0)})
    with pytest.raises(DatasetError, match="a folder for each source"):
        create_audio_dataset(tmp_path / "sources", ["vocals", "drums"], cache_dir=cache)
