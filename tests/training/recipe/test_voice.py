import numpy as np
import pytest

from unweave.training.recipe.corpus import voice
from unweave.training.recipe.corpus.speech import RATE


def spectrum_peak(audio, low, high):
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 17))
    frequency = np.fft.rfftfreq(1 << 17, 1 / RATE)
    inside = (frequency > low) & (frequency < high)
    return frequency[inside][power[inside].argmax()]


@pytest.mark.parametrize("pitch", [90, 150, 280])
def test_analysis_finds_pitch_and_voicing(pitch, vowel):
    speech = voice.analyse(vowel(pitch, 1.0))
    inner = slice(20, -20)
    assert speech.voiced[inner].mean() > 0.95
    assert np.median(speech.pitch[inner]) == pytest.approx(pitch, rel=0.03)
    periods = np.diff(speech.marks[speech.marks > 2000])[:-20]
    assert np.median(periods) == pytest.approx(RATE / pitch, rel=0.03)


def test_hiss_is_unvoiced():
    hiss = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    speech = voice.analyse(hiss)
    assert speech.voiced.mean() < 0.1
    assert voice.analyse(np.zeros(RATE, np.float32)).syllables.shape == (0, 3)


def test_syllables_are_counted_and_in_order(babble):
    speech = voice.analyse(babble(count=7))
    assert len(speech.syllables) == 7
    first, peak, end = speech.syllables.T
    assert (first < peak).all()
    assert (peak < end).all()
    assert (np.diff(peak) > 40).all()


def test_vowels_begin_with_their_notes_and_are_held(babble):
    speech = voice.analyse(babble())
    notes = [voice.Note(0.5, 0.8, 60), voice.Note(1.5, 0.3, 64)]
    source, pitch = voice.timeline(speech, notes, 500)
    sounding = source >= 0
    assert not sounding[:60].any()
    assert sounding[100:260].all()
    assert sounding[300:360].all()
    assert not sounding[420:].any()
    assert pitch[150] == pytest.approx(261.63, rel=1e-4)
    assert pitch[320] == pytest.approx(329.63, rel=1e-4)
    held = source[110:200]
    assert held.max() - held.min() < 20
    assert (np.diff(held) >= 0).all()


def test_spoken_notes_keep_their_intonation(babble):
    speech = voice.analyse(babble(pitch=123))
    _, pitch = voice.timeline(speech, [voice.Note(0.2, 0.3, None)], 200)
    assert pitch[50] == pytest.approx(123, rel=0.03)


@pytest.mark.parametrize("wanted", [98.0, 196.0, 330.0])
def test_rearranging_changes_the_pitch_and_keeps_the_formants(wanted, vowel):
    speech = voice.analyse(vowel(140, 1.0, formants=(800,)))
    source = np.full(300, 100.0)
    out = voice.rearrange(
        speech, source, np.full(300, wanted), np.random.default_rng(0)
    )  # one vowel held for 1.5 s
    again = voice.analyse(out.astype(np.float32))
    assert np.median(again.pitch[20:-20]) == pytest.approx(wanted, rel=0.03)
    assert abs(spectrum_peak(out, 300, 3000) - 800) < wanted / 2 + 60
    loud = np.sqrt(np.mean(out[2000:-2000] ** 2)) / np.sqrt(np.mean(speech.audio[4000:-4000] ** 2))
    assert 0.5 < loud < 2


def test_rests_are_silent(babble):
    speech = voice.analyse(babble())
    source = np.concatenate([np.full(100, 40.0), np.full(100, -1.0)])
    out = voice.rearrange(speech, source, np.full(200, 150.0), np.random.default_rng(0))
    assert np.abs(out[-90 * voice.HOP :]).max() == 0
    assert np.abs(out[: 90 * voice.HOP]).max() > 0.05


def test_brightening_adds_highs_and_leaves_the_rest():
    rng = np.random.default_rng(0)
    dull = rng.standard_normal(RATE)
    plain, bright = voice.brighten(dull, 1e-6), voice.brighten(dull, 0.7)
    assert len(bright) <= 44100
    power = [np.abs(np.fft.rfft(a[:40000])) ** 2 for a in (plain, bright)]
    bins = np.fft.rfftfreq(40000, 1 / 44100)
    high, low = (bins > 8500) & (bins < 15000), (bins > 200) & (bins < 6500)
    assert power[1][high].mean() > 0.01 * power[1][low].mean()
    assert power[0][high].mean() < 1e-4 * power[0][low].mean()
    assert power[1][low].mean() == pytest.approx(power[0][low].mean(), rel=0.01)
