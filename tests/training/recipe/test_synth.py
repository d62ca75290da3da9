import random

import numpy as np
import pytest

from unweave.training.recipe.corpus import synth


@pytest.mark.parametrize("role", ["bass", "pad", "pluck", "lead"])
def test_tones_have_their_pitch(role):
    for seed in range(6):
        patch = synth.draw_patch(random.Random(seed), role)
        if patch.modulation[1] or patch.vibrato:
            continue
        sound = synth.tone(patch, 57, 1.0)
        assert np.isfinite(sound).all()
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1 / 44100)
        offset = np.abs(hertz / 220 - np.round(hertz / 220)) * 220
        assert power[offset < 12].sum() > 0.95 * power.sum()


def test_no_harmonic_passes_the_limit():
    patch = synth.draw_patch(random.Random(1), "lead")
    bare = synth.Patch(
        **{**vars(patch), "harmonics": np.ones(80) / 9, "modulation": (1, 0.0), "vibrato": 0.0}
    )
    sound = synth.tone(bare, 90, 0.5)
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / 44100)
    assert power[hertz > synth.TOP + 500].sum() < 1e-3 * power.sum()


def test_parts_begin_with_their_notes():
    patch = synth.draw_patch(random.Random(0), "bass")
    audio = synth.play([synth.Event(0.5, 0.4, 40, 1.0)], patch, seconds=2)
    assert audio.shape == (2 * 44100, 2)
    assert np.abs(audio).max() == pytest.approx(0.7, abs=1e-3)
    assert not audio[: int(0.49 * 44100)].any()
    assert np.abs(audio[int(0.5 * 44100) : int(0.6 * 44100)]).max() > 0.02


def test_chorus_is_stereo():
    mono = np.sin(np.arange(44100) / 20)
    wide = synth.spread(mono, 2)
    assert np.array_equal(synth.spread(mono, 0)[:, 0], mono)
    assert np.abs(wide[:, 0] - wide[:, 1]).max() > 0.1


def test_drum_machines_sound_where_they_are_hit():
    kit = synth.draw_kit(random.Random(3))
    events = [synth.Event(0.1 + 0.2 * i, 0.2, key, 1.0) for i, key in enumerate(sorted(kit))]
    audio = synth.drum(events, kit, seconds=2)
    assert np.isfinite(audio).all()
    assert not audio[: int(0.09 * 44100)].any()
    for event in events:
        start = int(event.start * 44100)
        assert np.abs(audio[start : start + 3000]).max() > 0.005
    low = np.abs(np.fft.rfft(kit[36]))
    assert np.fft.rfftfreq(len(kit[36]), 1 / 44100)[low.argmax()] < 250
