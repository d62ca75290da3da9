import numpy as np
import pytest

from unweave.training.recipe.corpus.index import active_rms, read_index


def test_silent_stems_and_held_out_tracks_are_left_out(corpus):
    tracks = read_index(corpus, leave_out=("held-out",))
    assert [(t.collection, t.name) for t in tracks] == [
        ("fretsonfire", "band"),
        ("songs", "one"),
        ("songs", "two"),
    ]
    assert set(tracks[1].stems) == {"vocals", "drums", "bass", "other"}


def test_level_counts_only_where_the_stem_sounds():
    audio = np.zeros((44100, 2))
    audio[:22050] = 0.1
    level, active = active_rms(audio)
    assert level == pytest.approx(0.1, rel=1e-6)
    assert active.sum() == 5
