import random
from itertools import pairwise

import librosa
import numpy as np
import pytest
import soundfile

from unweave.training.recipe.corpus import singing, speech, voice


@pytest.fixture
def singer(babble):
    def build(**changes):
        plain = {"vibrato": (0.0, 5.0), "glide": 0.02, "breath": 0.0, "bright": 0.5, "centre": 55.0}
        return singing.Singer(speech=voice.analyse(babble()), **(plain | changes))

    return build


def test_notes_are_sung_in_tune(singer):
    notes = [voice.Note(0.3, 0.9, 52), voice.Note(1.3, 0.9, 57)]
    audio = singing.sing(singer(), notes, random.Random(0), seconds=2.5)
    for start, wanted in ((0.5, 52), (1.5, 57)):
        part = audio[int(start * 44100) :][: int(0.6 * 44100)]
        pitch = librosa.yin(part, fmin=70, fmax=500, sr=44100, frame_length=4096)
        assert np.median(librosa.hz_to_midi(pitch)) == pytest.approx(wanted, abs=0.3)


def test_singing_is_finite_and_as_long_as_asked(singer):
    audio = singing.sing(
        singer(breath=0.1, vibrato=(0.5, 6.0)),
        singing.melody(random.Random(1), 60, seconds=4),
        random.Random(2),
        seconds=4,
    )
    assert audio.shape == (4 * 44100,)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() == pytest.approx(0.5, abs=1e-3)
    assert not singing.sing(singer(), [], random.Random(0), seconds=1).any()


@pytest.mark.parametrize("centre", [50.0, 65.0])
def test_melodies_stay_in_a_singers_range(centre):
    for seed in range(20):
        notes = singing.melody(random.Random(seed), centre, seconds=30)
        pitches = np.array([note.pitch for note in notes])
        assert np.abs(pitches - centre).max() <= 13
        assert all(a.start + a.length <= b.start for a, b in pairwise(notes))


@pytest.mark.usefixtures("speaker")
@pytest.mark.parametrize("style", sorted(set(singing.STYLES)))
def test_every_style_sounds(style, monkeypatch):
    monkeypatch.setattr(singing, "STYLES", (style,))
    audio = singing.ensemble(random.Random(4), seconds=3)
    assert audio.shape == (3 * 44100, 2)
    assert 0.05 < np.abs(audio).max() <= 1
    stereo = not np.allclose(audio[:, 0], audio[:, 1])
    assert stereo == (style not in ("solo", "rap"))


@pytest.mark.usefixtures("speaker")
def test_tracks_are_written_once(tmp_path):
    assert singing.sing_tracks(tmp_path, tracks=2, seed=0, seconds=2) == 2
    assert singing.sing_tracks(tmp_path, tracks=3, seed=0, seconds=2) == 1
    files = sorted(tmp_path.rglob("*.wav"))
    assert [f.name for f in files] == ["vocals.wav"] * 3
    assert soundfile.info(files[0]).frames == 2 * 44100


def test_without_speakers_nobody_sings(tmp_path, monkeypatch):
    monkeypatch.setattr(singing, "installed", list)
    assert singing.sing_tracks(tmp_path, tracks=2, seed=0) == 0


def test_recorded_speakers_are_read(tmp_path, monkeypatch, babble):
    soundfile.write(tmp_path / "a.wav", np.stack([babble(), babble()], axis=1), 22050)
    monkeypatch.setattr(speech, "RECORDED", {"me": (tmp_path, "*.wav", True)})
    monkeypatch.setattr(speech, "FLITE", {})
    monkeypatch.setattr(speech, "FESTIVAL", {})
    assert speech.installed() == [("recorded", "me", True)]
    audio = speech.speak("recorded", "me", random.Random(0), seconds=4)
    assert len(audio) >= 4 * speech.RATE
    assert np.abs(audio).max() == pytest.approx(1, abs=1e-3)


def test_sentences_differ():
    lines = {speech.sentence(random.Random(seed), 6) for seed in range(20)}
    assert len(lines) == 20
