import random

import numpy as np
import soundfile

from unweave.training.recipe.corpus import loops


def test_sequenced_tracks_are_full_length_and_sound(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("bd_a", "sn_a", "hat_a", "perc_a", "bass_a"):
        decay = np.exp(-np.arange(9000) / 2000)[:, None]
        soundfile.write(
            tmp_path / f"{name}.flac", 0.5 * decay * rng.uniform(-1, 1, (9000, 1)), 44100
        )
    drums = loops.drum_track(tmp_path, random.Random(1), seconds=5)
    bass = loops.bass_track(tmp_path, random.Random(1), seconds=5)
    for track in (drums, bass):
        assert track.shape == (5 * 44100, 2)
        assert 0.1 < np.abs(track).max() <= 1
    again = loops.drum_track(tmp_path, random.Random(1), seconds=5)
    assert np.array_equal(drums, again)
