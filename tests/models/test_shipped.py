"""The weights that ship separate a song that no training has seen."""

from pathlib import Path

import pytest
import torch

import unweave
from unweave.evaluation import sdr, si_sdr
from unweave.models import DEFAULT_MODEL, model_info

SONG = Path(__file__).parents[2] / "examples" / "song"
STEMS = ("vocals", "drums", "bass", "other")


@pytest.mark.slow
def test_every_stem_is_far_nearer_to_the_truth_than_the_mixture():
    mixture, rate = unweave.read(SONG / "mixture.ogg")
    stems = unweave.separate(mixture, rate)
    assert tuple(stems) == STEMS
    for name, stem in stems.items():
        reference, _ = unweave.read(SONG / f"{name}.ogg")
        silence = torch.zeros_like(reference)
        assert float(sdr(stem, reference)) > float(sdr(mixture, reference)) + 5
        assert float(sdr(stem, reference)) > float(sdr(mixture / 4, reference)) + 0.5
        assert float(sdr(stem, reference)) > float(sdr(silence, reference)) + 1
        assert float(si_sdr(stem, reference)) > float(si_sdr(mixture, reference)) + 2
    rest = mixture - sum(stems.values())
    assert float(rest.square().sum()) <= 1e-10 * float(mixture.square().sum())


def test_what_lies_above_16_khz_is_kept():
    rate = 44100
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft(0.1 * torch.randn(2, 2 * rate, generator=generator))
    spectrum[:, : 2 * 16500] = 0
    hiss = torch.fft.irfft(spectrum, 2 * rate)
    stems = unweave.separate(hiss, rate)
    assert float(sum(stems.values()).square().sum()) > 0.99 * float(hiss.square().sum())


def test_weights_carry_a_card():
    info = model_info(DEFAULT_MODEL)
    card = info.card.read_text(encoding="utf-8")
    for word in ("licence", "Training data", "SI-SDR", "Limits"):
        assert word in card
    assert info.weights.read_bytes()[:2000].count(b"pickle") == 0
