import random
import re
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
    assert stereo == (style not in ("solo", "rap", "spoken"))


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
    monkeypatch.setattr(speech, "PROGRAMS", {})
    assert speech.installed() == [("recorded", "me", True)]
    audio = speech.speak("recorded", "me", random.Random(0), seconds=4)
    assert len(audio) >= 4 * speech.RATE
    assert np.abs(audio).max() == pytest.approx(1, abs=1e-3)


def test_telephone_speech_fills_the_whole_band(tmp_path, monkeypatch, babble):
    coded = {"format": "RAW", "subtype": "GSM610"}
    soundfile.write(tmp_path / "a.gsm", babble()[::2], 8000, **coded)
    monkeypatch.setattr(speech, "RECORDED", {"me": (tmp_path, "*.gsm", True)})
    audio = speech.speak("recorded", "me", random.Random(0), seconds=1)
    power = np.abs(np.fft.rfft(audio[: speech.RATE])) ** 2
    assert 1e-5 < power[5000:6000].sum() / power[:3000].sum() < 0.1


@pytest.mark.parametrize("make", [speech.sentence, speech.nonsense])
def test_sentences_differ(make):
    lines = {make(random.Random(seed), 6) for seed in range(20)}
    assert len(lines) == 20
    assert all(len(line.split()) == 6 for line in lines)


@pytest.mark.parametrize("kind", sorted(speech.PROGRAMS))
def test_synthesisers_are_told_what_to_say(kind, monkeypatch, tmp_path, babble):
    program, voices = speech.PROGRAMS[kind]
    (tmp_path / "deep").mkdir()
    for name in voices:
        (tmp_path / "deep" / f"{name}.htsvoice").touch()
    monkeypatch.setattr(speech, "HTS_VOICES", tmp_path)
    asked = []

    def run(command, *, input, check, capture_output):
        asked.append((command, input.decode()))
        target = re.search(r"[^\"\s]*speech\.wav", " ".join(command)).group()
        soundfile.write(target, babble(), speech.RATE)

    monkeypatch.setattr(speech.subprocess, "run", run)
    for name in voices:
        first = speech.speak(kind, name, random.Random(1), seconds=4)
        assert len(first) >= 4 * speech.RATE
        command, text = asked[-1]
        assert command[0] == program
        assert any(name in part for part in command)
        assert asked.count((command, text)) == 1


def test_only_voices_at_hand_are_listed(monkeypatch, tmp_path):
    monkeypatch.setattr(speech, "RECORDED", {})
    monkeypatch.setattr(speech, "HTS_VOICES", tmp_path)
    monkeypatch.setattr(speech.shutil, "which", lambda name: name if "jtalk" in name else None)
    assert speech.installed() == []
    (tmp_path / "mei").mkdir()
    (tmp_path / "mei" / "mei_normal.htsvoice").touch()
    assert speech.installed() == [("jtalk", "mei_normal", True)]


def test_a_syllable_may_turn(singer):
    notes = [voice.Note(0.2, 1.6, 52, turns=((0.8, 57),))]
    audio = singing.sing(singer(), notes, random.Random(0), seconds=2)
    for start, wanted in ((0.4, 52), (1.2, 57)):
        part = audio[int(start * 44100) :][: int(0.4 * 44100)]
        pitch = librosa.yin(part, fmin=70, fmax=500, sr=44100, frame_length=4096)
        assert np.median(librosa.hz_to_midi(pitch)) == pytest.approx(wanted, abs=0.3)


def test_a_hoarse_voice_has_less_of_a_pitch(singer):
    notes = [voice.Note(0.2, 1.6, 57)]
    share = []
    for rough in (0.0, 0.3):
        audio = singing.sing(singer(rough=rough), notes, random.Random(0), seconds=2)
        power = np.abs(np.fft.rfft(audio[22050:66150] * np.hanning(44100))) ** 2
        partials = np.concatenate([power[220 * k - 4 : 220 * k + 5] for k in range(1, 6)])
        share.append(partials.sum() / power[:1200].sum())
    assert share[1] < 0.9 * share[0]
