import numpy as np
import pytest

from unweave.training.recipe import augment


def tone(frequency, seconds=1.0):
    time = np.arange(int(44100 * seconds)) / 44100
    return np.repeat(np.sin(2 * np.pi * frequency * time)[:, None], 2, axis=1).astype(np.float32)


def peak_frequency(audio):
    spectrum = np.abs(np.fft.rfft(audio[:, 0] * np.hanning(len(audio))))
    return spectrum.argmax() * 44100 / len(audio)


@pytest.mark.parametrize("semitones", [-4, 3, 12])
def test_transposing_moves_pitch_and_length(semitones):
    moved = augment.transpose(tone(440), semitones)
    assert peak_frequency(moved) == pytest.approx(440 * 2 ** (semitones / 12), abs=2)
    assert len(moved) == pytest.approx(44100 / 2 ** (semitones / 12), abs=2)


def test_saturation_keeps_energy_and_adds_odd_harmonics():
    bent = augment.saturate(tone(440), 1.5)
    assert np.square(bent).mean() == pytest.approx(np.square(tone(440)).mean(), rel=1e-4)
    spectrum = np.abs(np.fft.rfft(bent[:, 0]))
    assert spectrum[1320] > 30 * spectrum[880]


def test_a_room_keeps_the_length_and_rings_on():
    click = np.zeros((44100, 2), np.float32)
    click[100] = 1
    wet = augment.reverberate(click, np.random.default_rng(0))
    assert wet.shape == click.shape
    assert wet.dtype == np.float32
    assert np.abs(wet[:100]).max() < 1e-5
    assert np.square(wet[200:4000]).sum() > 0


def test_equaliser_curves_are_bounded_and_different():
    rng = np.random.default_rng(0)
    curves = np.stack([augment.equaliser(2049, rng) for _ in range(20)])
    assert (np.abs(20 * np.log10(curves)) <= 18.01).all()
    assert curves.std(axis=0).mean() > 0.1
